"""Words in lanes: a circuit's input bits packed so that one machine instruction moves many words.

Packed bits are unsigned integers [wires, columns]; the memory of a row is that of `numpy.packbits`, so lane k is bit
7 − k % 8 of byte k // 8. A harvester's record is such a row already.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from entropic.errors import UsageError

__all__ = ["LaneError", "from_integers", "from_tape", "lane_count", "lane_mask", "to_integers", "to_tape"]


@final
class LaneError(UsageError):
    """Bits of the wrong shape or type for a circuit."""


def from_integers(values: ArrayLike, wires: int) -> NDArray[np.uint8]:
    """Pack words: bit i of each value goes to wire i.

    Parameters
    ----------
    values : integers >= 0, shape (words,)
    wires : int
        1 to 64; every value < 2^wires.

    Returns
    -------
    uint8 [wires, ⌈words / 8⌉]
        Lanes beyond the last word are 0.
    """
    words = np.asarray(values)
    if words.ndim != 1 or words.dtype.kind not in "iu" or not 1 <= wires <= 64:
        raise LaneError(
            f"found {words.dtype}{list(words.shape)} for {wires} wires, expected integers [words] and 1 to 64 wires.",
            "pack longer words wire by wire with numpy.packbits",
        )
    if words.size and (int(words.min()) < 0 or int(words.max()) >> wires):
        raise LaneError(f"values span {words.min()} to {words.max()}, expected {wires} bits.", "add wires")
    lanes = words.astype(np.uint64)
    rows = [np.packbits((lanes >> np.uint64(i)).astype(np.uint8) & np.uint8(1)) for i in range(wires)]
    return np.stack(rows)


def to_integers(bits: NDArray[Any], words: int, wires: Iterable[int] | None = None) -> NDArray[np.uint64]:
    """The words of the first ``words`` lanes, read from up to 64 ``wires`` (default: all), least significant first."""
    chosen = range(bits.shape[0]) if wires is None else wires
    out = np.zeros(words, np.uint64)
    for place, wire in enumerate(chosen):
        if place == 64:
            raise LaneError("more than 64 wires, expected one machine word.", "read fewer wires at a time")
        row = np.ascontiguousarray(bits[wire])
        lanes = row if row.dtype == np.bool_ else np.unpackbits(row.view(np.uint8), count=words)
        out |= lanes[:words].astype(np.uint64) << np.uint64(place)
    return out


def from_tape(packed: NDArray[np.uint8], wires: int) -> NDArray[np.uint8]:
    """A stretch of tape as the wires of a circuit: each wire is one contiguous share of it.

    Parameters
    ----------
    packed : uint8 [bytes]
        Bits as a record keeps them (`EntropyHarvester.record`).
    wires : int
        Must divide the number of bytes, so that no bit is left out or made up.

    Returns
    -------
    uint8 [wires, bytes / wires]
        A view of the tape. `to_tape` is the inverse.
    """
    if packed.ndim != 1 or packed.dtype != np.uint8 or wires < 1 or packed.size % wires:
        raise LaneError(
            f"found {packed.dtype}{list(packed.shape)} for {wires} wires, expected a row of bytes that they divide.",
            "cut the tape where it divides and leave the rest alone",
        )
    return packed.reshape(wires, packed.size // wires)


def to_tape(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inverse of `from_tape`."""
    return bits.reshape(-1)


def lane_count(bits: NDArray[Any], words: int | None) -> int:
    """Lanes of ``bits`` that hold words: ``words``, by default all.

    Raises
    ------
    LaneError
        If there are not so many.
    """
    lanes = bits.shape[1] * (1 if bits.dtype == np.bool_ else 8 * bits.dtype.itemsize)
    count = lanes if words is None else words
    if not 1 <= count <= lanes:
        raise LaneError(f"{count} words in {lanes} lanes, expected 1 to {lanes}.", "give the number of words packed")
    return count


def lane_mask(words: int, columns: int) -> NDArray[np.uint8]:
    """uint8 [columns] with the bits of the first ``words`` lanes set."""
    mask = np.zeros(columns, np.uint8)
    mask[: words // 8] = 255
    if words % 8:
        mask[words // 8] = 256 - (1 << 8 - words % 8)
    return mask
