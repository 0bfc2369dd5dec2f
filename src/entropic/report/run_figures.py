"""The page's part about one run: figures from its books, tables from its summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from entropic.config import Config
from entropic.report.books import Books, temperature
from entropic.report.charts import Figure, Line, Lines, Map, Panel
from entropic.report.ones import ones_figure
from entropic.report.sankey import streams
from entropic.report.tables import near, number

__all__ = ["run_figures"]


def run_figures(config: Config, books: Books) -> tuple[Figure, ...]:
    """Figures of a run, from its books alone."""
    found = [_where_quanta_went(books)]
    if books.cycles:
        found += [_work(config, books), _entropy(books), _warmth(books), *_maps(books)]
    ones = ones_figure(config, books.first_ones)
    return (*found, ones) if ones else tuple(found)


def _where_quanta_went(books: Books) -> Figure:
    chart = streams(books)
    start, end = int(books.field[0] + books.battery[0]), int(books.field[-1] + books.battery[-1])
    came, went = books.total("left_in", "right_in"), books.total("left_out", "right_out", "delivered_out")
    outside = f", {number(came)} came in from outside and {number(went)} went out" if came or went else ""
    closed = all(chart.into(account) == chart.out_of(account) for account in ("field", "battery"))
    ending = "equals what leaves them, to the quantum" if closed else "is NOT what leaves them"
    through = chart.into("battery") - int(books.battery[0])
    return Figure(
        "quanta",
        "Where each quantum went",
        f"Field and batteries began with {number(start)} quanta{outside}; they end with {number(end)}. "
        f"{number(through)} were lifted or geared out of the field into batteries, {number(_returned(books))} came back as "
        f"heat. What enters the field and the batteries {ending}.",
        chart,
        "↺ goes round: it leaves the batteries on the right and comes into the field on the left, as heat. A quantum that is "
        "lifted, paid and lifted again is counted each time.",
    )


def _returned(books: Books) -> int:
    return books.total("erasure", "stored_loss", "line_loss", "compute", "gear_back")


def _moments(books: Books) -> str:
    step = int(np.diff(books.moments).max(initial=1))
    return f"States every {number(step)} cycles or less, {len(books.moments)} in all." if step > 1 else ""


def _work(config: Config, books: Books) -> Figure:
    """Cumulated flows, and what the batteries hold, at the moments."""
    at = books.moments

    def upto(flow: Any) -> Any:
        return np.concatenate([[0], np.cumsum(flow)])[at]

    gross, paid = upto(books.gross), upto(books.flows["erasure"])
    lines = [Line("gross: work delivered", at, gross, "gross")]
    if config.demon.erase and (config.demon.lift or config.demon.sort):
        lines.append(Line("cost: paid for erasure", at, paid, "cost", "dashed"))
        lines.append(Line("net: gross less cost", at, gross - paid, "net"))
    lines.append(Line("in the batteries", at, books.battery[at], "battery", "dotted"))
    return Figure(
        "work",
        "Work, what it cost, and what is left",
        f"Up to cycle {number(books.cycles)}, {number(int(gross[-1]))} quanta were delivered and {number(int(paid[-1]))} "
        f"paid for erasure; the batteries went from {number(int(books.battery[0]))} to {number(int(books.battery[-1]))}.",
        Lines((Panel(tuple(lines), "energy", "quanta"),), "cycle"),
        _moments(books),
    )


def _entropy(books: Books) -> Figure:
    at, ladder = books.moments, books.entropy
    field = (
        Line("equilibrium: the whole field mixed", at, ladder["equilibrium"], "equilibrium", "dashed"),
        Line("regions: by their energies", at, ladder["region"], "region"),
        Line("histograms: by what is counted in them", at, ladder["hist"], "hist", "dotted"),
    )
    panels = [Panel(field, "field entropy", "nat")]
    tape = ladder["tape"]
    if tape.any():
        both = (
            Line("field (regions) and tape together", at, ladder["region"] + tape, "total"),
            Line("tape", at, tape, "tape", "dashed"),
        )
        panels.append(Panel(both, "with the tape", "nat"))
    gap = ladder["equilibrium"] - ladder["region"]
    held = f" The tape holds {near(tape[-1])} nats at the end." if tape.any() else ""
    return Figure(
        "entropy",
        "The ladder of entropies",
        f"Histograms ≤ regions ≤ equilibrium{'' if _ordered(ladder) else ' does NOT hold'} throughout. Between regions and "
        f"equilibrium are {near(gap[0])} nats at the start and {near(gap[-1])} at the end: what differences of temperature are "
        f"worth.{held}",
        Lines(tuple(panels), "cycle"),
        _moments(books),
    )


def _ordered(ladder: Mapping[str, Any]) -> bool:
    """Whether each rung is above the one before, at every moment, but for the rounding of sums of floats."""
    slack = 1e-12 * ladder["equilibrium"]
    lower, upper = ladder["hist"] <= ladder["region"] + slack, ladder["region"] <= ladder["equilibrium"] + slack
    return bool((lower & upper).all())


def _warmth(books: Books) -> Figure:
    at, (least, lower, middle, upper, most) = books.moments, books.warmth.T
    lines = (
        Line("median region", at, middle, "field", "solid", lower, upper),
        Line("hottest", at, most, "cost", "dashed"),
        Line("coldest", at, least, "battery", "dotted"),
    )
    return Figure(
        "temperature",
        "Temperature of the regions",
        f"The median goes from {near(middle[0])} to {near(middle[-1])} quanta per nat; coldest and hottest "
        f"are {near(most[0] - least[0])} apart at the start and {near(most[-1] - least[-1])} at the end. "
        "The band holds the middle half of the regions.",
        Lines((Panel(lines, "temperature", "quanta/nat"),), "cycle"),
        _moments(books),
    )


def _maps(books: Books) -> Iterator[Figure]:
    cells, shape = books.cells, books.cells.shape
    size = " × ".join(map(str, cells.merge))
    how = (
        ("Each cell is a region." if cells.whole else f"Each cell is {size} regions together.")
        + (" Slices of the lattice lie side by side." if sum(n > 1 for n in shape) > 2 else "")
        + f" {len(books.frames)} moments."
    )
    warm = temperature(cells.sites, books.cell_quanta)
    if not np.isfinite(warm).all():
        yield _map(
            books,
            "warmth-map",
            "Energy across the lattice",
            books.cell_quanta / cells.sites,
            "energy",
            "quanta/site",
            how,
        )
    else:
        yield _map(books, "warmth-map", "Temperature across the lattice", warm, "temperature", "quanta/nat", how)
    if books.cell_battery.any():
        held = books.cell_battery / cells.sites
        yield _map(books, "battery-map", "Batteries across the lattice", held, "battery", "quanta/site", how)


def _map(books: Books, name: str, title: str, values: Any, label: str, units: str, how: str) -> Figure:
    last = values[-1]
    return Figure(
        name,
        title,
        f"After cycle {number(books.cycles)}, {label} is {near(last.mean())} {units} on average, from "
        f"{near(last.min())} to {near(last.max())}.",
        Map(books.cells.places, books.cells.shape, books.frames, values, label, units, books.cells.axes),
        how,
    )
