"""The sections of a study beside those of a run: keys, types, defaults, what each means."""

from __future__ import annotations

from typing import Annotated, Literal, final

from pydantic import BeforeValidator, Field

from entropic.config_errors import Expected
from entropic.config_sections import Section

__all__ = [
    "ChargedSection",
    "GranularitySection",
    "Layouts",
    "ModelSection",
    "SchedulerSection",
    "StrongSection",
    "StudySection",
    "ThermodynamicSection",
    "WeakSection",
]


def _list_to_tuple(value: object) -> object:
    return tuple(_list_to_tuple(item) for item in value) if isinstance(value, list) else value


_Tuple = BeforeValidator(_list_to_tuple)
_MOST = 4096
_Positive = Annotated[int, Field(ge=1)]
_Pair = tuple[Annotated[int, Field(ge=0, le=_MOST)], Annotated[int, Field(ge=1, le=_MOST)]]
_PAIRS = f"pairs [workers, threads a worker] up to {_MOST}; workers 0: without Dask"
Layouts = tuple[_Pair, ...]
_Layouts = Annotated[Layouts | Literal["cores"], _Tuple, Expected(f'{_PAIRS}; or "cores"')]
_FixedLayouts = Annotated[Layouts, _Tuple, Field(min_length=1), Expected(f"at least one of {_PAIRS}")]
_Layout = Annotated[_Pair, _Tuple, Expected("a pair [workers, threads a worker]; workers 0: without Dask")]
_Axes = Annotated[tuple[_Positive, ...], Field(min_length=1, max_length=4)]
_Shape = Annotated[_Axes, _Tuple, Expected("1 to 4 whole numbers, each at least 1")]
_Shapes = Annotated[tuple[_Axes, ...], _Tuple, Expected("lists of 1 to 4 whole numbers, each at least 1")]
_Counts = Annotated[tuple[_Positive, ...], _Tuple, Expected("whole numbers, each at least 1")]
_Gears = Annotated[tuple[tuple[_Positive, _Positive], ...], _Tuple, Expected("pairs [m, n] of whole numbers")]
_Share = Annotated[float, Field(gt=0, lt=1), Expected("a number between 0 and 1")]


@final
class StudySection(Section):
    """What holds for the whole study."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"), Expected("letters, digits, - and _")] = (
        Field(default="study", description="of its directory")
    )
    repeats: Annotated[int, Field(ge=1, le=1000), Expected("a whole number from 1 to 1000")] = Field(
        default=5, description="runs of each timed cell, after the warm-up"
    )
    warm_up: Annotated[int, Field(ge=0, le=100), Expected("a whole number from 0 to 100")] = Field(
        default=1, description="short runs on every cluster before what is timed"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63), Expected("a whole number from 0 to below 2^63")] = Field(
        default=1, description="of the order of the cells, and of the bootstrap"
    )
    confidence: _Share = Field(default=0.95, description="of every interval that is shown")
    false_alarm: _Share = Field(default=0.001, description="chance that a sound program fails the verdict's tests")
    bound: _Share = Field(
        default=0.01,
        description="effect that counts as none, as a share of the gross work, for the test of equivalence",
    )


@final
class StrongSection(Section):
    """One field on different layouts."""

    layouts: _Layouts = Field(default=(), description=f'{_PAIRS}; or "cores"')
    chunks: _Shapes = Field(default=(), description="block shapes in regions, beside the planner's own")


@final
class WeakSection(Section):
    """As many sites a thread on every layout: axis 0 of the field, and its regions, grow with the threads."""

    layouts: _Layouts = Field(default=(), description=f'{_PAIRS}; or "cores"')


@final
class GranularitySection(Section):
    """One field, one layout, different block shapes: sites a task."""

    layout: _Layout = Field(default=(1, 1), description="workers, threads a worker")
    chunks: _Shapes = Field(default=(), description="block shapes in regions")


@final
class SchedulerSection(Section):
    """Many small workers with next to nothing to compute: what is left is the scheduler."""

    workers: _Counts = Field(default=(), description="workers of one thread, that share processes")
    processes: Annotated[int, Field(ge=1, le=_MOST), Expected("a whole number, at least 1")] = Field(
        default=1, description="processes that the workers share"
    )
    shape: _Shape = Field(default=(8192,), description="sites along each axis")
    regions: _Shape = Field(default=(64,), description="boxes along each axis, each of them a block")
    cycles: Annotated[int, Field(ge=1, lt=2**31), Expected("a whole number, at least 1")] = Field(
        default=8, description="cycles of the run"
    )


@final
class ThermodynamicSection(Section):
    """The lift on regions of every size, and its price: runs of 1, 2, 4 … sites up to the whole lattice, on one field."""

    shapes: _Shapes = Field(default=(), description="lattices, each a field of its own")
    replicas: _Counts = Field(
        default=(),
        description="independent fields of each shape, counted together; default 1, the further ones on the first layout",
    )
    layouts: _FixedLayouts = Field(default=((1, 1),), description=_PAIRS)
    regions: _Counts = Field(
        default=(), description="sites of regions of the first lattice on which the engine itself lifts and erases"
    )
    demons: _Counts = Field(
        default=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 80, 96, 128, 256, 512),
        description="sites of the demons whose apparent violations are counted",
    )


@final
class ChargedSection(Section):
    """A field of which one half is hot: work of the gears against exergy."""

    fields: _Shapes = Field(default=(), description="regions along each axis, an even number along the first")
    region: _Shape = Field(default=(16, 16, 16), description="sites of a region along each axis")
    layout: _Layout = Field(default=(1, 1), description="workers, threads a worker")
    cycles: Annotated[int, Field(ge=1, lt=2**31), Expected("a whole number, at least 1")] = Field(
        default=40, description="cycles of each run"
    )
    hot: Annotated[float, Field(gt=0, allow_inf_nan=False), Expected("a finite number above 0")] = Field(
        default=8.0, description="quanta a site of the hot half"
    )
    cold: Annotated[float, Field(ge=0, allow_inf_nan=False), Expected("a finite number, at least 0")] = Field(
        default=2.0, description="quanta a site of the cold half"
    )
    contact: Annotated[float, Field(gt=0, le=1), Expected("a number above 0, at most 1")] = Field(
        default=0.2, description="share of a region's sites that a trade touches"
    )
    gears: _Gears = Field(default=((2, 1), (3, 2), (4, 3), (5, 4)), description="the m:n on offer")
    bound: _Share = Field(
        default=0.05, description="difference between the shares of exergy of two sizes that counts as none"
    )


@final
class ModelSection(Section):
    """The run that nobody here can make, foretold from what was measured."""

    workers: Annotated[int, Field(ge=1, le=2**31), Expected("a whole number, at least 1")] = Field(
        default=1000, description="workers of one thread, each with a core of its own"
    )
    sites: Annotated[int, Field(ge=1, le=2**48), Expected("a whole number from 1 to 2^48")] = Field(
        default=10**12, description="sites, at least"
    )
