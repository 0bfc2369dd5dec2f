"""The configuration: frozen sections from TOML, every error with file, line, key and remedy.

An empty file is a valid configuration; every `Config` that exists has passed every check.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Literal, Self, final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from entropic.config_errors import (
    ConfigError,
    Expected,
    Finding,
    Origin,
    Path,
    Problem,
    nearest,
    plain,
    show,
    toml_value,
    validate_section,
)
from entropic.config_locate import apply_overrides, key_lines, parse_toml, read_toml

__all__ = [
    "BatterySection",
    "Config",
    "ConfigError",
    "Demand",
    "DemonSection",
    "ExchangeSection",
    "FieldSection",
    "GridSection",
    "Problem",
    "RelaxSection",
    "RunSection",
]

MAX_SITES = 2**48
MAX_TAIL = 1e-12  # largest share x^q_max of a thermal site's states that may lie beyond the dtype
Q_MAX = {"uint8": 2**8 - 1, "uint16": 2**16 - 1}
_COUNT = 2**31 - 1  # the product of cycles and layers then stays within 64 bits
_TRIALS = 2**20  # divisors are looked for up to here, so that a check never takes long


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
_Joule = Annotated[float, Field(gt=0, allow_inf_nan=False), Expected("a finite number above 0")]
_Seed = Annotated[int, Field(ge=0, lt=2**64), Expected("a whole number from 0 to below 2^64")]
_Count = Annotated[int, Field(ge=0, le=_COUNT), Expected("a whole number from 0 to below 2^31")]
_Step = Annotated[int, Field(ge=1, le=_COUNT), Expected("a whole number from 1 to below 2^31")]
_Integer64 = Annotated[int, Field(ge=0, lt=2**63), Expected("a whole number from 0 to below 2^63")]
_Threshold = Annotated[int, Field(ge=1), Expected("a whole number, at least 1")]
_Gear = Annotated[tuple[_Positive, _Positive], _Tuple]
_Gears = Annotated[tuple[_Gear, ...], _Tuple, Expected("pairs [m, n] of different whole numbers, each at least 1")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@final
class FieldSection(_Section):
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
class RunSection(_Section):
    """How long, and how much is written down."""

    cycles: _Count = Field(default=1000, description="cycles of the run")
    checkpoint_every: _Count = Field(default=100, description="cycles between checkpoints; 0: none")
    record_every: _Step = Field(default=1, description="cycles between entries of the series")


@final
class RelaxSection(_Section):
    """Thermal contact between neighbours."""

    layers: _Count = Field(default=2, description="exchange layers a cycle; axes and parities in turn")


@final
class DemonSection(_Section):
    """Harvest by information, and what the information costs."""

    sort: bool = Field(default=False, description="Maxwell's demon sorts pairs")
    lift: bool = Field(default=True, description="lift threshold quanta from every site that has them")
    threshold: _Threshold = Field(default=50, description="quanta")
    record: Literal["compressed", "raw"] = Field(default="compressed", description="compressed | raw")
    erase: bool = Field(default=True, description="false: keep the tape")
    tape_nats: _Limit = Field(default=math.inf, description="capacity, nats; when full the demon stops")


@final
class ExchangeSection(_Section):
    """Trade between regions by gears."""

    enabled: bool = Field(default=False, description="trade at all")
    contact: _Share = Field(default=0.1, description="extraction rate: share of a region's sites that a trade touches")
    gears: _Gears = Field(default=((2, 1), (3, 1), (3, 2)), description="the m:n on offer")


@final
class Demand(_Section):
    """Energy that is asked for, every cycle; all four keys are needed."""

    region: _Integer64 = Field(description="number of the region, from 0")
    quanta: _Integer64 = Field(description="quanta a cycle")
    priority: _Integer64 = Field(description="rank")
    kind: Literal["compute", "export"] = Field(description="compute becomes heat there, export leaves")


@final
class GridSection(_Section):
    """Lines between the regions' batteries."""

    enabled: bool = Field(default=False, description="route energy at all")
    capacity: _Integer64 = Field(default=1_000_000, description="quanta a line a cycle")
    loss: _Loss = Field(default=0.001, description="share lost a line")
    demands: Annotated[tuple[Demand, ...], _Tuple, Expected("a list of tables")] = Field(
        default=(),
        description='[{region = 0, quanta = 1000, priority = 1, kind = "compute"}, …]; kind: compute | export',
    )


