"""Batteries that lose: capacity, losses on the way in and out, self-discharge; all in whole quanta, exactly.

Every loss is a share in parts of 10⁹ (`shares`), taken with a carried remainder, so nothing is rounded away: what
an operation has lost over any number of cycles is ⌊share · what went through it⌋.  Each of the three operations
has a carry of its own, int64[regions], in parts of 10⁻⁹ quanta, 0 at the start; a carry is no energy, only a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError
from entropic.machines.shares import PARTS, share_parts, take_share

__all__ = ["MAX_CONTENT", "EnergyStorage", "StorageError"]

MAX_CONTENT = 2**62
"""Most quanta that a battery holds, whatever its capacity; what does not fit overflows, and nothing wraps."""


@final
class StorageError(UsageError):
    """A capacity, or an amount handed to a battery, that cannot be."""


@final
@dataclass(frozen=True)
class EnergyStorage:
    """The batteries of all regions, of one make.

    Parameters
    ----------
    capacity : int or None
        Quanta a battery; None: as many as 64 bits allow (`MAX_CONTENT`).
    charge_loss : float
        Share of every charge that is lost; what overflows has passed the charger, too.
    discharge_loss : float
        Share of what is drawn from the content that does not arrive.
    self_discharge : float
        Share of the content that is lost a cycle.

    Raises
    ------
    StorageError, ShareError
        On construction.
    """

    capacity: int | None = None
    charge_loss: float = 0.0
    discharge_loss: float = 0.0
    self_discharge: float = 0.0

    def __post_init__(self) -> None:
        if self.capacity is not None and not 0 <= self.capacity <= MAX_CONTENT:
            raise StorageError(
                f"battery capacity is {self.capacity} quanta, expected 0 to 2^62.", "give another capacity, or none"
            )
        _ = self._charge_parts, self._discharge_parts, self._rest_parts

    @cached_property
    def _charge_parts(self) -> int:
        return share_parts(self.charge_loss, "charge_loss")

    @cached_property
    def _discharge_parts(self) -> int:
        return share_parts(self.discharge_loss, "discharge_loss")

    @cached_property
    def _rest_parts(self) -> int:
        return share_parts(self.self_discharge, "self_discharge")

    @cached_property
    def _limit(self) -> int:
        return MAX_CONTENT if self.capacity is None else self.capacity

    def _check(self, content: NDArray[np.int64], amount: NDArray[np.int64]) -> None:
        if content.size and (content.min() < 0 or content.max() > self._limit):
            raise StorageError(
                f"a battery holds {int(content.min())} to {int(content.max())} quanta, expected 0 to {self._limit}.",
                "start with contents within the capacity",
            )
        if amount.size and (amount.min() < 0 or amount.max() > MAX_CONTENT):
            raise StorageError(
                f"{int(amount.min())} to {int(amount.max())} quanta are to be moved, expected 0 to 2^62.",
                "charge or discharge amounts of at least 0",
            )

    def charge(
        self, content: NDArray[np.int64], amount: NDArray[np.int64], carry: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Put energy in.

        Parameters
        ----------
        content, amount, carry : int64[regions]
            Quanta held, quanta that arrive, and this operation's carry.

        Returns
        -------
        content, lost, overflow, carry : int64[regions]
            ``content' + lost + overflow = content + amount``.
        """
        self._check(content, amount)
        lost, carry = take_share(amount, self._charge_parts, carry)
        arriving = amount - lost
        stored = np.minimum(arriving, self._limit - content)
        return content + stored, lost, arriving - stored, carry

    def discharge(
        self, content: NDArray[np.int64], wanted: NDArray[np.int64], carry: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Take energy out: as much as is wanted or as can be had, and draw no more than that needs.

        Returns
        -------
        content, delivered, lost, carry : int64[regions]
            ``content' + delivered + lost = content``.  Nothing is drawn where not even one quantum would arrive.
        """
        self._check(content, wanted)
        kept = PARTS - self._discharge_parts
        delivered = np.minimum(wanted, content - take_share(content, self._discharge_parts, carry)[0])
        # The least x with x − ⌊(x·parts + carry)/PARTS⌋ ≥ delivered is ⌊((delivered − 1)·PARTS + carry)/kept⌋ + 1;
        # the quotient is taken in two pieces, for the product does not fit 64 bits.
        whole, rest = np.divmod(np.maximum(delivered - 1, 0), kept)
        drawn = np.where(delivered > 0, whole * PARTS + (rest * PARTS + carry) // kept + 1, 0)
        lost, carry = take_share(drawn, self._discharge_parts, carry)
        return content - drawn, delivered, lost, carry

    def rest(
        self, content: NDArray[np.int64], carry: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Self-discharge over one cycle.

        Returns
        -------
        content, lost, carry : int64[regions]
            ``content' + lost = content``.
        """
        self._check(content, np.zeros(0, np.int64))
        lost, carry = take_share(content, self._rest_parts, carry)
        return content - lost, lost, carry
