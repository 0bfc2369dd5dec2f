"""The verdict on a run: one sentence from its books, and whether it can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from entropic import entropy
from entropic.config import Config
from entropic.report.books import Books, temperature
from entropic.report.parts import Verdict
from entropic.report.sankey import streams
from entropic.report.tables import counted, number

__all__ = ["disagreements", "owed", "verdict"]


def owed(config: Config, books: Books) -> float:
    """Quanta, at least, that erasing what the tape still holds would cost: T nats at the field's temperature (Landauer)."""
    held, sites = float(books.entropy["tape"][-1]), config.field.sites
    warm = float(temperature(sites, books.field[-1:])[0])
    return entropy.landauer_quanta(warm, held) if held > 0 and sites > 1 else 0.0


def disagreements(books: Books, summary: Mapping[str, Any]) -> Iterator[str]:
    """Where the summary says something else than the books add up to."""
    said = summary["totals"]
    found = {
        "cycles": books.cycles,
        "gross": int(books.gross.sum()),
        "erasure": books.total("erasure"),
        "battery": int(books.battery[-1]),
        "first_law_residual": books.residual,
    }
    for name, value in found.items():
        if said[name] != value:
            yield f"the summary says {name.replace('_', ' ')} {number(said[name])}, the books {number(value)}"


def verdict(config: Config, books: Books, summary: Mapping[str, Any]) -> Verdict:
    """What came of a run, by its books; its laws are those that its summary holds."""
    laws = summary["laws"]
    trouble = [f"the law “{law['name']}” does not hold: {law['detail']}" for law in laws if not law["holds"]]
    trouble += disagreements(books, summary)
    chart = streams(books)
    for account in ("field", "battery"):
        if off := chart.into(account) - chart.out_of(account):
            trouble.append(
                f"the account of the {account} does not close: {number(off)} quanta came in that are not there"
            )
    held = sum(law["holds"] for law in laws)
    sentences = [*_work(config, books), f"The first-law residual is {number(books.residual)};"]
    sentences.append(f"all {len(laws)} laws hold." if held == len(laws) else f"{held} of {len(laws)} laws hold.")
    if books.cycles < config.run.cycles:
        sentences.append(
            f"The run is unfinished: {number(books.cycles)} of {number(config.run.cycles)} cycles are done."
        )
    return Verdict("broken" if trouble else "sound", " ".join(sentences), trouble=tuple(trouble))


def _work(config: Config, books: Books) -> Iterator[str]:
    gross, paid, debt = int(books.gross.sum()), books.total("erasure"), owed(config, books)
    if not books.cycles or not (config.demon.lift or config.exchange.enabled):
        yield f"No work was taken in {counted(books.cycles, 'cycle')}."
        return
    lifted, geared = "the demon lifted", "gears delivered"
    who = lifted if not config.exchange.enabled else geared if not config.demon.lift else "demon and gears delivered"
    net = gross - paid
    yield (
        f"In {counted(books.cycles, 'cycle')} {who} {number(gross)} quanta of work; "
        f"{number(paid) + ' were' if paid else 'nothing was'} paid for erasing records: a net of {number(net)}."
    )
    if debt:
        yield (
            f"The tape still holds {number(float(books.entropy['tape'][-1]))} nats; erasing them would cost at least "
            f"{number(round(debt))} more, and leave {number(round(net - debt))}."
        )
