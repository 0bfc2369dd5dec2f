"""Gates on tape bits: which are bijections, which overwrite, and how each acts on rows of bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError

__all__ = [
    "AND",
    "CNOT",
    "ERASE",
    "FREDKIN",
    "NAND",
    "NOT",
    "OR",
    "TOFFOLI",
    "XOR",
    "Gate",
    "GateName",
    "GateShapeError",
    "RepeatedWireError",
    "WireRangeError",
    "apply_gate",
]

GateName = Literal["NOT", "CNOT", "TOFFOLI", "FREDKIN", "AND", "OR", "XOR", "NAND", "ERASE"]
_Row = NDArray[Any]

_ARITY: dict[str, int] = {
    "NOT": 1, "CNOT": 2, "TOFFOLI": 3, "FREDKIN": 3,
    "AND": 3, "OR": 3, "XOR": 3, "NAND": 3, "ERASE": 1,
}  # fmt: skip
_OVERWRITING = frozenset({"AND", "OR", "XOR", "NAND", "ERASE"})


@final
class GateShapeError(UsageError):
    """No such gate, or a gate on the wrong number of wires."""


@final
class RepeatedWireError(UsageError):
    """A gate that names one wire twice."""


@final
class WireRangeError(UsageError):
    """A wire that the circuit does not have."""


@final
@dataclass(frozen=True)
class Gate:
    """One gate.

    NOT, CNOT, TOFFOLI and FREDKIN are bijections, each its own inverse. AND, OR, XOR, NAND and ERASE overwrite their
    last wire with a function of the others, whatever it held: that is what erases.

    Parameters
    ----------
    name : GateName
    wires : tuple of int
        Different wires >= 0. The last is the target; FREDKIN swaps the last two if the first is set.

    Raises
    ------
    GateShapeError, RepeatedWireError, WireRangeError
    """

    name: GateName
    wires: tuple[int, ...]

    def __post_init__(self) -> None:
        arity = _ARITY.get(self.name)
        if arity is None:
            raise GateShapeError(f"there is no gate {self.name!r}.", f"use one of {', '.join(_ARITY)}")
        if len(self.wires) != arity:
            raise GateShapeError(
                f"{self.name} has {len(self.wires)} wires {self.wires}, expected {arity}.", "name each wire once"
            )
        if len(set(self.wires)) != arity:
            raise RepeatedWireError(
                f"{self.name} names a wire twice: {self.wires}.", "give it different wires, a scratch wire if need be"
            )
        if min(self.wires) < 0:
            raise WireRangeError(f"{self.name} has wires {self.wires}, expected numbers >= 0.", "count wires from 0")

    @property
    def overwrites(self) -> bool:
        """Whether the gate is irreversible."""
        return self.name in _OVERWRITING

    @property
    def target(self) -> int:
        return self.wires[-1]

    @property
    def sources(self) -> tuple[int, ...]:
        """Wires that an overwriting gate reads."""
        return self.wires[:-1]


def NOT(target: int) -> Gate:
    """target := not target."""
    return Gate("NOT", (target,))


def CNOT(control: int, target: int) -> Gate:
    """target ^= control."""
    return Gate("CNOT", (control, target))


def TOFFOLI(first: int, second: int, target: int) -> Gate:
    """target ^= first and second."""
    return Gate("TOFFOLI", (first, second, target))


def FREDKIN(control: int, first: int, second: int) -> Gate:
    """Swap first and second where control is set."""
    return Gate("FREDKIN", (control, first, second))


def AND(first: int, second: int, target: int) -> Gate:
    """target := first and second."""
    return Gate("AND", (first, second, target))


def OR(first: int, second: int, target: int) -> Gate:
    """target := first or second."""
    return Gate("OR", (first, second, target))


def XOR(first: int, second: int, target: int) -> Gate:
    """target := first ^ second."""
    return Gate("XOR", (first, second, target))


def NAND(first: int, second: int, target: int) -> Gate:
    """target := not (first and second)."""
    return Gate("NAND", (first, second, target))


def ERASE(target: int) -> Gate:
    """target := 0."""
    return Gate("ERASE", (target,))


def _not(target: _Row) -> None:
    np.invert(target, out=target)


def _cnot(control: _Row, target: _Row) -> None:
    np.bitwise_xor(target, control, out=target)


def _toffoli(first: _Row, second: _Row, target: _Row) -> None:
    np.bitwise_xor(target, first & second, out=target)


def _fredkin(control: _Row, first: _Row, second: _Row) -> None:
    differ = (first ^ second) & control
    np.bitwise_xor(first, differ, out=first)
    np.bitwise_xor(second, differ, out=second)


def _and(first: _Row, second: _Row, target: _Row) -> None:
    np.bitwise_and(first, second, out=target)


def _or(first: _Row, second: _Row, target: _Row) -> None:
    np.bitwise_or(first, second, out=target)


def _xor(first: _Row, second: _Row, target: _Row) -> None:
    np.bitwise_xor(first, second, out=target)


def _nand(first: _Row, second: _Row, target: _Row) -> None:
    np.bitwise_and(first, second, out=target)
    np.invert(target, out=target)


def _erase(target: _Row) -> None:
    target[...] = 0


_ACTIONS: dict[str, Callable[..., None]] = {
    "NOT": _not, "CNOT": _cnot, "TOFFOLI": _toffoli, "FREDKIN": _fredkin,
    "AND": _and, "OR": _or, "XOR": _xor, "NAND": _nand, "ERASE": _erase,
}  # fmt: skip


def apply_gate(gate: Gate, bits: NDArray[Any]) -> None:
    """Act on ``bits`` [wires, …] in place, lane by lane; any unsigned dtype, or bool."""
    _ACTIONS[gate.name](*(bits[wire] for wire in gate.wires))
