"""Harvest by information: measure the sites of a region, take quanta, write bits.

`Harvester` is what a protocol has to offer; `EntropyHarvester`, the lift against a threshold, is the built-in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from entropic.kernels import drop_ones_where, lift, measure

__all__ = ["EntropyHarvester", "Harvester"]


class Harvester(Protocol):
    """A protocol: takes quanta from a region, and writes bits from which they can be given back.

    It is a function of the region alone: the same sites give the same quanta and bits, wherever and whenever.  Work is
    what the region loses; it goes to the region's battery, and the bits to the tape.
    """

    def bits(self, sites: int) -> int:
        """Bits that one harvest of a region of ``sites`` sites writes, at least 1."""

    def harvest(self, region: NDArray[Any]) -> NDArray[Any]:
        """Take quanta from a region (uint8 or uint16 [a, b, c, d]), in place; returns the bits, uint8[n], each 0 or 1."""

    def undo(self, region: NDArray[Any], bits: NDArray[np.uint8]) -> None:
        """Give them back, in place, knowing the region as harvest left it and the bits, and nothing else."""


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

    def bits(self, sites: int) -> int:
        """One bit a site."""
        return sites

    def harvest(self, region: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Lift in place; returns the bits in the region's C order: uint8[N]."""
        bits = np.empty(region.size, np.uint8)
        measure(region, self.threshold, bits)
        lift(region, self.threshold, bits, False)
        return bits

    def undo(self, region: NDArray[np.generic], bits: NDArray[np.uint8]) -> None:
        """Give the quanta back where the bits are set, in place."""
        lift(region, self.threshold, bits, True)

    def record(self, region: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Lift in place; returns the bits as a tape keeps them, packed: uint8[⌈N / 8⌉]."""
        return np.packbits(self.harvest(region))

    def undo_packed(self, region: NDArray[np.generic], packed: NDArray[np.uint8]) -> None:
        """Give the quanta of a packed record back, in place."""
        self.undo(region, np.unpackbits(packed, count=region.size))
