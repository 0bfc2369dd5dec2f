"""The matrix of a study: every cell that has to be run, and the order in which it is.  Pure functions of the study."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from entropic.config import Config
from entropic.config_errors import ConfigError, Problem, show
from entropic.initial import lattice_of
from entropic.lattice import regular_cuts
from entropic.scaling.study import Study

__all__ = [
    "TIMED",
    "Cell",
    "Kind",
    "Layout",
    "Session",
    "cells_of",
    "field_name",
    "physics_of",
    "region_boxes",
    "sessions_of",
]

Kind = Literal["strong", "null", "weak", "granularity", "scheduler", "field", "region", "charged"]
TIMED: tuple[Kind, ...] = ("strong", "null", "weak", "granularity", "scheduler")
# No two fields of a study share their random words.
_CHARGED_SEEDS = 10_000
_REPLICA_SEEDS = 10_000_000


@final
@dataclass(frozen=True)
class Layout:
    """Where a cell runs.

    Parameters
    ----------
    workers, threads : int
        Workers, threads of each; 0 workers: this thread, without Dask.
    processes : int
        Where many small workers share processes, how many; 0: one process a worker (one worker: this process).
    """

    workers: int
    threads: int = 1
    processes: int = 0

    @property
    def slots(self) -> int:
        """Tasks that run at a time."""
        return max(self.workers, 1) * self.threads

    @property
    def name(self) -> str:
        return f"{self.workers}x{self.threads}" + (f"in{self.processes}" if self.processes else "")


@final
@dataclass(frozen=True)
class Cell:
    """One run of the matrix.

    Attributes
    ----------
    name : str
        Of its file; says kind, what is varied, layout, repeat.
    varied : str
        What cells that are repeats of one another have in common: the name without the repeat.
    chunks : tuple of int or None
        Block shape in regions; None: the planner's choice.
    sites : int
        Of a region, for kind ``region``; else 0.
    """

    kind: Kind
    varied: str
    repeat: int
    layout: Layout
    config: Config
    chunks: tuple[int, ...] | None = None
    sites: int = 0

    @property
    def name(self) -> str:
        return f"{self.varied}-r{self.repeat}" if self.repeat else self.varied

    @property
    def physics(self) -> str:
        """What the result may depend on."""
        return physics_of(self.config)


@final
@dataclass(frozen=True)
class Session:
    """Cells that are run one after the other on one cluster."""

    layout: Layout
    cells: tuple[Cell, ...]


def physics_of(config: Config) -> str:
    """Fingerprint of a configuration: cells that share it must have one outcome."""
    return hashlib.sha256(config.to_toml().encode()).hexdigest()[:12]


def cells_of(study: Study) -> list[Cell]:
    """All cells of a study whose layouts are settled (`Study.resolved`).

    Raises
    ------
    ConfigError, LayoutError
        What a section asks for makes no run.
    """
    timed = [cell for repeat in range(1, study.study.repeats + 1) for cell in _timed(study, repeat)]
    found = [*timed, *_thermodynamic(study), *_charged(study)]
    names = [cell.name for cell in found]
    if twice := {name for name in names if names.count(name) > 1}:
        wrong = Problem("<study>", None, "", show(sorted(twice)[0]), "each cell once", "remove what is there twice")
        raise ConfigError([wrong])
    return found


def _derived(config: Config, what: str, **sections: dict[str, Any]) -> Config:
    """A run's configuration with some keys changed."""
    made = config.to_dict()
    for name, keys in sections.items():
        made[name] = {**made[name], **keys}
    return Config.from_mapping(made, f"<[{what}] of the study>")


def _chunked(config: Config, chunks: tuple[int, ...]) -> str:
    regular_cuts(lattice_of(config.field), chunks)  # raises if they do not fit
    return "-c" + ".".join(map(str, chunks))


def _timed(study: Study, repeat: int) -> Iterator[Cell]:
    base = study.base
    strong = [Layout(*pair) for pair in study.strong.layouts if pair != "cores"]
    for layout in strong:
        yield Cell("strong", f"strong-{layout.name}", repeat, layout, base)
        for chunks in study.strong.chunks:
            yield Cell("strong", f"strong-{layout.name}{_chunked(base, chunks)}", repeat, layout, base, chunks)
    if strong:
        again = next((layout for layout in strong if layout.slots > 1), strong[0])
        yield Cell("null", f"null-{again.name}", repeat, again, base)
    for pair in study.weak.layouts:
        layout = Layout(*pair)
        field = base.field
        wide = {
            "shape": [field.shape[0] * layout.slots, *field.shape[1:]],
            "regions": [field.regions[0] * layout.slots, *field.regions[1:]],
        }
        yield Cell("weak", f"weak-{layout.name}", repeat, layout, _derived(base, "weak", field=wide))
    place = Layout(*study.granularity.layout)
    for chunks in study.granularity.chunks:
        yield Cell("granularity", f"granularity-{place.name}{_chunked(base, chunks)}", repeat, place, base, chunks)
    section = study.scheduler
    for workers in section.workers:
        layout = Layout(workers, 1, section.processes)
        small = {"shape": list(section.shape), "regions": list(section.regions), "seed": base.field.seed}
        config = Config.from_mapping(
            {
                "field": small,
                "run": {"cycles": section.cycles, "checkpoint_every": section.cycles},
                "relax": {"layers": 2},
            },
            "<[scheduler] of the study>",
        )
        one = (1,) * len(section.shape)
        yield Cell("scheduler", f"scheduler-{layout.name}", repeat, layout, config, one)


