"""Erasure: what a record costs, and its heat put back into the region that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.errors import EntropicError
from entropic.kernels import add_heat, remove_heat
from entropic.randomness import PURPOSE_DEPOSIT, random_u64

__all__ = ["LandauerEngine", "OverflowQuantaError"]


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
    """

    record: Literal["compressed", "raw"]
    sites: int
    seed: int
    q_max: int

    def nats(self, ones: int) -> float:
        """Nats of a record with ``ones`` bits set."""
        return _nats(self.sites, ones, self.record == "raw")

    def price(self, quanta: int, ones: int) -> int | None:
        """E_min of erasing a record into a region that holds ``quanta``; None if no heat can pay."""
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, self.nats(ones))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.record)

    def start(self, number: int, cycle: int) -> int:
        """First site, in the region, of the run that takes the rest of a deposit."""
        return int(random_u64(number, cycle, PURPOSE_DEPOSIT, np.uint64(self.seed))) % self.sites

    def deposit(
        self, region: NDArray[np.generic], number: int, cycle: int, quanta: int, counts: NDArray[np.int64]
    ) -> None:
        """Put heat into a region (in place), and keep its histogram true."""
        each, rest = divmod(quanta, self.sites)
        if quanta and not add_heat(region, each, rest, self.start(number, cycle), self.q_max, counts):
            raise OverflowQuantaError(number, cycle, self.q_max)

    def withdraw(self, region: NDArray[np.generic], number: int, cycle: int, quanta: int) -> bool:
        """Undo `deposit` (in place).  False if the region cannot have had it: then it is spoilt."""
        each, rest = divmod(quanta, self.sites)
        return not quanta or bool(remove_heat(region, each, rest, self.start(number, cycle)))
