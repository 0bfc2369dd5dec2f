"""Checks of Maxwell's demon: bits, the colder and the hotter half, what the record is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from entropic.machines.demon import MaxwellDemon
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import boltzmann_factor, information, larger_law, smaller_law
from entropic.verification.lift import bytes_p, recorded_ones
from entropic.verification.samples import Played, Sites, play, seed_of, thermal
from entropic.verification.statistics import binomial_p, counts_of, p_value, smallest, sum_p

__all__ = ["CHECKS"]

MEAN, SIDE, REGIONS = 5.0, 1000, 20
PAIRS = SIDE * SIDE // 2
CELLS = 400  # x^400 = 2e-32: nothing lies beyond
X = boltzmann_factor(MEAN)
CHANCE = float(X / (1 + X))


def _sorted(seed: int, regions: int = REGIONS, pairs: str = "halves") -> Played:
    """A thermal field, every region of which is sorted once: its halves, or against its partner, across blocks too."""
    field = {"shape": [SIDE, SIDE], "regions": [regions, regions], "mean": MEAN, "seed": seed}
    chunks = (4, 5) if pairs == "partners" else None
    return play(1, chunks, field=field, relax={"layers": 0}, demon={"sort": True, "lift": False, "pairs": pairs})


def _halves(field: Sites) -> tuple[Sites, Sites]:
    """First and second half of each region, in its C order."""
    size = SIDE // REGIONS
    boxes = field.reshape(REGIONS, size, REGIONS, size).swapaxes(1, 2).reshape(REGIONS**2, 2, -1)
    return boxes[:, 0], boxes[:, 1]


def bits(scale: int) -> Finding:
    """Bits of halves of regions, of partner regions, and of the tape."""
    tally, ones, tapes = Tally(), np.zeros(2, np.int64), []
    for repeat in range(scale):
        played = _sorted(seed_of("bits", repeat))
        hot, cold = _halves(played.fields[0])
        found = played.books["sort_ones"][0]
        same = np.array_equal(found, (hot < cold).sum(axis=1))
        tally.see(same, "a region's ones are not its pairs with q_i < q_j", 0)
        partners = _sorted(seed_of("partners", repeat), pairs="partners").books["sort_ones"][0]
        ones += [found.sum(), partners.sum()]
        run = thermal(MEAN, 2 * PAIRS, seed_of("sort tape", repeat))
        tapes.append(MaxwellDemon().sort_between(run[:PAIRS].copy(), run[PAIRS:].copy()).packed)
    for name, total in zip(("halves", "partners"), ones.tolist(), strict=True):
        tally.values.append(Value(f"P(bit), {name}", CHANCE, total / (PAIRS * scale)))
    tests = [*(binomial_p(total, PAIRS * scale, CHANCE) for total in ones.tolist()), bytes_p(tapes, CHANCE)]
    statistic = "exact binomial of the ones, G of the tape's bytes; 3 tests, Bonferroni"
    return tally.finding("pairs", statistic, samples=3 * PAIRS * scale, p_value=smallest(tests))


def _side(scale: int, hot: bool) -> Iterator[tuple[Sites, Sites, Sites]]:
    for repeat in range(scale):
        played = _sorted(seed_of("hot half" if hot else "cold half", repeat))
        before, after = played.fields
        yield np.stack(_halves(before)), _halves(after)[0 if hot else 1], played.books["gradient"][0]


def _half(scale: int, hot: bool) -> Finding:
    tally, counts, total = Tally(), np.zeros(CELLS, np.int64), 0
    law = (larger_law if hot else smaller_law)(X, CELLS)
    for before, after, gradient in _side(scale, hot):
        expected = before.max(axis=0) if hot else before.min(axis=0)
        tally.see(
            np.array_equal(after, expected), f"a site of the {'hot' if hot else 'cold'} half is not max or min", 0
        )
        steep = before.max(axis=0).sum(axis=1, dtype=np.int64) - before.min(axis=0).sum(axis=1, dtype=np.int64)
        tally.see(np.array_equal(gradient, steep), "the gradient is not that of the halves", 0)
        counts += counts_of(after, CELLS)
        total += int(after.sum(dtype=np.int64))
    least = float(X * X / (1 - X * X))
    name, exact = ("E[max]", 2 * MEAN - least) if hot else ("E[min]", least)
    tally.values.append(Value(name, exact, total / (PAIRS * scale)))
    found = [sum_p(np.arange(CELLS), law, total, PAIRS * scale), p_value([(counts, law)])]
    statistic = "exact law of the sum, G of the sites; 2 tests, Bonferroni"
    return tally.finding("pairs", statistic, samples=PAIRS * scale, p_value=smallest(found))


def colder(scale: int) -> Finding:
    """Sites of the cold halves."""
    return _half(scale, False)


def hotter(scale: int) -> Finding:
    """Sites of the hot halves, and the gradient in the books."""
    return _half(scale, True)


def knowledge(scale: int) -> Finding:
    """Nats of the record of one sort of the whole field."""
    tally, total, nats = Tally(), 0, []
    for repeat in range(scale):
        books = _sorted(seed_of("sort record", repeat), 1).books
        nats.append(float(books["sort_nats"][0, 0]))
        ones = recorded_ones(PAIRS, nats[-1])
        tally.see(ones == books["sort_ones"][0, 0], f"a record of {nats[-1]!r} nats has no such number of ones", 0)
        total += ones or 0
    tally.values.append(Value("I a pair", information(CHANCE), math.fsum(nats) / (PAIRS * scale)))
    p = binomial_p(total, PAIRS * scale, CHANCE)
    return tally.finding(
        "pairs", "exact binomial of the ones that the nats stand for", samples=PAIRS * scale, p_value=p
    )


CHECKS = (
    Check(
        "sort: bits",
        f"bits [q_i < q_j] of thermal pairs, mean {MEAN:g}",
        "P = x/(1 + x)",
        "geometric laws",
        "statistical",
        bits,
        64,
    ),
    Check(
        "sort: colder half",
        "sites of the cold halves after a sort",
        "E[min] = x²/(1 − x²), geometric with x²",
        "P(min ≥ k) = x^(2k)",
        "statistical",
        colder,
        64,
    ),
    Check(
        "sort: hotter half",
        "sites of the hot halves after a sort",
        "E[max] = 2ū − E[min], P(max ≤ k) = (1 − x^(k+1))²",
        "order statistics",
        "statistical",
        hotter,
        64,
    ),
    Check(
        "sort: information",
        "nats of the record of a sort",
        "I = H(x/(1 + x)) a pair",
        "Shannon 1948",
        "statistical",
        knowledge,
        64,
    ),
)
