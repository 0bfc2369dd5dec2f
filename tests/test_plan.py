"""What a plan foretells, against what is run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.plan import COUNTED_CYCLES, checkpoint_seconds, longest_epoch, make_plan
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid, regular_cuts

GIB = 1 << 30
WHOLE = (2, 4, 2)
CUT = (1, 2, 2)
HOT = {"initial": "hot-cold", "hot": 6.0, "cold": 2.0}
GRID = {"enabled": True, "demands": [{"region": 0, "quanta": 5, "priority": 1, "kind": "compute"}]}
RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no layers": {"relax": {"layers": 0}},
    "many layers": {"relax": {"layers": 7}},
    "tape kept": {"demon": {"erase": False, "threshold": 5}},
    "halves": {"demon": {"sort": True, "threshold": 5}},
    "partners": {"demon": {"sort": True, "pairs": "partners", "threshold": 5}},
    "grid": {"grid": GRID},
    "baths": {"field": {"edges": "baths", "bath_left": 4.0, "bath_right": 1.0}},
}


def configure(cycles: int, every: int | None = 7, **sections: Any) -> Config:
    field = {"shape": [12, 16, 8], "regions": list(WHOLE), "mean": 3.0, **sections.pop("field", {})}
    run = {"cycles": cycles} if every is None else {"cycles": cycles, "checkpoint_every": every}
    return Config.from_mapping({"field": field, "run": run, **sections})


@pytest.mark.parametrize("chunks", [WHOLE, CUT, (2, 1, 2)], ids=str)
@pytest.mark.parametrize("name", RUNS)
def test_tasks_foretold_are_those_that_run(name: str, chunks: tuple[int, ...], tmp_path: Path) -> None:
    config = configure(23, **RUNS[name])
    plan = make_plan(config, 1, 1, 4 * GIB, chunks, True)
    computer = EntropicComputer(config, tmp_path / "run", chunks=chunks, epoch=plan.epoch_limit)
    computer.run()
    assert computer.tasks == plan.tasks


def test_tasks_of_a_market_at_most(tmp_path: Path) -> None:
    """Which blocks' regions will trade is not known before."""
    sections = {"field": HOT, "exchange": {"enabled": True}, "demon": {"lift": False}, "battery": {"initial": 0.0}}
    config = configure(23, **sections)
    plan = make_plan(config, 1, 1, 4 * GIB, CUT, True)
    computer = EntropicComputer(config, tmp_path / "run", chunks=CUT, epoch=plan.epoch_limit)
    computer.run()
    assert 0.6 * plan.tasks < computer.tasks <= plan.tasks


def test_tasks_of_long_runs_are_not_counted_one_by_one() -> None:
    def tasks(turns: int) -> int:
        plan = make_plan(configure(turns * COUNTED_CYCLES, 100), 1, 1, 4 * GIB, CUT, True)
        return plan.tasks - 4 * plan.blocks  # without those before the first cycle

    assert tasks(10) == 10 * tasks(1)
    assert tasks(10**5) == 10**5 * tasks(1)


def test_layers_beyond_number_are_not_counted_one_by_one() -> None:
    """Four of six layers of a turn cross a seam of a field cut along two axes; one of six where it is cut along one."""
    few, many = (make_plan(configure(5, relax={"layers": n}), 1, 1, 4 * GIB, CUT, True).tasks for n in (600, 2**31 - 1))
    assert many == pytest.approx(few / 600 * 2**31, rel=0.05)


def epochs(workers: int = 1, **run: float) -> tuple[int, int, float]:
    config = Config.from_mapping(
        {"field": {"shape": [64] * 4, "regions": [4, 4, 4, 1]}, "run": {"cycles": 10**6, **run}}
    )
    plan = make_plan(config, workers, 1, 64 * GIB, None, workers == 1)
    return plan.epoch, plan.epoch_limit, (plan.seconds - checkpoint_seconds(config, workers)) / 10**6


def test_the_epoch_is_foretold_by_the_law() -> None:
    epoch, limit, seconds = epochs(mtbf_hours=0.01)
    config = Config.from_mapping({"field": {"shape": [64] * 4, "regions": [4, 4, 4, 1]}})
    each = checkpoint_seconds(config, 1)
    assert 1 < epoch < limit
    assert epoch * (seconds - each / epoch) == pytest.approx(math.sqrt(2 * 36 * each), rel=0.02)
    assert epochs(mtbf_hours=1e-12)[0] == 1
    assert epochs(mtbf_hours=1e12)[0] == epochs(checkpoint_every=0)[0] == limit
    assert epochs(checkpoint_every=20)[:2] == (20, 20)
    assert epochs(checkpoint_every=10**6)[:2] == (limit, limit)


@pytest.mark.parametrize(
    ("sections", "few"),
    [
        ({"run": {"cycles": 1}}, False),
        ({"field": {"shape": [1000, 1000, 4], "regions": [500, 500, 1]}}, True),  # books of many regions
        ({"demon": {"erase": False, "sort": True}}, True),  # a bit for every other site
        ({"demon": {"erase": False}}, False),  # bits that compress well
        ({"demon": {"erase": False, "threshold": 2}}, True),  # bits that do not
    ],
)
def test_an_epoch_fits_into_memory(sections: dict[str, Any], few: bool) -> None:
    field = {"shape": [256, 256, 256, 16], "regions": [2, 2, 2, 1]}
    config = Config.from_mapping({"field": field, **sections})
    lattice = lattice_of(config.field)
    limit = longest_epoch(BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)), config, 4 * GIB)
    assert (limit < 100) == few
