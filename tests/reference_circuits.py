"""Circuits word by word in plain Python, exact contents of counts, and strategies that draw circuits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction

from hypothesis import strategies as st

from entropic.machines.circuits import (
    AND,
    CNOT,
    ERASE,
    FREDKIN,
    NAND,
    NOT,
    OR,
    TOFFOLI,
    XOR,
    Circuit,
    Gate,
)

BIJECTIONS: dict[int, list[Callable[..., Gate]]] = {1: [NOT], 2: [CNOT], 3: [TOFFOLI, FREDKIN]}
OVERWRITING: dict[int, list[Callable[..., Gate]]] = {1: [ERASE], 3: [AND, OR, XOR, NAND]}

# --- the twin ---------------------------------------------------------------------------------------------------


def twin_gate(gate: Gate, word: int) -> int:
    """One gate on one word, an integer whose bit i is wire i."""
    *sources, target = gate.wires
    bit = [word >> wire & 1 for wire in gate.wires]
    if gate.name == "FREDKIN":
        first, second = sources[1], target
        return word ^ (1 << first | 1 << second) if bit[0] and bit[1] != bit[2] else word
    new = {
        "NOT": lambda: 1 - bit[0],
        "CNOT": lambda: bit[1] ^ bit[0],
        "TOFFOLI": lambda: bit[2] ^ (bit[0] * bit[1]),
        "AND": lambda: bit[0] * bit[1],
        "OR": lambda: max(bit[0], bit[1]),
        "XOR": lambda: (bit[0] + bit[1]) % 2,
        "NAND": lambda: 1 - bit[0] * bit[1],
        "ERASE": lambda: 0,
    }[gate.name]()
    return word & ~(1 << target) | new << target


def twin_run(circuit: Circuit, word: int) -> int:
    for gate in circuit.gates:
        word = twin_gate(gate, word)
    return word


def content(counts: Iterable[int]) -> Fraction:
    """e^(M H) for counts of M words, upside down: the product of c^c."""
    return Fraction(math.prod(count**count for count in counts))


def ratio(powers: dict[int, int]) -> Fraction:
    return math.prod((Fraction(base) ** weight for base, weight in powers.items()), start=Fraction(1))


def gate_content(circuit: Circuit, words: list[int]) -> list[Fraction]:
    """Brute force: e^(M (H before − H after)) of each gate's own wires."""
    found = []
    for gate in circuit.gates:
        after = [twin_gate(gate, word) for word in words]
        seen = [Counter(tuple(word >> wire & 1 for wire in gate.wires) for word in words_) for words_ in (words, after)]
        found.append(content(seen[1].values()) / content(seen[0].values()))
        words = after
    return found


# --- what is drawn ----------------------------------------------------------------------------------------------


@st.composite
def gates(draw: st.DrawFn, wires: int, kinds: dict[int, list[Callable[..., Gate]]]) -> Gate:
    arity = draw(st.sampled_from([n for n in kinds if n <= wires]))
    chosen = draw(st.lists(st.integers(0, wires - 1), min_size=arity, max_size=arity, unique=True))
    return draw(st.sampled_from(kinds[arity]))(*chosen)


@st.composite
def circuits(draw: st.DrawFn, most: int = 6, reversible: bool = False, least: int = 1) -> Circuit:
    wires = draw(st.integers(least, most))
    kinds = BIJECTIONS if reversible else {n: BIJECTIONS[n] + OVERWRITING.get(n, []) for n in BIJECTIONS}
    return Circuit(wires, tuple(draw(st.lists(gates(wires, kinds), max_size=12))))


@st.composite
def ensembles(draw: st.DrawFn, most: int = 5) -> tuple[Circuit, list[int]]:
    circuit = draw(circuits(most))
    return circuit, draw(st.lists(st.integers(0, 2**circuit.wires - 1), min_size=1, max_size=40))
