"""The three acts of the demonstration: what each is a configuration of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

from entropic.config import Config, FieldSection

__all__ = ["ACTS", "SIZES", "Act", "act_config"]

SIZES: dict[str, dict[str, Any]] = {
    "small": {"shape": [25, 25, 25, 64], "regions": [5, 5, 5, 8]},
    "seed": {"shape": [100, 100, 100, 1000], "regions": [10, 10, 10, 1]},
}


@final
@dataclass(frozen=True)
class Act:
    """One act.

    Attributes
    ----------
    number : int
    name : str
        Of its directory, after the number.
    title, about : str
        What is seen.
    """

    number: int
    name: str
    title: str
    about: str

    @property
    def directory(self) -> str:
        """Name of its run directory."""
        return f"{self.number}-{self.name}"


ACTS = (
    Act(
        1,
        "tape-kept",
        "the demon with the tape kept",
        "Nothing is erased, blank tape is the fuel: the batteries, empty at first, only gain. It ends when the tape is full.",
    ),
    Act(
        2,
        "erasure-paid",
        "the demon that pays for erasure",
        "Batteries are charged, and pay for erasing every record until they are drained; after that, no more is erased than "
        "the lift earns.",
    ),
    Act(
        3,
        "charged-field",
        "the charged field",
        "One half is hot, one cold; no demon. Regions trade, gears turn heat into work, the grid sends it on, until no "
        "trade is expected to pay.",
    ),
)
# One bit of blank tape a site would do for the small field; at the original's size a record costs less a site, and a
# tenth of a nat a site lasts longer than that.  The bits on disk are compressed to about what they hold.
_TAPE_NATS = {"small": 0.7, "seed": 0.1}
_CYCLES = {1: {"small": 120, "seed": 200}, 2: {"small": 1000, "seed": 1000}, 3: {"small": 120, "seed": 120}}
_GEARS = [[2, 1], [3, 1], [3, 2], [4, 3], [5, 4], [6, 5]]
# Quanta a site of the whole field and cycle that are asked for.  Computation heats the one region where it runs.
_COMPUTE, _EXPORT = 5e-6, 5e-4


def _sections(act: Act, size: str, field: FieldSection) -> dict[str, Any]:
    """What sets an act apart, for a field that may have been changed."""
    run = {"cycles": _CYCLES[act.number][size], "checkpoint_every": 100 if act.number == 2 else 50}
    if act.number == 1:
        return {
            "run": run,
            "demon": {"erase": False, "tape_nats": _TAPE_NATS[size] * field.sites},
            "battery": {"initial": 0.0},
        }
    if act.number == 2:
        return {"run": run}
    demands = [
        {"region": 0, "quanta": math.ceil(_COMPUTE * field.sites), "priority": 1, "kind": "compute"},
        {"region": field.region_count - 1, "quanta": math.ceil(_EXPORT * field.sites), "priority": 2, "kind": "export"},
    ]
    return {
        "run": run,
        "demon": {"lift": False},
        "exchange": {"enabled": True, "contact": 0.07, "gears": _GEARS},
        "grid": {"enabled": True, "demands": demands},
        "battery": {"initial": 0.0},
    }


def _field(act: Act, size: str) -> dict[str, Any]:
    if act.number != 3:
        return SIZES[size]
    # Regions of which none has a part in both halves, as at the original's size; and adiabatic walls, for heat that goes
    # through a wall is lost to the gears.
    regions = {"small": [25, 5, 1, 8], "seed": [10, 10, 10, 1]}[size]
    return {**SIZES[size], "regions": regions, "initial": "hot-cold", "hot": 8.0, "cold": 2.0, "walls": "adiabatic"}


def act_config(act: Act, size: str, overrides: Iterable[str] = ()) -> Config:
    """Configuration of an act at a size, ``section.key=value`` overrides on top.

    What an act derives from its field (the tape's length, who asks for energy) follows the field as overridden.

    Raises
    ------
    ConfigError
    """
    overrides = tuple(overrides)
    # The batteries' charge is no part of the field: without it, the field alone is checked here.
    first = Config.from_mapping({"field": _field(act, size), "battery": {"initial": 0.0}}).with_overrides(overrides)
    sections = {"field": first.to_dict()["field"], **_sections(act, size, first.field)}
    return Config.from_mapping(sections).with_overrides(overrides)
