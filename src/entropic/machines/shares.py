"""A share of something that only comes in whole quanta, taken exactly: what is left over is carried to the next time.

A share is a whole number of parts of 10⁹, so that a loss of 0.001 is one thousandth and not the nearest binary
fraction.  Of amounts a₁ … a_n, taken one after another from a carry of 0, ⌊share · (a₁ + … + a_n)⌋ is taken in all.
"""

from __future__ import annotations

from fractions import Fraction
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError

__all__ = ["PARTS", "ShareError", "share_parts", "take_share"]

PARTS = 10**9
"""Parts of a whole: the resolution of a share.  PARTS² fits 64 bits, which `take_share` rests on."""


@final
class ShareError(UsageError):
    """A share is not from 0 to below 1."""


def share_parts(share: float, name: str = "share") -> int:
    """The share in parts of `PARTS`, rounded to the nearest (half to even).

    Parameters
    ----------
    share : float
        From 0 to below 1; ``name`` is what an error calls it.

    Raises
    ------
    ShareError
        It is out of range, or rounds to the whole.
    """
    if not 0 <= share < 1:
        raise ShareError(
            f"{name} is {share!r}, expected a number from 0 to below 1.", f"give a {name} below 1, as 0.001"
        )
    parts = round(Fraction(share) * PARTS)
    if parts == PARTS:
        raise ShareError(
            f"{name} is {share!r}, which is 1 to the nearest of {PARTS} parts.", f"give a {name} of at most 0.999999999"
        )
    return parts


def take_share(
    amount: NDArray[np.int64], parts: int, carry: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The whole quanta of a share of ``amount``, and the new carry.

    Parameters
    ----------
    amount : int64 array
        Quanta, at least 0.
    parts : int
        The share, in parts of `PARTS`, below it.
    carry : int64 array
        What is left over from before, parts of a quantum, 0 … PARTS − 1.

    Returns
    -------
    taken, carry : int64 arrays
        ``taken · PARTS + carry' = amount · parts + carry``; never more than ``amount``.
    """
    whole, rest = np.divmod(amount, PARTS)
    more, left = np.divmod(rest * parts + carry, PARTS)
    return whole * parts + more, left
