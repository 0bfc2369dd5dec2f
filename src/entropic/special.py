"""Logarithms of counts, the same bit on every machine.

Scalar numba kernels built from ``+ - * /`` and bit views alone. IEEE 754 fixes the result of each of these, while a libm's
``log`` may differ in its last place from one machine to the next; numba without ``fastmath`` neither reorders nor fuses them.

Nothing here subtracts large ``lnGamma`` values (lnGamma(1e12) has an ulp of 0.004): Stirling's leading terms are cancelled by hand.
Arguments are trusted here; `entropic.entropy` is the face that checks them. Valid to ``sites + quanta <= 8e12``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "E_REACH",
    "UNREACHABLE",
    "erasure_quanta_fast",
    "erasure_quanta_rows",
    "ln_binomial",
    "ln_multinomial",
    "ln_multinomial_rows",
    "ln_multiplicity",
    "ln_multiplicity_rows",
    "log",
    "log1p",
    "record_nats",
    "stirling_tail",
    "temperature",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _jit(function: _Function) -> _Function:
    return cast(_Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


UNREACHABLE = -1  # no energy pays: a single site has one state at every energy
E_REACH = 1 << 50  # beyond it x + 1/2 is no longer safely a float64, and the fast search gives up

_EPSILON = 2.0**-52
_TWO_PI = 6.283185307179586
_HALF_LN_TWO_PI = 0.9189385332046728
_LN2 = 0.6931471805599453
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_TWO54 = 18014398509481984.0
_L1 = 6.666666666666735130e-01
_L2 = 3.999999999940941908e-01
_L3 = 2.857142874366239149e-01
_L4 = 2.222219843214978396e-01
_L5 = 1.818357216161805012e-01
_L6 = 1.531383769920937332e-01
_L7 = 1.479819860511658591e-01
_LOW_WORD = 0xFFFFFFFF

_TABLED = 32
# ln n! - (n ln n - n + ln(2 pi n)/2), n = 1 ... 32; entry 0 is never read. mpmath, 60 digits, rounded.
# fmt: off
_TAILS = np.array([
    0.0, 0.08106146679532726, 0.0413406959554093, 0.02767792568499834, 0.020790672103765093, 0.016644691189821193,
    0.013876128823070748, 0.01189670994589177, 0.010411265261972096, 0.009255462182712733, 0.00833056343336287, 0.007573675487951841,
    0.00694284010720953, 0.006408994188004207, 0.0059513701127588475, 0.005554733551962801, 0.0052076559196096404, 0.004901395948434738,
    0.004629153749334028, 0.004385560249232324, 0.004166319691996922, 0.00396795421864086, 0.0037876180684444346, 0.0036229602246830948,
    0.003472021382978767, 0.003333155636728093, 0.003204970228055038, 0.0030862786826087773, 0.002976063983550409, 0.0028734493623524663,
    0.0027776749297526936, 0.002688078828531143, 0.0026040819192516564,
])
# fmt: on
# ln n! + n, n = 0 ... 32. mpmath, 60 digits, rounded.
# fmt: off
_FACTORIALS = np.array([
    0.0, 1.0, 2.6931471805599454, 4.791759469228055, 7.178053830347945, 9.787491742782047,
    12.579251212010101, 15.525161361065415, 18.60460290274525, 21.80182748008147, 25.104412573075514, 28.502307845873887,
    31.987214495661885, 35.552163853123425, 39.19122118273868, 42.89927138384089, 46.67186010608067, 50.50507345013689,
    54.39544520803305, 58.339884187199495, 62.335616460753485, 66.38013889847691, 70.47118135183523, 74.60667556776437,
    78.78472939811232, 83.00360522298053, 87.261701761002, 91.55753862700634, 95.88974313718154, 100.25703896716801,
    104.65823634883016, 109.0922235533153, 113.55795945611504,
])
# fmt: on


@_jit
def _bits(x: float) -> int:
    return np.float64(x).view(np.int64)  # type: ignore[return-value]


@_jit
def _with_high_word(bits: int, high: int) -> float:
    return np.int64((high << 32) | (bits & _LOW_WORD)).view(np.float64)


@_jit
def log(x: float) -> float:
    """Natural logarithm, error below 1 ulp (after fdlibm ``e_log.c``; Sun Microsystems, 1993).

    fdlibm takes another formula for part of the range; the one branch is unpredictable and buys nothing here.
    """
    bits = _bits(x)
    k = 0
    if bits < 0x0010000000000000:  # zero, negative or subnormal
        if bits & 0x7FFFFFFFFFFFFFFF == 0:
            return -np.inf
        if bits < 0:
            return np.nan
        k = -54
        x = x * _TWO54
        bits = _bits(x)
    high = bits >> 32
    if high >= 0x7FF00000:
        return x + x
    k += (high >> 20) - 1023
    high &= 0x000FFFFF
    carry = (high + 0x95F64) & 0x100000
    f = _with_high_word(bits, high | (carry ^ 0x3FF00000)) - 1.0  # x = 2^k (1 + f), sqrt(2)/2 < 1 + f < sqrt(2)
    k += carry >> 20
    dk = float(k)
    if (0x000FFFFF & (2 + high)) < 3:  # |f| < 2^-20
        if f == 0.0:
            return dk * _LN2_HIGH + dk * _LN2_LOW
        r = f * f * (0.5 - 0.33333333333333333 * f)
        return dk * _LN2_HIGH - ((r - dk * _LN2_LOW) - f)
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    r = z * (_L1 + w * (_L3 + w * (_L5 + w * _L7))) + w * (_L2 + w * (_L4 + w * _L6))
    half_square = 0.5 * f * f
    return dk * _LN2_HIGH - ((half_square - (s * (half_square + r) + dk * _LN2_LOW)) - f)


@_jit
def log1p(x: float) -> float:
    """``ln(1 + x)`` without loss near 0, error below 1 ulp (fdlibm ``s_log1p.c``; Sun Microsystems, 1993)."""
    high = _bits(x) >> 32
    magnitude = high & 0x7FFFFFFF
    k = 1
    f = 0.0
    c = 0.0
    high_u = 1
    if high < 0x3FDA827A:  # x < 0.41422, or x < 0
        if magnitude >= 0x3FF00000 and not x > -1.0:
            return -np.inf if x == -1.0 else np.nan
        if magnitude < 0x3E200000:  # |x| < 2^-29
            return x if magnitude < 0x3C900000 else x - x * x * 0.5
        if high > 0 or high <= 0xBFD2BEC3 - 0x100000000:  # -0.2929 < x < 0.41422
            k = 0
            f = x
    if high >= 0x7FF00000:
        return x + x
    if k != 0:
        u = x
        if high < 0x43400000:
            u = 1.0 + x
        bits = _bits(u)
        high_u = bits >> 32
        k = (high_u >> 20) - 1023
        if high < 0x43400000:  # c corrects for the rounding of 1 + x
            c = (1.0 - (u - x) if k > 0 else x - (u - 1.0)) / u
        high_u &= 0x000FFFFF
        if high_u < 0x6A09E:
            u = _with_high_word(bits, high_u | 0x3FF00000)
        else:
            k += 1
            u = _with_high_word(bits, high_u | 0x3FE00000)
            high_u = (0x00100000 - high_u) >> 2
        f = u - 1.0
    dk = float(k)
    half_square = 0.5 * f * f
    low = dk * _LN2_LOW + c
    if high_u == 0:  # |f| < 2^-20
        if f == 0.0:
            return dk * _LN2_HIGH + low
        r = half_square * (1.0 - 0.66666666666666666 * f)
        return dk * _LN2_HIGH - ((r - low) - f)
    s = f / (2.0 + f)
    z = s * s
    r = z * (_L1 + z * (_L2 + z * (_L3 + z * (_L4 + z * (_L5 + z * (_L6 + z * _L7))))))
    return dk * _LN2_HIGH - ((half_square - (s * (half_square + r) + low)) - f)


@_jit
def stirling_tail(n: int) -> float:
    """``ln n! - (n ln n - n + ln(2 pi n)/2)`` for n >= 1: a table to 32, then Stirling's series (DLMF 5.11.1)."""
    if n <= _TABLED:
        return float(_TAILS[n])
    r = 1.0 / n
    z = r * r
    # Beyond 32 the first term left out, 691/360360 n^-11, is below 2e-17 of the sum.
    return r * (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z * (1.0 / 1188.0)))))


