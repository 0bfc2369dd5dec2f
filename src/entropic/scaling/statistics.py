"""Intervals and tests: exact laws where there are any, the bootstrap where there are none.

A value with its interval is ``{"value", "low", "high"}`` everywhere; what could not be had is None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = [
    "Interval",
    "binomial_p",
    "clopper_pearson",
    "interval",
    "least_bound",
    "median",
    "median_ratio",
    "normal_p",
    "quantiles",
]

Interval = dict[str, float | None]

_RESAMPLES = 4999


def interval(value: float, low: float | None = None, high: float | None = None) -> Interval:
    """A value with its interval."""
    return {"value": value, "low": low, "high": high}


def _medians(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.median(values, axis=axis)
    return found


def median(values: Sequence[float], confidence: float, seed: int) -> Interval:
    """Median, with the percentile bootstrap's interval; none for a single value.

    Of five values the bootstrap gives all but their extremes some weight; the span of five covers the true median with 94 %.
    """
    return _bootstrapped((values,), _medians, confidence, seed)


def _ratios(a: NDArray[np.float64], b: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return _medians(a, axis) / _medians(b, axis)


def median_ratio(over: Sequence[float], under: Sequence[float], confidence: float, seed: int) -> Interval:
    """Median of ``over`` by median of ``under``, independent samples; interval likewise."""
    return _bootstrapped((over, under), _ratios, confidence, seed)


def _bootstrapped(
    samples: tuple[Sequence[float], ...], statistic: Callable[..., Any], confidence: float, seed: int
) -> Interval:
    arrays = tuple(np.asarray(sample, float) for sample in samples)
    value = float(statistic(*arrays, axis=0))
    if min(array.size for array in arrays) < 2:
        return interval(value)
    found = stats.bootstrap(
        arrays,
        statistic,
        n_resamples=_RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return interval(value, float(found.low), float(found.high))


def quantiles(values: Sequence[float], confidence: float) -> dict[str, float | int | None]:
    """How many values, their median, and the quantiles that hold a share of them between."""
    if not values:
        return {"cells": 0, "median": None, "low": None, "high": None}
    low, middle, high = np.quantile(values, [(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
    return {"cells": len(values), "median": float(middle), "low": float(low), "high": float(high)}


def clopper_pearson(hits: int, trials: int, confidence: float) -> Interval:
    """Share of hits, with the exact interval of Clopper and Pearson (1934)."""
    low = float(stats.beta.ppf((1 - confidence) / 2, hits, trials - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf((1 + confidence) / 2, hits + 1, trials - hits)) if hits < trials else 1.0
    return interval(hits / trials, low, high)


def binomial_p(hits: int, trials: int, chance: float) -> float:
    """Exact two-sided p-value of a binomial count: twice the smaller tail."""
    tails = stats.binom.cdf(hits, trials, chance), stats.binom.sf(hits - 1, trials, chance)
    return min(1.0, 2.0 * float(min(tails)))


def normal_p(gap: float, deviation: float, slack: float = 0.0) -> float:
    """Two-sided p-value of a gap from an expectation that is known to ``slack``, the deviation being known."""
    beyond = max(0.0, abs(gap) - slack)
    if deviation == 0.0:
        return 1.0 if beyond == 0.0 else 0.0
    return float(2.0 * stats.norm.sf(beyond / deviation))


def least_bound(gap: float, deviation: float, confidence: float, slack: float = 0.0) -> float:
    """The smallest bound within which two one-sided tests show an effect to lie (Schuirmann 1987).

    Its chance to be below a true effect is 1 − confidence.
    """
    return abs(gap) + slack + float(stats.norm.ppf(confidence)) * deviation if math.isfinite(gap) else math.inf
