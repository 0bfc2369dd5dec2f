"""The statistics of `entropic verify`, and the exact values that it compares with: p-values even, also in the far tail."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from entropic import entropy
from entropic.verification import closed_forms as exact
from entropic.verification.baths import LINES, line_moments, linear
from entropic.verification.exchange import MODES, RING, SWEEPS, amplitudes, mode_of
from entropic.verification.gear import work_law
from entropic.verification.heat import COLD, HOT, heat_law
from entropic.verification.moments import Moments
from entropic.verification.statistics import (
    binomial_p,
    counts_of,
    heavy_mean_p,
    holm,
    likelihood_ratio,
    normal_p,
    p_value,
    smallest,
    sum_p,
)

FALSE_ALARM = 1e-6
DRAWS = 400
Array = NDArray[np.float64]

# --- p-values are even under the law -------------------------------------------------------------------------------


def even(draw: Callable[[np.random.Generator], float], seed: int) -> float:
    """Kolmogorov's exact p-value of many p-values."""
    values = [draw(np.random.default_rng([seed, number])) for number in range(DRAWS)]
    return float(stats.kstest(values, "uniform", method="exact").pvalue)


def test_tables_are_even() -> None:
    law = exact.geometric(Fraction(3, 4), 40)
    wide = [1 / 500] * 500  # at the least expectation that is not pooled
    assert even(lambda rng: p_value([(rng.multinomial(3000, law), law)]), 1) > FALSE_ALARM
    assert even(lambda rng: p_value([(rng.multinomial(10_000, wide), wide)]), 2) > FALSE_ALARM
    many = [exact.site_law(16, 20 + n) for n in range(30)]
    assert even(lambda rng: p_value([(rng.multinomial(400, one), one) for one in many]), 3) > FALSE_ALARM
    hotter = exact.geometric(exact.boltzmann_factor(3.05), 40)
    assert p_value([(np.random.default_rng(4).multinomial(300_000, hotter), law)]) < FALSE_ALARM


def test_sums_are_even() -> None:
    values, chances = work_law(3, 2, np.outer(exact.geometric(Fraction(4, 5), 60), exact.geometric(Fraction(1, 2), 30)))

    def draw(rng: np.random.Generator) -> float:
        return sum_p(values, chances, int(rng.choice(values, 2000, p=chances).sum()), 2000)

    assert even(draw, 5) > FALSE_ALARM


def test_normal_vectors_are_even() -> None:
    matrix = np.array([[2.0, 0.7], [0.7, 1.0]])
    assert even(lambda rng: normal_p(rng.multivariate_normal([0, 0], matrix), matrix), 6) > FALSE_ALARM


def test_bounds_are_on_the_safe_side() -> None:
    """Bounds and two-sided exact tails are not even, but never too small: at most a share p of them lies below p."""
    values, chances = np.exp(np.arange(12) / 3.0), np.array(exact.geometric(Fraction(1, 2), 12))
    bounded = [
        heavy_mean_p(values, chances, float(np.random.default_rng([7, n]).choice(values, 500, p=chances).mean()), 500)
        for n in range(DRAWS)
    ]
    counted = [binomial_p(int(np.random.default_rng([8, n]).binomial(500, 0.1)), 500, 0.1) for n in range(DRAWS)]
    for found in (bounded, counted):
        for level in (0.01, 0.1, 0.3):
            below = sum(p <= level for p in found)
            assert stats.binom.sf(below - 1, DRAWS, level) > FALSE_ALARM


# --- and right in their far tails ------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [(20, 80, 900), (20, 20, 960), (100, 100, 100), (20, 980), (333, 667)])
def test_the_far_tail_of_a_table(expected: tuple[int, ...]) -> None:
    """Every outcome of a small table: how often p ≤ α comes up, down to 1e-10; Pearson's statistic would be far off."""
    total, chances = sum(expected), np.array(expected) / sum(expected)
    if len(expected) == 2:
        cells = np.array([(a, total - a) for a in range(total + 1)])
    else:
        top = min(total, 400)
        cells = np.array([(a, b, total - a - b) for a in range(top + 1) for b in range(top + 1) if a + b <= total])
        likely = stats.multinomial.pmf(cells, total, chances) > 1e-16
        cells = cells[likely]
    law = stats.multinomial.pmf(cells, total, chances)
    found = np.array([p_value([(row, chances)]) for row in cells])
    for level in (1e-2, 1e-4, 1e-6, 1e-8, 1e-10):
        assert law[found <= level].sum() < 3 * level


def test_pearson_would_raise_false_alarms() -> None:
    """Why the statistic is not Pearson's: at 1e-8 its law is wrong by more than an order of magnitude."""
    total, chance = 1000, 0.025
    ones = np.arange(total + 1)
    square = (ones - total * chance) ** 2 / (total * chance * (1 - chance))
    assert stats.binom.pmf(ones, total, chance)[stats.chi2.sf(square, 1) <= 1e-8].sum() > 1e-7


