"""What a page is made of: parts of sections of figures and tables.  Runs and studies are told in the same terms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

from entropic.report.charts import Figure
from entropic.report.tables import Table

__all__ = ["Listing", "Page", "Part", "Section", "Verdict"]


@final
@dataclass(frozen=True)
class Verdict:
    """The answer, in a sentence or two with its numbers.

    Parameters
    ----------
    tone : str
        ``broken``: the figures cannot be trusted, for a law does not hold or books do not agree; ``open``: they can, but what
        was asked is not settled; ``sound`` otherwise.
    text : str
    points : tuple of str
        What it is made of, if there are several parts to it.
    trouble : tuple of str
        What is wrong, where something is.
    notes : tuple of str
        What a reader should know beside it.
    """

    tone: Literal["sound", "open", "broken"]
    text: str
    points: tuple[str, ...] = ()
    trouble: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Listing:
    """Text to be copied: commands, a configuration."""

    title: str
    text: str


@final
@dataclass(frozen=True)
class Section:
    """A heading, a few words, and what is shown below it."""

    name: str
    title: str
    lead: str = ""
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[Listing, ...] = ()


@final
@dataclass(frozen=True)
class Part:
    """A run, an act, or a study."""

    name: str
    title: str
    verdict: Verdict
    sections: tuple[Section, ...]

    def figures(self) -> Iterator[Figure]:
        for section in self.sections:
            yield from section.figures


@final
@dataclass(frozen=True)
class Page:
    """The whole page.

    Parameters
    ----------
    title : str
    verdict : Verdict
        Of all parts together.
    sections : tuple of Section
        What belongs to no single part, such as the claims.
    parts : tuple of Part
        One of them: the page is about it, and its own verdict is not said twice.
    """

    title: str
    verdict: Verdict
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure, with a name that no other figure of the page has."""
        for section in self.sections:
            for figure in section.figures:
                yield figure.name, figure
        for part in self.parts:
            for figure in part.figures():
                yield (f"{part.name}-{figure.name}" if len(self.parts) > 1 else figure.name), figure
