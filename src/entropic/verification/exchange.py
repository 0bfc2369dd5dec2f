"""Checks of thermal contact: the pair update, its equilibrium, and how modes of the mean decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from entropic.kernels import exchange_pairs
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import boltzmann_factor, geometric, ring_decay, site_law
from entropic.verification.moments import Moments
from entropic.verification.samples import Sites, play, seed_of
from entropic.verification.statistics import counts_of, normal_p, p_value, smallest

__all__ = ["CHECKS", "amplitudes", "closed_boxes", "mode_of", "shell_tables", "uniform_p"]

_WORDS = 1 << 32
_SHELL = 511  # q_max = 255 has the shells t = 0 … 510


def pair_update(scale: int) -> Finding:
    """Every shell of small caps, and shells of bytes, at the first, a middle and the last word of every stretch of words."""
    tally, worst = Tally(), 0
    shells = [(q_max, t) for q_max in (*range(1, 9), 15) for t in range(2 * q_max + 1)]
    shells += [(255, t) for t in (*range(128), *range(128, _SHELL, 1 if scale > 1 else 24))]
    for q_max, total in shells:
        worst = max(worst, _shell(tally, q_max, total))
    tally.values.append(Value("words that a → b and b → a differ by, at most", 1.0, float(worst)))
    return tally.finding("moves", "bijection of the shell for every word, inverse, counts of words a → b")


def _shell(tally: Tally, q_max: int, total: int) -> int:
    """Check one shell; returns the largest difference between the numbers of words that lead from a to b and back."""
    bottom = max(0, total - q_max)
    size = min(total, q_max) - bottom + 1
    edges = np.array([-(-s * _WORDS // size) for s in range(size + 1)], np.int64)
    words = np.stack([edges[:-1], (edges[:-1] + edges[1:]) // 2, edges[1:] - 1], axis=1)  # [stretch, 3]
    start = np.broadcast_to(np.arange(size)[:, None, None], (size, size, 3))
    lower = (start + bottom).astype(np.uint8).ravel()
    upper = (total - bottom - start).astype(np.uint8).ravel()
    before = lower.copy()
    high, low = (np.tile(half.ravel(), size).astype(np.uint16) for half in (words >> 16, words & 0xFFFF))
    exchange_pairs(lower, upper, high, low, q_max, False)
    where = f"the shell of {total} quanta under a cap of {q_max}"
    tally.see((lower.astype(np.int64) + upper == total).all(), f"{where} loses quanta", lower.size)
    end = lower.astype(np.int64).reshape(size, size, 3) - bottom
    places = np.arange(size)
    sound = bool(((end >= 0) & (end < size)).all() and (end == end[:, :, :1]).all())
    sound = sound and bool((np.sort(end[:, :, 0], axis=0) == places[:, None]).all())  # each word: a bijection
    sound = sound and bool((np.sort(end[:, :, 0], axis=1) == places).all())  # each start: every place, by one stretch
    tally.see(sound, f"{where} is not divided uniformly", 0)
    exchange_pairs(lower, upper, high, low, q_max, True)
    tally.see(np.array_equal(lower, before), f"{where} is not restored by the inverse", lower.size)
    if not sound:
        return _WORDS
    ways = np.empty((size, size), np.int64)
    np.put_along_axis(ways, end[:, :, 0], np.broadcast_to(np.diff(edges), (size, size)), axis=1)
    gap = int(abs(ways - ways.T).max())
    tally.see(gap <= 1 and (gap == 0 or size & (size - 1)), f"{where}: detailed balance fails by {gap} words", 0)
    return gap


def shifts(before: Sites, after: Sites, layer: int) -> dict[tuple[int, int], NDArray[np.int64]]:
    """Counts of the shift s = (q_i' − q_i) mod (t + 1) by (t, q_i), in a closed field that one layer changed.

    Raises
    ------
    ValueError
        A pair of the layer does not hold what it held before.
    """
    axis, parity = layer // 2 % before.ndim, layer % 2
    old, new = (np.moveaxis(a, axis, 0)[parity:].astype(np.int64) for a in (before, after))
    pairs = old.shape[0] // 2 * 2
    q, total = old[:pairs:2].ravel(), (old[:pairs:2] + old[1:pairs:2]).ravel()
    if not np.array_equal((new[:pairs:2] + new[1:pairs:2]).ravel(), total):
        raise ValueError(f"layer {layer} did not keep the energy of its pairs")
    shift = (new[:pairs:2].ravel() - q) % (total + 1)
    width = int(total.max()) + 1
    table = np.bincount((total * width + q) * width + shift, minlength=width**3).reshape(width, width, width)
    return {(t, a): table[t, a, : t + 1] for t in range(1, width) for a in range(t + 1)}


Tables = list[NDArray[np.int64]]


def shell_tables(runs: Iterable[list[Sites]]) -> tuple[Tables, Tables]:
    """Shifts of closed fields before and after each of their first layers: a table a (t, q_i), and a table a t.

    Given the field before a layer, the shifts of its pairs are independent and uniform on the shell, whatever t and q_i are.
    The first kind sees every start, the second a slight unevenness that all starts share.  Tables with fewer than 5 pairs a
    place (which the field before decides) are left.
    """
    starts, shells = [], []
    for layer, (before, after) in (step for fields in runs for step in enumerate(pairwise(fields))):
        sums: dict[int, NDArray[np.int64]] = {}
        for (total, _), seen in shifts(before, after, layer).items():
            sums[total] = sums.get(total, 0) + seen
            starts += [seen.copy()] if seen.sum() >= 5 * seen.size else []  # a view would keep the whole table alive
        shells += [seen for seen in sums.values() if seen.sum() >= 5 * seen.size]
    return starts, shells


def uniform_p(*kinds: Tables) -> float:
    """p-value of tables that should be even."""
    return smallest([p_value([(seen, [1 / seen.size] * seen.size) for seen in tables]) for tables in kinds])


def uniform(scale: int) -> Finding:
    """Layers on both axes and parities of a field in four blocks, so across seams too."""
    runs = (
        play(
            8,
            (1, 1),
            field={"shape": [240, 1201], "regions": [4, 1], "mean": 5.0, "seed": seed_of("uniform", repeat)},
            relax={"layers": 1},
            demon={"lift": False},
        ).fields
        for repeat in range(scale)
    )
    starts, shells = shell_tables(runs)
    pairs = sum(int(table.sum()) for table in shells)
    statistic = "G of the shifts by shell, and by shell and start; 2 tests, Bonferroni"
    return Finding(pairs, "pairs", statistic, p_value=uniform_p(starts, shells))


def thermal(scale: int) -> Finding:
    """Pairs of neighbours of a thermal field after 24 layers: sites independent and geometric, so neighbours tell nothing.

    The update keeps the product of geometric laws exactly (it is uniform on shells on which that product is constant), so
    disjoint pairs of neighbours are independent draws from the product law, at any time.
    """
    mean, cells = 3.0, 16
    law = np.array(geometric(boltzmann_factor(mean), cells))
    counts, total = np.zeros(cells**2, np.int64), 0
    for repeat in range(scale):
        field = {"shape": [24, 40, 500], "regions": [3, 2, 4], "mean": mean, "seed": seed_of("thermal", repeat)}
        last = play(4, (1, 2, 2), field=field, relax={"layers": 6}, demon={"lift": False}).fields[-1]
        cut = np.minimum(last, cells - 1).astype(np.int64)
        counts += np.bincount((cut[0::2] * cells + cut[1::2]).ravel(), minlength=cells**2)
        total += int(last.sum(dtype=np.int64))
    pairs = int(counts.sum())
    values = (Value("mean, quanta a site", mean, total / (2 * pairs)),)
    p = p_value([(counts, np.outer(law, law).ravel())])
    return Finding(pairs, "pairs of neighbours", "G of the joint law of two neighbours", values, p)


REGION, QUANTA = 16, 48
"""Sites and quanta of the closed boxes of 4 × 4."""
MIXING = 120
"""Layers: the slowest mode of 4 sites falls by cos²(π/4) = 1/2 in four layers, so to 2⁻³⁰."""


def closed_boxes(
    seed: int, threshold: int | None, cycles: int, layers: int = MIXING
) -> tuple[list[Sites], dict[str, Sites]]:
    """4,096 boxes with adiabatic walls that begin as far from equilibrium as can be told: every site at the mean."""
    field = {"shape": [256, 256], "regions": [64, 64], "mean": QUANTA / REGION, "initial": "uniform", "seed": seed}
    demon = {"lift": threshold is not None, "threshold": threshold or 1}
    played = play(cycles, (16, 64), field={**field, "walls": "adiabatic"}, relax={"layers": layers}, demon=demon)
    return played.fields, played.books


def _places_p(last: list[Sites]) -> float:
    """p-value of the law of one site of each box (boxes are independent), at four places in the box.

    Four places are four tests, not one: sites of a box know each other.
    """
    law, found = site_law(REGION, QUANTA), []
    for i, j in product((0, 2), (1, 3)):
        counts = np.sum([counts_of(field[i::4, j::4], QUANTA + 1) for field in last], axis=0)
        found.append(p_value([(counts, law)]))
    return smallest(found)


def boxes(scale: int) -> Finding:
    """One site of many closed boxes, long after a start with every site at the mean."""
    last = [closed_boxes(seed_of("boxes", repeat), None, 1)[0][-1] for repeat in range(scale)]
    empty = sum(int((field == 0).sum()) for field in last) / sum(field.size for field in last)
    values = (Value("P(q = 0)", site_law(REGION, QUANTA)[0], empty),)
    number = sum(field.size for field in last) // REGION
    return Finding(number, "boxes", "G of the law of a site, at four places", values, _places_p(last))


RING, HOT, COLD = 10, 8.0, 0.5
MODES, SWEEPS = (1, 3), 4


def mode_of(mode: int) -> tuple[float, NDArray[np.float64]]:
    """Wave number, and the weights that make 1 of the mean at the start."""
    k = 2.0 * math.pi * mode / RING
    wave = np.exp(-1j * k * np.arange(RING))
    start = wave @ np.where(np.arange(RING) < RING // 2, HOT, COLD)
    return k, np.real(wave * np.conj(start)) / abs(start) ** 2


def amplitudes() -> Moments:
    """Exact moments of the amplitudes of both modes after 1 … SWEEPS sweeps, in this order (behind the sites)."""
    ring = Moments(RING + len(MODES) * SWEEPS)
    for site in range(RING):
        ring.draw(site, HOT if site < RING // 2 else COLD)
    for sweeps in range(SWEEPS):
        for parity in (0, 1):
            for site in range(parity, RING, 2):
                ring.mix(site, (site + 1) % RING)
        for place, mode in enumerate(MODES):
            ring.add(RING + place * SWEEPS + sweeps, dict(enumerate(mode_of(mode)[1].tolist())))
    return ring


def ring(scale: int) -> Finding:
    """Modes 1 and 3 of 10 sites, half hot and half cold: of their partners at k + π, which would feed them, there is nothing.

    Columns are rings of their own: adiabatic walls between them, so that only layers on axis 0 do anything.
    """
    columns, sums = 8192, np.zeros((SWEEPS, RING))
    for repeat in range(4 * scale):
        field = {"shape": [RING, columns], "regions": [1, columns], "mean": 4.25, "initial": "hot-cold", "hot": HOT}
        field |= {"cold": COLD, "walls": "adiabatic", "edges": "periodic", "seed": seed_of("ring", repeat)}
        played = play(SWEEPS, (1, columns // 2), field=field, relax={"layers": 4}, demon={"lift": False})
        sums += [one.sum(axis=1, dtype=np.int64) for one in played.fields[1:]]
    number = 4 * scale * columns
    values = []
    for mode in MODES:
        k, weight = mode_of(mode)
        for sweeps in range(1, SWEEPS + 1):
            found = float(weight @ sums[sweeps - 1]) / number
            values.append(Value(f"mode {mode} after {sweeps} sweeps", ring_decay(k, sweeps), found))
    gap = [value.found - value.exact for value in values]
    p = normal_p(gap, amplitudes().covariance()[RING:, RING:] / number)
    return Finding(number, "rings", "χ² of the amplitudes, with their exact covariance", tuple(values), p)


CHECKS = (
    Check(
        "pair update: detailed balance",
        "moves of one pair, word by word: every shell of caps 1 … 8, 15, shells of bytes",
        "each word a bijection of the shell; a → b by ⌊2³²/(t+1)⌋ or ⌈2³²/(t+1)⌉ words",
        "counting",
        "exact",
        pair_update,
        2,
    ),
    Check(
        "pair update: uniform on its shell",
        "shifts (q' − q) mod (t + 1) of the pairs of 8 layers on the engine",
        "uniform on 0 … t, whatever t and q are",
        "Kipnis, Marchioro, Presutti 1982",
        "statistical",
        uniform,
        48,
    ),
    Check(
        "equilibrium: thermal stays thermal",
        "two neighbours of a thermal field after 24 layers",
        "P(q) = (1 − x) x^q, neighbours independent",
        "uniform shells keep products of geometric laws",
        "statistical",
        thermal,
        96,
    ),
    Check(
        "equilibrium: closed boxes forget their start",
        f"a site of a closed box of {REGION} sites and {QUANTA} quanta, {MIXING} layers after an even start",
        "P(q) = C(Q−q+N−2, N−2)/C(Q+N−1, N−1)",
        "counting",
        "statistical",
        boxes,
        96,
    ),
    Check(
        "exchange: decay of a mode",
        f"modes 1 and 3 of the mean on rings of {RING} sites, after 1 … {SWEEPS} sweeps",
        "cos²(k/2) cos(k)^(2t−1)",
        "projections on pairs, alternating",
        "statistical",
        ring,
        96,
    ),
)
