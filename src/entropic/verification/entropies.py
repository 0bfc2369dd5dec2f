"""Checks of entropy's consequences: the ladder of coarse grainings, the price of a record, exergy."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from entropic import entropy, units
from entropic.entropy import RecordKind
from entropic.kernels import block_histograms
from entropic.machines.landauer import LandauerEngine
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.samples import draw, seed_of

__all__ = ["CHECKS"]

_DIGITS = 60


def _ln_choose(n: int, k: int) -> mpmath.mpf:
    return mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)


def _nats(sites: int, quanta: int) -> mpmath.mpf:
    """S(N, Q) = ln C(Q + N − 1, Q), to the digits in force."""
    return _ln_choose(quanta + sites - 1, quanta)


def _grids(scale: int) -> list[tuple[NDArray[Any], tuple[int, int]]]:
    """Fields of two axes, and the extents of their regions."""
    made = []
    for number, (regions, box) in enumerate((((8, 6), (5, 7)), ((5, 7), (3, 4)), ((1, 16), (6, 2)), ((9, 9), (2, 2)))):
        for hot, cold in ((8.0, 0.3), (5.0, 5.0), (2.0, 1.0))[: 2 + (scale > 1)]:
            shape = [regions[0] * box[0], regions[1] * box[1]]
            field = draw(
                shape=shape,
                mean=(hot + cold) / 2,
                initial="hot-cold",
                hot=hot,
                cold=cold,
                seed=seed_of("ladder", number),
            )
            made.append((field, box))
    return made


def ladder(scale: int) -> Finding:
    """Fields with and without a gradient: every rung against 60 digits, none below the one before, ends where they must be."""
    tally, largest = Tally(), 0.0
    for field, box in _grids(scale):
        sites, shape = box[0] * box[1], (field.shape[0] // box[0], field.shape[1] // box[1])
        quanta = field.reshape(shape[0], box[0], shape[1], box[1]).sum(axis=(1, 3), dtype=np.int64)
        counts = np.zeros((quanta.size, 256), np.int64)
        block_histograms(field.reshape(1, 1, *field.shape), np.array([1, 1, *box]), counts)
        histogram = math.fsum(entropy.region_histogram_nats(counts))
        nats = [rung.nats for rung in entropy.coarse_ladder(sites, quanta)]
        where, slack = f"regions {shape} of {sites} sites", 1e-14 * nats[-1]
        tally.see(all(b >= a - slack for a, b in pairwise(nats)), f"{where}: the ladder falls: {nats}", len(nats))
        ends = entropy.field_nats(sites, quanta)
        tally.see(histogram <= ends.region + slack, f"{where}: S_hist exceeds S_region")
        tally.see((nats[0], nats[-1]) == (ends.region, ends.equilibrium), f"{where}: the ladder's ends are others")
        with mpmath.workdps(_DIGITS):
            exact = _rungs(sites, quanta)
        error = max(abs(a / b - 1) for a, b in zip(nats, exact, strict=True)) if len(nats) == len(exact) else math.inf
        largest = max(largest, error)
        tally.see(error < 1e-14, f"{where}: rungs {nats} are not {exact}")
    tally.values.append(Value("relative error of a rung, at most", 0.0, largest))
    return tally.finding("cases", "every rung against 60 digits, to 1e-14; monotone")


def _rungs(sites: int, quanta: NDArray[np.int64]) -> list[float]:
    """Entropy at every scale, neighbours merging in pairs along the longest axis."""
    held, made = np.full(quanta.shape, sites), []
    while True:
        boxes = zip(held.ravel().tolist(), quanta.ravel().tolist(), strict=True)
        made.append(float(mpmath.fsum(_nats(n, q) for n, q in boxes)))
        if quanta.size == 1:
            return made
        held, quanta = (_paired(array, int(np.argmax(quanta.shape))) for array in (held, quanta))


def _paired(array: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Sums of neighbours along an axis; the last one alone if their number is odd."""
    rows = np.moveaxis(array, axis, 0)
    parts = [rows[i : i + 2].sum(axis=0) for i in range(0, rows.shape[0], 2)]
    return np.moveaxis(np.stack(parts), 0, axis)


def reeb_wolf(scale: int) -> Finding:
    """Prices of erasure: least, against 60 digits; never below T k; and T k in the limit of a large bath.

    S is concave and its slope falls by at most δ = (N − 1)/((Q + 1)(Q + N)) a quantum, so E_min ≤ ⌈(1 − √(1 − 2 δ T² k))/(δ T)⌉.
    """
    tally, excess = Tally(), []
    for power in (2, 4, 6, 8, 10, *((11,) if scale > 1 else ())):
        sites = 10**power
        for mean in (1, 5):
            quanta = mean * sites
            nats = float(round(sites ** (2 / 3)))
            price = entropy.erasure_quanta_for_nats(sites, quanta, nats)
            assert price is not None  # of several sites
            with mpmath.workdps(_DIGITS):
                _least(tally, sites, quanta, price, mpmath.mpf(nats), "nats")
                warmth = 1 / mpmath.log(mpmath.mpf(quanta + sites) / (quanta + 1))
                delta = mpmath.mpf(sites - 1) / (mpmath.mpf(quanta + 1) * (quanta + sites))
                most = mpmath.ceil((1 - mpmath.sqrt(1 - 2 * delta * warmth**2 * nats)) / (delta * warmth))
                tally.see(
                    warmth * nats <= price <= most, f"{sites} sites: {price} quanta are outside T k and its bound"
                )
                share = float(price / (warmth * nats) - 1)
            if mean == 5:
                excess.append(share)
                tally.values.append(Value(f"E_min/(T k) → 1: N = {sites:.0e}, k = {nats:.0f}", 1.0, 1.0 + share))
    tally.see(all(b < a for a, b in pairwise(excess)), f"the excess over T k does not fall: {excess}")
    _records(tally, scale)
    joules = units.landauer_joules_per_bit(300.0)
    with mpmath.workdps(_DIGITS):
        exact = float(mpmath.mpf("1.380649e-23") * 300 * mpmath.log(2))
    tally.see(math.isclose(joules, exact, rel_tol=1e-15), f"a bit at 300 K costs {joules!r} J")
    tally.values.append(Value("k_B T ln 2 at 300 K, zJ", exact * 1e21, joules * 1e21))
    return tally.finding("prices", "least integer E with S(N, Q + E) − S(N, Q) ≥ k, to 60 digits; T k ≤ E ≤ bound")


