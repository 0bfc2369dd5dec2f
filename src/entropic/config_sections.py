"""The sections of the configuration: keys, types, defaults, what each means."""

from __future__ import annotations

import math
from typing import Annotated, Literal, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from entropic.config_errors import Expected

__all__ = [
    "MAX_SITES",
    "Q_MAX",
    "BatterySection",
    "Demand",
    "DemonSection",
    "ExchangeSection",
    "FieldSection",
    "GridSection",
    "RelaxSection",
    "RunSection",
    "Section",
]

MAX_SITES = 2**48
Q_MAX = {"uint8": 2**8 - 1, "uint16": 2**16 - 1}
_COUNT = 2**31 - 1  # the product of cycles and layers then stays within 64 bits


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_Tuple = BeforeValidator(_list_to_tuple)
_Positive = Annotated[int, Field(ge=1)]
_Axes = Annotated[
    tuple[_Positive, ...], _Tuple, Field(min_length=1, max_length=4), Expected("1 to 4 whole numbers, each at least 1")
]
_Quanta = Annotated[float, Field(ge=0, allow_inf_nan=False), Expected("a finite number, at least 0")]
_MaybeQuanta = Annotated[float | None, Field(ge=0, allow_inf_nan=False), Expected("a finite number, at least 0")]
_Limit = Annotated[float, Field(ge=0), Expected("a number at least 0, or inf")]
_Loss = Annotated[float, Field(ge=0, lt=1), Expected("a number from 0 to below 1")]
_Share = Annotated[float, Field(gt=0, le=1), Expected("a number above 0, at most 1")]
_Hours = Annotated[float, Field(gt=0), Expected("a number above 0, or inf")]
_Joule = Annotated[float, Field(gt=0, allow_inf_nan=False), Expected("a finite number above 0")]
_Seed = Annotated[int, Field(ge=0, lt=2**64), Expected("a whole number from 0 to below 2^64")]
_Count = Annotated[int, Field(ge=0, le=_COUNT), Expected("a whole number from 0 to below 2^31")]
_MaybeCount = Annotated[int | None, Field(ge=0, le=_COUNT), Expected("a whole number from 0 to below 2^31")]
_Step = Annotated[int, Field(ge=1, le=_COUNT), Expected("a whole number from 1 to below 2^31")]
_Integer64 = Annotated[int, Field(ge=0, lt=2**63), Expected("a whole number from 0 to below 2^63")]
_Threshold = Annotated[int, Field(ge=1), Expected("a whole number, at least 1")]
_Gear = Annotated[tuple[_Positive, _Positive], _Tuple]
_Gears = Annotated[tuple[_Gear, ...], _Tuple, Expected("pairs [m, n] of different whole numbers, each at least 1")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@final
class FieldSection(Section):
    """The lattice and its initial state."""

    shape: _Axes = Field(default=(100, 100, 100, 1000), description="sites along each axis")
    regions: _Axes = Field(default=(10, 10, 10, 1), description="boxes along each axis")
    mean: _Quanta = Field(default=5.0, description="quanta a site")
    initial: Literal["thermal", "microcanonical", "uniform", "hot-cold"] = Field(
        default="thermal", description="thermal | microcanonical | uniform | hot-cold (with hot, cold)"
    )
    hot: _MaybeQuanta = Field(default=None, description="quanta a site in the lower half of axis 0; with hot-cold only")
    cold: _MaybeQuanta = Field(
        default=None, description="quanta a site in the upper half of axis 0; with hot-cold only"
    )
    edges: Literal["closed", "periodic", "baths"] = Field(
        default="closed", description="closed | periodic (even extents) | baths (with bath_left, bath_right)"
    )
    bath_left: _MaybeQuanta = Field(default=None, description="quanta a bath site before axis 0; with baths only")
    bath_right: _MaybeQuanta = Field(default=None, description="quanta a bath site behind axis 0; with baths only")
    walls: Literal["conducting", "adiabatic"] = Field(default="conducting", description="conducting | adiabatic")
    dtype: Literal["uint8", "uint16"] = Field(default="uint8", description="uint8 (q_max 255) | uint16 (q_max 65535)")
    seed: _Seed = Field(default=1, description="key of every random number, below 2^64")
    quantum_joule: _Joule = Field(default=4.0e-21, description="energy of one quantum, J")

    @property
    def axes(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return math.prod(self.shape)

    @property
    def region_shape(self) -> tuple[int, ...]:
        """Sites of one region along each axis."""
        return tuple(extent // boxes for extent, boxes in zip(self.shape, self.regions, strict=True))

    @property
    def region_count(self) -> int:
        """Number of regions."""
        return math.prod(self.regions)

    @property
    def sites_per_region(self) -> int:
        """Number of sites in one region."""
        return math.prod(self.region_shape)

    @property
    def q_max(self) -> int:
        """Most quanta that a site can hold."""
        return Q_MAX[self.dtype]


@final
class RunSection(Section):
    """How long, and how much is written down."""

    cycles: _Count = Field(default=1000, description="cycles of the run")
    checkpoint_every: _MaybeCount = Field(
        default=None, description="cycles between checkpoints; 0: none; left out: as they cost and mtbf_hours make best"
    )
    mtbf_hours: _Hours = Field(default=24.0, description="mean time between failures of one worker, h")
    record_every: _Step = Field(default=1, description="cycles between entries of the series")


@final
class RelaxSection(Section):
    """Thermal contact between neighbours."""

    layers: _Count = Field(default=2, description="exchange layers a cycle; axes and parities in turn")


@final
class DemonSection(Section):
    """Harvest by information, and what the information costs."""

    sort: bool = Field(default=False, description="Maxwell's demon sorts pairs")
    pairs: Literal["halves", "partners"] = Field(
        default="halves", description="of what it sorts: halves of a region | partners, regions 2k (hot) and 2k + 1"
    )
    contact: _Share = Field(
        default=1.0, description="share of a region's sites that are sorted against its partner's; with partners only"
    )
    lift: bool = Field(default=True, description="lift threshold quanta from every site that has them")
    threshold: _Threshold = Field(default=50, description="quanta")
    protocol: str | None = Field(
        default=None, description="FILE.py[:CLASS], a protocol of one's own in place of the lift against a threshold"
    )
    round_trip: bool = Field(default=True, description="undo every move of a protocol at once, on a copy")
    record: Literal["compressed", "raw"] = Field(default="compressed", description="compressed | raw")
    erase: bool = Field(default=True, description="false: keep the tape")
    tape_nats: _Limit = Field(default=math.inf, description="capacity, nats; when full the demon stops")


@final
class ExchangeSection(Section):
    """Trade between regions by gears."""

    enabled: bool = Field(default=False, description="trade at all")
    contact: _Share = Field(default=0.1, description="extraction rate: share of a region's sites that a trade touches")
    gears: _Gears = Field(default=((2, 1), (3, 1), (3, 2)), description="the m:n on offer")
    carnot_share: Annotated[float | None, Field(gt=0, le=1), Expected("a number above 0, at most 1")] = Field(
        default=None, description="take the gear nearest to this share of Carnot's efficiency, not that of most work"
    )


@final
class Demand(Section):
    """Energy that is asked for, every cycle; all four keys are needed."""

    region: _Integer64 = Field(description="number of the region, from 0")
    quanta: _Integer64 = Field(description="quanta a cycle")
    priority: _Integer64 = Field(description="rank")
    kind: Literal["compute", "export"] = Field(description="compute becomes heat there, export leaves")


@final
class GridSection(Section):
    """Lines between the regions' batteries."""

    enabled: bool = Field(default=False, description="route energy at all")
    network: str | None = Field(default=None, description="file with the lines (default: nearest neighbours)")
    capacity: _Integer64 = Field(default=1_000_000, description="quanta a line a cycle")
    loss: _Loss = Field(default=0.001, description="share lost a line")
    demands: Annotated[tuple[Demand, ...], _Tuple, Expected("a list of tables")] = Field(
        default=(),
        description='[{region = 0, quanta = 1000, priority = 1, kind = "compute"}, …]; kind: compute | export',
    )


@final
class BatterySection(Section):
    """The work reservoirs, one a region."""

    initial: _Quanta = Field(default=3.0, description="quanta a site of the region that it serves")
    capacity: _Limit = Field(default=math.inf, description="likewise")
    charge_loss: _Loss = Field(default=0.0, description="share of every charge that is lost")
    discharge_loss: _Loss = Field(default=0.0, description="share of what is drawn that does not arrive")
    self_discharge: _Loss = Field(default=0.0, description="share of the content lost a cycle")

    @property
    def loses(self) -> bool:
        """Whether a battery can lose or refuse energy."""
        return self.capacity != math.inf or any((self.charge_loss, self.discharge_loss, self.self_discharge))