@final
class BatterySection(_Section):
    """The work reservoirs, one a region."""

    initial: _Quanta = Field(default=3.0, description="quanta a site of the region that it serves")
    capacity: _Limit = Field(default=math.inf, description="likewise")
    charge_loss: _Loss = Field(default=0.0, description="share of every charge that is lost")
    self_discharge: _Loss = Field(default=0.0, description="share of the content lost a cycle")


@final
class Config(BaseModel):
    """A configuration that can be run.

    Raises
    ------
    ConfigError
        On construction by any way, with every problem at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: FieldSection = Field(default_factory=FieldSection, description="the lattice and its initial state")
    run: RunSection = Field(default_factory=RunSection, description="length and records of the run")
    relax: RelaxSection = Field(default_factory=RelaxSection, description="thermal contact between neighbours")
    demon: DemonSection = Field(default_factory=DemonSection, description="harvest by information")
    exchange: ExchangeSection = Field(default_factory=ExchangeSection, description="harvest by gradient")
    grid: GridSection = Field(default_factory=GridSection, description="lines between regions")
    battery: BatterySection = Field(default_factory=BatterySection, description="work reservoirs, one a region")

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        given = dict(data) if isinstance(data, Mapping) else data
        if isinstance(given, dict):
            given = {key: _dump(part) if isinstance(part, _Section) else part for key, part in given.items()}
        return handler(_inspect(given, Origin("<config>", {})))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Self:
        """Read a TOML file, with ``section.key=value`` overrides on top.

        Raises
        ------
        ConfigError
            The file cannot be read or parsed, or anything in it or in the overrides is wrong.
        """
        return cls.from_text(read_toml(path), os.fsdecode(path), overrides)

    @classmethod
    def from_text(cls, text: str, name: str = "<text>", overrides: Iterable[str] = ()) -> Self:
        """Parse TOML text; `name` stands for the file in errors. Raises like `from_toml`."""
        return cls._build(parse_toml(text, name), name, key_lines(text), overrides)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], name: str = "<mapping>") -> Self:
        """Take sections as nested mappings; `name` stands for the file in errors. Raises like `from_toml`."""
        return cls._build(mapping, name, {}, ())

    @classmethod
    def _build(cls, data: object, name: str, lines: Mapping[Path, int], overrides: Iterable[str]) -> Self:
        data, overridden, problems = apply_overrides(plain(data), overrides)
        try:
            sections = _inspect(data, Origin(name, lines, overridden))
        except ConfigError as error:
            raise ConfigError([*problems, *error.problems]) from None
        if problems:
            raise ConfigError(problems)
        return cls.model_validate(sections)

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """The same configuration with ``section.key=value`` changed. Raises like `from_toml`."""
        return self._build(self.to_dict(), "<config>", {}, overrides)

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Sections as dicts of plain values; keys that are not in use are left out."""
        return {name: _dump(getattr(self, name)) for name in _SECTIONS}

    def to_toml(self) -> str:
        """TOML text that gives exactly this configuration again."""
        blocks = (
            "\n".join([f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())])
            for name, table in self.to_dict().items()
        )
        return "\n\n".join(blocks) + "\n"

    @staticmethod
    def reference() -> str:
        """A commented TOML text of every key with its default."""
        lines: list[str] = []
        for name, model in _SECTIONS.items():
            lines += ["", f"[{name}]".ljust(35) + f"# {Config.model_fields[name].description}"]
            for key, info in model.model_fields.items():
                setting = f"# {key} =" if info.default is None else f"{key} = {toml_value(info.default)}"
                lines.append(f"{setting.ljust(34)} # {info.description}")
        return "\n".join(lines[1:]) + "\n"


_SECTIONS: dict[str, type[_Section]] = {
    "field": FieldSection,
    "run": RunSection,
    "relax": RelaxSection,
    "demon": DemonSection,
    "exchange": ExchangeSection,
    "grid": GridSection,
    "battery": BatterySection,
}


