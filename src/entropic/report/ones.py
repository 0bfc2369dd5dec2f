"""How many ones the first lift found in each region, over their exact law."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from entropic import entropy
from entropic.config import Config
from entropic.initial import lattice_of, region_quanta
from entropic.report.charts import Bars, Figure
from entropic.report.tables import near, number

__all__ = ["incomparable", "ones_figure"]

_BARS = 60


def incomparable(config: Config) -> str:
    """Why the law of the ones is not known exactly; empty if it is.

    After the first lift the sites at zero are no longer thermal, so that only the first cycle can be compared; and only
    if what comes before its lift leaves the sites in equilibrium, as exchange layers do.
    """
    demon, field = config.demon, config.field
    if not demon.lift:
        return "no demon lifts"
    if demon.protocol is not None:
        return "the demon follows a protocol of its own"
    if demon.sort or config.exchange.enabled:
        return "sites are sorted or traded before the first lift"
    if field.edges == "baths":
        return "baths drive the field"
    if field.initial == "thermal":
        return ""
    if field.initial == "microcanonical" and (field.walls == "adiabatic" or field.region_count == 1):
        sites = lattice_of(field).region_sites
        try:
            entropy.macrostate_law(sites, region_quanta(field.mean, sites), demon.threshold)
        except entropy.EntropyDomainError:
            return "the regions are too large for the law of a closed region"
        return ""
    return f"the field starts {field.initial}, not in equilibrium"


def _cumulated(config: Config, ones: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(n₁ ≤ ones) of one region in the first cycle."""
    field, sites = config.field, lattice_of(config.field).region_sites
    if field.initial == "thermal":
        ratio = Fraction(field.mean) / (1 + Fraction(field.mean))
        return np.asarray(stats.binom.cdf(ones, sites, float(ratio**config.demon.threshold)))
    law = np.cumsum(entropy.macrostate_law(sites, region_quanta(field.mean, sites), config.demon.threshold))
    return np.where(ones < 0, 0.0, law[np.clip(ones, 0, sites)])


def ones_figure(config: Config, ones: NDArray[np.int64]) -> Figure | None:
    """Histogram of the regions by what the first lift found, if its law is known exactly."""
    if not ones.size or incomparable(config):
        return None
    low, high = int(ones.min()), int(ones.max())
    width = max(1, -(-(high - low + 1) // _BARS))
    edges = np.arange(max(low - width, 0), high + 2 * width, width)
    counts = np.histogram(ones, np.append(edges, edges[-1] + width))[0]
    expected = ones.size * (_cumulated(config, edges + width - 1) - _cumulated(config, edges - 1))
    return Figure(
        "ones",
        "What the first measurement found, over its exact law",
        _reading(config, ones),
        Bars(
            edges, width, counts, expected, "ones n₁ in a region's record", "regions", "regions, counted", "exact law"
        ),
        "Cycle 1 only: a lift leaves the sites that it did not touch out of equilibrium.",
    )


def _reading(config: Config, ones: NDArray[np.int64]) -> str:
    sites, total = lattice_of(config.field).region_sites, int(ones.sum())
    if config.field.initial != "thermal":
        law = entropy.macrostate_law(sites, region_quanta(config.field.mean, sites), config.demon.threshold)
        mean = float(np.arange(law.size) @ law)
        return (
            f"In cycle 1 the {number(ones.size)} regions held {near(ones.mean())} ones on average; the law of a "
            f"closed region says {near(mean)}."
        )
    ratio = float((Fraction(config.field.mean) / (1 + Fraction(config.field.mean))) ** config.demon.threshold)
    chance = stats.binomtest(total, sites * ones.size, ratio).pvalue if 0 < ratio < 1 else 1.0
    return (
        f"In cycle 1, {number(total)} of {number(sites * ones.size)} sites held the threshold of "
        f"{config.demon.threshold} quanta or more; {near(sites * ones.size * ratio)} were expected. Chance alone is as "
        f"far off with probability {chance:.2g} (exact binomial test)."
    )
