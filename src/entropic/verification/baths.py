"""Checks of heat flow between baths: profile, flux, Fourier's law."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import boltzmann_factor, geometric
from entropic.verification.moments import Moments
from entropic.verification.samples import Played, play, seed_of
from entropic.verification.statistics import normal_p, p_value, smallest, sum_p

__all__ = ["CHECKS", "line_moments"]

LEFT, RIGHT, START = 8.0, 1.0, 4.0  # quanta a site: baths, and the field at the beginning
COLUMNS, REPEATS = 16_384, 2
LINES = {4: 48, 8: 138}  # sites: sweeps of each of two cycles; cos²(π/L) a sweep forgets the start to 1e-6 in one


@lru_cache(maxsize=8)
def line_moments(sites: int) -> Moments:
    """Exact moments of a line at the end of the second cycle.

    Places: sites, left bath, right bath, then quanta in on the left and out on the right during the second cycle.
    """
    left, right, gain, loss = sites, sites + 1, sites + 2, sites + 3
    line = Moments(sites + 4)
    for site in range(sites):
        line.draw(site, START)
    for cycle in (1, 2):
        for _ in range(LINES[sites]):
            for site in range(0, sites, 2):
                line.mix(site, site + 1)
            line.draw(left, LEFT)
            line.draw(right, RIGHT)
            if cycle == 2:
                line.add(gain, {left: 1.0})
                line.add(loss, {right: -1.0})
            for site in range(1, sites - 2, 2):
                line.mix(site, site + 1)
            line.mix(left, 0)
            line.mix(sites - 1, right)
            if cycle == 2:
                line.add(gain, {left: -1.0})
                line.add(loss, {right: 1.0})
    return line


def _lines(sites: int, seed: int) -> Played:
    """Columns of ``sites`` sites between baths, adiabatic walls between them; layers come in turn on both axes."""
    field = {"shape": [sites, COLUMNS], "regions": [1, COLUMNS], "mean": START, "walls": "adiabatic", "seed": seed}
    field |= {"edges": "baths", "bath_left": LEFT, "bath_right": RIGHT}
    return play(2, field=field, relax={"layers": 4 * LINES[sites]}, demon={"lift": False})


def linear(sites: int) -> NDArray[np.float64]:
    """Mean profile after a sweep: on the line from bath to bath, at the middle of the pair that each site was last in.

    A layer leaves both sites of a pair with the mean that the line has at their middle, so a bath site, which has not been
    mixed yet, stands for a pair whose middle is 3/2 steps beyond the end site: L = sites + 2.
    """
    middle = np.array([x - 0.5 if x % 2 == 0 else x + 0.5 for x in range(sites)])
    return LEFT + (RIGHT - LEFT) * (middle + 1.5) / (sites + 2)


def profile(scale: int) -> Finding:
    """The mean profile, all sites together."""
    values, gaps, covariances = [], [], []
    for sites in LINES:
        last = [_lines(sites, seed_of("profile", sites, repeat)).fields[-1] for repeat in range(REPEATS * scale)]
        seen = sum(field.sum(axis=1, dtype=np.int64) for field in last) / (COLUMNS * len(last))
        gaps.append(seen - linear(sites))
        covariances.append(line_moments(sites).covariance()[:sites, :sites] / (COLUMNS * len(last)))
        for x in (0, sites // 2, sites - 1):
            values.append(Value(f"mean of site {x} of {sites}", float(linear(sites)[x]), float(seen[x])))
    p = normal_p(np.concatenate(gaps), block_diag(*covariances))
    statistic = "χ² of both profiles, with their exact covariances"
    return Finding(len(LINES) * COLUMNS * REPEATS * scale, "lines", statistic, tuple(values), p)


def flux(scale: int) -> Finding:
    """Quanta that came in on the left and went out on the right, a sweep."""
    values, covariances = [], []
    for sites, sweeps in LINES.items():
        sent, lines = np.zeros(2, np.int64), COLUMNS * REPEATS * scale
        for repeat in range(REPEATS * scale):
            books = _lines(sites, seed_of("flux", sites, repeat)).books
            sent += [(books[f"{end}_in"][1] - books[f"{end}_out"][1]).sum() for end in ("left", "right")]
        for end, net in zip(("left", "right"), (sent * [1, -1]).tolist(), strict=True):
            exact = (LEFT - RIGHT) / (sites + 2)
            values.append(Value(f"flux a sweep, {end} end, {sites} sites", exact, net / (lines * sweeps)))
        covariances.append(line_moments(sites).covariance()[-2:, -2:] / (lines * sweeps**2))
    p = normal_p([value.found - value.exact for value in values], block_diag(*covariances))
    statistic = "χ² of the four fluxes, with their exact covariance"
    return Finding(len(LINES) * COLUMNS * REPEATS * scale, "lines", statistic, tuple(values), p)


def equal(scale: int) -> Finding:
    """Lines between baths as warm as they are: thermal for ever, and what the baths send is thermal too.

    A fresh thermal site beside a thermal line is one more site of it, so the product of geometric laws is kept exactly: the
    sites of a line are independent at any time, as are the fresh sites of all sweeps.
    """
    tally, mean, sites, sweeps, cells = Tally(), 3.0, 4, 30, 16
    x = boltzmann_factor(mean)
    law = np.array(geometric(x, cells))
    ends, sent = np.zeros((2, cells**2), np.int64), np.zeros(2, np.int64)
    for repeat in range(2 * scale):
        field = {"shape": [sites, COLUMNS], "regions": [1, COLUMNS], "mean": mean, "walls": "adiabatic"}
        field |= {"edges": "baths", "bath_left": mean, "bath_right": mean, "seed": seed_of("equal", repeat)}
        played = play(1, field=field, relax={"layers": 4 * sweeps}, demon={"lift": False})
        last = np.minimum(played.fields[-1], cells - 1).astype(np.int64)
        for end, pair in enumerate((last[:2], last[:-3:-1])):
            ends[end] += np.bincount(pair[0] * cells + pair[1], minlength=cells**2)
        sent += [int(played.books[name].sum()) for name in ("left_in", "right_in")]
    fresh = 2 * scale * COLUMNS * sweeps
    single = np.array(geometric(x, 400))
    found = [sum_p(np.arange(400), single, int(quanta), fresh) for quanta in sent]
    found.append(p_value([(counts, np.outer(law, law).ravel()) for counts in ends]))
    for name, quanta in zip(("left", "right"), sent.tolist(), strict=True):
        tally.values.append(Value(f"mean of the {name} bath's sites", mean, quanta / fresh))
    statistic = "exact law of what each bath sends, G of both ends with their neighbours; 3 tests, Bonferroni"
    return tally.finding("lines", statistic, samples=2 * scale * COLUMNS, p_value=smallest(found))


CHECKS = (
    Check(
        "baths: equilibrium",
        "lines between two baths of their own mean, 3",
        "P(q) = (1 − x) x^q, sites independent; what baths send likewise",
        "uniform shells keep products of geometric laws",
        "statistical",
        equal,
        64,
    ),
    Check(
        "baths: linear profile",
        f"mean of every site of lines between baths of mean {LEFT:g} and {RIGHT:g}",
        "u_L + (u_R − u_L)(x + 3/2)/L at the middle x of a site's last pair, L = sites + 2",
        "the mean obeys the averages over pairs",
        "statistical",
        profile,
        32,
    ),
    Check(
        "baths: Fourier's law",
        "quanta a sweep from the left bath and into the right one, at two lengths",
        "(u_L − u_R)/L: D = 1 a sweep",
        "the mean obeys the averages over pairs",
        "statistical",
        flux,
        32,
    ),
)