def _thermodynamic(study: Study) -> Iterator[Cell]:
    """The lift at every scale, counted on one field; and by the engine itself, on regions of some sizes."""
    section, seed = study.thermodynamic, study.base.field.seed
    layouts = [Layout(*pair) for pair in section.layouts]
    replicas = section.replicas or (1,) * len(section.shapes)
    for number, (shape, copies) in enumerate(zip(section.shapes, replicas, strict=True)):
        planes = [shape[0], *(1 for _ in shape[1:])]
        for copy in range(copies):
            own = seed + number + _REPLICA_SEEDS * copy
            config = _one_lift(study, lift=False, shape=list(shape), regions=planes, seed=own)
            name = field_name(shape) + (f".{copy + 1}" if copy else "")
            for layout in layouts[:1] if copy else layouts:
                yield Cell("field", f"{name}-{layout.name}", 0, layout, config)
    for sites in section.regions:
        shape = section.shapes[0]
        config = _one_lift(study, lift=True, shape=list(shape), regions=list(region_boxes(shape, sites)), seed=seed)
        for layout in layouts:
            yield Cell("region", f"region-{sites}-{layout.name}", 0, layout, config, sites=sites)


def field_name(shape: tuple[int, ...]) -> str:
    """What the names of a lattice's cells begin with; of further replicas, a point and a number follow."""
    return f"field-{'x'.join(map(str, shape))}"


def _one_lift(study: Study, lift: bool, **field: Any) -> Config:
    """One cycle: relaxation, and the lift and its erasure or nothing; batteries lose nothing, the tape has no end."""
    return _derived(
        study.base,
        "thermodynamic",
        field=field,
        run={"cycles": 1, "checkpoint_every": 1},
        demon={"sort": False, "lift": lift, "erase": True, "protocol": None, "tape_nats": math.inf},
        exchange={"enabled": False},
        grid={"enabled": False},
        battery={"capacity": math.inf, "charge_loss": 0.0, "discharge_loss": 0.0, "self_discharge": 0.0},
    )


def region_boxes(shape: tuple[int, ...], sites: int) -> tuple[int, ...]:
    """Regions along each axis, so that each is a run of ``sites`` consecutive sites.

    Raises
    ------
    ConfigError
        No run of so many sites is a box of this lattice, or not all are.
    """
    boxes, left = [], sites
    for extent in reversed(shape):
        inside = math.gcd(left, extent) if left > 1 else 1
        if left > 1 and inside != min(left, extent):
            break
        boxes.append(extent // inside)
        left //= inside
        if inside < extent and left > 1:
            break
    if len(boxes) < len(shape) or left > 1:
        expected = f"sites of a run that is a box of the lattice {show(shape)}"
        wrong = Problem(
            "<study>", None, "thermodynamic.regions", show(sites), expected, "take powers of 2 of such extents"
        )
        raise ConfigError([wrong])
    return tuple(reversed(boxes))


def _charged(study: Study) -> Iterator[Cell]:
    section, base = study.charged, study.base
    layout = Layout(*section.layout)
    for number, boxes in enumerate(section.fields):
        for repeat in range(1, study.study.repeats + 1):
            seed = base.field.seed + _CHARGED_SEEDS + 1000 * number + repeat
            shape = [n * r for n, r in zip(boxes, section.region, strict=True)]
            config = Config.from_mapping(
                {
                    "field": {
                        "shape": shape,
                        "regions": list(boxes),
                        "initial": "hot-cold",
                        "hot": section.hot,
                        "cold": section.cold,
                        "walls": "adiabatic",
                        "dtype": base.field.dtype,
                        "seed": seed,
                    },
                    "run": {"cycles": section.cycles, "checkpoint_every": section.cycles},
                    "relax": {"layers": base.relax.layers},
                    "demon": {"lift": False},
                    "exchange": {
                        "enabled": True,
                        "contact": section.contact,
                        "gears": [list(gear) for gear in section.gears],
                    },
                    "battery": {"initial": 0.0},
                },
                "<[charged] of the study>",
            )
            yield Cell("charged", f"charged-{'x'.join(map(str, boxes))}", repeat, layout, config)


def sessions_of(cells: Iterable[Cell], seed: int) -> list[Session]:
    """The cells in random order: rounds of repeats; in each, the layouts shuffled; on each, its cells shuffled.

    A round has every condition once, so that what drifts with time falls on all of them alike; cells of one layout stay
    together, so that a cluster is started once a round and nothing else is up while it is measured.
    """
    rounds: dict[int, dict[Layout, list[Cell]]] = {}
    for cell in cells:
        rounds.setdefault(max(cell.repeat, 1), {}).setdefault(cell.layout, []).append(cell)
    random = np.random.default_rng(seed)
    made = []
    for _, by_layout in sorted(rounds.items()):
        layouts = list(by_layout)
        for place in random.permutation(len(layouts)):
            mine = by_layout[layouts[place]]
            made.append(Session(layouts[place], tuple(mine[i] for i in random.permutation(len(mine)))))
    return made
