"""Circuits run, undone and checked to be bijections, against a plain twin."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic.errors import UsageError
from entropic.machines.circuits import (
    AND,
    CNOT,
    ERASE,
    FREDKIN,
    NAND,
    NOT,
    TOFFOLI,
    Circuit,
    DiagramSizeError,
    Gate,
    GateShapeError,
    LaneError,
    NotBijectiveError,
    RepeatedWireError,
    WireRangeError,
    bill_of_uniform,
    bill_of_words,
    check_bijection,
    cuccaro_adder,
    from_integers,
    from_tape,
    make_reversible,
    naive_adder,
    to_integers,
    to_tape,
    truth_table,
)
from entropic.machines.harvester import EntropyHarvester
from reference_circuits import (
    OVERWRITING,
    circuits,
    ensembles,
    gates,
    twin_gate,
    twin_run,
)

drawn = settings(deadline=None, max_examples=150)

# --- running ----------------------------------------------------------------------------------------------------


@drawn
@given(circuits())
def test_every_input_against_the_twin(circuit: Circuit) -> None:
    assert truth_table(circuit).tolist() == [twin_run(circuit, word) for word in range(2**circuit.wires)]


@drawn
@given(ensembles(), st.sampled_from([np.bool_, np.uint8, np.uint16, np.uint32, np.uint64]))
def test_every_dtype(drawn_: tuple[Circuit, list[int]], dtype: type[Any]) -> None:
    circuit, words = drawn_
    packed = from_integers(words, circuit.wires)
    if dtype is np.bool_:
        bits: Any = np.unpackbits(packed, axis=1, count=len(words)).astype(np.bool_)
    else:
        bits = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8))).view(dtype)
    before = bits.copy()
    assert to_integers(circuit.run(bits), len(words)).tolist() == [twin_run(circuit, word) for word in words]
    assert np.array_equal(bits, before)
    assert bill_of_words(circuit, bits, len(words)) == bill_of_words(circuit, packed, len(words))


def test_many_columns_are_taken_in_pieces() -> None:
    random = np.random.default_rng(5)
    bits = random.integers(0, 256, (4, 100_001), np.uint8)
    circuit = Circuit(4, (FREDKIN(0, 1, 2), NAND(0, 1, 3), TOFFOLI(3, 2, 0), ERASE(1)))
    lanes = np.unpackbits(bits, axis=1).astype(np.bool_)
    assert np.array_equal(np.unpackbits(circuit.run(bits), axis=1), circuit.run(lanes))
    words = lanes.shape[1] - 3
    counts = np.bincount(lanes[:, :words].T @ np.array([1, 2, 4, 8]), minlength=16)
    expected = Counter({word: int(n) for word, n in enumerate(counts)})
    groups = Counter(
        tuple(
            sum(n for w, n in expected.items() if twin_gate(FREDKIN(0, 1, 2), w) & 0b1011 == a | b << 1 | t << 3)
            for t in (0, 1)
        )
        for a, b in itertools.product((0, 1), (0, 1))
    )
    assert Counter(bill_of_words(circuit, bits, words).erasures[0].merges) == groups


@drawn
@given(circuits(most=40, reversible=True), st.binary(min_size=1, max_size=40))
def test_undo(circuit: Circuit, tape: bytes) -> None:
    bits = np.frombuffer(tape * circuit.wires, np.uint8).reshape(circuit.wires, -1)
    after = circuit.run(bits)
    assert np.array_equal(circuit.undo(after), bits)
    assert np.array_equal(circuit.then(circuit.inverse()).run(bits), bits)
    assert np.array_equal(circuit.inverse().then(circuit).run(bits), bits)
    assert circuit.inverse().inverse() == circuit


@drawn
@given(circuits(), circuits())
def test_composition(first: Circuit, second: Circuit) -> None:
    both = first.then(second)
    assert both.wires == max(first.wires, second.wires)
    assert truth_table(both).tolist() == [twin_run(second, twin_run(first, w)) for w in range(2**both.wires)]


# --- bijections -------------------------------------------------------------------------------------------------


@drawn
@given(circuits(most=10, reversible=True))
def test_bijections_pass(circuit: Circuit) -> None:
    circuit.check_bijection()
    assert circuit.reversible
    assert circuit.collision() is None
    assert sorted(truth_table(circuit).tolist()) == list(range(2**circuit.wires))


def test_twenty_wires_are_run_through() -> None:
    cuccaro_adder(9).circuit.check_bijection()
    with pytest.raises(NotBijectiveError):
        naive_adder(5).circuit.check_bijection()


@drawn
@given(st.data(), st.sampled_from([(1, 8), (21, 40)]))
def test_every_overwriting_circuit_is_caught(data: st.DataObject, size: tuple[int, int]) -> None:
    """Exhaustively up to 20 wires and by structure beyond; the inputs named do collide."""
    before = data.draw(circuits(size[1], reversible=True, least=size[0]))
    after = data.draw(circuits(before.wires))
    gate = data.draw(gates(before.wires, OVERWRITING))
    circuit = Circuit(before.wires, (*before.gates, gate, *after.gates))
    assert not circuit.reversible
    for check in (circuit.check_bijection, circuit.inverse, lambda: circuit.undo(from_integers([0], circuit.wires))):
        with pytest.raises(NotBijectiveError) as caught:
            check()
        error = caught.value
        assert error.first != error.second
        assert twin_run(circuit, error.first) == twin_run(circuit, error.second) == error.output
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.first, copy.second, str(copy)) == (error.first, error.second, str(error))
    assert f"{error.first:#b}" in str(error)


@drawn
@given(st.integers(0, 6), st.randoms(use_true_random=False))
def test_tables(wires: int, random: Any) -> None:
    outputs = list(range(2**wires))
    random.shuffle(outputs)
    check_bijection(outputs)
    if wires:
        first, second = random.sample(range(2**wires), 2)
        outputs[first] = outputs[second]
        with pytest.raises(NotBijectiveError) as caught:
            check_bijection(outputs)
        assert {caught.value.first, caught.value.second} == {first, second}
        assert caught.value.output == outputs[second]


# --- lanes ------------------------------------------------------------------------------------------------------


def test_a_record_is_a_tape() -> None:
    """Lift, compute on the record, undo, give back: the region is as it was."""
    region = np.random.default_rng(2).geometric(0.2, (1, 2, 10, 24)).astype(np.uint8) - np.uint8(1)
    before = region.copy()
    harvester = EntropyHarvester(3)
    packed = harvester.record(region)
    bits = from_tape(packed, 12)
    circuit = Circuit(12, (NOT(0), TOFFOLI(0, 1, 2), FREDKIN(2, 5, 7), CNOT(11, 0)))
    after = circuit.run(bits)
    assert not np.array_equal(to_tape(after), packed)
    harvester.undo_packed(region, to_tape(circuit.undo(after)))
    assert np.array_equal(region, before)


@drawn
@given(st.integers(1, 64), st.data())
def test_integers_round(wires: int, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.integers(0, 2**wires - 1), max_size=20))
    values = np.array(words, np.uint64)
    packed = from_integers(values, wires)
    assert packed.shape == (wires, -(-len(words) // 8))
    assert to_integers(packed, len(words)).tolist() == words


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: Gate("XNOR", (0, 1, 2)), GateShapeError),  # type: ignore[arg-type]
        (lambda: Gate("CNOT", (0,)), GateShapeError),
        (lambda: CNOT(1, 1), RepeatedWireError),
        (lambda: AND(0, 1, 0), RepeatedWireError),
        (lambda: NOT(-1), WireRangeError),
        (lambda: Circuit(0), WireRangeError),
        (lambda: Circuit(2, (NOT(0), TOFFOLI(0, 1, 2))), WireRangeError),
        (lambda: Circuit(2).run(np.zeros((3, 1), np.uint8)), LaneError),
        (lambda: Circuit(2).run(np.zeros((2, 1), np.int8)), LaneError),
        (lambda: bill_of_words(Circuit(2), np.zeros((2, 1), np.uint8), 9), LaneError),
        (lambda: bill_of_words(Circuit(2), np.zeros((2, 1), np.bool_), 2), LaneError),
        (lambda: truth_table(Circuit(21)), LaneError),
        (lambda: check_bijection([0.0]), LaneError),
        (lambda: check_bijection([0, 2]), LaneError),
        (lambda: from_integers([4], 2), LaneError),
        (lambda: from_integers([-1], 2), LaneError),
        (lambda: from_integers([[1]], 2), LaneError),
        (lambda: from_tape(np.zeros(7, np.uint8), 2), LaneError),
        (lambda: to_integers(np.zeros((65, 1), np.uint8), 1), LaneError),
        (lambda: bill_of_uniform(Circuit(2), (0, 2)), WireRangeError),
        (lambda: bill_of_uniform(Circuit(2), (0, 0)), RepeatedWireError),
        (lambda: bill_of_uniform(Circuit(201), range(201)), DiagramSizeError),
        (lambda: make_reversible(Circuit(2), (0,), (2,)), WireRangeError),
        (lambda: make_reversible(Circuit(2), (0, 0), (1,)), RepeatedWireError),
        (lambda: naive_adder(0), WireRangeError),
        (lambda: cuccaro_adder(0), WireRangeError),
    ],
)
def test_refused(call: Callable[[], object], error: type[UsageError]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.exit_code == 2
    assert caught.value.remedy


def test_a_bad_order_of_inputs_is_refused_and_a_good_one_is_not() -> None:
    """Ripple carry with all of a before all of b has diagrams of 2^digits nodes."""
    adder = naive_adder(12)
    bill_of_uniform(adder.circuit, adder.inputs, most_nodes=5000)
    with pytest.raises(DiagramSizeError):
        bill_of_uniform(adder.circuit, (*adder.first, *adder.second), most_nodes=5000)
