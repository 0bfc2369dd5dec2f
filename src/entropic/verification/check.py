"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, final

__all__ = ["Check", "Finding", "Tally", "Value"]

Kind = Literal["exact", "statistical"]


@final
@dataclass(frozen=True)
class Value:
    """A quantity with its exact value and the one that was found."""

    name: str
    exact: float
    found: float


@final
@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes
    ----------
    samples : int
        Independent draws of a statistical check, cases of an exact one.
    unit : str
        What is counted.
    statistic : str
        The statistic, or what was compared.
    values : tuple of Value
        Exact values beside those that were found.
    p_value : float or None
        Of a statistical check.
    misfits : int
        Cases of an exact check that do not agree; of a statistical one, exact side conditions that fail.
    first : str
        The first misfit.
    """

    samples: int
    unit: str
    statistic: str
    values: tuple[Value, ...] = ()
    p_value: float | None = None
    misfits: int = 0
    first: str = ""

    @property
    def p(self) -> float | None:
        """The p-value; 0 where a side condition that has no chance in it fails."""
        return 0.0 if self.p_value is not None and self.misfits else self.p_value


@final
@dataclass(frozen=True)
class Check:
    """A law with its exact value, and the code that measures it.

    Attributes
    ----------
    name : str
    measures : str
        What is measured.
    exact : str
        The exact value, as a formula.
    source : str
        Where it comes from.
    kind : {'exact', 'statistical'}
    measure : callable(scale) -> Finding
        ``scale`` multiplies the sample.
    full : int
        The scale of the full set; 1 is the quick one.
    """

    name: str
    measures: str
    exact: str
    source: str
    kind: Kind
    measure: Callable[[int], Finding]
    full: int = 1


@final
@dataclass
class Tally:
    """Counts cases and misfits, and remembers the first."""

    cases: int = 0
    misfits: int = 0
    first: str = ""
    values: list[Value] = field(default_factory=list)

    def see(self, sound: object, misfit: str, cases: int = 1) -> None:
        """Take in some cases that agree, all of them, or do not."""
        self.cases += cases
        if not sound:
            self.misfits += 1
            self.first = self.first or misfit

    def finding(self, unit: str, statistic: str, **more: Any) -> Finding:
        """What came of it."""
        given = {"samples": self.cases, "values": tuple(self.values), **more}
        return Finding(unit=unit, statistic=statistic, misfits=self.misfits, first=self.first, **given)
