"""Plausibly broken kernels and machines, by the check of `entropic verify` that must notice each.

A mutation is a function that patches the program; its docstring says what went wrong.  Kernels are replaced where the engine
or the machine calls them, by slow twins with one fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import entropic.engine.block as engine_block
import entropic.engine.layers as engine_layers
import entropic.engine.trade as engine_trade
import entropic.initial as initial_states
import entropic.machines.demon as demon_machine
import entropic.machines.harvester as harvester_machine
import entropic.machines.landauer as landauer_machine
import entropic.machines.pump as pump_machine
import entropic.machines.storage as storage_machine
from entropic import entropy, special
from entropic.engine import stages
from entropic.lattice import Lattice
from entropic.machines.circuits import Circuit
from entropic.machines.exchange import EntropyExchange
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine
from entropic.machines.transfer import Transfers
from entropic.randomness import BEYOND
from entropic.verification import exchange as exchange_checks
from entropic.verification import gear as gear_checks
from test_physics import break_exchange, coin_for_each_quantum, eight_bits, one_place_short

Array = NDArray[Any]
Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]

# --- contact ----------------------------------------------------------------------------------------------------


def place_missed(patch: Patch) -> None:
    """⌊u t / 2³²⌋ for ⌊u (t + 1) / 2³²⌋: one place cannot be reached from each start."""
    break_exchange(patch, one_place_short)


def short_word(patch: Patch) -> None:
    """A word of 8 bits for one of 32."""
    break_exchange(patch, eight_bits)


def coins(patch: Patch) -> None:
    """Every quantum chooses its side by itself."""
    break_exchange(patch, coin_for_each_quantum)


def _given(patch: Patch, shift: Callable[[Array, Array, Array], Array], back: int = -1) -> None:
    """Another update by given words (high, low, places → shift)."""

    def pairs(lower: Array, upper: Array, high: Array, low: Array, q_max: int, inverse: bool) -> None:
        total = lower.astype(np.int64) + upper
        bottom = np.maximum(0, total - q_max)
        size = np.minimum(total, q_max) - bottom + 1
        step = shift(high.astype(np.int64), low.astype(np.int64), size) * (back if inverse else 1)
        new = (lower.astype(np.int64) - bottom + step) % size + bottom
        lower[...], upper[...] = new, total - new

    patch.setattr(exchange_checks, "exchange_pairs", pairs)


def given_place_missed(patch: Patch) -> None:
    """⌊u t / 2³²⌋ for ⌊u (t + 1) / 2³²⌋."""
    _given(patch, lambda high, low, size: ((high << 16 | low) * np.maximum(size - 1, 1)) >> 32)


def low_half_lost(patch: Patch) -> None:
    """The lower half of the word is forgotten."""
    _given(patch, lambda high, low, size: (high * size) >> 16)


def rounded_to_nearest(patch: Patch) -> None:
    """The shift is rounded to the nearest integer, not down."""
    _given(patch, lambda high, low, size: ((high << 16 | low) * size + (1 << 31)) >> 32)


def inverse_forwards(patch: Patch) -> None:
    """The inverse shifts forwards."""
    _given(patch, lambda high, low, size: ((high << 16 | low) * size) >> 32, back=1)


def cap_forgotten(patch: Patch) -> None:
    """The shell of a pair above the cap is taken to begin at 0."""

    def pairs(lower: Array, upper: Array, high: Array, low: Array, q_max: int, inverse: bool) -> None:
        total = lower.astype(np.int64) + upper
        size = np.minimum(total, q_max) + 1
        step = ((high.astype(np.int64) << 16 | low) * size) >> 32
        new = (lower.astype(np.int64) + (-step if inverse else step)) % size
        lower[...], upper[...] = new, total - new

    patch.setattr(exchange_checks, "exchange_pairs", pairs)


def hotter(factor: float) -> Mutation:
    """Thermal sites warmer than they should be."""

    def mutation(patch: Patch) -> None:
        table = initial_states.thermal_table
        patch.setattr(initial_states, "thermal_table", lambda mean, q_max: table(factor * mean, q_max))

    mutation.__name__ = f"hotter_by_{factor:g}"
    return mutation


def leaking_walls(patch: Patch) -> None:
    """Adiabatic walls conduct."""
    lower = Lattice.lower_sites

    def leaking(self: Lattice, layer: int) -> Array:
        return lower(Lattice(self.extents, self.boxes, self.periodic, False, self.q_max), layer)

    patch.setattr(Lattice, "lower_sites", leaking)


def one_parity(patch: Patch) -> None:
    """Every fourth layer of an axis has the parity of the one before it."""
    lower = Lattice.lower_sites

    def stuck(self: Lattice, layer: int) -> Array:
        return lower(self, layer - 1 if layer % (8 * self.axes) == 1 else layer)

    patch.setattr(Lattice, "lower_sites", stuck)


def open_ring(patch: Patch) -> None:
    """A periodic axis is open: its last pair is left out."""
    lower = Lattice.lower_sites
    patch.setattr(
        Lattice,
        "lower_sites",
        lambda self, layer: (x := lower(self, layer))[x + 1 < self.shape[self.layer_axis(layer)]],
    )


# --- baths -------------------------------------------------------------------------------------------------------


def warm_bath(patch: Patch) -> None:
    """The left bath (named by an index of one BEYOND) is warmer by three per cent."""
    draw = engine_layers.draw_bath

    def warmer(plane: Array, base: Array, mean: float, layer: int, seed: int) -> None:
        draw(plane, base, 1.03 * mean if base[0] < 2 * BEYOND else mean, layer, seed)

    patch.setattr(engine_layers, "draw_bath", warmer)


def baths_swapped(patch: Patch) -> None:
    """Left is right."""
    exchange = engine_block.exchange_block
    patch.setattr(engine_block, "exchange_block", lambda *arguments: exchange(*arguments[:-1], arguments[-1][::-1]))


def stale_bath(patch: Patch) -> None:
    """Bath sites come from the same words in every layer."""
    draw = engine_layers.draw_bath
    patch.setattr(engine_layers, "draw_bath", lambda plane, base, mean, layer, seed: draw(plane, base, mean, 1, seed))


def bath_quantum_lost(patch: Patch) -> None:
    """Of what comes in from the left, a quantum in a hundred layers and lines is not booked."""
    exchange = engine_block.exchange_block

    def forgetful(*arguments: Any) -> Array:
        flows = exchange(*arguments)
        flows[1, arguments[3] % 100 :: 100] -= flows[1, arguments[3] % 100 :: 100] > 0
        return flows

    patch.setattr(engine_block, "exchange_block", forgetful)


# --- lift --------------------------------------------------------------------------------------------------------


def greater(patch: Patch) -> None:
    """A one is q > θ."""
    patch.setattr(EntropyHarvester, "ones", lambda self, counts: counts[:, self.threshold + 1 :].sum(axis=1))
    measure = harvester_machine.measure
    patch.setattr(harvester_machine, "measure", lambda region, threshold, bits: measure(region, threshold + 1, bits))


def low_threshold(patch: Patch) -> None:
    """Sites with three quanta less than θ count as ones, and θ is credited."""
    patch.setattr(EntropyHarvester, "ones", lambda self, counts: counts[:, self.threshold - 3 :].sum(axis=1))


def booked_short(patch: Patch) -> None:
    """A quantum of a region's work is lost on the way to its battery."""
    lift = stages._lift

    def short(state: Any, block: Any, row: Any, *rest: Any) -> Array:
        written = lift(state, block, row, *rest)
        row["lift"][0] -= row["lift"][0] > 0
        return written

    patch.setattr(stages, "_lift", short)


