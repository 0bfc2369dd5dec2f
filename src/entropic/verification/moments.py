"""Exact means and covariances of sites under thermal contact: the second moments of the KMP update are closed.

If the pair (i, j) divides t = q_i + q_j uniformly, E[q_i'] = E[t]/2, E[q_i'²] = E[t²]/3 + E[t]/6, E[q_i' q_j'] = E[t²]/6 − E[t]/6,
and E[q_i' z] = E[t z]/2 for whatever else there is.  So the variance of a mean over replicas needs no estimate.

Source: C. Kipnis, C. Marchioro, E. Presutti, "Heat flow in an exactly solvable model", J. Stat. Phys. 27 (1982) 65; the discrete
model's integers are uniform on 0 … t, whence the terms linear in E[t].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Moments"]


@final
class Moments:
    """First and second moments of some integers, all 0 at the beginning."""

    def __init__(self, size: int) -> None:
        self.mean = np.zeros(size)
        self.product = np.zeros((size, size))  # E[z_i z_j]

    def draw(self, site: int, mean: float) -> None:
        """Put a fresh thermal site of mean ū, variance ū(1 + ū), in place of ``site``."""
        self.product[site, :] = self.product[:, site] = mean * self.mean
        self.mean[site] = mean
        self.product[site, site] = mean * (1.0 + mean) + mean * mean

    def mix(self, i: int, j: int) -> None:
        """Let a pair share its quanta anew."""
        total = self.mean[i] + self.mean[j]
        square = self.product[i, i] + self.product[j, j] + 2.0 * self.product[i, j]
        half = (self.product[i] + self.product[j]) / 2.0
        for site in (i, j):
            self.product[site, :] = self.product[:, site] = half
            self.mean[site] = total / 2.0
        self.product[i, i] = self.product[j, j] = square / 3.0 + total / 6.0
        self.product[i, j] = self.product[j, i] = square / 6.0 - total / 6.0

    def add(self, place: int, weights: Mapping[int, float]) -> None:
        """z_place += Σ w z."""
        change = np.zeros_like(self.mean)
        for site, weight in weights.items():
            change[site] = weight
        step = self.product @ change
        whole = self.product[place, place] + 2.0 * step[place] + change @ step
        self.mean[place] += change @ self.mean
        row = self.product[place] + step
        self.product[place, :] = self.product[:, place] = row
        self.product[place, place] = whole

    def covariance(self) -> NDArray[np.float64]:
        """Of all of them."""
        covariance: NDArray[np.float64] = self.product - np.outer(self.mean, self.mean)
        return covariance
