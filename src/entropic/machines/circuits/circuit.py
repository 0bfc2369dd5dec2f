"""Circuits of gates on tape bits: run, undone, composed, and checked to be bijections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from entropic.errors import UsageError
from entropic.machines.circuits.gates import Gate, WireRangeError, apply_gate
from entropic.machines.circuits.lanes import LaneError, from_integers, to_integers

__all__ = ["MOST_EXHAUSTIVE", "Circuit", "NotBijectiveError", "check_bijection", "truth_table"]

MOST_EXHAUSTIVE = 20
"""Wires up to which a circuit is checked on every input."""

_COLUMNS = 1 << 15  # bytes of every wire handled at a time, so that a few dozen wires stay in the second-level cache
_Bits = TypeVar("_Bits", bound=NDArray[Any])


@final
class NotBijectiveError(UsageError):
    """A map called reversible that takes two inputs to one output.

    Attributes
    ----------
    first, second : int
        The inputs that collide; bit i is wire i.
    output : int
        What both become.
    """

    def __init__(self, first: int, second: int, output: int) -> None:
        super().__init__(
            f"inputs {first:#b} and {second:#b} both become {output:#b}, expected a bijection.",
            "keep what tells them apart (circuits.make_reversible does), or run it as irreversible and pay",
        )
        self.first, self.second, self.output = first, second, output

    def __reduce__(self) -> tuple[type[NotBijectiveError], tuple[int, int, int]]:
        return (type(self), (self.first, self.second, self.output))


@final
@dataclass(frozen=True)
class Circuit:
    """Gates on numbered wires, in the order in which they act.

    Parameters
    ----------
    wires : int
        Wires >= 1, numbered from 0.
    gates : tuple of Gate

    Raises
    ------
    WireRangeError
        A gate names a wire that is not there.

    Examples
    --------
    >>> from entropic.machines.circuits import CNOT, TOFFOLI, Circuit
    >>> half_adder = Circuit(3, (TOFFOLI(0, 1, 2), CNOT(0, 1)))
    >>> from entropic.machines.circuits import truth_table
    >>> truth_table(half_adder)[:4].tolist()
    [0, 3, 2, 5]
    """

    wires: int
    gates: tuple[Gate, ...] = ()

    def __post_init__(self) -> None:
        if self.wires < 1:
            raise WireRangeError(f"{self.wires} wires, expected at least 1.", "give the circuit a wire")
        for number, gate in enumerate(self.gates):
            if max(gate.wires) >= self.wires:
                raise WireRangeError(
                    f"gate {number}, {gate.name}{gate.wires}, needs wire {max(gate.wires)}; there are {self.wires}.",
                    f"name wires 0 to {self.wires - 1}, or widen the circuit",
                )

    @property
    def reversible(self) -> bool:
        """Whether every gate is a bijection. A circuit with one that is not, is none either (`collision`)."""
        return not any(gate.overwrites for gate in self.gates)

    def run(self, bits: _Bits) -> _Bits:
        """The words after the circuit.

        Parameters
        ----------
        bits : bool [wires, words], or unsigned integers [wires, columns]
            One word a lane, see `entropic.machines.circuits.lanes`. Left as it is.

        Returns
        -------
        array of the same shape and dtype

        Raises
        ------
        LaneError
        """
        self.check_bits(bits)
        out = np.array(bits, order="C", copy=True)
        step = max(1, _COLUMNS // out.dtype.itemsize)
        for start in range(0, out.shape[1], step):
            part = out[:, start : start + step]
            for gate in self.gates:
                apply_gate(gate, part)
        return out  # type: ignore[return-value]

    def undo(self, bits: _Bits) -> _Bits:
        """The words before the circuit, given those after it.

        Raises
        ------
        NotBijectiveError
            The circuit overwrites; the error names two inputs that it cannot tell apart.
        """
        return self.inverse().run(bits)

    def inverse(self) -> Circuit:
        """The circuit that undoes this one: every reversible gate is its own inverse, so the gates in reverse order.

        Raises
        ------
        NotBijectiveError
        """
        self._require_reversible()
        return Circuit(self.wires, self.gates[::-1])

    def then(self, other: Circuit) -> Circuit:
        """This circuit followed by another, on as many wires as the wider one has."""
        return Circuit(max(self.wires, other.wires), self.gates + other.gates)

    def collision(self) -> tuple[int, int] | None:
        """Two inputs that become the same, or None.

        Before the first overwriting gate only bijections act, so every state can reach it. Two states that differ in its
        target alone come out alike, and the gates before it, undone, tell where they started.
        """
        for number, gate in enumerate(self.gates):
            if gate.overwrites:
                states = np.zeros((self.wires, 2), np.bool_)
                states[gate.target, 1] = True
                before = Circuit(self.wires, self.gates[:number]).undo(states)
                first, second = (_number(before[:, lane]) for lane in (0, 1))
                return min(first, second), max(first, second)
        return None

    def check_bijection(self) -> None:
        """Raise unless the circuit is a bijection.

        Up to `MOST_EXHAUSTIVE` wires every input is run and no two may end alike; beyond, every gate must be a bijection.

        Raises
        ------
        NotBijectiveError
        """
        if self.wires <= MOST_EXHAUSTIVE:
            check_bijection(truth_table(self))
        else:
            self._require_reversible()

    def _require_reversible(self) -> None:
        pair = self.collision()
        if pair is not None:
            states = np.array([[word >> wire & 1 for word in pair] for wire in range(self.wires)], np.bool_)
            raise NotBijectiveError(*pair, _number(self.run(states)[:, 0]))

    def check_bits(self, bits: NDArray[Any]) -> None:
        """Raise a LaneError unless ``bits`` are rows of bits for these wires."""
        if bits.ndim != 2 or bits.shape[0] != self.wires or bits.dtype.kind not in "bu":
            raise LaneError(
                f"bits are {bits.dtype}{list(bits.shape)}, expected bool or unsigned integers [{self.wires}, lanes].",
                "pack words with from_integers or from_tape",
            )


def _number(word: NDArray[np.bool_]) -> int:
    return sum(1 << wire for wire in np.flatnonzero(word).tolist())


def truth_table(circuit: Circuit) -> NDArray[np.uint32]:
    """Output of every input, uint32 [2^wires], found by running the circuit on all of them.

    Raises
    ------
    LaneError
        If there are more than `MOST_EXHAUSTIVE` wires.
    """
    if circuit.wires > MOST_EXHAUSTIVE:
        raise LaneError(f"{circuit.wires} wires, expected at most {MOST_EXHAUSTIVE}.", "run the inputs of interest")
    size = 1 << circuit.wires
    outputs = circuit.run(from_integers(np.arange(size, dtype=np.uint32), circuit.wires))
    return to_integers(outputs, size).astype(np.uint32)


def check_bijection(outputs: ArrayLike) -> None:
    """Raise unless a table of outputs is a bijection of 0 … size − 1.

    Parameters
    ----------
    outputs : integers, shape (size,)

    Raises
    ------
    NotBijectiveError
        Names the two inputs.
    LaneError
        If it is no row of integers 0 … size − 1.
    """
    table = np.asarray(outputs)
    if table.ndim != 1 or table.dtype.kind not in "iu":
        raise LaneError(f"the table is {table.dtype}{list(table.shape)}, expected integers [size].", "list the outputs")
    if table.size and not 0 <= int(table.min()) <= int(table.max()) < table.size:
        raise LaneError(
            f"outputs span {table.min()} to {table.max()}, expected 0 to {table.size - 1}.",
            "map the words to themselves",
        )
    order = np.argsort(table, kind="stable")
    repeats = np.flatnonzero(table[order[1:]] == table[order[:-1]])
    if repeats.size:
        first, second = (int(order[repeats[0] + i]) for i in (0, 1))
        raise NotBijectiveError(first, second, int(table[first]))
