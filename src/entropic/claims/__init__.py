"""The claims of the original design document, judged by figures that were measured in the acts of the demonstration."""

from __future__ import annotations

from collections.abc import Sequence

from entropic.claims.claim import Claim, judge_one
from entropic.claims.energy import ENERGY, PROMISES
from entropic.claims.figures import ActFigures, CircuitTrial, Engines, Routed, SortTrial
from entropic.claims.workings import MACHINES, USES, WORKINGS

__all__ = ["MACHINES", "QUESTIONS", "ActFigures", "CircuitTrial", "Claim", "Engines", "Routed", "SortTrial", "judge"]

QUESTIONS = (*ENERGY, *WORKINGS, *PROMISES, *USES)
"""Every claim of the document, in the order of the table."""


def judge(acts: Sequence[ActFigures]) -> list[Claim]:
    """The claims table; what needs an act that is not there is not tried.

    Parameters
    ----------
    acts : sequence of ActFigures
        Any of the three, each once.
    """
    return [judge_one(question, acts) for question in QUESTIONS]
