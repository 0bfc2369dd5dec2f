"""One block through one segment: layers, then lift, erasure and books of its regions.  Knows no cluster.

A state is never changed: `advance` copies the sites once and returns a new state, because a scheduler may run a
task again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from entropic import special
from entropic.config import Config
from entropic.engine.layers import exchange_block
from entropic.engine.program import CycleEnd, LayerStep, Segment
from entropic.errors import EntropicError
from entropic.initial import draw_block, lattice_of, region_quanta
from entropic.kernels import block_histograms, field_digest
from entropic.lattice import Block
from entropic.ledger import Row
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine

__all__ = ["BlockState", "Rules", "TapePiece", "UndoError", "advance", "block_digest", "first_state"]


@final
class UndoError(EntropicError):
    """A move cannot be undone: the field is not one that the run can have left."""

    exit_code = 3


@final
@dataclass(frozen=True)
class Rules:
    """What a task must know of the configuration."""

    layers: int
    seed: int
    lift: bool
    erase: bool
    tape_share: float  # nats, of one region
    harvester: EntropyHarvester
    landauer: LandauerEngine

    @classmethod
    def of(cls, config: Config) -> Rules:
        field, demon = config.field, config.demon
        sites = lattice_of(field).region_sites
        return cls(
            layers=config.relax.layers,
            seed=field.seed,
            lift=demon.lift,
            erase=demon.erase,
            tape_share=demon.tape_nats / field.region_count,
            harvester=EntropyHarvester(demon.threshold),
            landauer=LandauerEngine(demon.record, sites, field.seed, field.q_max),
        )


@final
@dataclass(frozen=True)
class TapePiece:
    """The bits that one cycle wrote in one block: blosc-packed uint8[regions, ⌈N / 8⌉]."""

    cycle: int
    packed: bytes


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
    tape : float64[regions]
        Nats that the tape holds.
    unpaid : int64[regions, depth]
        Ones of the records that wait for erasure, oldest first; −1 beyond.
    stopped : int64[regions]
        Cycle in which the region's tape was full; 0: it is not.
    heat : int64[regions]
        Heat that came in through the walls since the last cycle's end.
    rows : tuple of Row
        Books since the last flush.
    pieces : tuple of TapePiece
        Tape bits since the last flush (only where the tape is kept).
    """

    array: NDArray[np.generic]
    battery: NDArray[np.int64]
    tape: NDArray[np.float64]
    unpaid: NDArray[np.int64]
    stopped: NDArray[np.int64]
    heat: NDArray[np.int64]
    rows: tuple[Row, ...] = ()
    pieces: tuple[TapePiece, ...] = ()

    def flushed(self) -> BlockState:
        """The state after its books and tape went to disk."""
        return replace(self, rows=(), pieces=())


def first_state(config: Config, block: Block) -> BlockState:
    """The state before the first cycle."""
    n = block.region_count
    charge = region_quanta(config.battery.initial, block.lattice.region_sites)
    return BlockState(
        array=draw_block(config.field, block),
        battery=np.full(n, charge, np.int64),
        tape=np.zeros(n),
        unpaid=np.empty((n, 0), np.int64),
        stopped=np.zeros(n, np.int64),
        heat=np.zeros(n, np.int64),
    )


def block_digest(array: NDArray[np.generic], block: Block) -> NDArray[np.uint64]:
    """The block's share of the field's digest: uint64[2]."""
    out = np.zeros(2, np.uint64)
    field_digest(array.reshape(-1, array.shape[3]), block.row_bases((0, 1, 2)), out)
    return out


def advance(
    state: BlockState,
    block: Block,
    segment: Segment,
    rules: Rules,
    before: NDArray[np.generic] | None = None,
    after: NDArray[np.generic] | None = None,
    tape: dict[int, NDArray[np.uint8]] | None = None,
    paid: dict[int, NDArray[np.int64]] | None = None,
) -> BlockState:
    """Run a segment on a block.

    Parameters
    ----------
    before, after : array or None
        The neighbours' faces for the segment's first layer.
    tape, paid : dict or None
        To undo cycles: by cycle, the bits written (uint8[regions, ⌈N / 8⌉]; blank if there are none) and the heat
        deposited by erasure (int64[regions]).
    """
    array = state.array.copy()
    state = replace(state, array=array, heat=state.heat.copy())
    for number, step in enumerate(segment.operations):
        if isinstance(step, LayerStep):
            faces = (before, after) if number == 0 else (None, None)
            heat = exchange_block(array, block, step.layer, rules.seed, step.inverse, *faces)
            state.heat[:] += heat
        elif step.inverse:
            _undo_cycle(array, block, step, rules, (tape or {}).get(step.cycle), (paid or {}).get(step.cycle))
        else:
            state = _end_cycle(state, block, step, rules)
    return state


