"""Checks that look at more than one key; each yields what it finds wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from entropic.config_errors import Finding, show, toml_value
from entropic.config_sections import MAX_SITES, Q_MAX

if TYPE_CHECKING:
    from entropic.config import Config

__all__ = ["CHECKS", "not_built"]

MAX_TAIL = 1e-12  # largest share x^q_max of a thermal site's states that may lie beyond the dtype
_TRIALS = 2**20  # divisors are looked for up to here, so that a check never takes long


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


CHECKS: dict[Callable[[Config], Iterator[Finding]], str] = {  # with the keys that each rests on
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


def not_built(config: Config) -> Iterator[Finding]:
    for section, key, off, missing in _NOT_BUILT:
        value: object = getattr(getattr(config, section), key)
        if value != off and value not in _BUILT.get((section, key), ()):
            expected = f"{toml_value(off)}, for this version does not have {missing} yet"
            yield Finding((section, key), show(value), expected, f"set {key} = {toml_value(off)}")
