"""The market: regions quote their temperature, the hottest meets the coldest, and the gears do the work.

Every decision is exact.  Floats settle what lies outside their error bound; the rest goes to rationals, or to as many digits as it
takes.  So neither the machine nor the order of evaluation shows in a trade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import final

import mpmath
import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError
from entropic.machines.pump import EntropyPump, GearError, contact_sites, expected_turns, expected_work_exact
from entropic.machines.temperature_ratio import RELATIVE_ERROR, compare_ratio, inverse_temperature, ratio

__all__ = ["EntropyExchange", "MarketError", "OrderBook", "Trade"]

_LARGEST = 4 * 10**12  # sites or quanta, as in `entropic.entropy`
_LARGEST_GEAR = 65535
_EPSILON = 2.0**-52
_UNDERFLOW = 1e-290  # stands for whatever underflow may have lost
_EXACT_FLOAT = 2**53
_FAR = 4.0  # beyond any difference of efficiencies
_NONE = -1
_UNSETTLED = -2

Array = NDArray[np.float64]


@final
class MarketError(UsageError):
    """Quotes, or parameters of a market, outside their domain."""


@final
@dataclass(frozen=True)
class Trade:
    """Two regions, a gear between them, and a price.

    Parameters
    ----------
    hot, cold : int
        Numbers of the regions.
    m, n : int
        The gear.
    expected_work : float
        Mean work a pair of sites, quanta; for the log, it decides nothing.
    price : float
        Clearing price sqrt(T_h T_c), quanta per nat; for the log.
    temperature_hot, temperature_cold : float
        What the regions quoted, quanta per nat; for the log.
    """

    hot: int
    cold: int
    m: int
    n: int
    expected_work: float
    price: float
    temperature_hot: float
    temperature_cold: float


@final
@dataclass(frozen=True, eq=False)
class OrderBook:
    """The quotes of all regions, hottest first; equals by number.

    Temperature rises strictly with the quanta of a region, at equal sites: the integers rank the quotes.

    Parameters
    ----------
    region, quanta : int64[regions]
        Numbers of the regions and what they hold, in order of rank.
    sites : int
        Sites of each region.
    """

    region: NDArray[np.int64]
    quanta: NDArray[np.int64]
    sites: int

    @classmethod
    def open(cls, quanta: NDArray[np.integer], sites: int) -> OrderBook:
        """Rank the regions by their ``quanta`` (int [regions]).

        Raises
        ------
        MarketError
            If quanta is no list of counts from 0 to 4e12, or sites is not 2 to 4e12 (one site has no finite temperature).
        """
        if quanta.ndim != 1 or quanta.dtype.kind not in "iu":
            raise MarketError(f"quanta is {quanta.dtype}{list(quanta.shape)}.", "pass one integer a region")
        if not 2 <= sites <= _LARGEST:
            raise MarketError(
                f"regions have {sites} sites, expected 2 to {_LARGEST} for a temperature.", "choose larger regions"
            )
        if quanta.size and not (int(quanta.min()) >= 0 and int(quanta.max()) <= _LARGEST):
            raise MarketError(
                f"quanta span {quanta.min()} to {quanta.max()}, expected 0 to {_LARGEST}.", "pass the regions' totals"
            )
        held = quanta.astype(np.int64)
        rank = np.argsort(-held, kind="stable")
        return cls(rank.astype(np.int64), held[rank], sites)

    def temperatures(self) -> Array:
        """Quotes in quanta per nat, in order of rank: float64[regions]."""
        return np.array([1.0 / inverse_temperature(q, self.sites) for q in self.quanta.tolist()])

    def pairs(self) -> int:
        """How many pairs of unequal quotes meet: rank k with rank -1 - k."""
        half = self.quanta.size // 2
        return int(np.count_nonzero(self.quanta[:half] > self.quanta[::-1][:half]))


@final
@dataclass(frozen=True)
class EntropyExchange:
    """Picks the trades of a cycle and shares out their work.

    Parameters
    ----------
    gears : tuple of (m, n)
        The gears on offer, m > n >= 1 (with m <= n no gear yields work from hot to cold).
    contact : float
        Share of a region's sites that a trade touches, 0 < contact <= 1.
    carnot_share : float, optional
        Take the gear whose own efficiency 1 - n/m is nearest to this share, in (0, 1], of Carnot's, instead of the one with the
        most work.

    Raises
    ------
    GearError, MarketError
    """

    gears: tuple[tuple[int, int], ...]
    contact: float
    carnot_share: float | None = None

    def __post_init__(self) -> None:
        contact_sites(self.contact, 1)
        if not self.gears:
            raise GearError("no gear is on offer.", "give at least one m:n, m > n")
        for m, n in self.gears:
            if not 1 <= n < m <= _LARGEST_GEAR:
                raise GearError(
                    f"gear {m}:{n} yields no work from hot to cold, expected {_LARGEST_GEAR} >= m > n >= 1.",
                    "put the larger side first",
                )
        if self.carnot_share is not None and not 0.0 < self.carnot_share <= 1.0:
            raise MarketError(
                f"carnot_share is {self.carnot_share}, expected in (0, 1].", "leave it out or set it there"
            )

    def pumps(self, q_max: int) -> dict[tuple[int, int], EntropyPump]:
        """The pump of each gear on offer; GearError if a gear is too large for sites of ``q_max``."""
        return {(m, n): EntropyPump(m, n, q_max) for m, n in self.gears}

    def match(self, quanta: NDArray[np.integer], sites: int) -> tuple[Trade, ...]:
        """The trades of a cycle, hottest region first.

        The hottest region meets the coldest, the second hottest the second coldest, and so on; a region of the middle rank of an odd
        number stays alone.  Each pair takes, of the gears with positive expected work at their local equilibria x = Q / (Q + N), the
        one with the most (or nearest to ``carnot_share`` of Carnot's efficiency), the first of the list among equals; if there is
        none, or the two hold equal quanta, it does not trade.

        Parameters
        ----------
        quanta : int [regions]
            Quanta of each region.
        sites : int
            N >= 2, sites of each region.
        """
        return self.clear(OrderBook.open(quanta, sites))

    def clear(self, book: OrderBook) -> tuple[Trade, ...]:
        """`match`, from an order book."""
        pairs, sites = book.pairs(), book.sites
        hot, cold = book.quanta[:pairs], book.quanta[::-1][:pairs]
        work, error = self._expected_works(hot, cold, sites)
        choice = (
            self._most_work(work, error) if self.carnot_share is None else self._nearest(work, error, hot, cold, sites)
        )
        trades = []
        regions = zip(book.region[:pairs].tolist(), book.region[::-1][:pairs].tolist(), strict=True)
        held = zip(hot.tolist(), cold.tolist(), strict=True)
        for k, ((i, j), (q_hot, q_cold), gear) in enumerate(zip(regions, held, choice.tolist(), strict=True)):
            if gear == _UNSETTLED:
                gear = self._choose_exactly(q_hot, q_cold, sites)
            if gear == _NONE:
                continue
            t_hot, t_cold = 1.0 / inverse_temperature(q_hot, sites), 1.0 / inverse_temperature(q_cold, sites)
            m, n = self.gears[gear]
            trades.append(Trade(i, j, m, n, float(work[gear, k]), math.sqrt(t_hot * t_cold), t_hot, t_cold))
        return tuple(trades)

    def split(self, work: int, quanta_hot: int, quanta_cold: int, sites: int) -> tuple[int, int]:
        """Share out the work of a trade at the price P = sqrt(T_h T_c): (to the hot side's battery, to the cold side's).

        Of work W >= 0 the hot side gets ``⌊W (T_h - P) / (T_h - T_c)⌋ = ⌊W / (1 + sqrt(T_c / T_h))⌋``, the cold side the rest.  Of work
        owed, W < 0, the hot side owes that floor of |W|, the cold side the rest.  The shares always sum to W.

        Parameters
        ----------
        work : int
            Quanta, of either sign.
        quanta_hot, quanta_cold : int
            What the regions held when they were matched, hot >= cold.
        sites : int
            N >= 2, sites of each region.
        """
        if not 0 <= quanta_cold <= quanta_hot <= _LARGEST or not 2 <= sites <= _LARGEST:
            raise MarketError(
                f"a trade from {quanta_hot} to {quanta_cold} quanta on {sites} sites has no price.",
                "pass what the regions held when they were matched, the hotter first",
            )
        share = _hot_share(abs(work), quanta_hot, quanta_cold, sites)
        return (share, work - share) if work >= 0 else (-share, work + share)

    def _expected_works(self, hot: NDArray[np.int64], cold: NDArray[np.int64], sites: int) -> tuple[Array, Array]:
        """Mean work a pair of every gear on every pair of regions, and bounds on its error: float64 [gears, pairs] each."""
        from_hot = {m: expected_turns(hot / sites, m) for m in {m for m, _ in self.gears}}
        to_cold = {n: expected_turns(cold / sites, n) for n in {n for _, n in self.gears}}
        work = np.stack([(m - n) * (from_hot[m] - to_cold[n]) for m, n in self.gears])
        error = np.stack([(m - n) * (6 * m + 4) * _EPSILON * (from_hot[m] + to_cold[n]) for m, n in self.gears])
        return work, error + _UNDERFLOW

    def _most_work(self, work: Array, error: Array) -> NDArray[np.int64]:
        """Gear with the most work, of each pair: its index, `_NONE`, or `_UNSETTLED` where floats do not tell."""
        best = np.argmax(work, axis=0)
        least = np.take_along_axis(work - error, best[np.newaxis], axis=0)[0]
        rivals = work + error
        np.put_along_axis(rivals, best[np.newaxis], -np.inf, axis=0)
        settled = (least > 0.0) & (least > rivals.max(axis=0))
        idle = (work + error < 0.0).all(axis=0)
        return np.where(settled, best, np.where(idle, _NONE, _UNSETTLED))

    def _nearest(
        self, work: Array, error: Array, hot: NDArray[np.int64], cold: NDArray[np.int64], sites: int
    ) -> NDArray[np.int64]:
        """Like `_most_work`, for the gear nearest to the chosen share of Carnot's efficiency."""
        share = self._share()
        target = np.array(
            [share * (1.0 - ratio(h, c, sites)) for h, c in zip(hot.tolist(), cold.tolist(), strict=True)]
        )
        own = np.array([1.0 - n / m for m, n in self.gears])
        # A gear of the same ratio as an earlier one works just when that one does, and is as near: it never comes first.
        ratios = [Fraction(n, m) for m, n in self.gears]
        first = np.array([ratios.index(r) == place for place, r in enumerate(ratios)])
        works = work > 0.0
        distance = np.where(works & first[:, np.newaxis], np.abs(own[:, np.newaxis] - target), _FAR)
        best = np.argmin(distance, axis=0)
        nearest = np.take_along_axis(distance, best[np.newaxis], axis=0)[0]
        rivals = distance.copy()
        np.put_along_axis(rivals, best[np.newaxis], _FAR, axis=0)
        settled = (np.abs(work) > error).all(axis=0) & (rivals.min(axis=0) - nearest > 4.0 * RELATIVE_ERROR)
        choice = np.where(works.any(axis=0), best, _NONE)
        idle = (work + error < 0.0).all(axis=0)
        return np.where(settled | idle, choice, _UNSETTLED)

    def _share(self) -> float:
        assert self.carnot_share is not None
        return self.carnot_share

    def _choose_exactly(self, quanta_hot: int, quanta_cold: int, sites: int) -> int:
        """The choice in rationals (and, for Carnot's share, as many digits as it takes): a gear's index or `_NONE`."""
        works = [expected_work_exact(m, n, quanta_hot, quanta_cold, sites) for m, n in self.gears]
        if self.carnot_share is None:
            best = max(range(len(works)), key=works.__getitem__)  # the first of equals
            return best if works[best] > 0 else _NONE
        best = _NONE
        for gear, work in enumerate(works):
            if work > 0 and (best == _NONE or self._nearer(gear, best, quanta_hot, quanta_cold, sites)):
                best = gear
        return best

    def _nearer(self, gear: int, other: int, quanta_hot: int, quanta_cold: int, sites: int) -> bool:
        """Whether a gear's efficiency is strictly nearer to the target than another's: which side of their middle that lies on."""
        own, its = (1 - Fraction(n, m) for m, n in (self.gears[gear], self.gears[other]))
        if own == its:
            return False
        bound = 1 - (own + its) / 2 / Fraction(self._share())
        side = -compare_ratio(quanta_hot, quanta_cold, sites, bound)  # sign of target - middle
        return side > 0 if own > its else side < 0


def _hot_share(amount: int, quanta_hot: int, quanta_cold: int, sites: int) -> int:
    """``⌊amount / (1 + sqrt(T_c / T_h))⌋``, exactly; 1/2 in the limit of equal temperatures."""
    if amount < _EXACT_FLOAT:
        share = amount / (1.0 + math.sqrt(ratio(quanta_hot, quanta_cold, sites)))
        error = RELATIVE_ERROR * share
        if math.floor(share - error) == math.floor(share + error):
            return math.floor(share)
    return _hot_share_exactly(amount, quanta_hot, quanta_cold, sites)


def _hot_share_exactly(amount: int, quanta_hot: int, quanta_cold: int, sites: int) -> int:
    with mpmath.workdps(len(str(amount)) + 20):
        hot = mpmath.log1p(mpmath.mpf(sites - 1) / (quanta_hot + 1))
        cold = mpmath.log1p(mpmath.mpf(sites - 1) / (quanta_cold + 1))
        share = int(mpmath.floor(amount / (1 + mpmath.sqrt(hot / cold))))

    def reached(quanta: int) -> bool:  # quanta <= amount / (1 + sqrt(T_c / T_h)), for 0 < quanta <= amount
        return compare_ratio(quanta_hot, quanta_cold, sites, Fraction(amount - quanta, quanta) ** 2) <= 0

    while share > 0 and not reached(share):
        share -= 1
    while share < amount and reached(share + 1):
        share += 1
    return share
