"""Checks of heat: the integral fluctuation theorem between two blocks, and the engine of most power."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from entropic.engine.layers import exchange_block
from entropic.lattice import BlockGrid, Lattice, regular_cuts
from entropic.machines.pump import EntropyPump
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import inverse_temperature
from entropic.verification.samples import draw, play, seed_of
from entropic.verification.statistics import counts_of, heavy_mean_p, p_value, smallest

__all__ = ["CHECKS", "heat_law"]

HALF, HOT, COLD = 3, 2.0, 1.2  # sites of a block, and means of the two
COLUMNS, SWEEPS = 16_384, 80  # the slowest mode of six sites falls by cos²(π/6) = 3/4 a sweep, to 1e-10
_MOST = 160  # quanta of both blocks, beyond which there is a chance of 1e-24


@lru_cache(maxsize=1)
def heat_law() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """P(Q) of the heat from hot to cold in one complete mixing.

    Blocks begin with E_h and E_c quanta, negative binomial; given E = E_h + E_c, the hot one ends with E' quanta with the chance
    C(E' + n − 1, n − 1) C(E − E' + n − 1, n − 1) / C(E + 2n − 1, 2n − 1), and Q = E_h − E'.
    """
    energies = np.arange(_MOST + 1)
    hot, cold = (stats.nbinom.pmf(energies, HALF, 1.0 / (1.0 + mean)) for mean in (HOT, COLD))
    law = np.zeros(2 * _MOST + 1)
    for total in energies.tolist():
        start = hot[: total + 1] * cold[: total + 1][::-1]
        ways = np.array([math.comb(e + HALF - 1, HALF - 1) for e in range(total + 1)], float)
        end = ways * ways[::-1]
        law[_MOST - total : _MOST + total + 1] += np.convolve(start, (end / end.sum())[::-1])
    return np.arange(-_MOST, _MOST + 1), law / law.sum()


def fluctuation(scale: int) -> Finding:
    """Heat between a hot and a cold block that mix completely, many times over."""
    heats: list[NDArray[np.int64]] = []
    for repeat in range(4 * scale):
        field = {"shape": [2 * HALF, COLUMNS], "regions": [1, COLUMNS], "mean": (HOT + COLD) / 2, "initial": "hot-cold"}
        field |= {"hot": HOT, "cold": COLD, "walls": "adiabatic", "seed": seed_of("fluctuation", repeat)}
        before, after = play(1, field=field, relax={"layers": 4 * SWEEPS}, demon={"lift": False}).fields
        halves = [part[:HALF].sum(axis=0, dtype=np.int64) for part in (before, after)]
        heats.append(halves[0] - halves[1])
    heat, (values, chances) = np.concatenate(heats), heat_law()
    gap = inverse_temperature(COLD) - inverse_temperature(HOT)
    weights = np.exp(-gap * values)
    mean = math.fsum(np.exp(-gap * heat)) / heat.size
    counts = counts_of(heat + _MOST, values.size)
    found = [heavy_mean_p(weights, chances, mean, heat.size), p_value([(counts, chances)])]
    shown = (
        Value("⟨e^(−(β_c − β_h) Q)⟩", 1.0, mean),
        Value("⟨Q⟩, quanta", HALF * (HOT - COLD) / 2, float(heat.mean())),
    )
    statistic = "Chernoff's bound on the mean with its exact law, G of Q; 2 tests, Bonferroni"
    return Finding(heat.size, "mixings", statistic, shown, smallest(found))


GEARS = ((4, 3), (3, 2), (5, 3), (2, 1), (5, 2), (3, 1), (4, 1))
BATHS = ((8.0, 2.0), (8.0, 1.0), (8.0, 0.5))
BATCHES, LINES = 64, 128  # engines run in batches
WARM_UP, CYCLES = 40, 40


def curzon_ahlborn(hot: float, cold: float) -> float:
    """η = 1 − √(T_c/T_h)."""
    return 1.0 - math.sqrt(inverse_temperature(hot) / inverse_temperature(cold))


def engines(m: int, n: int, hot: float, cold: float, seed: int) -> NDArray[np.int64]:
    """Work of batches of engines: a site at the hot bath, a site at the cold bath, contact, then a gear swap, again and again.

    Returns
    -------
    int64[batches]
        Quanta over all cycles after the warm-up.
    """
    lines = BATCHES * LINES
    lattice = Lattice((2, lines), (2, 1), adiabatic=True)
    (block,) = BlockGrid(lattice, regular_cuts(lattice, (2, 1))).blocks
    sites: NDArray[Any] = draw(
        shape=[2, lines], mean=(hot + cold) / 2, initial="hot-cold", hot=hot, cold=cold, seed=seed
    ).reshape(lattice.shape)
    pump, work = EntropyPump(m, n, lattice.q_max), np.zeros(lines, np.int64)
    upper, lower = sites[0, 0, 0], sites[0, 0, 1]
    for cycle in range(WARM_UP + CYCLES):
        layer = 4 * cycle + 1  # odd: the end faces meet the baths
        exchange_block(sites, sites, block, layer, seed, False, None, None, (hot, cold))
        before = sites.sum(axis=(0, 1, 2), dtype=np.int64)
        pump.swap(upper, lower)
        if cycle >= WARM_UP:
            work += before - sites.sum(axis=(0, 1, 2), dtype=np.int64)
    batches: NDArray[np.int64] = work.reshape(BATCHES, LINES).sum(axis=1)
    return batches


def endoreversible(scale: int) -> Finding:
    """Of the gears on offer, the one nearest to Curzon and Ahlborn's efficiency has the most power.

    If it has, in each of the independent batches it beats any other with a chance of 1/2 at least: a sign test.
    """
    tally, found = Tally(), []
    for number, (hot, cold) in enumerate(BATHS):
        ideal = curzon_ahlborn(hot, cold)
        best = min(GEARS, key=lambda gear: abs(1.0 - gear[1] / gear[0] - ideal))
        work = {
            gear: np.concatenate([engines(*gear, hot, cold, seed_of("engine", number, *gear, r)) for r in range(scale)])
            for gear in GEARS
        }
        for gear in GEARS:
            if gear != best:
                beaten = int((work[gear] > work[best]).sum())
                found.append(float(stats.binom.sf(beaten - 1, BATCHES * scale, 0.5)))
        first = max(GEARS, key=lambda gear: int(work[gear].sum()))
        tally.values.append(
            Value(f"η at most power, baths of mean {hot:g} and {cold:g}", ideal, 1.0 - first[1] / first[0])
        )
    batches = len(BATHS) * len(GEARS) * BATCHES * scale
    statistic = f"exact sign test over batches of {LINES} engines; {len(found)} tests, Bonferroni"
    return tally.finding("batches", statistic, samples=batches, p_value=smallest(found))


CHECKS = (
    Check(
        "heat: fluctuation theorem",
        f"heat between two thermal blocks of {HALF} sites, means {HOT:g} and {COLD:g}, in one complete mixing",
        "⟨e^(−(β_c − β_h) Q)⟩ = 1, and P(Q) itself",
        "Jarzynski, Wójcik 2004",
        "statistical",
        fluctuation,
        32,
    ),
    Check(
        "heat: endoreversible optimum",
        "power of engines between baths, by gear: which has most",
        "the gear whose 1 − n/m is nearest to 1 − √(T_c/T_h)",
        "Curzon, Ahlborn 1975",
        "statistical",
        endoreversible,
        32,
    ),
)