def _end_cycle(state: BlockState, block: Block, step: CycleEnd, rules: Rules) -> BlockState:
    """Lift, erase and books of one cycle; changes ``state.array``, which `advance` owns."""
    n, lattice = block.region_count, block.lattice
    row = Row.blank(step.cycle, n, lattice.q_max + 1)
    block_histograms(state.array, np.array(lattice.region_shape), row.counts)
    levels = int(np.flatnonzero(row.counts.any(axis=0)).max(initial=0)) + 1
    counts = np.ascontiguousarray(row.counts[:, :levels])
    battery, tape, stopped = state.battery.copy(), state.tape.copy(), state.stopped.copy()
    unpaid, pieces, now = state.unpaid, state.pieces, counts
    if rules.lift:
        nats = _lift(state, block, row, counts, tape, stopped, rules)
        battery += row.lift
        tape += nats
        now = np.where(row.measured[:, None], rules.harvester.shifted(counts), counts)
        if not rules.erase:
            pieces = (*pieces, _write_bits(state, block, row, rules))
    special.ln_multinomial_rows(now, row.entropy_lifted)
    row.quanta[:] = now @ np.arange(levels, dtype=np.int64)
    row.entropy_hist[:] = row.entropy_lifted
    if rules.erase:
        entered = np.where(row.measured, row.ones, -1)
        unpaid = _erase(state, block, row, now, battery, tape, _queued(unpaid, entered), rules)
    row.heat[:] = state.heat
    row.battery[:], row.tape[:], row.stopped[:] = battery, tape, stopped
    state.heat[:] = 0
    return replace(
        state,
        battery=battery,
        tape=tape,
        unpaid=unpaid,
        stopped=stopped,
        rows=(*state.rows, row.trimmed()),
        pieces=pieces,
    )


def _lift(
    state: BlockState,
    block: Block,
    row: Row,
    counts: NDArray[np.int64],
    tape: NDArray[np.float64],
    stopped: NDArray[np.int64],
    rules: Rules,
) -> NDArray[np.float64]:
    """Measure and lift where the tape has room; fills the row, changes the sites and ``stopped``.

    Returns
    -------
    float64[regions]
        Nats written.
    """
    ones = rules.harvester.ones(counts)
    nats = np.array([rules.landauer.nats(int(k)) for k in ones])
    running = stopped == 0
    fits = tape + nats <= rules.tape_share
    stopped[running & ~fits] = row.cycle
    row.measured[:] = running & fits
    row.ones[:] = np.where(row.measured, ones, 0)
    row.lift[:] = row.ones * rules.harvester.threshold
    row.record_nats[:] = np.where(row.measured, nats, 0.0)
    if rules.erase:
        rules.harvester.take(state.array, np.array(block.lattice.region_shape), row.ones > 0)
    return row.record_nats


def _write_bits(state: BlockState, block: Block, row: Row, rules: Rules) -> TapePiece:
    """Lift, and keep the bits that were measured."""
    bits = np.zeros((block.region_count, -(-block.lattice.region_sites // 8)), np.uint8)
    for i, region in enumerate(block.region_views(state.array)):
        if row.ones[i]:
            bits[i] = rules.harvester.record(region)
    return TapePiece(row.cycle, blosc.compress(bits, b"zstd", 1, blosc.SHUFFLE))


def _queued(unpaid: NDArray[np.int64], entered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Records that wait, with this cycle's at each region's end (−1: none)."""
    if not (entered >= 0).any():
        return unpaid.copy()
    waiting = (unpaid >= 0).sum(axis=1)
    grown = np.full((unpaid.shape[0], int(waiting.max(initial=0)) + 1), -1, np.int64)
    width = min(grown.shape[1], unpaid.shape[1])
    grown[:, :width] = unpaid[:, :width]
    grown[np.arange(waiting.size), waiting] = entered
    return grown


def _erase(
    state: BlockState,
    block: Block,
    row: Row,
    now: NDArray[np.int64],
    battery: NDArray[np.int64],
    tape: NDArray[np.float64],
    queue: NDArray[np.int64],
    rules: Rules,
) -> NDArray[np.int64]:
    """Pay for records, oldest first, while the batteries can; changes sites, batteries and tape, fills the row.

    Returns
    -------
    int64[regions, depth]
        Records that still wait.
    """
    engine = rules.landauer
    views = list(block.region_views(state.array))
    for i in np.flatnonzero((queue >= 0).any(axis=1)) if queue.size else ():
        number, quanta, charge, paid = int(block.region_ids[i]), int(row.quanta[i]), int(battery[i]), 0
        after = None
        for ones in queue[i]:
            price = engine.price(quanta, int(ones)) if ones >= 0 else None
            if price is None or price > charge:
                break
            if after is None:
                after = np.zeros(block.lattice.q_max + 1, np.int64)
                after[: now.shape[1]] = now[i]
            engine.deposit(views[i], number, row.cycle, price, after)
            quanta, charge, paid = quanta + price, charge - price, paid + 1
            nats = engine.nats(int(ones))
            row.erasure[i] += price
            row.erased_nats[i] += nats
            tape[i] -= nats
        if after is None:
            continue
        row.quanta[i], battery[i] = quanta, charge
        row.entropy_hist[i] = special.ln_multinomial(after[: int(np.flatnonzero(after).max()) + 1])
        queue[i, : queue.shape[1] - paid] = queue[i, paid:].copy()
        queue[i, queue.shape[1] - paid :] = -1
        if queue[i, 0] < 0:
            tape[i] = 0.0
    depth = int((queue >= 0).sum(axis=1).max(initial=0)) if queue.size else 0
    return np.ascontiguousarray(queue[:, :depth])


def _undo_cycle(
    array: NDArray[np.generic],
    block: Block,
    step: CycleEnd,
    rules: Rules,
    bits: NDArray[np.uint8] | None,
    paid: NDArray[np.int64] | None,
) -> None:
    """Take the deposits of a cycle back, then give the lifted quanta back."""
    for i, (number, region) in enumerate(zip(block.region_ids, block.region_views(array), strict=True)):
        if paid is not None and not rules.landauer.withdraw(region, int(number), step.cycle, int(paid[i])):
            raise UndoError(
                f"region {number} cannot have received the heat that the books name in cycle {step.cycle}.",
                "the run's tape was erased or its store was changed: it cannot be played backwards",
            )
        if bits is not None:
            rules.harvester.undo(region, bits[i])
