"""What a circuit erases, counted word by word, and what that costs.

An overwriting gate sees its own wires and nothing else. It erases what the old target still had to tell when the gate's
sources are known: with T the target before and A, B the sources,

    nats of the gate = H(A, B, T) − H(A, B, f(A, B)) = H(T | A, B),

H being Shannon's entropy over an ensemble of equally likely words. In counts: if c of C words with one pattern of A and B
have T = t, they give c ln(C / c), the log of the number of words that a word is merged with. That is an integer statement;
a bill keeps the counts, and nothing is rounded until a float is asked for.

What the *whole* circuit forgets, H(all wires before) − H(all wires after), is no more, and is what `loss` counts. The two
differ by what other wires know of the old target, which a gate that acts blindly cannot use (Boyd, Mandal & Crutchfield
2018, Phys. Rev. X 8, 031036; Wolpert & Kolchinsky 2020, New J. Phys. 22, 063047). Bennett's construction uses all of it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.machines.circuits.circuit import Circuit
from entropic.machines.circuits.gates import Gate, apply_gate
from entropic.machines.circuits.lanes import LaneError, lane_count, lane_mask
from entropic.machines.erasure import ErasureEnergy

__all__ = ["Bill", "Erasure", "bill_of_words", "loss_of_words"]

_COLUMNS = 1 << 15  # bytes of every wire counted at a time


@final
@dataclass(frozen=True)
class Erasure:
    """What one step merges.

    Parameters
    ----------
    step : int
        Number of the gate; −1 for a whole circuit.
    merges : tuple of tuple of int
        A group for each outcome that two or more different patterns lead to: how many words came by each pattern.
    words : int
        Words of the ensemble, all equally likely, in groups or not.
    """

    step: int
    merges: tuple[tuple[int, ...], ...]
    words: int

    @property
    def powers(self) -> dict[int, int]:
        """Exact content: ``words`` × nats a word = Σ w ln b over the items b: w, that is Σ_groups (C ln C − Σ c ln c)."""
        weights: Counter[int] = Counter()
        for group in self.merges:
            weights[sum(group)] += sum(group)
            for count in group:
                weights[count] -= count
        return {base: weight for base, weight in weights.items() if weight and base > 1}

    @property
    def nats(self) -> float:
        """Nats a word: the mean log of the number of words that a word is merged with, relative to its own kind."""
        terms = []
        for group in self.merges:
            whole = sum(group)
            for count in group:
                rest = (whole - count) / count  # ln(1 + rest) keeps its digits where hardly anything is merged
                terms.append(count / self.words * special.log1p(rest))
        return math.fsum(terms)


@final
@dataclass(frozen=True)
class Bill:
    """What a circuit's gates erase, exactly.

    Parameters
    ----------
    erasures : tuple of Erasure
        Gates that erase something, in order.
    words : int
        Words of the ensemble.
    """

    erasures: tuple[Erasure, ...]
    words: int

    @property
    def powers(self) -> dict[int, int]:
        """``words`` × nats a word = Σ w ln b over the items b: w; empty if nothing is erased."""
        weights: Counter[int] = Counter()
        for erasure in self.erasures:
            weights.update(erasure.powers)
        return {base: weight for base, weight in weights.items() if weight}

    @property
    def nats(self) -> float:
        """Nats a word."""
        return math.fsum(erasure.nats for erasure in self.erasures)

    def price(self, sites: int, quanta: int, words: int = 1) -> int | None:
        """E_min in quanta of running ``words`` words, their heat going at once to a region of N sites holding Q.

        Decided from the counts, not from a float; None if no heat can pay (`entropic.entropy.erasure_quanta_for_powers`).
        """
        share = Fraction(words, self.words)
        powers = {base: weight * share.numerator for base, weight in self.powers.items()}
        common = math.gcd(share.denominator, *powers.values())
        reduced = {base: weight // common for base, weight in powers.items()}
        return entropy.erasure_quanta_for_powers(sites, quanta, reduced, share.denominator // common)

    def energy(self, sites: int, quanta: int, quantum_joule: float, words: int = 1) -> ErasureEnergy:
        """The bill of ``words`` words in every unit, at a region of ``sites`` sites holding ``quanta`` quanta."""
        price, warmth = self.price(sites, quanta, words), entropy.temperature(sites, quanta)
        return ErasureEnergy(words * self.nats, price, warmth, quantum_joule)


def bill_of_words(circuit: Circuit, bits: NDArray[Any], words: int | None = None) -> Bill:
    """Bill a circuit for the words that it is given, each as likely as any other.

    Parameters
    ----------
    bits : bool or unsigned integers [wires, …]
        As `Circuit.run` takes them.
    words : int or None
        How many lanes hold words; None: all.
    """
    circuit.check_bits(bits)
    count = lane_count(bits, words)
    rows = np.packbits(bits, axis=1) if bits.dtype == np.bool_ else np.ascontiguousarray(bits).view(np.uint8)
    mask = lane_mask(count, rows.shape[1])
    billed = [number for number, gate in enumerate(circuit.gates) if gate.overwrites]
    counts = np.zeros((len(billed), 4, 2), np.int64)
    for start in range(0, rows.shape[1], _COLUMNS):
        part = rows[:, start : start + _COLUMNS].copy()
        place = 0
        for gate in circuit.gates:
            if gate.overwrites:
                counts[place] += _patterns(gate, part, mask[start : start + _COLUMNS])
                place += 1
            apply_gate(gate, part)
    return bill_from_counts(billed, counts.tolist(), count)


def bill_from_counts(gates: list[int], counts: list[list[list[int]]], words: int) -> Bill:
    """A bill from counts [gate, pattern of its sources, old target] of ``words`` words."""
    erasures = []
    for gate, patterns in zip(gates, counts, strict=True):
        merges = tuple((zeros, ones) for zeros, ones in patterns if zeros and ones)
        if merges:
            erasures.append(Erasure(gate, merges, words))
    return Bill(tuple(erasures), words)


def _patterns(gate: Gate, bits: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Words by the sources' values and the target's, int64[4, 2]."""
    selected = [mask]
    for wire in gate.sources:
        selected = [part & row for part in selected for row in (~bits[wire], bits[wire])]
    counts = np.zeros((4, 2), np.int64)
    for pattern, part in enumerate(selected):
        ones = int(np.bitwise_count(part & bits[gate.target]).sum(dtype=np.int64))
        counts[pattern] = int(np.bitwise_count(part).sum(dtype=np.int64)) - ones, ones
    return counts


