"""The entropy pump: gears that turn a gradient into work, or work into a gradient, without a measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy
from entropic.errors import UsageError
from entropic.kernels import gear_swap, gear_unswap, put_run, take_run

__all__ = [
    "EntropyPump",
    "GearError",
    "GradientHarvester",
    "PumpReport",
    "PumpResult",
    "contact_sites",
    "expected_turns",
    "expected_work_exact",
]

_Number = TypeVar("_Number", float, NDArray[np.float64])

_LARGEST_GEAR = 65535  # the cap of the widest dtype


@final
class GearError(UsageError):
    """A gear, a contact or a pair of sides that cannot turn."""


def contact_sites(share: float, sites: int) -> int:
    """Sites that a trade touches, ``max(1, ⌊share N⌋)`` of N, from the exact value of the float ``share``, 0 < share <= 1."""
    if not 0.0 < share <= 1.0:
        raise GearError(
            f"the contact share is {share}, expected above 0 and at most 1.", "set exchange.contact in (0, 1]"
        )
    return max(1, math.floor(Fraction(share) * sites))


def expected_turns(mean: _Number, m: int) -> _Number:
    """Mean of ⌊q/m⌋ on thermal sites of ``mean`` quanta: ``x^m / (1 - x^m)``, x = mean / (1 + mean).

    Evaluated as ``mean x^(m-1) / (1 + x + ... + x^(m-1))``: all terms are positive, so the relative error stays below
    6 m ε (ε = 2^-52) short of underflow.  ``+ * /`` alone: the same bit on every machine.
    """
    x = mean / (1.0 + mean)
    power, total = x**0, x**0
    for _ in range(m - 1):
        power, total = power * x, 1.0 + x * total
    return mean * power / total


def expected_work_exact(m: int, n: int, quanta_hot: int, quanta_cold: int, sites: int) -> Fraction:
    """Mean work of an m:n swap a pair, at the local equilibria of two regions of N ``sites``: x = Q / (Q + N), exactly."""

    def turns(quanta: int, gear: int) -> Fraction:
        power = quanta**gear
        return Fraction(power, (quanta + sites) ** gear - power)

    return (m - n) * (turns(quanta_hot, m) - turns(quanta_cold, n))


@final
@dataclass(frozen=True)
class PumpResult:
    """What a swap did, in quanta; ``work = heat_hot - heat_cold``, exactly.

    Parameters
    ----------
    work : int
        To the battery (from it, if negative).
    heat_hot, heat_cold : int
        What left the hot side, and what entered the cold side.
    """

    work: int
    heat_hot: int
    heat_cold: int


@final
@dataclass(frozen=True)
class EntropyPump:
    """Gear swap m:n.  q_i = m a + r, q_j = n b + s: exchange a and b, unless a result exceeds the cap.

    From hot to cold, m > n is an engine; when it runs backwards it is a heat pump.

    Parameters
    ----------
    m, n : int
        Quanta a turn of the hot and of the cold side, m ≠ n, 1 to q_max.
    q_max : int
        Cap of a site.

    Raises
    ------
    GearError
    """

    m: int
    n: int
    q_max: int

    def __post_init__(self) -> None:
        if not 1 <= self.q_max <= _LARGEST_GEAR:
            raise GearError(
                f"the cap is {self.q_max}, expected 1 to {_LARGEST_GEAR}.", "use a field of uint8 or uint16"
            )
        if min(self.m, self.n) < 1 or max(self.m, self.n) > self.q_max:
            raise GearError(
                f"gear {self.m}:{self.n} has a side outside 1 to {self.q_max}, the most that a site holds.",
                "choose gears that a site's quanta can turn",
            )
        if self.m == self.n:
            raise GearError(f"gear {self.m}:{self.n} moves heat but yields no work.", "choose m and n apart")

    def swap(self, hot: NDArray[np.generic], cold: NDArray[np.generic]) -> PumpResult:
        """Swap site i of ``hot`` with site i of ``cold``, in place.

        Parameters
        ----------
        hot, cold : uint8 or uint16 [pairs], contiguous, of one dtype
        """
        self._check(hot, cold)
        return self._result(int(gear_swap(hot, cold, self.m, self.n, self.q_max)))

    def undo(self, hot: NDArray[np.generic], cold: NDArray[np.generic]) -> PumpResult:
        """Undo `swap`, in place.  The result is that of the swap with every sign turned."""
        self._check(hot, cold)
        return self._result(int(gear_unswap(hot, cold, self.m, self.n, self.q_max)))

    def expected_work(self, x_hot: float, x_cold: float) -> float:
        """Mean work a pair, quanta, between thermal sites of Boltzmann factors 0 <= x < 1 (cap out of reach).

        ``(m - n) [x_h^m / (1 - x_h^m) - x_c^n / (1 - x_c^n)]``; positive if and only if ``beta_h m < beta_c n`` (m > n).
        """
        hot = expected_turns(x_hot / (1.0 - x_hot), self.m)
        return (self.m - self.n) * (hot - expected_turns(x_cold / (1.0 - x_cold), self.n))

    def _check(self, hot: NDArray[np.generic], cold: NDArray[np.generic]) -> None:
        if hot.ndim != 1 or hot.shape != cold.shape or hot.dtype != cold.dtype:
            raise GearError(
                f"the sides of a swap are {hot.dtype}{list(hot.shape)} and {cold.dtype}{list(cold.shape)}.",
                "pass two runs of one length and dtype",
            )
        if hot.dtype not in (np.uint8, np.uint16) or self.q_max >= 256**hot.dtype.itemsize:
            raise GearError(
                f"sites of {hot.dtype} cannot hold {self.q_max} quanta.", "pass uint8 or uint16 that holds the cap"
            )

    def _result(self, work: int) -> PumpResult:
        turns = work // (self.m - self.n)  # exact: the kernel multiplied it in
        return PumpResult(work, self.m * turns, self.n * turns)


@final
@dataclass(frozen=True)
class GradientHarvester:
    """A harvester that needs no bit: a pump over a share of the sites of two regions.

    Parameters
    ----------
    pump : EntropyPump
    extraction_rate : float
        Share of a region's sites that are in contact, 0 < share <= 1.
    """

    pump: EntropyPump
    extraction_rate: float

    def __post_init__(self) -> None:
        contact_sites(self.extraction_rate, 1)

    def harvest(
        self, hot: NDArray[np.generic], cold: NDArray[np.generic], start_hot: int, start_cold: int
    ) -> PumpResult:
        """Swap along cyclic runs (C order) of two 4-axis regions of equal size, in place, from the given sites on."""
        return self._turn(hot, cold, start_hot, start_cold, False)

    def undo(self, hot: NDArray[np.generic], cold: NDArray[np.generic], start_hot: int, start_cold: int) -> PumpResult:
        """Undo `harvest`, in place; the result is that of the harvest with every sign turned."""
        return self._turn(hot, cold, start_hot, start_cold, True)

    def _turn(
        self, hot: NDArray[np.generic], cold: NDArray[np.generic], start_hot: int, start_cold: int, back: bool
    ) -> PumpResult:
        if hot.size != cold.size:
            raise GearError(f"the regions have {hot.size} and {cold.size} sites.", "pass regions of equal size")
        sites = contact_sites(self.extraction_rate, hot.size)
        run_hot, run_cold = np.empty(sites, hot.dtype), np.empty(sites, cold.dtype)
        take_run(hot, start_hot % hot.size, run_hot)
        take_run(cold, start_cold % cold.size, run_cold)
        result = self.pump.undo(run_hot, run_cold) if back else self.pump.swap(run_hot, run_cold)
        put_run(hot, start_hot % hot.size, run_hot)
        put_run(cold, start_cold % cold.size, run_cold)
        return result


@final
@dataclass(frozen=True)
class PumpReport:
    """One swap between two regions, judged.  What is undefined is NaN.

    Parameters
    ----------
    quanta_hot, sites_hot, quanta_cold, sites_cold : int
        Both sides before the swap.
    result : PumpResult
        What the swap did.
    """

    quanta_hot: int
    sites_hot: int
    quanta_cold: int
    sites_cold: int
    result: PumpResult

    @property
    def temperature_hot(self) -> float:
        """Before the swap, quanta per nat."""
        return entropy.temperature(self.sites_hot, self.quanta_hot)

    @property
    def temperature_cold(self) -> float:
        """Before the swap, quanta per nat."""
        return entropy.temperature(self.sites_cold, self.quanta_cold)

    @property
    def carnot_efficiency(self) -> float:
        """``1 - T_c / T_h`` of the regions before the swap."""
        return 1.0 - self.temperature_cold / self.temperature_hot

    @property
    def thermal_efficiency(self) -> float:
        """``W / Q_h``, the heat that left the hot side; NaN unless it ran as an engine."""
        return (
            self.result.work / self.result.heat_hot if self.result.work > 0 and self.result.heat_hot > 0 else math.nan
        )

    @property
    def carnot_share(self) -> float:
        """Thermal efficiency over Carnot's, at the temperatures before the swap."""
        return self.thermal_efficiency / self.carnot_efficiency if self.carnot_efficiency else math.nan

    @property
    def exergy_spent(self) -> int:
        """By how many quanta the exergy of the two regions, taken as one closed system, fell (rose, if negative)."""
        sites = [self.sites_hot, self.sites_cold]
        after = [self.quanta_hot - self.result.heat_hot, self.quanta_cold + self.result.heat_cold]
        return entropy.exergy(sites, [self.quanta_hot, self.quanta_cold]) - entropy.exergy(sites, after)

    @property
    def second_law_efficiency(self) -> float:
        """Work over exergy spent, as an engine; exergy gained over work spent, as a heat pump."""
        work, spent = self.result.work, self.exergy_spent
        if work > 0:
            return work / spent if spent else math.nan
        return spent / work if work else math.nan

    @property
    def coefficient_of_performance(self) -> float:
        """Heat brought to the hot side over work spent, as a heat pump; NaN if it did not run as one."""
        work, heat = self.result.work, self.result.heat_hot
        return heat / work if work < 0 and heat < 0 else math.nan

    @property
    def entropy_from_hot(self) -> float:
        """``Q_h / T_h``: entropy that left with the heat at the temperature before the swap, nats."""
        return self.result.heat_hot / self.temperature_hot

    @property
    def entropy_to_cold(self) -> float:
        """``Q_c / T_c``, nats."""
        return self.result.heat_cold / self.temperature_cold

    @property
    def entropy_produced(self) -> float:
        """Change of S(N_h, Q_h) + S(N_c, Q_c), nats; by a fluctuation it may be negative."""
        hot, cold = self.quanta_hot - self.result.heat_hot, self.quanta_cold + self.result.heat_cold
        return (
            entropy.multiplicity_nats(self.sites_hot, hot)
            - entropy.multiplicity_nats(self.sites_hot, self.quanta_hot)
            + entropy.multiplicity_nats(self.sites_cold, cold)
            - entropy.multiplicity_nats(self.sites_cold, self.quanta_cold)
        )