def _dump(section: _Section) -> dict[str, object]:
    dumped = section.model_dump(exclude_none=True)
    return {key: _lists(value) for key, value in dumped.items()}


def _lists(value: object) -> object:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _inspect(data: object, origin: Origin) -> dict[str, _Section]:
    """Validate every section and run every check that does not rest on a key already found wrong."""
    if not isinstance(data, dict):
        whole = Finding((), show(data), "a table of sections", "give sections as tables")
        raise ConfigError([origin.problem(whole)])
    findings: list[Finding] = []
    doubtful: set[Path] = set()
    for name in data.keys() - _SECTIONS.keys():
        finding, near = _unknown_section(str(name), data[name])
        findings.append(finding)
        if near and near not in data:  # else the section itself says what is meant
            doubtful |= {(near, key) for key in _SECTIONS[near].model_fields}
    sections: dict[str, _Section] = {}
    for name, model in _SECTIONS.items():
        sections[name], wrong, unsure = validate_section(model, name, data.get(name, {}))
        findings += wrong
        doubtful |= unsure
    config = Config.model_construct(None, **sections)
    for check, needs in _CHECKS.items():
        if doubtful.isdisjoint(tuple(need.split(".")) for need in needs.split()):
            findings += check(config)
    findings += (finding for finding in _not_built(config) if finding.path not in doubtful)
    if findings:
        problems = (origin.problem(finding) for finding in findings)
        raise ConfigError(sorted(problems, key=lambda p: (p.file == "--set", p.line is None, p.line or 0, p.key)))
    return sections


def _unknown_section(name: str, value: object) -> tuple[Finding, str | None]:
    near = nearest(name, _SECTIONS)
    homes = [section for section, model in _SECTIONS.items() if name in model.model_fields]
    remedy = f"did you mean [{near}]?" if near else "remove it"
    if homes and not isinstance(value, dict):
        remedy = f"move it below [{homes[0]}]"
        near = None
    found = "" if isinstance(value, dict) else show(value)
    return Finding((name,), found, f"one of the sections {', '.join(_SECTIONS)}", remedy), near


def _check_regions(config: Config) -> Iterator[Finding]:
    shape, regions = config.field.shape, config.field.regions
    path, found = ("field", "regions"), show(regions)
    if len(shape) != len(regions):
        yield Finding(path, found, f"as many numbers as shape has ({len(shape)})", "give the boxes along every axis")
        return
    for axis, (extent, boxes) in enumerate(zip(shape, regions, strict=True)):
        if extent % boxes and extent <= MAX_SITES:
            near = " or ".join(map(str, _nearest_divisors(extent, boxes)))
            expected = f"divisors of shape; axis {axis}: {show(boxes)} does not divide {extent}"
            yield Finding(path, found, expected, f"take {near}")