@_jit
def ln_binomial(n: int, k: int) -> float:
    """``ln C(n, k)`` in nats for 0 <= k <= n <= 8e12; relative error below 4e-15."""
    k = min(k, n - k)
    if k <= 0:
        return 0.0
    if k == 1:
        return log(float(n))
    rest = float(n - k)
    few = float(k)
    whole = float(n)
    if n < 60:  # exact while the product stays an integer below 2^53
        choices = 1
        for i in range(1, k + 1):
            if choices > (1 << 53) // n:
                choices = 0
                break
            choices = choices * (n - k + i) // i
        if choices > 0:
            return log(float(choices))
    leading = few * log(whole / few) + rest * log1p(few / rest)
    correction = 0.5 * log(whole / rest / (_TWO_PI * few))
    return leading + (correction + (stirling_tail(n) - stirling_tail(k) - stirling_tail(n - k)))


@_jit
def ln_multiplicity(sites: int, quanta: int) -> float:
    """``S(N, Q) = ln C(Q + N - 1, Q)`` in nats: oscillators ``sites`` >= 1 sharing ``quanta`` >= 0."""
    return ln_binomial(quanta + sites - 1, quanta)


@_jit
def ln_multiplicity_rows(sites: NDArray[np.int64], quanta: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """`ln_multiplicity` of each pair of two 1-D arrays, into ``out``."""
    for row in range(out.size):
        out[row] = ln_multiplicity(sites[row], quanta[row])


@_jit
def ln_multiplicities(sites: int, quanta: NDArray[np.int64]) -> NDArray[np.float64]:
    """`ln_multiplicity` of equal regions: nats, one for each of a 1-D array."""
    out = np.empty(quanta.size)
    for row in range(out.size):
        out[row] = ln_multiplicity(sites, quanta[row])
    return out


@_jit
def ln_multinomial(counts: NDArray[np.int64]) -> float:
    """``ln N! - sum ln n_q!`` in nats, N = sum n_q; exactly 0 if one count holds all. Relative error below 1e-13.

    With m the largest count and R = N - m, the leading terms are cancelled by hand:
    (m + 1/2) ln(1 + R/m) + delta(N) - delta(m) + sum over the others of [n ln N - (ln n! + n)].
    """
    total = 0
    largest = 0
    place = 0
    for index in range(counts.size):
        count = counts[index]
        total += count
        if count > largest:
            largest = count
            place = index
    rest = total - largest
    if rest <= 0:
        return 0.0
    ln_total = log(float(total))
    nats = (largest + 0.5) * log1p(rest / largest) + (stirling_tail(total) - stirling_tail(largest))
    lost = 0.0
    for index in range(counts.size):
        count = counts[index]
        if count <= 0 or index == place:
            continue
        if count <= _TABLED:
            term = count * ln_total - _FACTORIALS[count]
        else:
            ln_count = log(float(count))
            term = count * (ln_total - ln_count) - (0.5 * ln_count + (_HALF_LN_TWO_PI + stirling_tail(count)))
        kept = term + lost  # compensated (Kahan): 65536 counts lose no more than two
        raised = nats + kept
        lost = kept - (raised - nats)
        nats = raised
    return nats + lost


@_jit
def ln_multinomial_rows(counts: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """`ln_multinomial` of each row of a 2-D array, into ``out``."""
    for row in range(out.size):
        out[row] = ln_multinomial(counts[row])


@_jit
def temperature(sites: int, quanta: int) -> float:
    """``1 / ln((Q + N) / (Q + 1))`` in quanta per nat; infinite for one site, whose entropy never rises."""
    if sites <= 1:
        return np.inf
    return 1.0 / log1p((sites - 1) / (quanta + 1))


@_jit
def temperatures(sites: int, quanta: NDArray[np.int64]) -> NDArray[np.float64]:
    """`temperature` of equal regions, one for each of a 1-D array."""
    out = np.empty(quanta.size)
    for row in range(out.size):
        out[row] = temperature(sites, quanta[row])
    return out


@_jit
def record_nats(sites: int, ones: int, raw: bool) -> float:
    """Nats of one record of ``sites`` bits, ``ones`` of them set: raw ``N ln 2``, else ``ln C(N, n1) + ln(N + 1)``."""
    if raw:
        return sites * _LN2
    return ln_binomial(sites, ones) + log(sites + 1.0)


@_jit
def records_nats(sites: int, ones: NDArray[np.int64], raw: bool) -> NDArray[np.float64]:
    """`record_nats` of each of a 1-D array of ``ones``."""
    out = np.empty(ones.size)
    for row in range(out.size):
        out[row] = record_nats(sites, ones[row], raw)
    return out


@_jit
def _gain(sites: int, quanta: int, energy: int) -> tuple[float, float]:
    """``S(N, Q + E) - S(N, Q)`` and a bound on its error, in nats; E >= 1, N >= 2.

    The gain is symmetric in E and N - 1; the smaller one takes the outer place, which keeps the cancelling terms small.
    Each term is good to 3 ulp of itself and the three sums to 1 ulp of the largest: 8 ulp of the absolute sum is generous.
    """
    if quanta == 0:
        nats = ln_binomial(energy + sites - 1, energy)
        return nats, 32.0 * _EPSILON * (nats + 1.0)
    small = float(min(energy, sites - 1))
    large = float(max(energy, sites - 1))
    base = float(quanta)
    steady = small * log1p(large / (base + small))
    raised = (base + large + 0.5) * log1p(small / (base + large))
    lowered = (base + 0.5) * log1p(small / base)
    tails = (stirling_tail(quanta + energy + sites - 1) - stirling_tail(quanta + sites - 1)) - (
        stirling_tail(quanta + energy) - stirling_tail(quanta)
    )
    return steady + (raised - lowered) + tails, 8.0 * _EPSILON * (steady + raised + lowered + 1.0)


@_jit
def erasure_quanta_fast(sites: int, quanta: int, nats: float) -> tuple[int, bool]:
    """Least E >= 0 with ``S(N, Q + E) - S(N, Q) >= nats``, and whether that is certain.

    Where it is not, E is off by little and the caller settles it in multiprecision. The bound also covers an error of 16 ulp in
    ``nats``, so a value from `record_nats` may stand for the exact record. A single site cannot pay: (UNREACHABLE, True).
    An E beyond E_REACH is (E_REACH, False).
    """
    if nats <= 0.0:
        return 0, True
    if sites <= 1:
        return UNREACHABLE, True
    slack = 16.0 * _EPSILON * nats
    energy = 0
    gain = 0.0
    error = 0.0
    while gain < nats:
        # The gain is concave: at its present slope it takes at least so many quanta more, so the search never oversteps.
        step = (nats - gain) / log1p((sites - 1.0) / (quanta + energy + 1.0))
        if step > E_REACH - energy:
            return E_REACH, False
        whole = int(step)
        energy += whole if whole == step and whole > 0 else whole + 1
        gain, error = _gain(sites, quanta, energy)
    certain = gain - nats > error + slack
    for _ in range(64):  # rounding may have overstepped
        if energy <= 1:
            break
        below, error = _gain(sites, quanta, energy - 1)
        if nats - below > error + slack:
            break
        certain = False
        if below < nats:
            break
        energy -= 1
    return energy, certain


@_jit
def erasure_quanta_rows(
    sites: int,
    quanta: NDArray[np.int64],
    nats: NDArray[np.float64],
    energy: NDArray[np.int64],
    certain: NDArray[np.bool_],
) -> None:
    """`erasure_quanta_fast` of many records, into ``energy`` and ``certain``."""
    for i in range(quanta.size):
        energy[i], certain[i] = erasure_quanta_fast(sites, quanta[i], nats[i])