def takes_all(patch: Patch) -> None:
    """All of q is taken on one bit."""

    def lift(region: Array, threshold: int, bits: Array, inverse: bool) -> None:
        region[bits.reshape(region.shape) != 0] = 0

    patch.setattr(harvester_machine, "lift", lift)


def takes_one_less(patch: Patch) -> None:
    """A one loses θ − 1 quanta."""
    lift = harvester_machine.lift
    patch.setattr(
        harvester_machine, "lift", lambda region, threshold, bits, inverse: lift(region, threshold - 1, bits, inverse)
    )


def unnumbered_record(patch: Patch) -> None:
    """A record's own number of ones is not counted: ln C(N, n₁) without ln(N + 1)."""
    one, many = LandauerEngine.nats_of, LandauerEngine.record_nats
    patch.setattr(LandauerEngine, "nats_of", lambda self, code: one(self, code) - np.log(self.record_of(code)[0] + 1))
    patch.setattr(LandauerEngine, "record_nats", lambda self, ones: many(self, ones) - np.log(self.bits + 1))


def bits_repeated(patch: Patch) -> None:
    """Every second bit of the tape repeats the one before it."""
    record = EntropyHarvester.record

    def repeated(self: EntropyHarvester, region: Array) -> Array:
        bits = np.unpackbits(record(self, region))
        bits[1::2] = bits[::2]
        return np.packbits(bits)

    patch.setattr(EntropyHarvester, "record", repeated)


