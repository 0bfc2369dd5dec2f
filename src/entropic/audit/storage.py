"""Batteries, replayed: what charging, drawing and resting must have lost, by rational arithmetic of its own."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config

__all__ = ["Batteries"]

_PARTS = 10**9
_MOST = 2**62


def _share(amount: NDArray[np.int64], parts: int, carry: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """⌊(amount · parts + carry) / 10⁹⌋ and what is left over, without overflow."""
    whole, rest = np.divmod(amount, _PARTS)
    owed = rest * parts + carry
    return whole * parts + owed // _PARTS, owed % _PARTS


@final
class Batteries:
    """Contents and carries of all regions' batteries."""

    def __init__(self, config: Config, sites: int, content: NDArray[np.int64]) -> None:
        battery = config.battery
        limit = battery.capacity
        self.limit = _MOST if math.isinf(limit) else int(Fraction(limit) * sites)
        self.parts = [
            round(Fraction(rate) * _PARTS)
            for rate in (battery.charge_loss, battery.discharge_loss, battery.self_discharge)
        ]
        self.content = content.copy()
        self.carries = [np.zeros(content.size, np.int64) for _ in range(3)]

    def charge(self, amount: NDArray[np.int64]) -> NDArray[np.int64]:
        """Put energy in; returns what was lost or did not fit."""
        lost, self.carries[0] = _share(amount, self.parts[0], self.carries[0])
        arriving = amount - lost
        fits: NDArray[np.int64] = np.minimum(arriving, self.limit - self.content)
        self.content = self.content + fits
        refused: NDArray[np.int64] = lost + arriving - fits
        return refused

    def rest(self) -> NDArray[np.int64]:
        """Self-discharge of a cycle; returns what was lost."""
        lost, self.carries[2] = _share(self.content, self.parts[2], self.carries[2])
        self.content = self.content - lost
        return lost

    def credit(self) -> NDArray[np.int64]:
        """The most that could be delivered."""
        return self.content - _share(self.content, self.parts[1], self.carries[1])[0]

    def draw(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Deliver ``wanted``: the least draw that leaves so much; returns what was lost on the way."""
        drawn = wanted.copy()
        if self.parts[1]:
            for i in np.flatnonzero(wanted):
                need, carry = int(wanted[i]), int(self.carries[1][i])
                # the least x with x - floor((x * parts + carry) / 1e9) >= need
                drawn[i] = ((need - 1) * _PARTS + carry) // (_PARTS - self.parts[1]) + 1
        lost, self.carries[1] = _share(drawn, self.parts[1], self.carries[1])
        self.content = self.content - drawn
        return lost

    def trade(self, work: NDArray[np.int64]) -> NDArray[np.int64]:
        """Charge what trades brought, draw what they took; returns what was lost."""
        lost = self.charge(np.maximum(work, 0))
        return lost + self.draw(np.maximum(-work, 0))
