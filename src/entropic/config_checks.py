"""Checks that look at more than one key; each yields what it finds wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from entropic.config_errors import Finding, show
from entropic.config_sections import MAX_SITES, Q_MAX

if TYPE_CHECKING:
    from entropic.config import Config

__all__ = ["CHECKS"]

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


def _check_protocol(config: Config) -> Iterator[Finding]:
    protocol, lift = config.demon.protocol, config.demon.lift
    if protocol is not None and not lift:
        yield Finding(
            ("demon", "protocol"), show(protocol), "no protocol without lift", "set lift = true, or remove it"
        )
    elif protocol is not None and (not protocol.strip() or "\0" in protocol):
        yield Finding(("demon", "protocol"), show(protocol), "FILE.py or FILE.py:CLASS", "name a file, or remove it")


def _check_pairs(config: Config) -> Iterator[Finding]:
    demon, path = config.demon, ("demon", "pairs")
    if demon.pairs == "partners" and not demon.sort:
        yield Finding(path, show(demon.pairs), "no partners without sort", "set sort = true, or remove it")
    elif demon.pairs == "partners" and config.field.region_count < 2:
        yield Finding(
            path, show(demon.pairs), "2 regions at least, for partners", 'cut the field, or set pairs = "halves"'
        )
    elif demon.pairs == "halves" and demon.contact != 1.0:
        expected = 'no contact without pairs = "partners"'
        yield Finding(("demon", "contact"), show(demon.contact), expected, 'remove it, or set pairs = "partners"')


def _check_dtype(config: Config) -> Iterator[Finding]:
    """The tail x^q_max, x = m/(1 + m), that a thermal state of the largest mean m has beyond the dtype."""
    field = config.field
    means = (field.hot or 0.0, field.cold or 0.0) if field.initial == "hot-cold" else (field.mean,)
    mean = max(max(means) + config.battery.initial, field.bath_left or 0.0, field.bath_right or 0.0)
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


def _check_battery(config: Config) -> Iterator[Finding]:
    battery = config.battery
    if battery.initial > battery.capacity:
        expected = f"at most battery.capacity, {battery.capacity:g}"
        yield Finding(("battery", "initial"), show(battery.initial), expected, "raise the capacity, or charge less")


def _check_machines(config: Config) -> Iterator[Finding]:
    """Machines that contradict the field."""
    shape, regions = config.field.shape, config.field.regions
    tiled = len(shape) == len(regions) and not any(extent % boxes for extent, boxes in zip(shape, regions, strict=True))
    sites = config.field.sites_per_region if tiled else 2  # else another check speaks
    if config.exchange.enabled and sites < 2:
        yield Finding(
            ("exchange", "enabled"), "true", "regions of 2 sites at least, for a temperature", "merge regions"
        )
    if config.exchange.enabled and tiled and config.field.region_count < 2:
        yield Finding(("exchange", "enabled"), "true", "2 regions at least, for a trade", "cut the field into regions")
    if config.exchange.enabled and not config.exchange.gears:
        yield Finding(("exchange", "gears"), "[]", "a gear at least, for a trade", "offer one, [[2, 1]], say")
    if config.demon.sort and config.demon.pairs == "halves" and sites < 2:
        yield Finding(
            ("demon", "sort"), "true", "regions of 2 sites at least, for a pair", "merge regions, or do not sort"
        )
    q_max = config.field.q_max
    for number, gear in enumerate(config.exchange.gears):
        if max(gear) > q_max:
            path = ("exchange", "gears", number)
            yield Finding(
                path, show(gear), f"at most {q_max} a turn, the most that a site holds", "take a smaller gear"
            )
    demands = config.grid.demands
    total = sum(demand.quanta for demand in demands)
    if config.grid.enabled and total >= 2**62:
        yield Finding(("grid", "demands"), show(total), "below 2^62 quanta a cycle in all", "ask for less")


CHECKS: dict[Callable[[Config], Iterator[Finding]], str] = {  # with the keys that each rests on
    _check_regions: "field.shape field.regions",
    _check_sites: "field.shape",
    _check_periodic: "field.shape field.edges",
    _check_companions: "field.initial field.hot field.cold field.edges field.bath_left field.bath_right",
    _check_threshold: "demon.threshold field.dtype",
    _check_protocol: "demon.protocol demon.lift",
    _check_pairs: "demon.pairs demon.sort demon.contact field.regions",
    _check_dtype: "field.dtype field.initial field.mean field.hot field.cold field.bath_left field.bath_right battery.initial",
    _check_gears: "exchange.gears",
    _check_demands: "grid.demands field.regions",
    _check_battery: "battery.initial battery.capacity",
    _check_machines: (
        "field.shape field.regions field.dtype exchange.enabled exchange.gears demon.sort demon.pairs grid.demands grid.enabled"
    ),
}
