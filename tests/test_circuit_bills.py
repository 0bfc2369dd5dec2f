"""Bills against brute-force counts, Bennett's construction and adders: every comparison is of integers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import entropy
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
    Bill,
    Circuit,
    Gate,
    adder_bills,
    bill_of_uniform,
    bill_of_words,
    cuccaro_adder,
    from_integers,
    loss_of_words,
    make_reversible,
    naive_adder,
    table,
    to_integers,
)
from entropic.machines.circuits.adder import Adder
from reference_circuits import (
    circuits,
    content,
    ensembles,
    gate_content,
    ratio,
    twin_run,
)

drawn = settings(deadline=None, max_examples=150)

# --- bills ------------------------------------------------------------------------------------------------------


@drawn
@given(ensembles())
def test_bill_against_brute_force(drawn_: tuple[Circuit, list[int]]) -> None:
    circuit, words = drawn_
    bill = bill_of_words(circuit, from_integers(words, circuit.wires), len(words))
    found = dict.fromkeys(range(len(circuit.gates)), Fraction(1))
    found.update({erasure.step: ratio(erasure.powers) for erasure in bill.erasures})
    expected = gate_content(circuit, words)
    assert list(found.values()) == expected
    assert ratio(bill.powers) == math.prod(expected, start=Fraction(1))
    nats = math.log(math.prod(expected, start=Fraction(1))) / len(words)
    assert bill.nats == pytest.approx(nats, rel=1e-12, abs=1e-15)
    assert (bill.nats == 0.0) == (not bill.powers)


@drawn
@given(ensembles())
def test_loss_of_the_whole(drawn_: tuple[Circuit, list[int]]) -> None:
    """H(before) − H(after), and never more than the gates are billed: compared as integers."""
    circuit, words = drawn_
    bits = from_integers(words, circuit.wires)
    loss = loss_of_words(circuit, bits, len(words))
    after = Counter(twin_run(circuit, word) for word in words)
    exact = content(after.values()) / content(Counter(words).values())
    assert ratio(loss.powers) == exact
    assert exact <= ratio(bill_of_words(circuit, bits, len(words)).powers)
    lanes = np.unpackbits(bits, axis=1, count=len(words)).astype(np.bool_)
    assert loss_of_words(circuit, lanes) == loss
    kinds = Counter(words)
    merged = Counter(tuple(sorted(n for word, n in kinds.items() if twin_run(circuit, word) == end)) for end in after)
    assert Counter(tuple(sorted(group)) for group in loss.merges) == Counter(
        {group: n for group, n in merged.items() if len(group) > 1}
    )


@drawn
@given(circuits(most=6), st.data())
def test_uniform_bill_is_the_bill_of_all_words(circuit: Circuit, data: st.DataObject) -> None:
    inputs = data.draw(st.lists(st.integers(0, circuit.wires - 1), unique=True))
    words = [sum(1 << wire for wire, bit in zip(inputs, bits, strict=True) if bit)
             for bits in itertools.product((0, 1), repeat=len(inputs))]  # fmt: skip
    assert bill_of_uniform(circuit, inputs) == bill_of_words(circuit, from_integers(words, circuit.wires), len(words))


@pytest.mark.parametrize(
    "gate", [NOT(5), CNOT(5, 4), TOFFOLI(5, 4, 6), *(make(4, 5, 6) for make in (FREDKIN, AND, OR, XOR, NAND))]
)
def test_uniform_bill_follows_every_gate(gate: Gate) -> None:
    """Three wires of different odds, the gate, then all three erased, each alone and one given another."""
    odds = (AND(0, 1, 5), OR(2, 3, 6), AND(2, 5, 7), CNOT(7, 6))
    for ends in ((ERASE(4), ERASE(5), ERASE(6)), (AND(6, 4, 5), OR(0, 6, 4), AND(0, 1, 6))):
        circuit = Circuit(8, (*odds, gate, *ends))
        bits = from_integers(np.arange(32), 8)
        assert bill_of_uniform(circuit, range(5)) == bill_of_words(circuit, bits, 32)


@pytest.mark.parametrize(
    ("gate", "powers"),
    [
        (NOT(0), {}),
        (CNOT(0, 1), {}),
        (TOFFOLI(0, 1, 2), {}),
        (FREDKIN(0, 1, 2), {}),
        (ERASE(2), {8: 8, 4: -8}),
        (AND(0, 1, 2), {2: 8}),
        (OR(0, 1, 2), {2: 8}),
        (XOR(0, 1, 2), {2: 8}),
        (NAND(0, 1, 2), {2: 8}),
    ],
)
def test_one_gate_on_random_bits(gate: Gate, powers: dict[int, int]) -> None:
    """A fresh random target costs one bit whatever overwrites it."""
    bill = bill_of_uniform(Circuit(3, (gate,)), (0, 1, 2))
    assert bill.powers == powers
    assert bill.nats == (math.log(2) if powers else 0.0)
    assert bill.price(1000, 5000, 0) == 0
    blank = bill_of_uniform(Circuit(3, (gate,)), (0, 1))
    assert blank.powers == {}


def test_a_known_target_is_not_billed_and_a_copied_one_is() -> None:
    """The gate sees its own wires: erasing the second copy of a bit costs it ln 2, though the whole forgets nothing."""
    circuit = Circuit(3, (CNOT(0, 1), ERASE(1)))
    bill = bill_of_uniform(circuit, (0,))
    assert [erasure.step for erasure in bill.erasures] == [1]
    assert ratio(bill.powers) == 4
    assert loss_of_words(circuit, from_integers([0, 1], 3), 2).merges == ()
    known = Circuit(3, (AND(0, 1, 2), AND(0, 1, 2)))  # the old target is a function of the sources
    assert bill_of_uniform(known, (0, 1)).erasures == ()


def test_biased_bits_cost_less() -> None:
    bits = from_integers([1] * 1 + [0] * 7, 1)
    erasure = bill_of_words(Circuit(1, (ERASE(0),)), bits, 8).erasures[0]
    assert erasure.merges == ((7, 1),)
    p = 1 / 8
    assert erasure.nats == pytest.approx(-p * math.log(p) - (1 - p) * math.log1p(-p), rel=1e-15)


@drawn
@given(ensembles(most=4), st.integers(2, 6), st.integers(0, 20), st.integers(0, 12))
def test_price_in_integers(drawn_: tuple[Circuit, list[int]], sites: int, quanta: int, words: int) -> None:
    circuit, ensemble = drawn_
    bill = bill_of_words(circuit, from_integers(ensemble, circuit.wires), len(ensemble))
    needed = ratio(bill.powers) ** words
    if needed > Fraction(200 ** (len(ensemble) * (sites - 1))):  # the slow search below would not end
        return

    def gained(energy: int) -> Fraction:
        states = [math.comb(quanta + e + sites - 1, sites - 1) for e in (energy, 0)]
        return Fraction(*states) ** len(ensemble)

    energy = 0
    while gained(energy) < needed:
        energy += 1
    assert bill.price(sites, quanta, words) == energy


def test_price_at_a_tie_and_without_a_way_to_pay() -> None:
    """Two sites: Q + 1 states, so one bit at Q = 9 costs exactly ten quanta, with 2^40 words behind it too."""
    circuit = Circuit(40, (ERASE(0),))
    bill = bill_of_uniform(circuit, range(40))
    assert bill.words == 1 << 40
    assert bill.price(2, 9) == 10
    assert bill.price(2, 9, 3) == 70
    assert bill.price(1, 9) is None
    assert bill.energy(1, 9, 1e-21).energy_j is None
    assert Bill((), 7).price(1, 9) == 0


@drawn
@given(
    st.dictionaries(st.integers(1, 60), st.integers(-12, 30), max_size=4),
    st.integers(1, 9),
    st.integers(2, 9),
    st.integers(0, 30),
)
def test_powers_of_any_sign(powers: dict[int, int], root: int, sites: int, quanta: int) -> None:
    needed, energy = ratio(powers), 0
    if needed > Fraction(10) ** (2 * root * (sites - 1)):
        return
    start = math.comb(quanta + sites - 1, quanta) ** root
    while math.comb(quanta + energy + sites - 1, quanta + energy) ** root < needed * start:
        energy += 1
    assert entropy.erasure_quanta_for_powers(sites, quanta, powers, root) == energy


@pytest.mark.parametrize(
    ("powers", "root", "price"),
    [
        ({2: 3}, 3, 10),
        ({8: 1}, 3, 10),
        ({2: 1 << 40}, 1 << 40, 10),
        ({6: 7, 3: -7}, 7, 10),
        ({2: (1 << 40) + 1}, 1 << 40, 11),
        ({2: (1 << 40) - 1}, 1 << 40, 10),
        ({15: 1, 3: -1, 5: -1}, 1, 0),
        ({49: 1 << 40, 7: -2 << 40}, 3, 0),
        ({2: -1}, 1, 0),
        ({}, 1, 0),
    ],
)
def test_powers_at_a_tie(powers: dict[int, int], root: int, price: int) -> None:
    """Two sites with nine quanta have ten states; ln 2 more takes twenty."""
    assert entropy.erasure_quanta_for_powers(2, 9, powers, root) == price


def test_powers_that_cannot_be() -> None:
    for powers, root in (({0: 1}, 1), ({2: 1}, 0)):
        with pytest.raises(entropy.EntropyDomainError):
            entropy.erasure_quanta_for_powers(3, 3, powers, root)
    with pytest.raises(entropy.EntropyDomainError, match=r"2\^50"):
        entropy.erasure_quanta_for_powers(2, 3, {2: 60})


# --- Bennett ----------------------------------------------------------------------------------------------------


@drawn
@given(circuits(most=6), st.data())
def test_bennett_on_any_circuit(circuit: Circuit, data: st.DataObject) -> None:
    some_wires = st.lists(st.integers(0, circuit.wires - 1), unique=True)
    inputs, outputs = data.draw(some_wires), data.draw(some_wires)
    made = make_reversible(circuit, inputs, outputs)
    made.circuit.inverse()
    made.compute.inverse()
    assert bill_of_uniform(made.circuit, inputs).erasures == ()
    for bits in itertools.product((0, 1), repeat=len(inputs)):
        word = sum(bit << wire for bit, wire in zip(bits, inputs, strict=True))
        naive = twin_run(circuit, word)
        result = [naive >> wire & 1 for wire in outputs]
        after = twin_run(made.circuit, word)
        assert [after >> wire & 1 for wire in made.results] == result
        assert after & ((1 << made.compute.wires) - 1) == word  # inputs as they were, all else blank
        computed = twin_run(made.compute, word)
        assert [computed >> wire & 1 for wire in made.computed] == result
        erased = twin_run(made.erasing_garbage, word)
        assert not any(erased >> wire & 1 for wire in made.garbage)
        assert [erased >> wire & 1 for wire in made.computed] == result


# --- adders -----------------------------------------------------------------------------------------------------


def adders(digits: int) -> list[Adder]:
    naive = naive_adder(digits)
    made = make_reversible(naive.circuit, naive.inputs, naive.total)
    return [
        naive,
        Adder(made.compute, naive.first, naive.second, made.computed),
        Adder(made.erasing_garbage, naive.first, naive.second, made.computed),
        Adder(made.circuit, naive.first, naive.second, made.results),
        cuccaro_adder(digits),
    ]


def check_sums(adder: Adder, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Run on pairs of numbers; every sum right.  Returns the bits after."""
    bits = np.zeros((adder.circuit.wires, -(-a.size // 8)), np.uint8)
    bits[list(adder.first)] = from_integers(a, len(adder.first))
    bits[list(adder.second)] = from_integers(b, len(adder.second))
    after = adder.circuit.run(bits)
    assert np.array_equal(to_integers(after, a.size, adder.total), (a + b).astype(np.uint64))
    assert np.array_equal(to_integers(after, a.size, adder.first), a.astype(np.uint64))
    if adder.circuit.reversible:
        assert np.array_equal(adder.circuit.undo(after), bits)
    return after


@pytest.mark.parametrize("digits", [1, 2, 3, 4, 5])
def test_adders_on_every_pair(digits: int) -> None:
    pairs = np.arange(4**digits)
    for adder in adders(digits):
        check_sums(adder, pairs % 2**digits, pairs >> digits)


def test_adders_of_sixteen_digits() -> None:
    a, b = np.random.default_rng(16).integers(0, 2**16, (2, 100_000))
    for number, adder in enumerate(adders(16)):
        after = check_sums(adder, a, b)
        kept = {*adder.first, *adder.second, *adder.total}
        clean = not after[[wire for wire in range(adder.circuit.wires) if wire not in kept]].any()
        assert clean == (number != 1)  # only the bare computation leaves garbage
        if number != 4:
            assert np.array_equal(to_integers(after, a.size, adder.second), b.astype(np.uint64))


@pytest.mark.parametrize("digits", [1, 3, 5])
def test_adder_bills_against_all_words(digits: int) -> None:
    pairs = np.arange(4**digits)
    for adder in adders(digits):
        bits = np.zeros((adder.circuit.wires, -(-pairs.size // 8)), np.uint8)
        for place, wire in enumerate(adder.inputs):
            bits[wire] = from_integers(pairs >> place & 1, 1)
        counted = bill_of_words(adder.circuit, bits, pairs.size)
        bill = bill_of_uniform(adder.circuit, adder.inputs)
        assert [erasure.step for erasure in bill.erasures] == [erasure.step for erasure in counted.erasures]
        for one, other in zip(bill.erasures, counted.erasures, strict=True):
            assert Counter(one.merges) == Counter(other.merges)
        assert loss_of_words(adder.circuit, bits, pairs.size).merges == ()  # inputs, or what determines them, are kept


def test_the_worked_example() -> None:
    overwriting, erased, kept, bennett, in_place = rows = adder_bills(16)
    assert overwriting.bill.words == erased.bill.words == 1 << 32
    for row in (kept, bennett, in_place):
        assert row.circuit.reversible
        assert row.bill.erasures == ()
        assert (row.energy.nats, row.energy.quanta, row.energy.energy_j) == (0.0, 0, 0.0)
    assert 0 < overwriting.energy.nats < erased.energy.nats
    # The first digit of each: writing a fresh sum costs nothing; from then on the old a ^ b, a fair bit, costs ln 2.
    odd = [erasure for erasure in overwriting.bill.erasures if overwriting.circuit.gates[erasure.step].name == "XOR"]
    assert len(odd) == 15
    assert {erasure.merges for erasure in odd} == {((1 << 29, 1 << 29),) * 4}
    for row in (overwriting, erased):
        nats = row.energy.nats
        assert row.energy.quanta == entropy.erasure_quanta_for_nats(1000, 5000, nats)
        assert row.energy.energy_infinite_bath_j < row.energy.energy_j < 1.03 * row.energy.energy_infinite_bath_j
    text = table(rows)
    assert len(text.splitlines()) == 6
    assert "Bennett" in text