def uneven_start(patch: Patch) -> None:
    """Microcanonical regions are drawn quantum by quantum: Maxwell and Boltzmann's law for Bose's."""

    def draw(region: Array, quanta: int, number: int, seed: int, q_max: int) -> bool:
        places = np.random.default_rng([int(number), 5]).integers(0, region.size, quanta)
        region[...] = np.bincount(places, minlength=region.size).reshape(region.shape)
        return True

    patch.setattr(initial_states, "_microcanonical", draw)


# --- sort --------------------------------------------------------------------------------------------------------


def _sorting(patch: Patch, bit_of: Callable[[Array, Array], Array], swap: bool = True) -> None:
    """Another bit (hot, cold → bit), and swaps where it is set, if at all."""

    def runs(hot: Array, cold: Array, bits: Array) -> tuple[int, int]:
        bits[...] = bit_of(hot, cold)
        upper, lower = hot.copy(), cold.copy()
        if swap:
            hot[...], cold[...] = np.where(bits, lower, upper), np.where(bits, upper, lower)
        return int(bits.sum()), int(hot.astype(np.int64).sum() - cold.astype(np.int64).sum())

    def pairs(region: Array, bits: Array) -> tuple[int, int]:
        flat = region.ravel().copy()
        found = runs(flat[: bits.size], flat[bits.size : 2 * bits.size], bits)
        region[...] = flat.reshape(region.shape)
        return found

    patch.setattr(demon_machine, "sort_runs", runs)
    patch.setattr(demon_machine, "sort_pairs", pairs)


def or_equal(patch: Patch) -> None:
    """bit = [q_i ≤ q_j]."""
    _sorting(patch, lambda hot, cold: hot <= cold)


def upside_down(patch: Patch) -> None:
    """The larger goes to the cold side."""
    _sorting(patch, lambda hot, cold: hot > cold)


def pair_skipped(patch: Patch) -> None:
    """Of 64 pairs one is not sorted."""
    _sorting(patch, lambda hot, cold: (hot < cold) & (np.arange(hot.size) % 64 != 5))


def gradient_misread(patch: Patch) -> None:
    """The reported gradient misses a quantum."""
    pairs = demon_machine.sort_pairs

    def misread(region: Array, bits: Array) -> tuple[int, int]:
        ones, gradient = pairs(region, bits)
        return ones, gradient - 1

    patch.setattr(demon_machine, "sort_pairs", misread)


def record_of_sites(patch: Patch) -> None:
    """The record of a sort is billed as one bit a site, not one a pair."""

    def wrong(self: LandauerEngine, code: int) -> tuple[int, int]:
        return (self.bits, code) if code <= self.bits else (self.sites, code - self.bits - 1)

    patch.setattr(LandauerEngine, "record_of", wrong)