def test_a_table_pools_and_loses_nothing() -> None:
    statistic, freedom = likelihood_ratio([30, 1, 2, 3, 64], [0.3, 0.02, 0.02, 0.02, 0.64])
    assert freedom == 1
    pooled, _ = likelihood_ratio([30, 70], [0.3, 0.7])
    assert statistic == pytest.approx(pooled)
    assert likelihood_ratio([5], [1.0]) == (0.0, 0)
    with pytest.raises(ValueError, match="nothing to test"):
        p_value([([5], [1.0])])
    with pytest.raises(ValueError, match="sum to"):
        likelihood_ratio([5, 5], [0.5, 0.4])
    assert counts_of(np.array([0, 3, 9, 1]), 4).tolist() == [1, 1, 0, 2]


def test_the_far_tail_of_a_sum() -> None:
    """Against SciPy's exact tails of sums that have names: binomial and negative binomial."""
    for total in (300, 330, 420, 470):
        exactly = min(1.0, 2 * min(stats.binom.cdf(total, 1000, 0.3), stats.binom.sf(total - 1, 1000, 0.3)))
        assert sum_p([0, 1], [0.7, 0.3], total, 1000) == pytest.approx(exactly, rel=1e-4, abs=1e-12)
    law = exact.geometric(Fraction(1, 2), 120)
    for total in (1000, 1150, 1290, 800):
        exactly = min(1.0, 2 * min(stats.nbinom.cdf(total, 1000, 0.5), stats.nbinom.sf(total - 1, 1000, 0.5)))
        assert sum_p(np.arange(120), law, total, 1000) == pytest.approx(exactly, rel=1e-4, abs=1e-12)
    law, many = exact.geometric(Fraction(3, 4), 400), 6 * 10**7  # as many as a full run draws
    for quanta in (180_000_000, 180_100_000, 180_140_000, 179_850_000):
        exactly = min(1.0, 2 * min(stats.nbinom.cdf(quanta, many, 0.25), stats.nbinom.sf(quanta - 1, many, 0.25)))
        assert sum_p(np.arange(400), law, quanta, many) == pytest.approx(exactly, rel=1e-4, abs=1e-11)
    assert sum_p([0, 1], [0.5, 0.5], 10**9, 1000) == 0.0
    assert sum_p([-7, 3], [0.5, 0.5], -2 * 10**6, 10**6) > 0.99  # steps of 10: only every tenth sum can be


def test_the_bound_of_a_heavy_mean() -> None:
    """Above the exact tail of a sum, and within two orders of magnitude of it."""
    values, chances = np.arange(60), np.array(exact.geometric(Fraction(2, 3), 60))
    for total in (2000, 2300, 2500, 1700):
        exactly = sum_p(values, chances, total, 1000)
        assert (
            exactly
            <= heavy_mean_p(values, chances, total / 1000, 1000)
            <= max(150 * exactly, 1e-3 if exactly > 1e-4 else 0)
        )


# --- corrections -------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(1e-6, 0.5))
def test_holm_is_the_step_down_procedure(values: list[float], level: float) -> None:
    """Reject the smallest p while it is at most α/(m − i), as Holm has it."""
    rejected, order = set(), sorted(range(len(values)), key=values.__getitem__)
    for step, place in enumerate(order):
        if values[place] > level / (len(values) - step):
            break
        rejected.add(place)
    adjusted = holm(values)
    near = any(math.isclose(p, level, rel_tol=1e-9) for p in adjusted)
    assert near or {place for place, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= q <= 1 for p, q in zip(values, adjusted, strict=True))


def test_holm_by_hand_and_its_rate() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    rng = np.random.default_rng(9)
    alarms = sum(min(holm(rng.random(23).tolist())) <= 0.1 for _ in range(2000))
    assert stats.binom.sf(alarms - 1, 2000, 0.1) > FALSE_ALARM
    assert stats.binom.cdf(alarms, 2000, 1 - (1 - 0.1 / 23) ** 23) > FALSE_ALARM  # and no stricter than it must be
    assert smallest([0.2, 0.01]) == pytest.approx(0.02)
    assert smallest([0.9, 0.8]) == 1.0


# --- exact values against each other --------------------------------------------------------------------------------


def test_moments_against_every_outcome() -> None:
    """Three sites with 0 … 3 quanta each, drawn, mixed twice: by enumeration."""
    starts = {state: Fraction(1, 4) ** 3 for state in product(range(4), repeat=3)}
    for pair in ((0, 1), (1, 2)):
        ends: dict[tuple[int, ...], Fraction] = {}
        for state, chance in starts.items():
            total = sum(state[i] for i in pair)
            for q in range(total + 1):
                new = list(state)
                new[pair[0]], new[pair[1]] = q, total - q
                ends[tuple(new)] = ends.get(tuple(new), Fraction(0)) + chance / (total + 1)
        starts = ends
    moments = Moments(4)
    moments.mean[:3] = 1.5
    moments.product[:3, :3] = 1.5**2 + 1.25 * np.eye(3)
    moments.mix(0, 1)
    moments.mix(1, 2)
    moments.add(3, {0: 2.0, 2: -1.0})
    full = {(*state, 2 * state[0] - state[2]): chance for state, chance in starts.items()}
    for i in range(4):
        assert moments.mean[i] == pytest.approx(float(sum(s[i] * p for s, p in full.items())))
        for j in range(4):
            assert moments.product[i, j] == pytest.approx(float(sum(s[i] * s[j] * p for s, p in full.items())))


