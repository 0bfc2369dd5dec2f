"""What a directory is, and which page tells of it."""

from __future__ import annotations

from pathlib import Path

from entropic.demo import ACTS
from entropic.errors import UsageError
from entropic.report.parts import Page
from entropic.report.runs import acts_page, run_page
from entropic.report.study import study_page

__all__ = ["page_of"]


def page_of(source: Path) -> Page:
    """The page about a directory.

    Raises
    ------
    UsageError, StoreError
    """
    if (source / "study.json").is_file():
        return study_page(source)
    if (source / "study.toml").is_file():
        raise UsageError(
            f"The study {source} has not been judged yet.", f"entropic scale {source}, or with --judge as far as it is"
        )
    if not (source / "config.toml").exists():
        places = ((act, source / act.directory) for act in ACTS)
        acts = {f"Act {act.number}: {act.title}": place for act, place in places if (place / "config.toml").is_file()}
        if acts:
            return acts_page(source, acts)
    return run_page(source)
