"""Harvest by information: measure every site against a threshold and lift the quanta of those that pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.kernels import drop_ones_where, lift, measure

__all__ = ["EntropyHarvester"]


@final
@dataclass(frozen=True)
class EntropyHarvester:
    """bit = [q ≥ θ]; q −= θ·bit; battery += θ·bit; bit → tape.

    Parameters
    ----------
    threshold : int
        θ ≥ 1, quanta.
    """

    threshold: int

    def ones(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bits that a measurement would set, from histograms [regions, q]."""
        found: NDArray[np.int64] = counts[:, self.threshold :].sum(axis=1)
        return found

    def shifted(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """The histograms after the lift."""
        after = counts.copy()
        after[:, self.threshold :] = 0
        width = max(counts.shape[1] - self.threshold, 0)
        np.add(after[:, :width], counts[:, self.threshold :], out=after[:, :width])
        return after

    def take(self, block: NDArray[np.generic], shape: NDArray[np.int64], chosen: NDArray[np.bool_]) -> None:
        """Lift in the chosen regions of a block, in place; the bits are not kept."""
        drop_ones_where(block, shape, block.dtype.type(self.threshold), chosen)

    def record(self, region: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Lift in place; returns the bits, packed, in the region's C order: uint8[⌈N / 8⌉]."""
        bits = np.empty(region.size, np.uint8)
        measure(region, self.threshold, bits)
        lift(region, self.threshold, bits, False)
        return np.packbits(bits)

    def undo(self, region: NDArray[np.generic], packed: NDArray[np.uint8]) -> None:
        """Give the quanta of a record back, in place."""
        lift(region, self.threshold, np.unpackbits(packed, count=region.size), True)
