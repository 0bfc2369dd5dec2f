"""The page about a run, or about the acts of a demonstration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entropic.claims import judge
from entropic.config import Config
from entropic.demo import ACTS, measure
from entropic.demo.place import SUMMARY
from entropic.drivers import beside
from entropic.entropy import EntropyDomainError
from entropic.errors import StoreError
from entropic.reading import reading
from entropic.report.books import read_books
from entropic.report.facts import claims_section, laws_section, ledger_section, origin_section
from entropic.report.parts import Page, Part, Section, Verdict
from entropic.report.run_figures import run_figures
from entropic.report.tables import counted
from entropic.report.timeline import timeline_figure
from entropic.report.verdict import verdict as verdict_of
from entropic.store import RunStore
from entropic.summary import summarise

__all__ = ["acts_page", "run_page"]

_CLAIM = ("claim", "unit", "act", "gross", "cost", "net", "verdict", "holds")


def run_page(path: Path) -> Page:
    """The page of one run directory.

    Raises
    ------
    UsageError, StoreError
        It is not one, or is damaged.
    """
    with reading(path):
        part, summary = _part(path, "run", f"Run {path.name or path.resolve().name}")
        claims = _own_claims(RunStore.open(path), summary)
    return Page(part.title, part.verdict, (claims_section(claims, acts=False),) if claims else (), (part,))


def acts_page(path: Path, acts: Mapping[str, Path]) -> Page:
    """The page of a demonstration: ``acts`` are its run directories by title.

    Raises
    ------
    StoreError
        An act, or what was written beside them, is damaged.
    """
    with reading(path):
        parts = [_part(place, f"act-{place.name}", title)[0] for title, place in acts.items()]
    trouble = tuple(f"{part.title}: {item}" for part in parts for item in part.verdict.trouble)
    claims = _judged(path)
    notes = () if claims else (f"The claims are judged when the demonstration has ended: entropic demo --out {path}",)
    sections = (claims_section(claims, acts=True),) if claims else ()
    kept, refuted = (sum(claim["holds"] is truth for claim in claims) for truth in (True, False))
    judged = f" Of the document’s claims {kept} are kept, {refuted} refuted." if claims else ""
    text = f"{counted(len(parts), 'act')}: {'not all of them can be trusted' if trouble else 'all laws hold in all of them'}."
    verdict = Verdict(
        "broken" if trouble else "sound",
        text + judged,
        tuple(f"{part.title}. {part.verdict.text}" for part in parts),
        trouble,
        notes,
    )
    name = path.name or path.resolve().name
    return Page(f"Demonstration {name}", verdict, sections, tuple(parts))


def _judged(path: Path) -> list[Mapping[str, Any]]:
    """The claims as they were judged at the end of a demonstration; none if it has not ended."""
    if not (path / SUMMARY).exists():
        return []
    try:
        claims = json.loads((path / SUMMARY).read_text("utf-8"))["claims"]
        return [{name: claim[name] for name in _CLAIM} for claim in claims]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        found = f"{path / SUMMARY} cannot be read: {type(error).__name__} {error}."
        raise StoreError(found, f"remove it, then judge again: entropic demo --out {path}") from error


def _own_claims(store: RunStore, summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a run that is of an act's kind says to the claims; none if it is of no such kind, or not finished.

    Nor if its regions are so small that what it recorded has no price that can be counted.
    """
    number = _kind(store.config())
    if number is None or not summary["performance"] or not summary["totals"]["cycles"]:
        return []
    act = next(act for act in ACTS if act.number == number)
    try:
        figures = measure(act, store, dict(summary))
    except EntropyDomainError:
        return []
    return [claim.to_dict() for claim in judge([figures]) if claim.holds is not None]


def _kind(config: Config) -> int | None:
    """Number of the act that a configuration is like: the tape kept, erasure paid, the field charged."""
    if config.demon.protocol is not None or config.field.edges == "baths":
        return None
    if config.demon.lift and not config.exchange.enabled:
        return 2 if config.demon.erase else 1
    return 3 if config.exchange.enabled and not config.demon.lift else None


def _part(path: Path, name: str, title: str) -> tuple[Part, Mapping[str, Any]]:
    store = RunStore.open(path)
    config, books = store.config(), read_books(store)
    summary = _summary(store, books.cycles)
    finished = books.cycles >= config.run.cycles
    figures = run_figures(config, books)
    timeline = timeline_figure(store)
    sections = (
        Section("energy", "Where the energy went", figures=figures[:2]),
        Section("state", "What became of the field", figures=figures[2:]),
        Section("machine", "How the machine was used", figures=(timeline,) if timeline else ()),
        laws_section(summary, finished),
        ledger_section(config, books, summary),
        origin_section(path, config, summary, store.read_json("provenance.json"), finished),
    )
    return Part(name, title, verdict_of(config, books, summary), tuple(s for s in sections if _filled(s))), summary


def _summary(store: RunStore, cycles: int) -> Mapping[str, Any]:
    """What the run said at its end; made here, with an audit of the laws, if it has not come to that, or went on since."""
    if (store.path / "summary.json").exists():
        summary = store.read_json("summary.json")
        if summary["totals"]["cycles"] == cycles:
            return summary
    with beside(store.path) as require:
        summary = summarise(store, {})
        require(all(law["holds"] for law in summary["laws"]))
    return summary


def _filled(section: Section) -> bool:
    return bool(section.figures or section.tables or section.listings)