def loss_of_words(circuit: Circuit, bits: NDArray[Any], words: int | None = None) -> Erasure:
    """What the whole circuit forgets of the words that it is given: H(before) − H(after), as counts.

    0 for a reversible circuit, and for any other as long as no two of these words end alike; never above the gates' bill.
    """
    after = circuit.run(bits)
    count = lane_count(bits, words)
    origin, fate = _kinds(bits, count), _kinds(after, count)
    size = np.bincount(origin)
    image = np.zeros(size.size, np.int64)
    image[origin] = fate
    groups: dict[int, list[int]] = {}
    for kind, into in enumerate(image.tolist()):
        groups.setdefault(into, []).append(int(size[kind]))
    return Erasure(-1, tuple(tuple(group) for group in groups.values() if len(group) > 1), count)


def _kinds(bits: NDArray[Any], words: int) -> NDArray[np.int64]:
    """Number the different words: int64 [words], equal for equal words."""
    if bits.dtype == np.bool_:
        lanes = bits[:, :words]
    else:
        lanes = np.unpackbits(np.ascontiguousarray(bits).view(np.uint8), axis=1, count=words)
    if lanes.size > 1 << 31:
        raise LaneError(f"{lanes.size} bits to sort, expected at most 2^31.", "ask for the loss of fewer words")
    packed = np.ascontiguousarray(np.packbits(lanes, axis=0).T)
    kinds = np.unique(packed.view(np.dtype((np.void, packed.shape[1]))).ravel(), return_inverse=True)[1]
    return kinds.astype(np.int64)
