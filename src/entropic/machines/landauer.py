"""Erasure: what a record costs, and its heat put back into the region that it came from; computing without it is free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.errors import EntropicError
from entropic.kernels import add_heat, remove_heat
from entropic.machines.circuits.bill import Bill
from entropic.machines.circuits.circuit import Circuit
from entropic.machines.erasure import ErasureEnergy
from entropic.randomness import PURPOSE_DEPOSIT, random_u64

__all__ = ["LandauerEngine", "OverflowQuantaError"]

_Bits = TypeVar("_Bits", bound=NDArray[Any])


@final
class OverflowQuantaError(EntropicError):
    """A deposit would lift a site above the cap."""

    exit_code = 2

    def __init__(self, region: int, cycle: int, q_max: int) -> None:
        super().__init__(
            f"heat deposited in region {region} in cycle {cycle} would lift a site above {q_max} quanta.",
            "use [field] dtype = 'uint16', or less energy (field.mean, battery.initial)",
        )
        self._given = (region, cycle, q_max)

    def __reduce__(self) -> tuple[type[OverflowQuantaError], tuple[int, int, int]]:
        return (type(self), self._given)


@lru_cache(maxsize=65536)
def _nats(sites: int, ones: int, raw: bool) -> float:
    return float(special.record_nats(sites, ones, raw))


@final
@dataclass(frozen=True)
class LandauerEngine:
    """Bills records and erases them.

    Parameters
    ----------
    record : {'compressed', 'raw'}
        How a record is kept.
    sites : int
        Sites of a region.
    seed, q_max : int
        Random key of the deposits, and the cap.
    lift_bits, sort_bits : int
        Length of a record of the lift and of the sort; 0: one bit a site, one a pair of sites.
    """

    record: Literal["compressed", "raw"]
    sites: int
    seed: int
    q_max: int
    lift_bits: int = 0
    sort_bits: int = 0

    @property
    def bits(self) -> int:
        """Length of a record of the lift."""
        return self.lift_bits or self.sites

    @property
    def pairs(self) -> int:
        """Length of a record of the sort."""
        return self.sort_bits or self.sites // 2

    def nats(self, ones: int) -> float:
        """Nats of a record with ``ones`` bits set."""
        return _nats(self.sites, ones, self.record == "raw")

    def record_nats(self, ones: NDArray[np.int64]) -> NDArray[np.float64]:
        """Nats of records of the lift, one for each of ``ones``."""
        return special.records_nats(self.bits, ones, self.record == "raw")

    def price(self, quanta: int, ones: int) -> int | None:
        """E_min of erasing a record into a region that holds ``quanta``; None if no heat can pay."""
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, self.nats(ones))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.record)

    def sort_code(self, ones: Any) -> Any:
        """Code of the record of a sort with ``ones`` bits set (int or int array); a lift's code is its ones."""
        return ones + self.bits + 1

    def record_of(self, code: int) -> tuple[int, int]:
        """Bits, and bits set, of a record in a queue."""
        return (self.bits, code) if code <= self.bits else (self.pairs, code - self.bits - 1)

    def nats_of(self, code: int) -> float:
        """Nats of a record in a queue."""
        bits, ones = self.record_of(code)
        return _nats(bits, ones, self.record == "raw")

    def price_of(self, quanta: int, code: int) -> int | None:
        """E_min of erasing a record of a queue into a region that holds ``quanta``; None if no heat can pay."""
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, self.nats_of(code))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        bits, ones = self.record_of(code)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.record, bits)

    def room(self, counts: NDArray[np.int64], quanta: int) -> NDArray[np.int64]:
        """A copy of a region's histogram, wide enough for a deposit of ``quanta``."""
        top = int(np.flatnonzero(counts).max(initial=0))
        wide = np.zeros(min(max(top + quanta // self.sites + 2, 1), self.q_max + 1), np.int64)
        kept = min(wide.size, counts.size)
        wide[:kept] = counts[:kept]
        return wide

    def start(self, number: int, cycle: int, purpose: int = PURPOSE_DEPOSIT) -> int:
        """First site, in the region, of the run that takes the rest of a deposit."""
        return int(random_u64(number, cycle, purpose, np.uint64(self.seed))) % self.sites

    def deposit(
        self,
        region: NDArray[np.generic],
        number: int,
        cycle: int,
        quanta: int,
        counts: NDArray[np.int64],
        purpose: int = PURPOSE_DEPOSIT,
    ) -> None:
        """Put heat into a region (in place), and keep its histogram true (`room` makes one that is wide enough)."""
        each, rest = divmod(quanta, self.sites)
        if quanta and not add_heat(region, each, rest, self.start(number, cycle, purpose), self.q_max, counts):
            raise OverflowQuantaError(number, cycle, self.q_max)

    def withdraw(
        self, region: NDArray[np.generic], number: int, cycle: int, quanta: int, purpose: int = PURPOSE_DEPOSIT
    ) -> bool:
        """Undo `deposit` (in place).  False if the region cannot have had it: then it is spoilt."""
        each, rest = divmod(quanta, self.sites)
        return not quanta or bool(remove_heat(region, each, rest, self.start(number, cycle, purpose)))

    def field_temperature(self, quanta: int) -> float:
        """Temperature of a region that holds ``quanta``, in quanta per nat; see `entropic.units.kelvin`."""
        return entropy.temperature(self.sites, quanta)

    def information_erasure_energy(self, quanta: int, nats: float, quantum_joule: float) -> ErasureEnergy:
        """Price of erasing ``nats`` >= 0 into a region that holds ``quanta``, in every unit.

        E_min is decided exactly for the float given; a record's is `price`, a circuit's `circuit_energy`.

        Raises
        ------
        EntropyDomainError
            If ``nats`` is not finite, or costs more than 2^50 quanta.
        """
        energy = entropy.erasure_quanta_for_nats(self.sites, quanta, nats)
        return ErasureEnergy(nats, energy, self.field_temperature(quanta), quantum_joule)

    def record_energy(self, quanta: int, ones: int, quantum_joule: float) -> ErasureEnergy:
        """Price of erasing a record with ``ones`` bits set, in every unit."""
        return ErasureEnergy(self.nats(ones), self.price(quanta, ones), self.field_temperature(quanta), quantum_joule)

    def circuit_energy(self, quanta: int, bill: Bill, quantum_joule: float, words: int = 1) -> ErasureEnergy:
        """Price of running a circuit, as billed, on ``words`` words: exactly nothing if it is reversible."""
        return bill.energy(self.sites, quanta, quantum_joule, words)

    def reversible_computation(self, circuit: Circuit, bits: _Bits) -> tuple[_Bits, int]:
        """Compute on tape bits without erasing any.

        Parameters
        ----------
        circuit : Circuit
            Checked to be a bijection.
        bits : bool or unsigned integers [wires, …]
            As `Circuit.run` takes them.

        Returns
        -------
        array, int
            The bits after, and the quanta that it cost: 0, for nothing is erased.

        Raises
        ------
        NotBijectiveError
            Two inputs end alike; the error names them.
        """
        circuit.check_bijection()
        return circuit.run(bits), 0
