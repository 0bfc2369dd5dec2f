"""Laws where regions are not in equilibrium inside: sound machines break none, thieves are still caught."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from entropic.audit import audit
from entropic.audit.laws import settled
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.initial import lattice_of

FIELD: dict[str, Any] = {"shape": [20, 20, 20], "regions": [2, 2, 2], "dtype": "uint16"}
HOT = {"initial": "hot-cold", "hot": 12.0, "cold": 0.5}
MARKET = {"enabled": True, "contact": 0.1, "gears": [[3, 2], [5, 4]]}
DEMAND = {"region": 0, "quanta": 4000, "priority": 1, "kind": "compute"}

OUT_OF_EQUILIBRIUM: dict[str, dict[str, Any]] = {
    "uniform, never relaxed": {"field": {"initial": "uniform"}, "relax": {"layers": 0}, "demon": {"threshold": 5}},
    "uniform": {"field": {"initial": "uniform"}, "demon": {"threshold": 6}},
    "hot and cold in one region": {"field": {**HOT, "regions": [1, 1, 1]}, "demon": {"threshold": 30}},
    "hot and cold in one region, apart": {
        "field": {**HOT, "regions": [1, 1, 1]},
        "relax": {"layers": 0},
        "demon": {"threshold": 30},
    },
    "hot and cold side by side": {"field": {**HOT, "regions": [10, 1, 1]}, "demon": {"threshold": 60}},
    "baths": {
        "field": {"edges": "baths", "bath_left": 8.0, "bath_right": 0.0, "mean": 1.0, "regions": [1, 1, 1]},
        "run": {"cycles": 40},
        "relax": {"layers": 20},
        "demon": {"threshold": 25},
    },
    "traded": {"field": {**HOT, "walls": "adiabatic"}, "exchange": MARKET, "demon": {"threshold": 40}},
    "sorted against partners": {"demon": {"sort": True, "pairs": "partners", "threshold": 25}},
    "heated by computation": {
        "grid": {"enabled": True, "demands": [DEMAND]},
        "battery": {"initial": 30.0},
        "demon": {"threshold": 60},
    },
}


def made_of(sections: dict[str, Any]) -> Config:
    field = {**FIELD, **sections.get("field", {})}
    run = {"cycles": 8, "checkpoint_every": 8, **sections.get("run", {})}
    return Config.from_mapping({**sections, "field": field, "run": run})


@pytest.mark.parametrize("name", OUT_OF_EQUILIBRIUM)
def test_sound_machines_break_no_law(name: str, tmp_path: Path) -> None:
    config = made_of(OUT_OF_EQUILIBRIUM[name])
    assert not settled(config, lattice_of(config.field))
    EntropicComputer(config, tmp_path / "run").run()
    for law in audit(tmp_path / "run"):
        assert law.holds, law


def test_where_regions_are_in_equilibrium() -> None:
    for sections, expected in (
        ({}, True),
        ({"field": {"initial": "microcanonical"}}, True),
        ({"demon": {"sort": True}}, True),
        ({"field": {**HOT, "walls": "adiabatic"}}, True),
        ({"field": {**HOT, "walls": "adiabatic", "shape": [15, 20, 20], "regions": [3, 2, 2]}}, False),
    ):
        config = made_of(sections)
        assert settled(config, lattice_of(config.field)) == expected


@pytest.fixture(scope="module")
def thieves() -> ModuleType:
    file = Path(__file__).parents[1] / "examples" / "thieves.py"
    spec = importlib.util.spec_from_file_location("thieves", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["hot and cold in one region", "traded", "heated by computation"])
@pytest.mark.parametrize("thief", ["TakesAll", "TwoOscillators"])
def test_thieves_are_caught(thief: str, name: str, thieves: ModuleType, tmp_path: Path) -> None:
    """(A uniform start has work to give for many cycles: that long, a theft could be lawful.)"""
    sections = {**OUT_OF_EQUILIBRIUM[name], "demon": {"round_trip": False}}
    EntropicComputer(made_of(sections), tmp_path / "run", harvester=getattr(thieves, thief)()).run()
    broken = {law.name for law in audit(tmp_path / "run") if not law.holds}
    assert broken & ({"lift"} if thief == "TakesAll" else {"second law", "exergy"}), broken
