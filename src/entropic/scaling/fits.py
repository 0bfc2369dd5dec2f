"""Laws of speed-up, fitted: Amdahl's (1967), and Gunther's universal scalability law (2007).

T(N) = T₁ (1 + σ(N − 1) + κN(N − 1))/N = T₁ · 1/N + T₁σ · (N − 1)/N + T₁κ · (N − 1)

is linear in T₁, T₁σ and T₁κ, none of them negative; without the last term it is Amdahl's law, σ the serial share.  So
least squares of the relative deviations under these signs is exact, and quick enough for a bootstrap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from entropic.scaling.statistics import Interval, interval

__all__ = ["fit_speedup", "fitted_seconds"]

Law = Literal["amdahl", "usl"]
_RESAMPLES = 999
_TERMS = {"amdahl": 2, "usl": 3}


def _terms(workers: NDArray[np.float64], law: Law) -> NDArray[np.float64]:
    rows = [1 / workers, (workers - 1) / workers, workers - 1]
    return np.stack(rows[: _TERMS[law]], axis=1)


def _solve(workers: NDArray[np.float64], seconds: NDArray[np.float64], law: Law) -> NDArray[np.float64]:
    """T₁, T₁σ and, of the universal law, T₁κ."""
    found, _ = optimize.nnls(_terms(workers, law) / seconds[:, None], np.ones_like(seconds))
    return found


def fitted_seconds(workers: NDArray[np.float64], base: float, serial: float, crosstalk: float) -> NDArray[np.float64]:
    """T(N) of the universal law."""
    return base * (1 + serial * (workers - 1) + crosstalk * workers * (workers - 1)) / workers


def fit_speedup(
    seconds: Mapping[int, Sequence[float]], law: Law, ahead: Sequence[int], confidence: float, seed: int
) -> dict[str, Any] | None:
    """Fit a law to the repeats at each number of workers.

    Parameters
    ----------
    seconds : dict
        By number of workers.
    ahead : sequence of int
        Numbers of workers, measured or not, for which the speed-up is foretold.

    Returns
    -------
    dict or None
        Parameters and speed-ups with intervals from a bootstrap within each number of workers; None where there are
        fewer numbers of workers than parameters.
    """
    if len(seconds) < _TERMS[law]:
        return None
    known = sorted(seconds)
    workers = np.repeat(np.array(known, float), [len(seconds[n]) for n in known])
    times = [np.asarray(seconds[n], float) for n in known]
    grid = np.array(sorted({*known, *ahead}), float)
    best = _described(_solve(workers, np.concatenate(times), law), grid)
    random = np.random.default_rng(seed)
    again = []
    for _ in range(_RESAMPLES if min(len(t) for t in times) > 1 else 0):
        drawn = np.concatenate([_redrawn(t, random) for t in times])
        again.append(_described(_solve(workers, drawn, law), grid))
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    spans = np.quantile(again, edges, axis=0) if again else np.full((2, best.size), np.nan)

    def of(place: int) -> Interval:
        value, low, high = float(best[place]), float(spans[0][place]), float(spans[1][place])
        return interval(value, *((None, None) if math.isnan(low) else (low, high)))

    fitted = fitted_seconds(np.array(known, float), *best[:3])
    medians = np.array([np.median(t) for t in times])
    return {
        "law": law,
        "observations": int(workers.size),
        "base_seconds": of(0),
        "serial": of(1),
        "crosstalk": of(2) if law == "usl" else None,
        "largest_deviation": float(np.abs(fitted / medians - 1).max()),
        "curve": [
            {"workers": int(n), "speedup": of(3 + k), "measured": int(n) in seconds}
            for k, n in enumerate(grid.tolist())
        ],
    }


def _redrawn(seconds: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """Repeats drawn again, spread out by √(n/(n − 1)): n values scatter less about their own mean than about the true one."""
    logs = np.log(seconds)
    middle, size = logs.mean(), seconds.size
    redrawn: NDArray[np.float64] = np.exp(middle + (random.choice(logs, size) - middle) * math.sqrt(size / (size - 1)))
    return redrawn


def _described(found: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """T₁, σ, κ, and the speed-ups on a grid; T₁ = 0 is all serial."""
    base = float(found[0])
    if base == 0.0:  # no worker more does anything: as if σ = 1
        base = float(found[1]) or math.nan
        found = np.array([base, base, *found[2:]])
    serial, crosstalk = float(found[1]) / base, float(found[2]) / base if found.size > 2 else 0.0
    return np.array([base, serial, crosstalk, *(base / fitted_seconds(grid, base, serial, crosstalk))])