def _records(tally: Tally, scale: int) -> None:
    """Prices of records as the engine bills them."""
    kinds: tuple[RecordKind, ...] = ("compressed", "raw")
    for kind in kinds:
        for sites, quanta in ((16, 30), (100, 500), (2500, 12_000), (10**6, 5 * 10**6))[: 3 + (scale > 1)]:
            engine = LandauerEngine(kind, sites, 1, 255)
            for ones in (0, 1, sites // 9, sites // 2, sites):
                price = engine.price(quanta, ones)
                with mpmath.workdps(_DIGITS):
                    known = sites * mpmath.log(2) if kind == "raw" else _ln_choose(sites, ones) + mpmath.log(sites + 1)
                    _least(tally, sites, quanta, price, known, f"{kind} record of {ones} ones")


def _least(tally: Tally, sites: int, quanta: int, price: int | None, nats: mpmath.mpf, what: str) -> None:
    where = f"{what} in {sites} sites with {quanta} quanta"
    if price is None:
        tally.see(False, f"{where} has no price")
        return
    before = _nats(sites, quanta)
    tally.see(_nats(sites, quanta + price) - before >= nats, f"{where}: {price} quanta are too few")
    short = price == 0 or _nats(sites, quanta + price - 1) - before < nats
    tally.see(short, f"{where}: {price} quanta are more than the least")


def exergy(scale: int) -> Finding:
    """Exergy of a hot and a cold half: the least Q_f against 60 digits, above the thermodynamic limit, which a site approaches."""
    tally = Tally()
    hot, cold = 8, 1
    with mpmath.workdps(_DIGITS):
        limit = _exergy_limit(hot, cold)
        above = []
        for power in range(1, 10 if scale > 1 else 8):
            sites = 10**power  # of each half
            found = entropy.exergy(sites, np.array([hot * sites, cold * sites]))
            last = (hot + cold) * sites - found
            start = _nats(sites, hot * sites) + _nats(sites, cold * sites)
            tally.see(_nats(2 * sites, last) >= start, f"{sites} sites: {found} quanta are too many")
            tally.see(
                last == 0 or _nats(2 * sites, last - 1) < start, f"{sites} sites: {found} quanta are not the most"
            )
            above.append(found / (2 * sites) - float(limit))
            tally.see(above[-1] > 0, f"{sites} sites: the finite sum is below the limit")
            if power % 2:
                tally.values.append(
                    Value(f"exergy a site → limit: N = 2·10^{power}", float(limit), found / (2 * sites))
                )
        for tape in (10.0, 1000.0):
            found = entropy.exergy(1000, np.array([8000, 1000]), tape)
            start = _nats(1000, 8000) + _nats(1000, 1000) - mpmath.mpf(tape)
            last = 9000 - found
            sound = _nats(2000, last) >= start > _nats(2000, last - 1)
            tally.see(sound, f"a tape of {tape:g} nats: {found} quanta are not the most")
    tally.see(all(b < a for a, b in pairwise(above)), f"the excess over the limit does not fall: {above}")
    return tally.finding(
        "cases", "least Q_f with S(N, Q_f) ≥ Σ S(N_r, Q_r), to 60 digits; above the limit, falling to it"
    )


def _exergy_limit(hot: int, cold: int) -> mpmath.mpf:
    """ū − u_f quanta a site, s(u_f) the mean of s(u) = (1 + u) ln(1 + u) − u ln u over the halves."""

    def nats(u: mpmath.mpf) -> mpmath.mpf:
        return (1 + u) * mpmath.log(1 + u) - u * mpmath.log(u)

    mean = (nats(mpmath.mpf(hot)) + nats(mpmath.mpf(cold))) / 2
    last = mpmath.findroot(lambda u: nats(u) - mean, (cold, hot), solver="anderson", tol=1e-40)
    return mpmath.mpf(hot + cold) / 2 - last


CHECKS = (
    Check(
        "entropy: ladder of coarse grainings",
        "entropy of drawn fields at every scale",
        "S_hist ≤ S_region ≤ … ≤ S_eq, each Σ ln C(Q + N − 1, Q)",
        "counting",
        "exact",
        ladder,
        2,
    ),
    Check(
        "erasure: Reeb–Wolf limit",
        "prices of nats and records in regions of 16 to 10¹¹ sites",
        "E_min = least E with S(N, Q+E) − S(N, Q) ≥ k; → T k",
        "Reeb, Wolf 2014; Landauer 1961",
        "exact",
        reeb_wolf,
        2,
    ),
    Check(
        "exergy: finite sum",
        "exergy of two halves of mean 8 and 1, 10 to 10⁹ sites each",
        "Q₀ − Q_f, S(N, Q_f) ≥ Σ S(N_r, Q_r); above its limit",
        "counting",
        "exact",
        exergy,
        2,
    ),
)
