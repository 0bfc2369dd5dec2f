"""A worked example: adding two numbers, by gates that overwrite, by gates that do not, and what each is billed.

>>> print(table(adder_bills(16)))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from entropic.machines.circuits.bennett import make_reversible
from entropic.machines.circuits.bill import Bill
from entropic.machines.circuits.circuit import Circuit
from entropic.machines.circuits.gates import AND, CNOT, ERASE, OR, TOFFOLI, XOR, Gate, WireRangeError
from entropic.machines.circuits.uniform import bill_of_uniform
from entropic.machines.erasure import ErasureEnergy

__all__ = ["Adder", "AdderBill", "adder_bills", "cuccaro_adder", "naive_adder", "table"]


@final
@dataclass(frozen=True)
class Adder:
    """A circuit that adds, and where its numbers are.

    Parameters
    ----------
    circuit : Circuit
    first, second : tuple of int
        Wires of the two numbers before, least significant digit first; all others start blank.
    total : tuple of int
        Wires of the sum after, one digit more.
    """

    circuit: Circuit
    first: tuple[int, ...]
    second: tuple[int, ...]
    total: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """Input wires, digit by digit."""
        return tuple(wire for pair in zip(self.first, self.second, strict=True) for wire in pair)


def _digits(digits: int) -> None:
    if digits < 1:
        raise WireRangeError(f"{digits} digits, expected at least 1.", "add numbers of one digit or more")


def naive_adder(digits: int) -> Adder:
    """Ripple carry with four scratch wires, overwritten at every digit and erased at the end; the inputs are kept."""
    _digits(digits)
    first, second = (tuple(range(start, 2 * digits, 2)) for start in (0, 1))
    total = tuple(range(2 * digits, 3 * digits + 1))
    carry, odd, both, passed = range(3 * digits + 1, 3 * digits + 5)
    gates: list[Gate] = []
    for a, b, s in zip(first, second, total, strict=False):
        gates += [XOR(a, b, odd), XOR(odd, carry, s), AND(a, b, both), AND(odd, carry, passed)]
        gates.append(OR(both, passed, total[-1] if s == total[-2] else carry))
    gates += map(ERASE, (carry, odd, both, passed))
    return Adder(Circuit(3 * digits + 5, tuple(gates)), first, second, total)


def cuccaro_adder(digits: int) -> Adder:
    """Reversible ripple carry in place: (a, b) to (a, a + b), with one ancilla (Cuccaro et al. 2004, quant-ph/0410184)."""
    _digits(digits)
    second, first = (tuple(range(start, 2 * digits + 1, 2)) for start in (1, 2))
    ancilla, top = 0, 2 * digits + 1
    chain = list(zip((ancilla, *first), second, first, strict=False))  # (carry in, digit of b, digit of a)
    gates: list[Gate] = []
    for carry, b, a in chain:  # majority: a becomes the carry out
        gates += [CNOT(a, b), CNOT(a, carry), TOFFOLI(carry, b, a)]
    gates.append(CNOT(first[-1], top))
    for carry, b, a in reversed(chain):  # unmajority and add
        gates += [TOFFOLI(carry, b, a), CNOT(a, carry), CNOT(carry, b)]
    return Adder(Circuit(2 * digits + 2, tuple(gates)), first, second, (*second, top))


@final
@dataclass(frozen=True)
class AdderBill:
    """One way of adding: its size, the exact bill of a word, and what that costs."""

    way: str
    circuit: Circuit
    bill: Bill
    energy: ErasureEnergy


def adder_bills(
    digits: int = 16, sites: int = 1000, quanta: int = 5000, quantum_joule: float = 4.0e-21
) -> tuple[AdderBill, ...]:
    """Bills of adding two uniform random numbers of ``digits`` binary digits, exact over all 4^digits pairs.

    The heat goes to a region of ``sites`` sites holding ``quanta`` quanta of ``quantum_joule`` J. All ways but Cuccaro's,
    which turns b into the sum, end with both inputs and the sum.
    """

    def ways() -> Iterator[tuple[str, Circuit, tuple[int, ...]]]:
        naive, in_place = naive_adder(digits), cuccaro_adder(digits)
        clean = make_reversible(naive.circuit, naive.inputs, naive.total)
        yield "overwriting", naive.circuit, naive.inputs
        yield "reversible, garbage erased", clean.erasing_garbage, clean.inputs
        yield "reversible, garbage kept", clean.compute, clean.inputs
        yield "Bennett", clean.circuit, clean.inputs
        yield "Cuccaro, in place", in_place.circuit, in_place.inputs

    rows = []
    for way, circuit, inputs in ways():
        bill = bill_of_uniform(circuit, inputs)
        rows.append(AdderBill(way, circuit, bill, bill.energy(sites, quanta, quantum_joule)))
    return tuple(rows)


def table(rows: tuple[AdderBill, ...]) -> str:
    """The bills as lines of text."""
    lines = [f"{'way':28}{'wires':>6}{'gates':>6}{'nats':>10}{'bits':>10}{'quanta':>8}{'joules':>12}{'T k, J':>12}"]
    for row in rows:
        energy = row.energy
        joules = "never" if energy.energy_j is None else f"{energy.energy_j:.4g}"
        price = "never" if energy.quanta is None else f"{energy.quanta:,}"
        lines.append(
            f"{row.way:28}{row.circuit.wires:6}{len(row.circuit.gates):6}{energy.nats:10.4f}{energy.bits:10.4f}"
            f"{price:>8}{joules:>12}{energy.energy_infinite_bath_j:12.4g}"
        )
    return "\n".join(lines)
