"""A row of the claims table, and the question that it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from entropic.claims.figures import ActFigures

__all__ = ["CHARGED", "ERASED", "KEPT", "Answer", "Claim", "Question", "best", "judge_one"]

KEPT, ERASED, CHARGED = 1, 2, 3  # the acts: the tape kept, erasure paid, the field charged
ANY = (KEPT, ERASED, CHARGED)


@final
@dataclass(frozen=True)
class Claim:
    """One row of the table.

    Attributes
    ----------
    claim : str
        What the document promises.
    unit : str
        Of the three figures.
    act : int or None
        The act that they are of; None: of all.
    gross, cost, net : float or None
        What there was, what it cost (or what it is measured against), and the difference; None: not tried.
    verdict : str
    holds : bool or None
        Whether the promise is kept; None: not tried.
    """

    claim: str
    unit: str
    act: int | None
    gross: float | None
    cost: float | None
    net: float | None
    verdict: str
    holds: bool | None

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@final
@dataclass(frozen=True)
class Answer:
    """What the figures say to a question; ``act`` None: figures of all acts together; ``holds`` None: it was not tried."""

    act: int | None
    gross: float
    cost: float
    holds: bool | None
    because: str = ""


@final
@dataclass(frozen=True)
class Question:
    """A promise of the document, and how it is put to the test.

    Parameters
    ----------
    claim, unit : str
    answer : callable
        From the figures of the acts that can tell to an `Answer`; None if they cannot after all.
    acts : tuple of int
        Numbers of the acts that can tell.
    """

    claim: str
    unit: str
    answer: Callable[[Sequence[ActFigures]], Answer | None]
    acts: tuple[int, ...] = ANY


def judge_one(question: Question, acts: Sequence[ActFigures]) -> Claim:
    """Put one question to those of the acts that can tell: closed ones that have run a cycle."""
    able = [act for act in acts if act.number in question.acts and act.cycles and act.closed]
    answer = question.answer(able) if able else None
    if answer is None:
        closed = all(act.closed for act in acts)
        needs = f"needs act {' or '.join(map(str, question.acts))}" if closed else "baths feed the field"
        return Claim(question.claim, question.unit, None, None, None, None, f"not tried: {needs}", None)
    word = {True: "kept", False: "refuted", None: "not tried"}[answer.holds]
    verdict = f"{word}: {answer.because}" if answer.because else word
    net = answer.gross - answer.cost
    return Claim(question.claim, question.unit, answer.act, answer.gross, answer.cost, net, verdict, answer.holds)


def best(
    acts: Sequence[ActFigures], keeps: Callable[[ActFigures], bool], most: Callable[[ActFigures], float]
) -> ActFigures:
    """The act that speaks best for a promise: one that keeps it, else the one with the most of what was promised."""
    return max(acts, key=lambda act: (keeps(act), most(act)))
