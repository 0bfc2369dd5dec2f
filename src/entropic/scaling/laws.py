"""Exact laws of a lift at one temperature: what a demon of N sites nets, and how often it seems to gain.

Sites are independent and geometric of mean ū, so the ones of N sites are binomial (N, p), p = x^θ, x = ū/(1 + ū).  Prices in quanta:

``landauer``  T nats of the record, T = 1/ln(1 + 1/ū): what an infinite bath at the field's temperature takes (Landauer 1961);
``raw``       likewise, at ln 2 nats a bit;
``own``       E_min of the record in the region itself, after the lift that cooled it: a finite bath (Reeb & Wolf 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from entropic import entropy
from entropic import special as exact
from entropic.entropy import RecordKind

__all__ = ["Demon", "NetLaw", "chernoff_p", "own_prices", "record_rows"]

Price = Literal["landauer", "raw", "own"]

_ENUMERATED = 256  # sites of a region, up to which every energy is summed over one by one
_SPREADS = 9.5  # standard deviations that are summed over: beyond, with a margin for few events, is less than 1e-18
_FEW = 45
_BINS = 20_000  # ones are summed over one by one up to so many
_GRID = 200  # and so many points a variable where a law of two is smooth
_SLACK = 0.05  # quanta: what the mean of a price that is rounded up may be off by on such a grid


def record_rows(sites: int, ones: NDArray[np.int64], kind: RecordKind) -> NDArray[np.float64]:
    """Nats of records of ``sites`` bits with some ``ones``: as `entropy.record_nats`, row by row."""
    if kind == "raw":
        return np.full(ones.size, sites * math.log(2.0))
    out = np.empty(ones.size)
    exact.ln_multiplicity_rows(sites - ones + 1, ones, out)  # ln C(N, n) = S(N − n + 1, n)
    return out + math.log(sites + 1)


def own_prices(sites: int, ones: NDArray[np.int64], quanta: NDArray[np.int64], kind: RecordKind) -> NDArray[np.int64]:
    """E_min of records in regions of ``sites`` >= 2 sites that hold ``quanta`` after the lift: int64[rows], exact."""
    energy, certain = np.empty(ones.size, np.int64), np.empty(ones.size, np.bool_)
    exact.erasure_quanta_rows(sites, quanta, record_rows(sites, ones, kind), energy, certain)
    for row in np.flatnonzero(~certain):
        settled = entropy.erasure_quanta(sites, int(quanta[row]), int(ones[row]), kind)
        assert settled is not None
        energy[row] = settled
    return energy


@final
@dataclass(frozen=True)
class NetLaw:
    """Law of the net of one region, quanta.

    Attributes
    ----------
    mean, deviation : float
        Expectation and standard deviation.
    slack : float
        By how much the expectation may be off: 0 where it was summed over every outcome.
    values, chances : float64[n]
        Where the net depends on the ones alone, its law (chances below 1e-18 left out); else empty.
    """

    mean: float
    deviation: float
    slack: float
    values: NDArray[np.float64]
    chances: NDArray[np.float64]


@final
@dataclass(frozen=True)
class Demon:
    """A lift in a thermal field.

    Parameters
    ----------
    mean : float
        Quanta a site.
    threshold : int
    record : {'compressed', 'raw'}
    """

    mean: float
    threshold: int
    record: RecordKind

    @property
    def ratio(self) -> float:
        """x, the Boltzmann factor of a quantum."""
        return entropy.thermal_ratio(self.mean)

    @property
    def chance(self) -> float:
        """p, that a site's bit is set."""
        return self.ratio**self.threshold

    @property
    def temperature(self) -> float:
        """Quanta per nat, of the thermal field."""
        return 1.0 / math.log1p(1.0 / self.mean)

    @property
    def gross(self) -> float:
        """θ p, work a site."""
        return self.threshold * self.chance

    def ones(self, sites: int, points: int = _BINS) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Ones of a region and their chances, but for what is less likely than 1e-18.

        More than so many ``points`` are thinned out evenly: the law is then so smooth that no sum over it shows.
        """
        middle = sites * self.chance
        reach = _SPREADS * math.sqrt(middle * (1 - self.chance))
        number = _grid(max(0.0, middle - reach - _FEW), min(float(sites), middle + reach + _FEW), points)
        chances = stats.binom.pmf(number, sites, self.chance)
        return number, chances / chances.sum()

    def net(self, sites: int, price: Price) -> NetLaw:
        """Law of the net of one region of so many sites."""
        return _own(self, sites) if price == "own" else _infinite(self, sites, price)

    def cost_a_site(self, price: Literal["raw", "compressed"]) -> float:
        """What a demon of large N is charged a site: T ln 2, or T H(p)."""
        p = self.chance
        nats = math.log(2.0) if price == "raw" else -p * math.log(p) - (1 - p) * math.log1p(-p)
        return self.temperature * nats

    def gains(self, sites: int, price: Literal["raw", "compressed"]) -> int:
        """Least number of ones at which a demon of N sites, charged a site, seems to gain: θ n > N c."""
        return math.floor(sites * self.cost_a_site(price) / self.threshold) + 1

    def violation(self, sites: int, price: Literal["raw", "compressed"]) -> float:
        """P(θ Bin(N, p) > N c), exactly."""
        return float(stats.binom.sf(self.gains(sites, price) - 1, sites, self.chance))

    def violation_bound(self, sites: int, price: Literal["raw", "compressed"]) -> float:
        """e^(−N D(a‖p)), a = c/θ: Chernoff's bound of that tail."""
        a, p = self.cost_a_site(price) / self.threshold, self.chance
        if a <= p:
            return 1.0
        if a > 1:
            return 0.0
        divergence = float(special.xlogy(a, a / p) + special.xlogy(1 - a, (1 - a) / (1 - p)))
        return math.exp(-sites * divergence)