def bits_lost(patch: Patch) -> None:
    """Pairs are sorted, but the bits stay blank."""

    def runs(hot: Array, cold: Array, bits: Array) -> tuple[int, int]:
        upper, lower = np.maximum(hot, cold), np.minimum(hot, cold)
        hot[...], cold[...], bits[...] = upper, lower, 0
        return 0, 0

    patch.setattr(demon_machine, "sort_runs", runs)


# --- gears -------------------------------------------------------------------------------------------------------


def _geared(
    patch: Patch,
    quotient: Callable[[Array, int], Array] = np.floor_divide,
    cap: int = 0,
    idle: int = 0,
    fed: bool = True,
) -> None:
    """A gear with other quotients, a cap that is off, a pair in ``idle`` that does not turn, a cold side that gets nothing."""

    def swap(hot: Array, cold: Array, m: int, n: int, q_max: int) -> int:
        q, p = hot.astype(np.int64), cold.astype(np.int64)
        a, b = quotient(q, m), quotient(p, n)
        new_q, new_p = q + m * (b - a), p + (n * (a - b) if fed else 0)
        moved = (np.maximum(new_q, new_p) <= q_max + cap) & (np.minimum(new_q, new_p) >= 0)
        if idle:
            moved &= np.arange(q.size) % idle != 0
        hot[...], cold[...] = np.where(moved, new_q, q), np.where(moved, new_p, p)
        return int((q + p).sum()) - int(hot.astype(np.int64).sum() + cold.astype(np.int64).sum())

    for module in (pump_machine, engine_trade):
        patch.setattr(module, "gear_swap", swap)
        patch.setattr(module, "gear_unswap", swap)


