"""What the demonstration prints: the original's line, and beside it what the original left out; how each act ended."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from entropic.claims import ActFigures
from entropic.demo.books import Books, information, read_books, total
from entropic.initial import lattice_of
from entropic.series import flow
from entropic.store import RunStore
from entropic.summary import entropies

__all__ = ["ending", "line"]


def line(store: RunStore, cycle: int) -> str:
    """State of a run after a cycle: units generated, total, efficiency; information cost, net, battery, entropy, residual."""
    books, opening, config = read_books(store, cycle), store.opening(), store.config()
    lattice = lattice_of(config.field)
    work = flow(books, "gross")
    gross, erasure = int(work.sum()), total(books, "erasure")
    now = {name: books[name][-1] for name in ("quanta", "battery", "tape", "entropy_hist")}
    state = entropies(lattice.region_sites, now["quanta"], now["entropy_hist"], math.fsum(now["tape"]))
    out = total(books, "delivered_out", "left_out", "right_out") - total(books, "left_in", "right_in")
    residual = int((now["quanta"] + now["battery"] - opening["quanta"] - opening["battery"]).sum()) + out
    return (
        f"Cycle {cycle}: {int(work[-1].sum()):,} units generated | Total: {gross:,} units | "
        f"{efficiency(books, lattice.sites)} | information cost: {erasure:,} | net: {gross - erasure:,} | "
        f"battery: {int(now['battery'].sum()):,} | entropy: {state['region']:,.0f} nat, tape {state['tape']:,.0f} | "
        f"first-law residual: {residual}"
    )


def efficiency(books: Books, sites: int) -> str:
    """Of what the run does: lifted work over what the information is worth; work of the gears over the hot sides' heat."""
    parts = []
    worth = information(books, sites)[1]
    if worth or "gear" not in books:
        parts.append(f"Efficiency (W/TI): {total(books, 'lift') / worth if worth else 0.0:.1%}")
    if "gear" in books:
        heat = -int(np.where(books["hot"], books["gear_heat"], 0).sum())
        parts.append(f"Efficiency (W/Qh): {total(books, 'gear') / heat if heat > 0 else 0.0:.1%}")
    return ", ".join(parts)


def ending(act: ActFigures) -> str:
    """How an act ended, in a few sentences."""
    return " ".join(_sentences(act))


def _sentences(act: ActFigures) -> Iterator[str]:
    start, end = act.battery
    if act.number == 1:
        full = f", full since cycle {act.tape_full}" if act.tape_full else ""
        here = f"; {act.owed_here:,.0f} in this field, a finite bath" if act.owed_here else ""
        yield f"The tape holds {act.tape:,.0f} nats ({act.tape / math.log(2):,.0f} bits){full}."
        yield f"Erasing it would cost {act.owed_least:,.0f} quanta at least (T nats{here});"
        yield f"the batteries gained {end - start:,}."
    elif act.number == 2:
        since = f"; from cycle {act.unpaid_from} on every region owes for erasure" if act.unpaid_from else ""
        yield f"The batteries went from {start:,} to {end:,} quanta{since}."
        if not act.unpaid_from and act.drain > 0:
            yield f"Falling by {act.drain:,.0f} a cycle, they last {end / act.drain:,.0f} cycles more."
        yield f"Of {act.recorded:,.0f} nats recorded, {act.tape:,.0f} are still on the tape."
    if act.engines:
        engines = act.engines
        spent = (
            f"{engines.work / engines.spent:.1%} of the exergy used up" if engines.spent > 0 else "no exergy used up"
        )
        yield f"{engines.trades:,} trades, the last in cycle {engines.last_cycle}: {engines.work:,} quanta of work, {spent}"
        yield f"({engines.exergy_start:,} at first, {engines.exergy_end:,} are left)."
        yield f"W/Qh = {engines.efficiency:.1%}; Carnot {engines.carnot:.1%}, Curzon–Ahlborn {engines.curzon_ahlborn:.1%}"
        yield "at the temperatures quoted."
    if act.routed:
        routed = act.routed
        yield f"The grid delivered {routed.delivered:,} of {routed.asked:,} quanta asked for and lost {routed.loss:,}."
