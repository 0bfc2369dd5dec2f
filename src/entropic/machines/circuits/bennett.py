"""Bennett's construction: any straight-line circuit computed without erasing a bit.

Compute on fresh wires, copy the result, uncompute (Bennett 1973, IBM J. Res. Dev. 17, 525). What an irreversible gate would
overwrite stays where it is; the new value goes to an ancilla.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from entropic.machines.circuits.circuit import Circuit
from entropic.machines.circuits.gates import CNOT, ERASE, NOT, TOFFOLI, Gate, RepeatedWireError, WireRangeError

__all__ = ["Bennett", "make_reversible"]


@final
@dataclass(frozen=True)
class Bennett:
    """The three ways of running one function.

    Parameters
    ----------
    compute : Circuit
        Reversible: inputs and blank wires to inputs, result and garbage.
    circuit : Circuit
        Compute, copy, uncompute: inputs and blank wires to inputs, result and blank wires.
    inputs : tuple of int
        Input wires, as in the original circuit; ``circuit`` leaves them as they were.
    computed : tuple of int
        Wires of the result after ``compute``.
    results : tuple of int
        Wires of the result after ``circuit``: the last ones.
    garbage : tuple of int
        Wires that ``compute`` leaves in some state and ``circuit`` blank again.
    """

    compute: Circuit
    circuit: Circuit
    inputs: tuple[int, ...]
    computed: tuple[int, ...]
    results: tuple[int, ...]
    garbage: tuple[int, ...]

    @property
    def erasing_garbage(self) -> Circuit:
        """``compute``, then every wire of garbage erased: what not uncomputing costs."""
        return self.compute.then(Circuit(self.compute.wires, tuple(map(ERASE, self.garbage))))


def make_reversible(circuit: Circuit, inputs: Sequence[int], outputs: Sequence[int]) -> Bennett:
    """Make a circuit reversible.

    Parameters
    ----------
    circuit : Circuit
        Any gates. Its wires other than ``inputs`` start blank.
    inputs, outputs : sequence of int
        Its input wires, and the wires that hold the result at its end.

    Raises
    ------
    WireRangeError, RepeatedWireError
        A wire named is not there, or is named twice.
    """
    for name, wires in (("inputs", inputs), ("outputs", outputs)):
        if any(not 0 <= wire < circuit.wires for wire in wires):
            raise WireRangeError(
                f"{name} {list(wires)}, expected wires 0 to {circuit.wires - 1}.", "name wires there are"
            )
        if len(set(wires)) != len(wires):
            raise RepeatedWireError(f"{name} {list(wires)} repeat a wire.", "name each once")
    lowering = _Lowering(circuit.wires, set(inputs))
    for gate in circuit.gates:
        lowering.add(gate)
    compute = Circuit(lowering.wires, tuple(lowering.gates))
    computed = tuple(lowering.place[wire] for wire in outputs)
    results = tuple(range(compute.wires, compute.wires + len(outputs)))
    copy = Circuit(compute.wires + len(results), tuple(map(CNOT, computed, results)))
    garbage = tuple(wire for wire in range(compute.wires) if wire not in {*inputs, *computed})
    whole = compute.then(copy).then(compute.inverse())
    return Bennett(compute, whole, tuple(inputs), computed, results, garbage)


@final
class _Lowering:
    """Follows where each wire's present value is kept; an overwritten value stays, its successor goes to a blank wire."""

    def __init__(self, wires: int, inputs: set[int]) -> None:
        self.wires = wires
        self.gates: list[Gate] = []
        self.place = list(range(wires))
        self.blank = set(range(wires)) - inputs

    def add(self, gate: Gate) -> None:
        if not gate.overwrites:
            moved = tuple(self.place[wire] for wire in gate.wires)
            self.gates.append(Gate(gate.name, moved))
            self.blank -= set(moved)
            return
        sources = tuple(self.place[wire] for wire in gate.sources)
        target = self._fresh(gate.target)
        if gate.name != "ERASE":
            first, second = sources
            self.gates += _written(gate.name, first, second, target)
            self.blank.discard(target)

    def _fresh(self, wire: int) -> int:
        """A blank place for a wire's next value."""
        if self.place[wire] not in self.blank:
            self.place[wire] = self.wires
            self.blank.add(self.wires)
            self.wires += 1
        return self.place[wire]


def _written(name: str, first: int, second: int, blank: int) -> tuple[Gate, ...]:
    """A two-source gate's value written to a blank wire by bijections."""
    if name == "AND":
        return (TOFFOLI(first, second, blank),)
    if name == "NAND":
        return (TOFFOLI(first, second, blank), NOT(blank))
    either = (CNOT(first, blank), CNOT(second, blank))
    return either if name == "XOR" else (*either, TOFFOLI(first, second, blank))  # a or b = a ^ b ^ (a and b)