def rounded_up(patch: Patch) -> None:
    """Turns are counted as ⌊(q + 1)/m⌋."""
    _geared(patch, lambda q, m: np.where(q > 0, (q + 1) // m, 0))


def cap_off_by_one(patch: Patch) -> None:
    """Pairs turn that would end one above the cap, and wrap."""
    _geared(patch, cap=1)


def pair_idle(every: int) -> Mutation:
    """Of so many pairs one does not turn."""

    def mutation(patch: Patch) -> None:
        _geared(patch, idle=every)

    mutation.__name__ = f"pair_of_{every}_idle"
    return mutation


def no_heat_rejected(patch: Patch) -> None:
    """The cold side gets none of the heat."""
    _geared(patch, fed=False)


def not_undone(patch: Patch) -> None:
    """Undoing a swap does nothing."""
    for module in (pump_machine, engine_trade):
        patch.setattr(module, "gear_unswap", lambda hot, cold, m, n, q_max: 0)


def work_misread(patch: Patch) -> None:
    """The pump reports a quantum of work too many."""
    swap = pump_machine.gear_swap
    patch.setattr(pump_machine, "gear_swap", lambda *arguments: swap(*arguments) + (arguments[2] - arguments[3]))


def temperature_misread(patch: Patch) -> None:
    """Expected work takes x = Q/(Q + N + 1)."""
    work = gear_checks.expected_work_exact
    patch.setattr(gear_checks, "expected_work_exact", lambda m, n, hot, cold, sites: work(m, n, hot, cold, sites + 1))


def share_lost(patch: Patch) -> None:
    """The cold side's share of a trade is rounded down, too."""
    split = EntropyExchange.split

    def short(self: EntropyExchange, work: int, *rest: int) -> tuple[int, int]:
        hot, cold = split(self, work, *rest)
        return hot, cold - (cold > 0)

    patch.setattr(EntropyExchange, "split", short)


def wrong_gear(patch: Patch) -> None:
    """Gears turn m:n as (m + n):2n."""
    swap = pump_machine.gear_swap
    patch.setattr(pump_machine, "gear_swap", lambda hot, cold, m, n, q_max: swap(hot, cold, m + n, 2 * n, q_max))


# --- prices ------------------------------------------------------------------------------------------------------


def half_price(patch: Patch) -> None:
    """Erasure costs half."""
    price = LandauerEngine.price
    patch.setattr(LandauerEngine, "price", lambda self, quanta, ones: price(self, quanta, ones) // 2)


def price_short(patch: Patch) -> None:
    """E_min is a quantum too low."""
    fast = special.erasure_quanta_fast

    def short(sites: int, quanta: int, nats: float) -> tuple[int, bool]:
        energy, certain = fast(sites, quanta, nats)
        return (energy - 1 if energy > 0 and certain else energy), certain

    patch.setattr(special, "erasure_quanta_fast", short)


def price_dear(patch: Patch) -> None:
    """E_min is a quantum too high."""
    fast = special.erasure_quanta_fast

    def dear(sites: int, quanta: int, nats: float) -> tuple[int, bool]:
        energy, certain = fast(sites, quanta, nats)
        return energy + 1, certain

    patch.setattr(special, "erasure_quanta_fast", dear)


def infinite_bath(patch: Patch) -> None:
    """Erasure costs T k, as if the region did not warm."""
    patch.setattr(
        entropy,
        "erasure_quanta_for_nats",
        lambda sites, quanta, nats: int(np.ceil(entropy.temperature(sites, quanta) * nats)),
    )


def sites_not_merged(patch: Patch) -> None:
    """The ladder merges quanta, but not sites."""
    total = entropy._sum_nats

    def wrong(sites: Array, quanta: Array) -> float:
        return total(np.full_like(sites, sites.min()), quanta)

    patch.setattr(entropy, "_sum_nats", wrong)


def rung_dropped(patch: Patch) -> None:
    """The last box of an odd row is left out of the ladder."""
    reduceat = np.add.reduceat

    class Short:
        """np.add, but for the rest of an odd row."""

        def reduceat(self, array: Array, places: Array, axis: int) -> Array:
            keep = places[places + 1 < array.shape[axis]] if array.shape[axis] > 1 else places
            return reduceat(np.take(array, range(2 * keep.size), axis=axis), keep, axis=axis)

    class Numpy:
        """numpy with that add."""

        add = Short()

        def __getattr__(self, name: str) -> Any:
            return getattr(np, name)

    patch.setattr(entropy, "np", Numpy())


def exergy_dear(patch: Patch) -> None:
    """Exergy is a quantum too high."""
    right = entropy.exergy
    patch.setattr(entropy, "exergy", lambda *arguments: right(*arguments) + 1)


def exergy_without_tape(patch: Patch) -> None:
    """The tape's nats are no fuel."""
    right = entropy.exergy
    patch.setattr(entropy, "exergy", lambda sites, quanta, tape=0.0: right(sites, quanta))


# --- books -------------------------------------------------------------------------------------------------------


def seam_leaks(patch: Patch) -> None:
    """A quantum is lost where an axis closes on itself."""
    seam = engine_layers.exchange_seam

    def leaking(low: Array, high: Array, *rest: Any) -> None:
        seam(low, high, *rest)
        low[0, 0] -= low[0, 0] > 0

    patch.setattr(engine_layers, "exchange_seam", leaking)


def heat_misplaced(patch: Patch) -> None:
    """The rest of a deposit is forgotten."""
    add = landauer_machine.add_heat
    patch.setattr(
        landauer_machine,
        "add_heat",
        lambda region, each, rest, start, q_max, counts: add(region, each, 0, start, q_max, counts),
    )


def loss_unbooked(patch: Patch) -> None:
    """What the charger loses is not booked."""
    charge = storage_machine.EnergyStorage.charge

    def lossy(self: Any, content: Array, amount: Array, carry: Array) -> tuple[Array, ...]:
        held, lost, overflow, left = charge(self, content, amount, carry)
        return held, 0 * lost, overflow, left

    patch.setattr(storage_machine.EnergyStorage, "charge", lossy)


def line_loss_lost(patch: Patch) -> None:
    """Losses of lines do not become heat."""
    send = Transfers.send

    def cold(self: Transfers, *arguments: Any) -> None:
        before = self.heat.copy()
        send(self, *arguments)
        self.heat[:] = before

    patch.setattr(Transfers, "send", cold)


def gate_not_undone(patch: Patch) -> None:
    """Gates are undone in the order in which they were done."""
    patch.setattr(Circuit, "undo", lambda self, bits: self.run(bits))


def sort_not_undone(patch: Patch) -> None:
    """A sort is not undone."""
    patch.setattr(demon_machine, "unsort_pairs", lambda region, bits: None)


def lift_not_undone(patch: Patch) -> None:
    """Undoing a lift gives back a quantum less a site."""
    lift = harvester_machine.lift

    def short(region: Array, threshold: int, bits: Array, inverse: bool) -> None:
        lift(region, threshold - 1 if inverse else threshold, bits, inverse)

    patch.setattr(harvester_machine, "lift", short)


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "pair update: detailed balance": (given_place_missed, low_half_lost, rounded_to_nearest, inverse_forwards, cap_forgotten),
    "pair update: uniform on its shell": (place_missed, short_word, coins),
    "equilibrium: thermal stays thermal": (coins, hotter(1.02)),
    "equilibrium: closed boxes forget their start": (coins, leaking_walls),
    "exchange: decay of a mode": (one_parity, open_ring),
    "baths: equilibrium": (warm_bath, stale_bath, coins),
    "baths: linear profile": (warm_bath, baths_swapped),
    "baths: Fourier's law": (warm_bath, baths_swapped, bath_quantum_lost),
    "lift: ones and work": (greater, hotter(1.02), booked_short),
    "lift: information": (greater, unnumbered_record, bits_repeated),
    "lift: yield": (greater, booked_short, unnumbered_record),
    "lift: what it leaves": (takes_all, takes_one_less, greater, hotter(1.02)),
    "lift: closed region": (greater, coins),
    "lift: microcanonical start": (greater, uneven_start),
    "sort: bits": (or_equal, upside_down, pair_skipped),
    "sort: colder half": (upside_down, pair_skipped, hotter(1.02)),
    "sort: hotter half": (upside_down, pair_skipped, gradient_misread, hotter(1.02)),
    "sort: information": (or_equal, record_of_sites, unnumbered_record),
    "gear: every pair of bytes": (rounded_up, cap_off_by_one, not_undone, no_heat_rejected),
    "gear: Carnot": (temperature_misread, rounded_up),
    "gear: thermal sites": (rounded_up, pair_idle(50), work_misread, hotter(1.02)),
    "gear: sorted pairs": (rounded_up, pair_idle(50), pair_skipped, upside_down),
    "gear: market": (rounded_up, pair_idle(16), share_lost),
    "demon: apparent violation": (greater, hotter(1.1)),
    "demon: exponential bound": (low_threshold,),
    "demon: bound on the lift": (takes_all, greater),
    "demon: bound on sort and gear": (bits_lost, rounded_up),
    "demon: net of erasure": (half_price,),
    "heat: fluctuation theorem": (coins, hotter(1.05)),
    "heat: endoreversible optimum": (no_heat_rejected, wrong_gear),
    "entropy: ladder of coarse grainings": (sites_not_merged, rung_dropped),
    "erasure: Reeb–Wolf limit": (price_short, price_dear, infinite_bath),
    "exergy: finite sum": (exergy_dear, exergy_without_tape),
    "conservation: every machine": (
        seam_leaks, takes_one_less, sort_not_undone, rounded_up, work_misread, heat_misplaced, loss_unbooked,
        line_loss_lost, share_lost, gate_not_undone,
    ),
    "conservation: all together": (heat_misplaced, share_lost, booked_short),
    "reversal: bit for bit": (sort_not_undone, lift_not_undone, not_undone),
}  # fmt: skip
"""By name of the check that must fail."""
