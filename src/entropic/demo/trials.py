"""Two of the original's machines tried on what the first act left: a sort of its field, an addition of its tape's bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import entropy
from entropic.claims import CircuitTrial, SortTrial
from entropic.engine.checkpoint import newest_sound
from entropic.initial import lattice_of
from entropic.lattice import Block, BlockGrid, regular_cuts
from entropic.machines.circuits import bill_of_words, cuccaro_adder, naive_adder, to_integers
from entropic.machines.demon import MaxwellDemon
from entropic.machines.landauer import LandauerEngine
from entropic.machines.pump import EntropyPump
from entropic.reading import reading
from entropic.store import RunStore
from entropic.tape import read_tape

__all__ = ["add_on_tape", "sort_and_pump"]

SORTED_SITES = 1 << 22
"""Sites of the field that are sorted at most."""
WORDS = 4096
"""Pairs of numbers that are added."""
DIGITS = 16
GEAR = (2, 1)


def _layer(store: RunStore) -> Block:
    """The regions of the first layer along axis 0: enough to try a machine on, and no more than fits in memory."""
    lattice = lattice_of(store.config().field)
    return BlockGrid(lattice, regular_cuts(lattice, (1, *lattice.boxes[1:]))).blocks[0]


def _regions(store: RunStore, block: Block) -> Iterator[NDArray[Any]]:
    """Copies of the block's regions in the newest field, as many as `SORTED_SITES` allow, one at least."""
    lattice, generation = block.lattice, newest_sound(store.checkpoints)
    with reading(generation.path):
        array = zarr.open_group(generation.field, mode="r")["quanta"]
        sites = np.asarray(array[block.sites.slices[4 - lattice.axes :]]).reshape(block.sites.shape)  # type: ignore[index]
    for number, region in enumerate(block.region_views(np.ascontiguousarray(sites))):
        if number and (number + 1) * lattice.region_sites > SORTED_SITES:
            return
        yield region.copy()


def sort_and_pump(store: RunStore) -> SortTrial | None:
    """Sort regions of the newest field, turn gears across their two halves, bill the records; the store is left alone.

    None where a region has no pair, or nothing can pay for a record.
    """
    config = store.config()
    block = _layer(store)
    demon, pump = MaxwellDemon(config.demon.record), EntropyPump(*GEAR, block.lattice.q_max)
    sums = np.zeros(6, np.int64)  # regions, pairs, before, gradient, work, price
    for region in _regions(store, block):
        half = region.size // 2
        flat = region.reshape(-1)
        hot, cold = flat[:half], flat[half : 2 * half]
        before = int(hot.sum(dtype=np.int64)) - int(cold.sum(dtype=np.int64))
        if not half:
            return None
        record = demon.sort(region)
        work = pump.swap(hot, cold).work
        quanta = int(flat.sum(dtype=np.int64))
        price = entropy.erasure_quanta(region.size, quanta, record.ones, config.demon.record, record.pairs)
        if price is None:
            return None
        sums += np.array([1, record.pairs, before, record.gradient, work, price])
    return SortTrial(*sums.tolist())


def _numbers(store: RunStore, block: Block) -> NDArray[np.uint8] | None:
    """The first bits of the tape as two numbers a word: uint8[2 × digits, words / 8]."""
    size = 2 * DIGITS * WORDS // 8
    a_cycle = block.region_count * -(-block.lattice.region_sites // 8)
    cycles = sorted(store.tape_cycles())[: -(-size // a_cycle)]
    if not cycles:
        return None
    tape = read_tape(str(store.path), block.region_ids, cycles)
    written = np.concatenate([tape[cycle].reshape(-1) for cycle in cycles])[:size]
    return np.pad(written, (0, size - written.size)).reshape(2 * DIGITS, -1)


def add_on_tape(store: RunStore) -> CircuitTrial | None:
    """Add pairs of numbers that stand on the tape, from the first cycle on; blank tape follows where it is short.

    None where there is no tape, or nothing can pay for an erasure.
    """
    block = _layer(store)
    lattice, config = block.lattice, store.config()
    rows = _numbers(store, block)
    if rows is None:
        return None
    naive, in_place = naive_adder(DIGITS), cuccaro_adder(DIGITS)
    engine = LandauerEngine(config.demon.record, lattice.region_sites, config.field.seed, lattice.q_max)
    quanta = int(store.opening()["quanta"][0])

    def on(adder: Any) -> NDArray[np.uint8]:
        words = np.zeros((adder.circuit.wires, rows.shape[1]), np.uint8)
        words[list(adder.first)], words[list(adder.second)] = rows[:DIGITS], rows[DIGITS:]
        return words

    given = on(in_place)
    computed, cost = engine.reversible_computation(in_place.circuit, given)
    overwritten = naive.circuit.run(on(naive))
    bill = bill_of_words(naive.circuit, on(naive))
    energy = engine.circuit_energy(quanta, bill, config.field.quantum_joule, WORDS)
    if energy.quanta is None:
        return None
    sums = (to_integers(computed, WORDS, in_place.total), to_integers(overwritten, WORDS, naive.total))
    undone = np.array_equal(in_place.circuit.undo(computed), given)
    return CircuitTrial(WORDS, energy.nats, energy.quanta, cost, bool(np.array_equal(*sums)), undone)