def _grid(low: float, high: float, points: int) -> NDArray[np.int64]:
    """Whole numbers from ``low`` to ``high``, all or evenly spaced ones."""
    return np.arange(math.floor(low), math.ceil(high) + 1, max(1, math.floor((high - low) / points)), dtype=np.int64)


@lru_cache(maxsize=512)
def _infinite(demon: Demon, sites: int, price: Price) -> NetLaw:
    """The net where an infinite bath takes the record: a function of the ones."""
    ones, chances = demon.ones(sites)
    nats = record_rows(sites, ones, "raw" if price == "raw" else demon.record)
    values = demon.threshold * ones - demon.temperature * nats
    mean = float(chances @ values)
    return NetLaw(mean, math.sqrt(float(chances @ (values - mean) ** 2)), 0.0, values, chances)


@lru_cache(maxsize=512)
def _own(demon: Demon, sites: int) -> NetLaw:
    """The net where the region is its own bath: ones summed over, and the energy that is left given the ones."""
    small = sites <= _ENUMERATED
    ones, chances = demon.ones(sites) if small else demon.ones(sites, _GRID)
    law = _energies if small else _energies_smooth
    parts = [law(demon, sites, n) for n in ones.tolist()]
    quanta = np.concatenate([part[0] for part in parts])
    share = np.concatenate([chance * part[1] for chance, part in zip(chances, parts, strict=True)])
    number = np.repeat(ones, [part[0].size for part in parts])
    net = (demon.threshold * number - own_prices(sites, number, quanta, demon.record)).astype(float)
    mean = float(share @ net)
    deviation = math.sqrt(float(share @ (net - mean) ** 2))
    return NetLaw(mean, deviation, 0.0 if small else _SLACK, np.empty(0), np.empty(0))


def _moments(demon: Demon, sites: int, ones: int) -> tuple[float, float]:
    """Mean and variance of the quanta that a lift leaves, given the ones: geometric on them, cut off at θ elsewhere."""
    levels = np.arange(demon.threshold)
    cut = demon.ratio**levels
    cut /= cut.sum()
    mean = float(cut @ levels)
    variance = float(cut @ (levels - mean) ** 2)
    total = ones * demon.mean + (sites - ones) * mean
    return total, ones * demon.mean * (1 + demon.mean) + (sites - ones) * variance


def _energies(demon: Demon, sites: int, ones: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every energy left that is likelier than 1e-15 or so, with its chance: an inverse Fourier transform on a ring."""
    mean, variance = _moments(demon, sites, ones)
    reach = _SPREADS * math.sqrt(variance) + 40.0 * (1 + demon.mean)  # the tail of few sites is exponential
    low, high = max(0, math.floor(mean - reach)), math.ceil(mean + reach)
    size = 1 << (2 * (high - low) + demon.threshold).bit_length()
    x, theta = demon.ratio, demon.threshold
    wave = x * np.exp(-2j * np.pi * np.arange(size) / size)
    one = (1 - x) / (1 - wave)
    zero = (1 - wave**theta) / (1 - wave) * (1 - x) / (1 - x**theta)
    with np.errstate(divide="ignore", invalid="ignore"):  # where a factor is 0, so is the product
        transform = np.where(zero == 0, 0.0 if ones < sites else 1.0, zero ** (sites - ones)) * one**ones
    law = np.fft.ifft(transform).real
    quanta = np.arange(low, high + 1, dtype=np.int64)
    share = np.maximum(law[quanta % size], 0.0)
    return quanta, share / share.sum()


def _energies_smooth(demon: Demon, sites: int, ones: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Energies left in a large region: normal, of exact mean and variance.

    The price is a smooth function of the means a site, so that higher moments shift its expectation by some 1/N quanta only.
    """
    mean, variance = _moments(demon, sites, ones)
    spread = math.sqrt(variance)
    quanta = _grid(max(0.0, mean - _SPREADS * spread), mean + _SPREADS * spread, _GRID)
    share = np.exp(-0.5 * ((quanta - mean) / spread) ** 2)
    return quanta, share / share.sum()


def chernoff_p(law: NetLaw, mean: float, draws: int) -> float:
    """Upper bound of the two-sided p-value of a mean of independent draws of a law: 2 e^(−n Λ*), whatever the law.

    Chernoff 1952; never below the true p-value, so a false alarm is never likelier than it says.
    """
    if law.deviation == 0.0:
        return 1.0 if math.isclose(mean, law.mean, rel_tol=1e-9) else 0.0
    values, gap = (law.values - law.mean) / law.deviation, (mean - law.mean) / law.deviation
    sign = 1.0 if gap >= 0 else -1.0

    def exponent(strength: float) -> float:
        powers = strength * (sign * values - abs(gap))
        highest = powers.max()
        return float(highest + np.log(law.chances @ np.exp(powers - highest)))

    found = optimize.minimize_scalar(
        exponent, bounds=(0.0, 5.0 + 2.0 * abs(gap)), method="bounded", options={"xatol": 1e-12}
    )
    return min(1.0, 2.0 * math.exp(min(0.0, draws * float(found.fun))))