def test_moments_of_fresh_sites() -> None:
    moments = Moments(2)
    moments.draw(0, 3.0)
    moments.draw(1, 5.0)
    assert moments.covariance() == pytest.approx(np.diag([12.0, 30.0]))
    moments.mix(0, 1)
    moments.draw(1, 2.0)
    assert moments.covariance()[0, 1] == 0.0
    assert moments.mean.tolist() == [4.0, 2.0]


def test_formulas_of_contact_are_those_of_the_averages() -> None:
    """Decay of a mode, linear profile and flux, from the exact means of the layers."""
    mean = amplitudes().mean[RING:].reshape(len(MODES), SWEEPS)
    for row, mode in zip(mean, MODES, strict=True):
        assert row == pytest.approx([exact.ring_decay(mode_of(mode)[0], t) for t in range(1, SWEEPS + 1)], abs=1e-12)
    for sites, sweeps in LINES.items():
        line = line_moments(sites)
        assert line.mean[:sites] == pytest.approx(linear(sites), rel=1e-10)
        assert line.mean[-2:] / sweeps == pytest.approx([7.0 / (sites + 2)] * 2, rel=1e-6)


def test_laws_of_heat() -> None:
    """The integral and the detailed fluctuation theorem, the mean, and the law by enumeration of small energies."""
    heat, law = heat_law()
    gap = exact.inverse_temperature(COLD) - exact.inverse_temperature(HOT)
    assert math.fsum(law * np.exp(-gap * heat)) == pytest.approx(1.0, rel=1e-9)
    assert float(law @ heat) == pytest.approx(3 * (HOT - COLD) / 2)
    middle = heat.size // 2
    for q in range(1, 20):
        assert law[middle + q] / law[middle - q] == pytest.approx(math.exp(gap * q), rel=1e-9)


def test_laws_of_sites_and_ones() -> None:
    """By enumeration of all states of a small closed region; the package's own law too."""
    sites, quanta, threshold = 4, 9, 3
    states = [s for s in product(range(quanta + 1), repeat=sites) if sum(s) == quanta]
    for n, chance in enumerate(exact.ones_law(sites, quanta, threshold)):
        assert chance == Fraction(sum(sum(q >= threshold for q in s) == n for s in states), len(states))
    for q, p in enumerate(exact.site_law(sites, quanta)):
        assert p == pytest.approx(sum(s[0] == q for s in states) / len(states), rel=1e-14)
    assert [float(p) for p in exact.ones_law(16, 48, 8)] == pytest.approx(
        entropy.macrostate_law(16, 48, 8).tolist(), rel=1e-13
    )


def test_laws_of_pairs() -> None:
    """Order statistics and works, from the joint law of two thermal sites."""
    x, cells = Fraction(4, 5), 150
    single = np.array(exact.geometric(x, cells))
    joint = np.outer(single, single)
    q = np.arange(cells)
    larger, smaller = np.maximum.outer(q, q), np.minimum.outer(q, q)
    assert np.bincount(smaller.ravel(), joint.ravel())[:100] == pytest.approx(
        exact.smaller_law(x, cells)[:100], rel=1e-9
    )
    assert np.bincount(larger.ravel(), joint.ravel())[:100] == pytest.approx(exact.larger_law(x, cells)[:100], rel=1e-9)
    assert sum(exact.larger_law(x, cells)) == pytest.approx(1.0, rel=1e-14)
    for m, n in ((2, 1), (3, 2), (1, 2)):
        work = (m - n) * (larger // m - smaller // n)
        assert float((joint * work).sum()) == pytest.approx(float(exact.sorted_work(m, n, x)), rel=1e-8)
        work = (m - n) * (q[:, None] // m - q[None, :] // n)
        assert float((joint * work).sum()) == pytest.approx(float(exact.thermal_work(m, n, x, x)), rel=1e-8, abs=1e-12)


def test_information_and_its_price() -> None:
    assert exact.information(0.5) == pytest.approx(math.log(2))
    assert exact.divergence(0.3, 0.3) == 0.0
    assert exact.divergence(1.0, 0.25) == pytest.approx(math.log(4))
    assert exact.record(10, 3) == pytest.approx(math.log(120 * 11))
    assert exact.inverse_temperature(5.0) == pytest.approx(-math.log(exact.boltzmann_factor(5.0)))
