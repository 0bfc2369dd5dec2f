"""Maxwell's demon: measure which of two sites holds more, and keep the fuller one on the hot side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy
from entropic.entropy import RecordKind
from entropic.errors import UsageError
from entropic.kernels import (
    long_rows,
    sort_contact,
    sort_pairs,
    sort_runs,
    unsort_contact,
    unsort_pairs,
    unsort_runs,
)

__all__ = ["MaxwellDemon", "RecordMismatchError", "SortRecord"]


@final
class RecordMismatchError(UsageError):
    """Arrays that a demon cannot pair, or a record that is not of this region."""


@final
@dataclass(frozen=True)
class SortRecord:
    """What the demon wrote on its tape.

    Parameters
    ----------
    packed : uint8[⌈pairs / 8⌉]
        The bits [q_hot < q_cold], in the order of the pairs.
    ones, pairs : int
        Bits set, and bits.
    gradient : int
        Quanta of the hot side minus those of the cold side after the sort, over the pairs.
    """

    packed: NDArray[np.uint8]
    ones: int
    pairs: int
    gradient: int

    def bits(self) -> NDArray[np.uint8]:
        """The bits, one a byte: uint8[pairs]."""
        return np.unpackbits(self.packed, count=self.pairs)


@final
@dataclass(frozen=True)
class MaxwellDemon:
    """bit = [q_i < q_j]; swap i and j if it is set; bit → tape.  No quanta are gained: a gradient is.

    Parameters
    ----------
    record : {'compressed', 'raw'}
        How a record is kept.
    """

    record: RecordKind = "compressed"

    def nats(self, pairs: int, ones: int) -> float:
        """Nats of a record: compressed ``ln C(P, n1) + ln(P + 1)``, raw ``P ln 2``; 0 if there was nothing to pair."""
        return entropy.record_nats(pairs, ones, self.record) if pairs else 0.0

    def sort(self, region: NDArray[np.generic]) -> SortRecord:
        """Sort a region's first half against its second, in place.

        Parameters
        ----------
        region : uint8 or uint16 [a, b, c, d]
            Site k is paired with site k + ⌊N/2⌋ (C order); the last site of an odd N stays alone.
        """
        bits = np.empty(region.size // 2, np.uint8)
        ones, gradient = sort_pairs(long_rows(region), bits)
        return SortRecord(np.packbits(bits), int(ones), bits.size, int(gradient))

    def sort_between(self, hot: NDArray[np.generic], cold: NDArray[np.generic]) -> SortRecord:
        """Sort site i of ``hot`` against site i of ``cold``, in place: contiguous runs of one length and dtype."""
        _check_runs(hot, cold)
        bits = np.empty(hot.size, np.uint8)
        ones, gradient = sort_runs(hot, cold, bits)
        return SortRecord(np.packbits(bits), int(ones), bits.size, int(gradient))

    def sort_contact(
        self, hot: NDArray[np.generic], start_hot: int, cold: NDArray[np.generic], start_cold: int, pairs: int
    ) -> tuple[SortRecord, int]:
        """Sort cyclic runs of two regions (C order) against each other, in place, from the given sites on.

        Returns
        -------
        SortRecord, int
            The record, and the quanta that went over to the hot region.
        """
        _check_regions(hot, cold, pairs)
        bits = np.empty(pairs, np.uint8)
        starts = start_hot % hot.size, start_cold % cold.size
        ones, gradient, moved = sort_contact(long_rows(hot), starts[0], long_rows(cold), starts[1], bits)
        return SortRecord(np.packbits(bits), int(ones), pairs, int(gradient)), int(moved)

    def undo_contact(
        self,
        hot: NDArray[np.generic],
        start_hot: int,
        cold: NDArray[np.generic],
        start_cold: int,
        pairs: int,
        packed: NDArray[np.uint8],
    ) -> None:
        """Undo `sort_contact` with the packed bits of its record, in place."""
        _check_regions(hot, cold, pairs)
        starts = start_hot % hot.size, start_cold % cold.size
        unsort_contact(long_rows(hot), starts[0], long_rows(cold), starts[1], np.unpackbits(packed, count=pairs))

    def undo(self, region: NDArray[np.generic], record: SortRecord) -> None:
        """Undo `sort`, in place."""
        _check_pairs(region.size // 2, record)
        self.undo_packed(region, record.packed)

    def undo_packed(self, region: NDArray[np.generic], packed: NDArray[np.uint8]) -> None:
        """Undo `sort` with the packed bits of its record, in place."""
        unsort_pairs(long_rows(region), np.unpackbits(packed, count=region.size // 2))

    def undo_between(self, hot: NDArray[np.generic], cold: NDArray[np.generic], record: SortRecord) -> None:
        """Undo `sort_between`, in place."""
        _check_pairs(hot.size, record)
        self.undo_between_packed(hot, cold, record.packed)

    def undo_between_packed(
        self, hot: NDArray[np.generic], cold: NDArray[np.generic], packed: NDArray[np.uint8]
    ) -> None:
        """Undo `sort_between` with the packed bits of its record, in place."""
        _check_runs(hot, cold)
        unsort_runs(hot, cold, np.unpackbits(packed, count=hot.size))


def _check_regions(hot: NDArray[np.generic], cold: NDArray[np.generic], pairs: int) -> None:
    if not 0 < pairs <= min(hot.size, cold.size) or hot.dtype != cold.dtype:
        raise RecordMismatchError(
            f"{pairs} pairs of regions of {hot.size} and {cold.size} sites, {hot.dtype} and {cold.dtype}.",
            "pass regions of one dtype, and no more pairs than sites",
        )


def _check_runs(hot: NDArray[np.generic], cold: NDArray[np.generic]) -> None:
    if hot.ndim != 1 or hot.shape != cold.shape or hot.dtype != cold.dtype:
        raise RecordMismatchError(
            f"the sides to be sorted are {hot.dtype}{list(hot.shape)} and {cold.dtype}{list(cold.shape)}.",
            "pass two runs of one length and dtype",
        )


def _check_pairs(pairs: int, record: SortRecord) -> None:
    if record.pairs != pairs:
        raise RecordMismatchError(
            f"a record of {record.pairs} pairs cannot undo the sort of {pairs}.",
            "pass the record that the sort of these sites returned",
        )
