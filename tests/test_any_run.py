"""Any configuration that is accepted runs: one outcome for any cut, every law holds, and the way back leads to the start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config, ConfigError
from entropic.initial import lattice_of
from entropic.machines.grid import UnreachableDemandError
from entropic.reversal import reverse
from test_lattice import draw_grid

CHANCE = st.integers(0, 3).map(lambda number: number == 0)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Every section, every machine on or off, at the edges of what they take."""

    def one(*choices: Any) -> Any:
        return draw(st.sampled_from(choices))

    axes, dtype = draw(st.integers(1, 4)), one("uint8", "uint16")
    regions = [one(1, 2, 3, 4) for _ in range(axes)]
    means = st.one_of(st.just(0.0), st.floats(0, 4 if dtype == "uint8" else 60))
    field = {
        "shape": [n * one(1, 2, 3, 5) for n in regions],
        "regions": regions,
        "dtype": dtype,
        "seed": draw(st.integers(0, 2**64 - 1)),
        "walls": one("conducting", "adiabatic"),
    }
    field |= one(
        {"edges": "closed"}, {"edges": "periodic"}, {"edges": "baths", "bath_left": draw(means), "bath_right": 2.0}
    )
    field |= one(
        *({"initial": initial, "mean": draw(means)} for initial in ("thermal", "microcanonical", "uniform")),
        {"initial": "hot-cold", "hot": draw(means), "cold": draw(means)},
    )
    demands = [
        {
            "region": draw(st.integers(0, math.prod(regions) - 1)),
            "quanta": one(0, 3, 50),
            "priority": draw(st.integers(0, 2)),
            "kind": one("compute", "export"),
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    return {
        "field": field,
        "run": {"cycles": one(1, 2, 5), "checkpoint_every": one(0, 1, 3), "record_every": one(1, 2, 7)},
        "relax": {"layers": draw(st.integers(0, 5))},
        "demon": {
            "lift": not draw(CHANCE),
            "sort": draw(CHANCE),
            "threshold": one(1, 2, 3, 20),
            "record": one("compressed", "raw"),
            "erase": draw(st.booleans()),
            "tape_nats": one(math.inf, 0.0, 50.0, 500.0),
        },
        "exchange": {"enabled": draw(CHANCE), "contact": one(0.01, 0.3, 1.0)},
        "grid": {"enabled": draw(CHANCE), "capacity": one(5, 100), "loss": one(0.0, 0.01, 0.4), "demands": demands},
        "battery": {
            "initial": one(0.0, 0.3, 2.0),
            "capacity": one(math.inf, 3.0),
            "charge_loss": one(0.0, 0.05),
            "discharge_loss": one(0.0, 0.02),
            "self_discharge": one(0.0, 0.03),
        },
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(tables(), st.integers(0, 2**32 - 1))
def test_any_run(tmp_path_factory: pytest.TempPathFactory, table: dict[str, dict[str, Any]], number: int) -> None:
    try:
        config = Config.from_mapping(table)
    except ConfigError:  # odd periodic extents, a single site that is to be sorted
        return
    place, rng, lattice = tmp_path_factory.mktemp("any"), np.random.default_rng(number), lattice_of(config.field)
    try:
        whole = EntropicComputer(config, place / "whole").run()
    except UnreachableDemandError:
        return
    assert whole["totals"]["first_law_residual"] == 0
    cut = EntropicComputer(config, place / "cut", chunks=draw_grid(lattice, rng), epoch=int(rng.integers(1, 4))).run()
    assert cut["digest"] == whole["digest"]
    for law in audit(place / "cut"):
        assert law.holds, law
    back = reverse(place / "cut", chunks=draw_grid(lattice, rng))
    kept = not config.demon.erase or not (config.demon.lift or config.demon.sort)
    if kept and config.field.edges != "baths":
        assert back.restored, back
