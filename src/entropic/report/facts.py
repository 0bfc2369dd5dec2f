"""The tables of a run: its laws, books, entropies, speed, provenance; and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from entropic import units
from entropic.config import Config
from entropic.report.books import Books
from entropic.report.ones import incomparable
from entropic.report.parts import Listing, Section
from entropic.report.tables import Cell, Table, counted, number

__all__ = ["claims_section", "laws_section", "ledger_section", "origin_rows", "origin_section"]

_ACCOUNTS = (
    ("lift", "lifted by the demon", "field → batteries"),
    ("gear_out", "delivered by gears", "field → batteries"),
    ("gear_back", "put into gears", "batteries → field"),
    ("erasure", "paid for erasing records", "batteries → field, as heat"),
    ("stored_loss", "lost in storage", "batteries → field, as heat"),
    ("line_loss", "lost in lines", "batteries → field, as heat"),
    ("compute", "used by computation", "batteries → field, as heat"),
    ("delivered_out", "delivered outside", "batteries → outside"),
    *((f"{side}_in", f"in from the {side} bath", "outside → field") for side in ("left", "right")),
    *((f"{side}_out", f"out to the {side} bath", "field → outside") for side in ("left", "right")),
)


def laws_section(summary: Mapping[str, Any], finished: bool) -> Section:
    """The laws, as audited at the run's end, or for this page if it has not ended."""
    rows = tuple((law["name"], bool(law["holds"]), float(law["margin"]), law["detail"]) for law in summary["laws"])
    return Section(
        "laws",
        "Laws",
        f"As audited {'when the run ended' if finished else 'for this page'}. The first law and the information are exact: they "
        "hold with nothing to spare. Of laws of fluctuation, the margin is how many nats are left before the level of 1e-9.",
        tables=(Table("Laws of the run", ("law", "holds", "margin", "detail"), rows),),
    )


def ledger_section(config: Config, books: Books, summary: Mapping[str, Any]) -> Section:
    """Totals of all accounts, in quanta and joules; entropies at both ends."""
    joule = config.field.quantum_joule
    rows: list[tuple[Cell, ...]] = [
        ("field", "at the start", int(books.field[0])),
        ("field", "at the end", int(books.field[-1])),
        ("batteries", "at the start", int(books.battery[0])),
        ("batteries", "at the end", int(books.battery[-1])),
    ]
    rows += [(about, way, books.total(name)) for name, about, way in _ACCOUNTS if books.total(name)]
    rows.append(("first-law residual", "", books.residual))
    accounts = tuple((*row, units.joules(float(row[-1] or 0), joule)) for row in rows)
    start, end = summary["entropy"]["initial"], summary["entropy"]["final"]
    names = {"hist": "histograms", "region": "regions", "equilibrium": "equilibrium", "tape": "tape"}
    nats = tuple((label, float(start[key]), float(end[key])) for key, label in names.items())
    lead = (
        f"Every account over the whole run. A quantum is {number(joule)} J; nats are of information recorded: "
        f"{number(float(sum(books.nats[n].sum() for n in ('record_nats', 'sort_nats') if n in books.nats)))}."
    )
    why = incomparable(config)
    if config.demon.lift and why:
        lead += f" The records are not set against a law of their own, because {why}."
    return Section(
        "books",
        "The books in figures",
        lead,
        tables=(
            Table("Accounts", ("account", "way", "quanta", "joules"), accounts),
            Table("Entropy, nats", ("entropy", "at the start", "at the end"), nats),
        ),
    )


def claims_section(claims: Sequence[Mapping[str, Any]], acts: bool) -> Section:
    """The original document's claims beside what was measured; ``acts``: each names the act that its figures are of."""
    kept, tried = (sum(claim["holds"] is truth for claim in claims) for truth in (True, False))
    header = ("claim", "kept", "gross", "cost", "net", "unit", *(("act",) if acts else ()), "verdict")
    rows = tuple(
        (
            claim["claim"],
            "not tried" if claim["holds"] is None else bool(claim["holds"]),
            claim["gross"],
            claim["cost"],
            claim["net"],
            claim["unit"],
            *((str(claim["act"] or "all"),) if acts else ()),
            claim["verdict"],
        )
        for claim in claims
    )
    lead = (
        f"What the original document promises, beside what was measured: gross, what it cost, and the net. Of "
        f"{counted(kept + tried, 'claim')} that were tried, {kept} are kept and {tried} refuted."
    )
    return Section("claims", "Claims", lead, tables=(Table("Claims of the original document", header, rows),))


def origin_section(
    path: Path, config: Config, summary: Mapping[str, Any], provenance: Mapping[str, Any], finished: bool
) -> Section:
    """Where the run comes from, how fast it was, and how to make it again."""
    return Section(
        "origin",
        "Provenance, and how to reproduce it",
        "The digests are the same on any machine, for any number of workers and any cut into blocks: run the configuration "
        "again and compare.",
        tables=(
            Table("Provenance", ("what", "value"), tuple(_origin(summary, provenance))),
            Table("Performance", ("what", "value"), tuple(_speed(summary["performance"]))),
        ),
        listings=(
            Listing("Commands", "\n".join(_commands(path, config, finished))),
            Listing("The configuration as run: config.toml", config.to_toml()),
        ),
    )


def _origin(summary: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    yield "field digest", summary["digest"]["field"]
    yield "series digest", summary["digest"]["series"]
    yield from origin_rows(provenance)


def origin_rows(provenance: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    """When, where and with what something was made."""
    for key in ("started", "command", "host", "platform", "python", "cpus"):
        if key in provenance:
            yield key, str(provenance[key])
    for name, text in provenance.get("versions", {}).items():
        yield name, str(text)


def _speed(performance: Mapping[str, Any]) -> Iterator[tuple[Cell, ...]]:
    labels = {
        "seconds": "seconds",
        "site_cycles_per_second": "site-cycles a second",
        "workers": "workers",
        "threads": "threads a worker",
        "blocks": "blocks",
        "tasks": "tasks",
        "peak_bytes": "bytes of memory at most",
        "checkpoints": "checkpoints",
        "checkpoint_seconds": "seconds that they took",
        "books_seconds": "seconds that books, series and tape took",
    }
    for key, label in labels.items():
        if key in performance:
            yield label, performance[key]


def _commands(path: Path, config: Config, finished: bool) -> Iterator[str]:
    run = shlex.quote(str(path))
    if not finished:
        yield f"entropic resume {run}"
    yield f"entropic audit {run}   # every law, recomputed from the store"
    if config.demon.protocol is not None:
        yield "# the protocol is RUN/protocol.py; set demon.protocol to a copy of it"
    yield f"entropic run {shlex.quote(str(path / 'config.toml'))} --out again --json   # compare digest.field"
    kept = not config.demon.erase or not (config.demon.lift or config.demon.sort)
    if finished and kept and config.field.edges != "baths":
        yield f"entropic reverse {run}   # plays it backwards to its start"
    yield f"entropic report {run} -o report.html --figures figures"
