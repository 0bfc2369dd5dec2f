"""Entropy, temperature, exergy and the price of a record: integers in, nats out.

Energies are integer quanta, entropies nats (k_B = 1), temperatures quanta per nat. Every float comes from `entropic.special`
and one correctly rounded sum, hence is the same bit on every machine and for every order of the regions. Where a real number
decides an integer, the float answer is taken only outside its error bound; the rest is settled in multiprecision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, overload

import mpmath
import numpy as np
from numpy.typing import ArrayLike, NDArray

from entropic import special
from entropic.errors import UsageError
from entropic.settle import Term, least, sign_of_logs
from entropic.units import BOLTZMANN

__all__ = [
    "EntropyDomainError",
    "FieldEntropy",
    "RecordKind",
    "Rung",
    "coarse_ladder",
    "erasure_quanta",
    "erasure_quanta_for_nats",
    "erasure_quanta_for_powers",
    "exergy",
    "field_nats",
    "histogram_nats",
    "landauer_joules",
    "landauer_quanta",
    "macrostate_law",
    "multiplicity_nats",
    "record_nats",
    "region_histogram_nats",
    "temperature",
    "thermal_ratio",
]

RecordKind = Literal["compressed", "raw"]

_LARGEST = 4 * 10**12  # sites or quanta; their sum is then exact in float64 with room for the halves of Stirling's form
_LAW_TERMS = 2_000
_LAW_SIZE = 200_000


class EntropyDomainError(UsageError, ValueError):
    """A number of sites, quanta or nats outside the domain of a function."""


@dataclass(frozen=True)
class FieldEntropy:
    """Entropies of a field in nats: ``region``, the sum over regions, and ``equilibrium``, that of all sites as one."""

    region: float
    equilibrium: float


@dataclass(frozen=True)
class Rung:
    """One coarse graining: up to ``regions_merged`` regions a box, ``boxes`` boxes, their summed entropy ``nats``."""

    regions_merged: int
    boxes: int
    nats: float


def _integers(name: str, values: ArrayLike, least: int = 0) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise EntropyDomainError(f"{name} has dtype {array.dtype}, expected integers.", "Pass exact integer counts.")
    if array.size and (array.min() < least or array.max() > _LARGEST):
        found = f"{array.min()} to {array.max()}"
        raise EntropyDomainError(f"{name} spans {found}, expected {least} to {_LARGEST}.", f"Check {name}.")
    return array.astype(np.int64)


def _integer(name: str, value: int, least: int = 0) -> int:
    return int(_integers(name, value, least))


def _nats(nats: float) -> float:
    if not math.isfinite(nats):
        raise EntropyDomainError(f"nats is {nats}, expected a finite number.", "Check the record it comes from.")
    return float(nats)


@overload
def multiplicity_nats(sites: int, quanta: int) -> float: ...
@overload
def multiplicity_nats(sites: ArrayLike, quanta: ArrayLike) -> float | NDArray[np.float64]: ...
def multiplicity_nats(sites: ArrayLike, quanta: ArrayLike) -> float | NDArray[np.float64]:
    """Entropy of a region's macrostate, ``S(N, Q) = ln C(Q + N - 1, Q)``.

    Parameters
    ----------
    sites, quanta : int or integer array
        N >= 1 and Q >= 0, up to 4e12 each; arrays broadcast against each other.

    Returns
    -------
    float or float64 array
        Nats, of the broadcast shape; relative error below 4e-15.

    Raises
    ------
    EntropyDomainError
        If a value is no integer or out of range.
    """
    n, q = np.broadcast_arrays(_integers("sites", sites, 1), _integers("quanta", quanta))
    out = np.empty(n.size)
    special.ln_multiplicity_rows(n.ravel(), q.ravel(), out)
    return out.reshape(n.shape) if n.ndim else float(out[0])


def histogram_nats(counts: ArrayLike) -> float:
    """Entropy of one region's histogram, ``S_hist = ln N! - sum ln n_q!``, in nats.

    ``counts`` has shape (q_max + 1,): ``counts[q]`` sites hold q quanta, N <= 4e12 in all; else an EntropyDomainError.
    """
    row = _integers("counts", counts)
    if row.ndim != 1:
        raise EntropyDomainError(f"counts has {row.ndim} axes, expected 1.", "Use region_histogram_nats for rows.")
    return float(region_histogram_nats(row[np.newaxis])[0])


def region_histogram_nats(counts: ArrayLike) -> NDArray[np.float64]:
    """`histogram_nats` of every region: integer ``counts`` of shape (regions, q_max + 1) to nats of shape (regions,)."""
    rows = _integers("counts", counts)
    if rows.ndim != 2:
        raise EntropyDomainError(f"counts has {rows.ndim} axes, expected 2.", "Pass one row a region.")
    _integers("the sum of counts", rows.sum(axis=1))
    out = np.empty(len(rows))
    special.ln_multinomial_rows(np.ascontiguousarray(rows), out)
    return out


def _regions(sites: ArrayLike, quanta: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    n, q = np.broadcast_arrays(_integers("sites", sites, 1), _integers("quanta", quanta))
    total_sites = _integer("the sum of sites", sum(n.ravel().tolist()), 1)
    return n.ravel(), q.ravel(), total_sites, _integer("the sum of quanta", sum(q.ravel().tolist()))


def _sum_nats(sites: NDArray[np.int64], quanta: NDArray[np.int64]) -> float:
    out = np.empty(sites.size)
    special.ln_multiplicity_rows(sites, quanta, out)
    return math.fsum(out)  # correctly rounded: no order of the regions shows


def field_nats(sites: ArrayLike, quanta_per_region: ArrayLike) -> FieldEntropy:
    """Entropy of a field from its regions' energies.

    ``sites`` is one number for all regions or an array of the shape of ``quanta_per_region``, which is free. Nats.
    """
    n, q, total_sites, total_quanta = _regions(sites, quanta_per_region)
    return FieldEntropy(_sum_nats(n, q), special.ln_multiplicity(total_sites, total_quanta))


def coarse_ladder(sites_per_region: int, quanta_grid: ArrayLike) -> tuple[Rung, ...]:
    """Entropy at every scale from S_region to S_eq: neighbouring boxes merge in pairs along the longest axis, rung by rung.

    Parameters
    ----------
    sites_per_region : int
        Sites of each region.
    quanta_grid : integer array
        Quanta of each region, on the grid of regions. Where an extent is odd, the last box of a rung stays alone.

    Returns
    -------
    tuple of Rung
        From single regions to one box of all. Each rung is a graining of the one before, so nats never falls.
    """
    n, q, _, _ = _regions(sites_per_region, quanta_grid)
    shape = np.shape(quanta_grid)
    sites, quanta = n.reshape(shape), q.reshape(shape)
    rungs = [Rung(1, quanta.size, _sum_nats(n, q))]
    while quanta.size > 1:
        axis = int(np.argmax(quanta.shape))
        pairs = np.arange(0, quanta.shape[axis], 2)
        sites, quanta = np.add.reduceat(sites, pairs, axis=axis), np.add.reduceat(quanta, pairs, axis=axis)
        merged = int(sites.max()) // sites_per_region
        rungs.append(Rung(merged, quanta.size, _sum_nats(sites.ravel(), quanta.ravel())))
    return tuple(rungs)


def temperature(sites: int, quanta: int) -> float:
    """Temperature of a region, ``1 / (S(Q + 1) - S(Q)) = 1 / ln((Q + N) / (Q + 1))``, in quanta per nat; inf for N = 1."""
    return special.temperature(_integer("sites", sites, 1), _integer("quanta", quanta))


def thermal_ratio(mean: float) -> float:
    """Boltzmann factor of one quantum, ``x = mean / (1 + mean)``, at ``mean`` >= 0 quanta a site."""
    if not (math.isfinite(mean) and mean >= 0.0):
        raise EntropyDomainError(f"mean is {mean}, expected a finite number >= 0.", "Pass quanta a site.")
    return mean / (1.0 + mean)


def record_nats(sites: int, ones: int, kind: RecordKind = "compressed") -> float:
    """Nats of the record of one measurement: ``sites`` bits, ``ones`` of them set.

    ``compressed`` is ``ln C(N, n1) + ln(N + 1)`` (the bits given their number, and that number); ``raw`` is ``N ln 2``.
    """
    sites, ones = _record(sites, ones, kind)
    return special.record_nats(sites, ones, kind == "raw")


def _record(sites: int, ones: int, kind: RecordKind) -> tuple[int, int]:
    if kind not in ("compressed", "raw"):
        raise EntropyDomainError(f"kind is {kind!r}.", "Expected 'compressed' or 'raw'.")
    sites, ones = _integer("sites", sites, 1), _integer("ones", ones)
    if ones > sites:
        raise EntropyDomainError(f"ones is {ones} of {sites} sites.", "Pass at most one bit a site.")
    return sites, ones


def landauer_quanta(temperature: float, nats: float) -> float:
    """Quanta to erase ``nats`` in an infinite bath at ``temperature`` quanta per nat, ``T k`` (Landauer 1961)."""
    return temperature * nats


def landauer_joules(temperature_kelvin: float, nats: float) -> float:
    """Joules to erase ``nats`` in an infinite bath at ``temperature_kelvin``, ``k_B T k``."""
    return BOLTZMANN * temperature_kelvin * nats


def erasure_quanta(
    sites: int, quanta: int, ones: int, kind: RecordKind = "compressed", bits: int | None = None
) -> int | None:
    """Exact price of erasing a region's record into that region, a finite bath (Reeb & Wolf 2014, arXiv:1306.4352).

    Parameters
    ----------
    sites, quanta : int
        N >= 1 sites holding Q >= 0 quanta before the erasure.
    ones : int
        Bits set in the record of N bits.
    kind : {'compressed', 'raw'}
        How the record is kept, see `record_nats`.
    bits : int or None
        Bits of the record; None: as many as sites.

    Returns
    -------
    int or None
        Least E with ``C(Q+E+N-1, Q+E) >= R C(Q+N-1, Q)``, R = C(N, n1) (N + 1) or 2^N. None if N = 1, whose entropy no heat
        raises. A tie that 200 digits leave open, beyond the reach of exact integers, counts as equal.
    """
    bits, ones = _record(sites if bits is None else bits, ones, kind)
    sites, quanta = _integer("sites", sites, 1), _integer("quanta", quanta)
    energy, certain = special.erasure_quanta_fast(sites, quanta, special.record_nats(bits, ones, kind == "raw"))
    if energy == special.UNREACHABLE:
        return None
    if certain:
        return energy
    record = [(-bits, 2, 1)] if kind == "raw" else [(-1, bits, ones), (-1, bits + 1, 1)]
    return _settle_erasure(sites, quanta, energy, record, 0.0)


def erasure_quanta_for_nats(sites: int, quanta: int, nats: float) -> int | None:
    """Least E >= 0 with ``S(N, Q + E) - S(N, Q) >= nats``, the float taken at its exact value; else as `erasure_quanta`.

    Raises
    ------
    EntropyDomainError
        If ``nats`` is not finite, or so large for the region that E would pass 2^50 quanta.
    """
    sites, quanta, nats = _integer("sites", sites, 1), _integer("quanta", quanta), _nats(nats)
    energy, certain = special.erasure_quanta_fast(sites, quanta, nats)
    if energy == special.UNREACHABLE:
        return None
    if energy == special.E_REACH and not certain:
        raise EntropyDomainError(
            f"{nats} nats in {sites} sites cost more than 2^50 quanta.", "Erase them in a larger region."
        )
    return energy if certain else _settle_erasure(sites, quanta, energy, [], -nats)


def erasure_quanta_for_powers(sites: int, quanta: int, powers: Mapping[int, int], root: int = 1) -> int | None:
    """Least E >= 0 with ``S(N, Q + E) - S(N, Q) >= (1 / root) sum w ln b`` over the items b: w of ``powers``.

    A Shannon entropy of counted words has this form, so its price is decided without rounding it. Else as `erasure_quanta`.

    Parameters
    ----------
    powers : mapping of int >= 1 to int
        Bases and their weights, of either sign.
    root : int
        Divisor >= 1 of the whole.

    Raises
    ------
    EntropyDomainError
        If a base or the root is below 1, or E would pass 2^50 quanta.
    """
    sites, quanta = _integer("sites", sites, 1), _integer("quanta", quanta)
    if root < 1 or min(powers, default=1) < 1:
        raise EntropyDomainError(f"root {root}, least base {min(powers, default=1)}; expected >= 1.", "Count words.")
    record = [(-w, b, 1) for b, w in powers.items()]
    if sign_of_logs(record, 0.0) >= 0:
        return 0
    with mpmath.workdps(200):
        nats = float(mpmath.fsum(w * mpmath.log(b) for b, w in powers.items()) / root)
    energy, certain = special.erasure_quanta_fast(sites, quanta, nats)
    if energy == special.UNREACHABLE:
        return None
    if energy == special.E_REACH and not certain:
        raise EntropyDomainError(
            f"{nats} nats in {sites} sites cost more than 2^50 quanta.", "Erase them in a larger region."
        )
    return energy if certain else _settle_erasure(sites, quanta, energy, record, 0.0, root)


def _settle_erasure(sites: int, quanta: int, guess: int, record: list[Term], nats: float, root: int = 1) -> int:
    before = (-root, quanta + sites - 1, quanta)

    def paid(energy: int) -> bool:
        after = quanta + energy
        return sign_of_logs([(root, after + sites - 1, after), before, *record], nats) >= 0

    return least(paid, guess)


def exergy(sites_per_region: ArrayLike, quanta_per_region: ArrayLike, tape_nats: float = 0.0) -> int:
    """Most work that a closed field can give, ``Q0 - Q_f``, in quanta.

    Q_f is the least integer with ``S(N, Q_f) + S_tape >= sum_r S(N_r, Q_r)``, N all sites; decided exactly.

    Parameters
    ----------
    sites_per_region : int or integer array
        Sites of each region, one number for all or one a region.
    quanta_per_region : integer array
        Quanta of each region, any shape.
    tape_nats : float
        Nats >= 0 that the tape holds at the end: a blank tape is fuel.
    """
    if _nats(tape_nats) < 0.0:
        raise EntropyDomainError(f"tape_nats is {tape_nats}, expected >= 0.", "A tape holds no negative record.")
    n, q, total_sites, total_quanta = _regions(sites_per_region, quanta_per_region)
    initial = _sum_nats(n, q)
    needed = initial - tape_nats
    low, high = -1, total_quanta
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if special.ln_multiplicity(total_sites, middle) >= needed else (middle, high)
    bound = 2.0**-46 * (initial + tape_nats)  # 64 ulp, where each entropy is good to 20
    above = special.ln_multiplicity(total_sites, high) - needed
    below = needed - special.ln_multiplicity(total_sites, high - 1) if high else math.inf
    if above > bound and below > bound:
        return total_quanta - high
    kinds, repeats = np.unique(np.stack([n, q]), axis=1, return_counts=True)
    terms = [(-w, b + a - 1, b) for a, b, w in zip(*kinds.tolist(), repeats.tolist(), strict=True)]

    def reached(quanta: int) -> bool:
        return sign_of_logs([(1, quanta + total_sites - 1, quanta), *terms], tape_nats) >= 0

    return total_quanta - least(reached, high)


def macrostate_law(sites: int, quanta: int, threshold: int) -> NDArray[np.float64]:
    """Exact law of the number of ones that a lift finds in a closed region in equilibrium.

    ``P(n1) = C(N,n1) sum_j (-1)^j C(N-n1,j) C(Q-theta(n1+j)+N-1, N-1) / C(Q+N-1, N-1)``, in integers to the last division.

    Parameters
    ----------
    sites, quanta, threshold : int
        N >= 1, Q >= 0, theta >= 1; N + Q <= 200,000 and min(N, Q // theta) <= 2,000.

    Returns
    -------
    float64 array, shape (N + 1,)
        P(n1), each value correctly rounded.
    """
    sites, quanta = _integer("sites", sites, 1), _integer("quanta", quanta)
    most = min(sites, quanta // _integer("threshold", threshold, 1))
    if sites + quanta > _LAW_SIZE or most > _LAW_TERMS:
        found = f"N + Q = {sites + quanta}, at most {most} ones"
        raise EntropyDomainError(f"{found}; expected up to {_LAW_SIZE} and {_LAW_TERMS}.", "Sample the law instead.")
    # m = n1 + j given sites at the threshold or above, the others anything: C(N,n1) C(N-n1,j) = C(N,m) C(m,n1).
    given = [math.comb(sites, m) * math.comb(quanta - threshold * m + sites - 1, sites - 1) for m in range(most + 1)]
    law = np.zeros(sites + 1)
    for ones in range(most + 1):
        choices, states = 1, 0
        for m in range(ones, most + 1):
            states += -choices * given[m] if (m - ones) % 2 else choices * given[m]
            choices = choices * (m + 1) // (m + 1 - ones)
        law[ones] = states / given[0]
    return law
