"""All checks, one after another, and the verdict on them together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from entropic.errors import ClusterError, EntropicError, ResourceError, StoreError
from entropic.verification import baths, books, demon, entropies, exchange, gear, heat, lift, sort
from entropic.verification.check import Check, Finding
from entropic.verification.statistics import holm

__all__ = ["CHECKS", "FALSE_ALARM", "Outcome", "Report", "judged", "measured", "verify"]

FALSE_ALARM = 1e-6
"""Chance that a sound program fails any check, had its seeds been drawn at random: of all statistical checks together."""

CHECKS: tuple[Check, ...] = (
    *exchange.CHECKS,
    *baths.CHECKS,
    *lift.CHECKS,
    *sort.CHECKS,
    *gear.CHECKS,
    *demon.CHECKS,
    *heat.CHECKS,
    *entropies.CHECKS,
    *books.CHECKS,
)


@final
@dataclass(frozen=True)
class Outcome:
    """Verdict on one check.

    Attributes
    ----------
    p_adjusted : float or None
        Holm's p-value, of a statistical check.
    """

    check: Check
    finding: Finding
    p_adjusted: float | None
    holds: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        finding = self.finding
        return {
            "name": self.check.name,
            "kind": self.check.kind,
            "measures": self.check.measures,
            "exact": self.check.exact,
            "source": self.check.source,
            "values": [{"name": v.name, "exact": v.exact, "found": v.found} for v in finding.values],
            "samples": finding.samples,
            "unit": finding.unit,
            "statistic": finding.statistic,
            "p_value": finding.p,
            "p_adjusted": self.p_adjusted,
            "misfits": finding.misfits,
            "first_misfit": finding.first,
            "holds": self.holds,
            "seconds": self.seconds,
        }


@final
@dataclass(frozen=True)
class Report:
    """All verdicts."""

    quick: bool
    outcomes: tuple[Outcome, ...]
    seconds: float
    false_alarm: float = FALSE_ALARM

    @property
    def broken(self) -> tuple[Outcome, ...]:
        """Checks that do not hold."""
        return tuple(outcome for outcome in self.outcomes if not outcome.holds)

    def to_dict(self) -> dict[str, Any]:
        return {
            "quick": self.quick,
            "holds": not self.broken,
            "false_alarm": self.false_alarm,
            "correction": "Holm",
            "statistical": sum(outcome.check.kind == "statistical" for outcome in self.outcomes),
            "seconds": self.seconds,
            "checks": [outcome.to_dict() for outcome in self.outcomes],
        }


def measured(check: Check, scale: int) -> Finding:
    """What a check finds; what cannot be evaluated does not hold."""
    try:
        return check.measure(scale)
    except (ClusterError, ResourceError, StoreError):
        raise
    except (EntropicError, ArithmeticError, AssertionError, LookupError, ValueError) as error:
        p = 0.0 if check.kind == "statistical" else None
        return Finding(0, "", "could not be evaluated", p_value=p, misfits=1, first=f"{type(error).__name__}: {error}")


def judged(findings: list[tuple[Check, Finding, float]]) -> tuple[Outcome, ...]:
    """Verdicts: exact checks must have no misfit, statistical ones pass Holm's procedure at `FALSE_ALARM`."""
    values = [finding.p for check, finding, _ in findings if check.kind == "statistical"]
    adjusted = iter(holm([0.0 if p is None else p for p in values]))
    outcomes = []
    for check, finding, seconds in findings:
        p = next(adjusted) if check.kind == "statistical" else None
        holds = finding.misfits == 0 if p is None else p > FALSE_ALARM
        outcomes.append(Outcome(check, finding, p, holds, seconds))
    return tuple(outcomes)


def verify(quick: bool = False, progress: Callable[[Check, Finding, float], None] | None = None) -> Report:
    """Run every check.

    Parameters
    ----------
    quick : bool
        Small samples.
    progress : callable(check, finding, seconds) or None
        Called as each check is finished; the verdict on statistical ones awaits the others.
    """
    started, findings = time.perf_counter(), []
    for check in CHECKS:
        begun = time.perf_counter()
        finding = measured(check, 1 if quick else check.full)
        seconds = time.perf_counter() - begun
        findings.append((check, finding, seconds))
        if progress is not None:
            progress(check, finding, seconds)
    return Report(quick, judged(findings), time.perf_counter() - started)
