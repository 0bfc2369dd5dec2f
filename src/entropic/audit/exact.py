"""The verdict on a law, and the counter of misfits that exact laws use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

__all__ = ["LEVEL", "Exact", "Law"]

LEVEL = 1e-9  # of the laws that speak of fluctuations


@final
@dataclass(frozen=True)
class Law:
    """Verdict on one law.

    Attributes
    ----------
    margin : float
        How far from broken: 0 for an exact law that holds, minus the misfit for one that does not; for laws of
        fluctuation, nats between the worst step and the level.
    detail : str
        The first misfit, by cycle and region, or what was checked.
    """

    name: str
    holds: bool
    margin: float
    detail: str = field(default="")

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "holds": self.holds, "margin": self.margin, "detail": self.detail}


@final
class Exact:
    """Counts misfits of exact equalities, and remembers the first."""

    def __init__(self, name: str) -> None:
        self.name, self.misfit, self.first, self.checked = name, 0.0, "", 0

    def equal(self, what: str, found: Any, expected: Any, cycle: int | None = None) -> None:
        a, b = np.asarray(found), np.asarray(expected)
        self.checked += max(a.size, 1)
        if a.shape != b.shape:
            self._note(f"{what}: shape {a.shape} is not {b.shape}", 1.0)
            return
        wrong = a != b
        if wrong.any():
            at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
            x, y = np.atleast_1d(a)[at], np.atleast_1d(b)[at]
            place = f"region {at[-1]}" if a.ndim else "all regions"
            when = "" if cycle is None else f", cycle {cycle + (at[0] if len(at) > 1 else 0)}"
            amount = float(np.abs(a.astype(float) - b.astype(float))[wrong].sum()) if a.dtype.kind in "biuf" else 1.0
            self._note(f"{what}{when}, {place}: found {x}, expected {y}", amount or 1.0)

    def _note(self, text: str, amount: float) -> None:
        self.misfit += amount if math.isfinite(amount) else 1.0
        self.first = self.first or text

    def law(self) -> Law:
        detail = self.first or f"{self.checked:,} values agree exactly"
        return Law(self.name, not self.first, 0.0 - self.misfit, detail)  # 0, not −0, where all is well
