"""What a block carries from task to task.

A state is never changed: a task copies what it changes and returns a new one, because a scheduler may run it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.engine.rules import Rules
from entropic.initial import draw_block
from entropic.kernels import field_digest, region_total
from entropic.lattice import Block
from entropic.ledger import Row

__all__ = ["BlockState", "OpenCycle", "TapePiece", "block_digest", "first_state", "region_totals"]

CARRIES = ("charge", "discharge", "rest")


@final
@dataclass(frozen=True)
class TapePiece:
    """The bits that one cycle wrote in one block: blosc-packed uint8[regions, bytes], lift first, then sort."""

    cycle: int
    packed: bytes


@final
@dataclass(frozen=True)
class OpenCycle:
    """A cycle whose books are not closed yet.

    Attributes
    ----------
    row : Row
    sort_bits : uint8[regions, ⌈P / 8⌉] or None
        Bits of the sort, where the tape is kept.
    now : int64[regions, levels] or None
        Histograms as they stand after the lift.
    """

    row: Row
    sort_bits: NDArray[np.uint8] | None = None
    now: NDArray[np.int64] | None = None


@final
@dataclass(frozen=True)
class BlockState:
    """Everything that a block carries from task to task.

    Attributes
    ----------
    array : uint8 or uint16 [a, b, c, d]
        Quanta a site.
    battery : int64[regions]
        Quanta.
    carries : int64[3, regions]
        What charging, discharging and self-discharge still owe, parts of a quantum.
    tape : float64[regions]
        Nats that the tape holds.
    unpaid : int64[regions, depth]
        Codes of the records that wait for erasure (`LandauerEngine`), oldest first; −1 beyond.
    stopped : int64[regions]
        Cycle in which the region's tape was full; 0: it is not.
    heat : int64[regions]
        Heat that came in through the walls since the last cycle's end.
    quanta : int64[regions]
        Energy of each region at the last cycle's end (when cycles are undone it is not kept up).
    baths : int64[4, regions]
        Energy that came from and went to the left and the right bath since then: left in, left out, right in, right out.
    rows : tuple of Row
        Books since the last flush.
    pieces : tuple of TapePiece
        Tape bits since the last flush (only where the tape is kept).
    open : OpenCycle or None
        The cycle that is under way, once relaxation is over.
    """

    array: NDArray[np.generic]
    quanta: NDArray[np.int64]
    battery: NDArray[np.int64]
    carries: NDArray[np.int64]
    tape: NDArray[np.float64]
    unpaid: NDArray[np.int64]
    stopped: NDArray[np.int64]
    heat: NDArray[np.int64]
    baths: NDArray[np.int64]
    rows: tuple[Row, ...] = ()
    pieces: tuple[TapePiece, ...] = ()
    open: OpenCycle | None = None

    def flushed(self) -> BlockState:
        """The state after its books and tape went to disk."""
        return replace(self, rows=(), pieces=())

    def energies(self) -> NDArray[np.int64]:
        """Energy of each region now, before the lift, from the books of the cycle under way: int64[regions]."""
        left_in, left_out, right_in, right_out = self.baths
        now: NDArray[np.int64] = self.quanta + self.heat + left_in - left_out + right_in - right_out
        if self.open is not None and "sort_heat" in self.open.row.entries:
            now += self.open.row["sort_heat"]
        return now

    def opened(self, block: Block, rules: Rules, cycle: int) -> OpenCycle:
        """The cycle under way, its row free to be changed."""
        if self.open is not None:
            return replace(self.open, row=self.open.row.copy())
        return OpenCycle(Row.blank(cycle, block.region_count, rules.accounts))


def first_state(config: Config, block: Block) -> BlockState:
    """The state before the first cycle."""
    n = block.region_count
    array = draw_block(config.field, block)
    return BlockState(
        array=array,
        quanta=region_totals(array, block),
        battery=np.full(n, Rules.of(config).charge, np.int64),
        carries=np.zeros((len(CARRIES), n), np.int64),
        tape=np.zeros(n),
        unpaid=np.empty((n, 0), np.int64),
        stopped=np.zeros(n, np.int64),
        heat=np.zeros(n, np.int64),
        baths=np.zeros((4, n), np.int64),
    )


def region_totals(array: NDArray[np.generic], block: Block) -> NDArray[np.int64]:
    """Energy of each of a block's regions: int64[regions]."""
    return np.array([region_total(view) for view in block.region_views(array)], np.int64)


def block_digest(array: NDArray[np.generic], block: Block) -> NDArray[np.uint64]:
    """The block's share of the field's digest: uint64[2]."""
    out = np.zeros(2, np.uint64)
    field_digest(array.reshape(-1, array.shape[3]), block.row_bases((0, 1, 2)), out)
    return out
