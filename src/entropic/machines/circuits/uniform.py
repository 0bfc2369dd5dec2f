"""Bills for uniform independent inputs, exact to the last word, by counting instead of running.

Every wire is followed as a Boolean function of the inputs, in a reduced ordered decision diagram (Bryant 1986, IEEE Trans.
Comput. C-35, 677). The words with a given pattern are then counted without going through them: a 16-bit adder has
2^32 inputs, and its diagrams a few hundred nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from entropic.errors import UsageError
from entropic.machines.circuits.bill import Bill, bill_from_counts
from entropic.machines.circuits.circuit import Circuit
from entropic.machines.circuits.gates import Gate, RepeatedWireError, WireRangeError

__all__ = ["DiagramSizeError", "bill_of_uniform"]

_MOST_INPUTS = 200  # levels of recursion


@final
class DiagramSizeError(UsageError):
    """The functions that a circuit computes have no small decision diagram in the given order of inputs."""


def bill_of_uniform(circuit: Circuit, inputs: Sequence[int], most_nodes: int = 1_000_000) -> Bill:
    """Bill a circuit for uniform independent bits on the wires ``inputs``, all other wires starting blank.

    Parameters
    ----------
    inputs : sequence of int
        Input wires in the order that the diagrams branch in; interleave the digits of numbers, low ones first.
    most_nodes : int
        Where to give up; a million take about half a gigabyte.

    Returns
    -------
    Bill
        Over the 2^inputs words.

    Raises
    ------
    WireRangeError, RepeatedWireError
        An input is no wire, or comes twice.
    DiagramSizeError
        The diagrams grow beyond ``most_nodes``, or there are more than 200 inputs.
    """
    if any(not 0 <= wire < circuit.wires for wire in inputs):
        raise WireRangeError(f"inputs {list(inputs)}, expected wires 0 to {circuit.wires - 1}.", "name wires there are")
    if len(set(inputs)) != len(inputs):
        raise RepeatedWireError(f"inputs {list(inputs)} repeat a wire.", "name each once")
    if len(inputs) > _MOST_INPUTS:
        raise DiagramSizeError(f"{len(inputs)} inputs, expected at most {_MOST_INPUTS}.", "bill an ensemble of words")
    diagram = _Diagram(len(inputs), most_nodes)
    wires = [_FALSE] * circuit.wires
    for level, wire in enumerate(inputs):
        wires[wire] = diagram.node(level, _FALSE, _TRUE)
    billed, counts = [], []
    for number, gate in enumerate(circuit.gates):
        if gate.overwrites:
            billed.append(number)
            counts.append(_patterns(diagram, gate, wires))
        _follow(diagram, gate, wires)
    return bill_from_counts(billed, counts, 1 << len(inputs))


_FALSE, _TRUE = 0, 1


@final
class _Diagram:
    """Nodes (level, low, high), shared; 0 and 1 are the constants."""

    def __init__(self, levels: int, most_nodes: int) -> None:
        self.levels, self.most_nodes = levels, most_nodes
        self.nodes = [(levels, 0, 0), (levels, 1, 1)]
        self._known: dict[tuple[int, int, int], int] = {}
        self._chosen: dict[tuple[int, int, int], int] = {}
        self._counted: dict[int, int] = {_FALSE: 0, _TRUE: 1}

    def node(self, level: int, low: int, high: int) -> int:
        if low == high:
            return low
        key = (level, low, high)
        if key not in self._known:
            if len(self.nodes) >= self.most_nodes:
                raise DiagramSizeError(
                    f"more than {self.most_nodes:,} nodes for {self.levels} inputs.",
                    "order the inputs by digit, low ones first, or bill an ensemble of words (bill_of_words)",
                )
            self._known[key] = len(self.nodes)
            self.nodes.append(key)
        return self._known[key]

    def choose(self, test: int, then: int, other: int) -> int:
        """The function (test and then) or (not test and other)."""
        if test <= _TRUE:
            return then if test else other
        if then == other:
            return then
        key = (test, then, other)
        if key not in self._chosen:
            level = min(self.nodes[f][0] for f in key)
            low = self.choose(*(self._branch(f, level, 1) for f in key))
            high = self.choose(*(self._branch(f, level, 2) for f in key))
            self._chosen[key] = self.node(level, low, high)
        return self._chosen[key]

    def _branch(self, function: int, level: int, side: int) -> int:
        node = self.nodes[function]
        return node[side] if node[0] == level else function

    def negate(self, f: int) -> int:
        return self.choose(f, _FALSE, _TRUE)

    def both(self, f: int, g: int) -> int:
        return self.choose(f, g, _FALSE)

    def differ(self, f: int, g: int) -> int:
        return self.choose(f, self.negate(g), g)

    def count(self, f: int) -> int:
        """Words, of all 2^levels, for which ``f`` is true."""
        return self._below(f) << self.nodes[f][0]

    def _below(self, f: int) -> int:
        """Assignments of the levels from the node's own on."""
        if f not in self._counted:
            level, low, high = self.nodes[f]
            skipped = (self._below(g) << (self.nodes[g][0] - level - 1) for g in (low, high))
            self._counted[f] = sum(skipped)
        return self._counted[f]


def _patterns(diagram: _Diagram, gate: Gate, wires: list[int]) -> list[list[int]]:
    """Words by the sources' values and the target's."""
    selected = [_TRUE]
    for wire in gate.sources:
        literals = (diagram.negate(wires[wire]), wires[wire])
        selected = [diagram.both(part, literal) for part in selected for literal in literals]
    counts = []
    for part in selected:
        ones = diagram.count(diagram.both(part, wires[gate.target]))
        counts.append([diagram.count(part) - ones, ones])
    return counts


def _follow(diagram: _Diagram, gate: Gate, wires: list[int]) -> None:
    """The wires' functions after a gate, in place."""
    functions = [wires[wire] for wire in gate.wires]
    target = gate.target
    match gate.name, functions:
        case "NOT", [f]:
            wires[target] = diagram.negate(f)
        case "CNOT", [a, f]:
            wires[target] = diagram.differ(f, a)
        case "TOFFOLI", [a, b, f]:
            wires[target] = diagram.differ(f, diagram.both(a, b))
        case "FREDKIN", [a, f, g]:
            wires[gate.wires[1]] = diagram.choose(a, g, f)
            wires[target] = diagram.choose(a, f, g)
        case "AND", [a, b, _]:
            wires[target] = diagram.both(a, b)
        case "OR", [a, b, _]:
            wires[target] = diagram.choose(a, _TRUE, b)
        case "XOR", [a, b, _]:
            wires[target] = diagram.differ(a, b)
        case "NAND", [a, b, _]:
            wires[target] = diagram.negate(diagram.both(a, b))
        case _:
            wires[target] = _FALSE
