"""The page about a run, or about the acts of a demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entropic.report.books import read_books
from entropic.report.facts import claims_table, laws_section, ledger_section, origin_section
from entropic.report.parts import Page, Part, Section, Verdict
from entropic.report.run_figures import run_figures
from entropic.report.timeline import timeline_figure
from entropic.report.verdict import verdict
from entropic.store import RunStore
from entropic.summary import summarise

__all__ = ["acts_page", "run_page"]


def run_page(path: Path) -> Page:
    """The page of one run directory.

    Raises
    ------
    UsageError, StoreError
        It is not one, or is damaged.
    """
    part, summary = _part(path, "run", f"Run {path.name or path.resolve().name}")
    claims = summary.get("claims", ())
    return Page(part.title, part.verdict, _claims(list(claims)), (part,))


def acts_page(path: Path, acts: Mapping[str, Path]) -> Page:
    """The page of a demonstration: ``acts`` are its run directories by title."""
    parts = [_part(place, place.name, title)[0] for title, place in acts.items()]
    trouble = tuple(f"{part.title}: {item}" for part in parts for item in part.verdict.trouble)
    text = " ".join(f"{part.title}: {part.verdict.text}" for part in parts)
    return Page(f"Demonstration {path.name}", Verdict(not trouble, text, trouble), (), tuple(parts))


def _part(path: Path, name: str, title: str) -> tuple[Part, Mapping[str, Any]]:
    store = RunStore.open(path)
    config, books = store.config(), read_books(store)
    # A run that is not finished has no summary yet; its laws are then audited here.
    summary = store.read_json("summary.json") if (path / "summary.json").exists() else summarise(store, {})
    finished = books.cycles >= config.run.cycles
    figures = run_figures(config, books)
    timeline = timeline_figure(store)
    sections = (
        Section("energy", "Where the energy went", figures=figures[:2]),
        Section("state", "What became of the field", figures=figures[2:]),
        Section("machine", "How the machine was used", figures=(timeline,) if timeline else ()),
        laws_section(summary),
        ledger_section(config, books, summary),
        origin_section(path, config, summary, store.read_json("provenance.json"), finished),
    )
    return Part(name, title, verdict(config, books, summary), tuple(s for s in sections if _filled(s))), summary


def _filled(section: Section) -> bool:
    return bool(section.figures or section.tables or section.listings)


def _claims(claims: list[Mapping[str, Any]]) -> tuple[Section, ...]:
    if not claims:
        return ()
    lead = "What the design document promises, beside what was measured: gross, what its information cost, and the net."
    return (Section("claims", "Claims", lead, tables=(claims_table(claims),)),)