def _nearest_divisors(extent: int, boxes: int) -> list[int]:
    small = [d for d in range(1, min(math.isqrt(extent), _TRIALS) + 1) if extent % d == 0]
    divisors = {*small, *(extent // d for d in small)}
    below = max(d for d in divisors if d < boxes)
    return [below, *sorted(d for d in divisors if d > boxes)[:1]]


def _check_sites(config: Config) -> Iterator[Finding]:
    if config.field.sites > MAX_SITES:
        yield Finding(("field", "shape"), show(config.field.shape), "at most 2^48 sites in all", "take smaller extents")


def _check_periodic(config: Config) -> Iterator[Finding]:
    if config.field.edges != "periodic":
        return
    for axis, extent in enumerate(config.field.shape):
        if extent % 2:
            found = show(config.field.shape)
            expected = f"even extents, for edges are periodic; axis {axis} has {show(extent)}"
            yield Finding(("field", "shape"), found, expected, 'make it even, or set edges = "closed"')


def _check_companions(config: Config) -> Iterator[Finding]:
    """Keys that belong to one choice: needed with it, refused without it."""
    field = config.field
    for choice, chosen, keys in (
        ('initial = "hot-cold"', field.initial == "hot-cold", {"hot": field.hot, "cold": field.cold}),
        ('edges = "baths"', field.edges == "baths", {"bath_left": field.bath_left, "bath_right": field.bath_right}),
    ):
        for key, value in keys.items():
            if chosen and value is None:
                yield Finding(("field", key), "nothing", f"quanta a site, for {choice}", f"add {key} = 5.0, say")
            elif not chosen and value is not None:
                yield Finding(("field", key), show(value), f"no {key} without {choice}", f"remove it, or set {choice}")


def _check_threshold(config: Config) -> Iterator[Finding]:
    q_max, threshold = config.field.q_max, config.demon.threshold
    if threshold > q_max:
        expected = f"at most {q_max}, the most that a site of {config.field.dtype} holds"
        yield Finding(("demon", "threshold"), show(threshold), expected, f"lower it to {q_max} or less")


def _check_dtype(config: Config) -> Iterator[Finding]:
    """The tail x^q_max, x = m/(1 + m), that a thermal state of the largest mean m has beyond the dtype."""
    field = config.field
    means = (field.hot or 0.0, field.cold or 0.0) if field.initial == "hot-cold" else (field.mean,)
    mean = max(means) + config.battery.initial
    if _fits(mean, field.q_max):
        return
    limit = 1 / math.expm1(-math.log(MAX_TAIL) / field.q_max)
    expected = f"a dtype for {mean:.6g} quanta a site, mean and battery.initial together; this one serves {limit:.4g}"
    wider = next((dtype for dtype, q_max in Q_MAX.items() if _fits(mean, q_max)), None)
    remedy = f'set dtype = "{wider}"' if wider else "no dtype would do: lower the mean or battery.initial"
    yield Finding(("field", "dtype"), show(field.dtype), expected, remedy)


def _fits(mean: float, q_max: int) -> bool:
    return mean == 0 or -q_max * math.log1p(1 / mean) <= math.log(MAX_TAIL)


def _check_gears(config: Config) -> Iterator[Finding]:
    for number, (m, n) in enumerate(config.exchange.gears):
        if m == n:
            path = ("exchange", "gears", number)
            yield Finding(path, show((m, n)), "two different numbers", "remove the pair: it does no work")


def _check_demands(config: Config) -> Iterator[Finding]:
    count = config.field.region_count
    for number, demand in enumerate(config.grid.demands):
        if demand.region >= count:
            path = ("grid", "demands", number, "region")
            expected = f"a region from 0 to {show(count - 1)}"
            yield Finding(path, show(demand.region), expected, "correct the number, or regions")


_CHECKS: dict[Callable[[Config], Iterator[Finding]], str] = {  # with the keys that each rests on
    _check_regions: "field.shape field.regions",
    _check_sites: "field.shape",
    _check_periodic: "field.shape field.edges",
    _check_companions: "field.initial field.hot field.cold field.edges field.bath_left field.bath_right",
    _check_threshold: "demon.threshold field.dtype",
    _check_dtype: "field.dtype field.initial field.mean field.hot field.cold battery.initial",
    _check_gears: "exchange.gears",
    _check_demands: "grid.demands field.regions",
}

# Keys of the contract that this version refuses when switched on: section, key, the value that switches it off, and
# what is missing. A version that builds one removes its row.
_NOT_BUILT: tuple[tuple[str, str, object, str], ...] = (
    ("demon", "sort", False, "sorting"),
    ("exchange", "enabled", False, "trade between regions"),
    ("grid", "enabled", False, "the grid"),
    ("field", "edges", "closed", "baths"),
    ("battery", "capacity", math.inf, "batteries that fill up"),
    ("battery", "charge_loss", 0.0, "charge losses"),
    ("battery", "self_discharge", 0.0, "self-discharge"),
)
_BUILT = {("field", "edges"): ("periodic",)}  # values beside the one above that work


def _not_built(config: Config) -> Iterator[Finding]:
    for section, key, off, missing in _NOT_BUILT:
        value: object = getattr(getattr(config, section), key)
        if value != off and value not in _BUILT.get((section, key), ()):
            expected = f"{toml_value(off)}, for this version does not have {missing} yet"
            yield Finding((section, key), show(value), expected, f"set {key} = {toml_value(off)}")
