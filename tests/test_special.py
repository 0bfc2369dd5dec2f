"""The logarithms of `entropic.special` against mpmath and big integers, and their bits against golden values."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import special

drawn = settings(deadline=None, max_examples=200)  # the first draw may wait for the compiler


def sizes(least: int, most: int = 10**12) -> st.SearchStrategy[int]:
    """Integers spread over the decades, not over the last of them."""
    powers = st.integers(0, int(math.log2(most)))
    return powers.flatmap(lambda p: st.integers(min(max(least, 2**p), most), min(max(least, 2 ** (p + 1)), most)))


def close(value: float, exact: mpmath.mpf, relative: float) -> bool:
    return bool(abs(value - exact) <= relative * abs(exact))


def exact_ln_binomial(n: int, k: int) -> mpmath.mpf:
    with mpmath.workdps(60):
        return mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k + 1)


def exact_ln_multinomial(counts: list[int]) -> mpmath.mpf:
    with mpmath.workdps(60):
        return mpmath.loggamma(sum(counts) + 1) - mpmath.fsum(mpmath.loggamma(count + 1) for count in counts)


@drawn
@given(st.floats(min_value=5e-324, max_value=1.7e308))
def test_log(x: float) -> None:
    with mpmath.workdps(40):
        assert close(special.log(x), mpmath.log(x), 2.0**-52)


@drawn
@given(st.floats(min_value=-0.999, max_value=1.7e308, allow_subnormal=False))
def test_log1p(x: float) -> None:
    with mpmath.workdps(40):
        exact = mpmath.log1p(mpmath.mpf(x)) if abs(x) > 1e-30 else mpmath.mpf(x)
        assert close(special.log1p(x), exact, 2.0**-52)


@drawn
@given(st.floats(0.5, 2.0))
def test_log_near_one(x: float) -> None:
    with mpmath.workdps(40):
        assert close(special.log(x), mpmath.log(x), 2.0**-52)
        assert close(special.log1p(x - 1.0), mpmath.log(1 + mpmath.mpf(x - 1.0)), 2.0**-52)


def test_log_at_the_edges() -> None:
    assert special.log(0.0) == special.log1p(-1.0) == -math.inf
    assert math.isnan(special.log(-1.0)) and math.isnan(special.log1p(-2.0))
    assert math.isnan(special.log(math.nan)) and math.isnan(special.log1p(math.nan))
    assert special.log(math.inf) == special.log1p(math.inf) == math.inf
    assert special.log(1.0) == special.log1p(0.0) == 0.0


@drawn
@given(sizes(1))
def test_stirling_tail(n: int) -> None:
    with mpmath.workdps(60):
        exact = mpmath.loggamma(n + 1) - (n * mpmath.log(n) - n + mpmath.log(2 * mpmath.pi * n) / 2)
    assert close(special.stirling_tail(n), exact, 4e-16)


def test_ln_binomial_of_every_small_pair() -> None:
    for n in range(120):
        for k in range(n + 1):
            with mpmath.workdps(40):
                assert close(special.ln_binomial(n, k), mpmath.log(math.comb(n, k)), 1e-15)


@drawn
@given(sizes(1, 4 * 10**12), st.data())
def test_ln_binomial(n: int, data: st.DataObject) -> None:
    k = min(n, data.draw(sizes(1, n)))
    assert close(special.ln_binomial(n, k), exact_ln_binomial(n, k), 1e-14)
    assert special.ln_binomial(n, k) == special.ln_binomial(n, n - k)


@drawn
@given(sizes(1), sizes(1))
def test_ln_multiplicity(sites: int, quanta: int) -> None:
    assert close(special.ln_multiplicity(sites, quanta), exact_ln_binomial(sites + quanta - 1, quanta), 1e-14)


@drawn
@given(st.lists(st.one_of(st.just(0), sizes(1, 10**11)), min_size=1, max_size=12))
def test_ln_multinomial(counts: list[int]) -> None:
    value = special.ln_multinomial(np.array(counts, dtype=np.int64))
    if sum(count > 0 for count in counts) <= 1:
        assert value == 0.0
    else:
        assert close(value, exact_ln_multinomial(counts), 1e-13)


@pytest.mark.parametrize("counts", [[10**12 - 1, 1], [5 * 10**11] * 2, [1] * 1000, [10**9] * 256, [2, 1], [1, 1]])
def test_ln_multinomial_at_the_extremes(counts: list[int]) -> None:
    assert close(special.ln_multinomial(np.array(counts, dtype=np.int64)), exact_ln_multinomial(counts), 1e-14)


def test_rows_are_the_scalars() -> None:
    counts = np.random.default_rng(1).integers(0, 1000, (20, 50))
    out = np.empty(20)
    special.ln_multinomial_rows(counts, out)
    assert out.tolist() == [special.ln_multinomial(row) for row in counts]
    special.ln_multiplicity_rows(counts[:20, 0] + 1, counts[:20, 1], out)
    assert out.tolist() == [special.ln_multiplicity(row[0] + 1, row[1]) for row in counts]
    for sites in (1, 1000):
        found = special.temperatures(sites, counts[:20, 1]).tolist()
        assert found == [special.temperature(sites, row[1]) for row in counts]
        found = special.ln_multiplicities(sites, counts[:20, 1]).tolist()
        assert found == [special.ln_multiplicity(sites, row[1]) for row in counts]


@drawn
@given(sizes(2), sizes(1))
def test_temperature(sites: int, quanta: int) -> None:
    with mpmath.workdps(40):
        exact = 1 / mpmath.log(mpmath.mpf(quanta + sites) / (quanta + 1))
    assert close(special.temperature(sites, quanta), exact, 1e-15)
    assert special.temperature(1, quanta) == math.inf


@drawn
@given(sizes(1), st.data())
def test_record_nats(sites: int, data: st.DataObject) -> None:
    ones = data.draw(st.integers(0, sites))
    with mpmath.workdps(60):
        compressed = exact_ln_binomial(sites, ones) + mpmath.log(sites + 1)
        assert close(special.record_nats(sites, ones, False), compressed, 1e-14)
        assert close(special.record_nats(sites, ones, True), sites * mpmath.log(2), 4e-16)


@drawn
@given(sizes(2), st.one_of(st.just(0), sizes(1)), sizes(1))
def test_gain_is_within_its_bound(sites: int, quanta: int, energy: int) -> None:
    """The whole exactness of prices rests on this bound; it must hold with room to spare."""
    value, bound = special._gain(sites, quanta, energy)
    with mpmath.workdps(60):
        after = exact_ln_binomial(quanta + energy + sites - 1, quanta + energy)
        exact = after - exact_ln_binomial(quanta + sites - 1, quanta)
        assert abs(value - exact) <= bound / 2


@drawn
@given(sizes(2), st.one_of(st.just(0), sizes(1)), st.floats(1e-6, 1.5))
def test_a_certain_price_is_the_least(sites: int, quanta: int, nats_a_site: float) -> None:
    nats = min(nats_a_site * sites, 25.0 * (sites - 1))
    energy, certain = special.erasure_quanta_fast(sites, quanta, nats)
    if certain:
        with mpmath.workdps(60):
            before = exact_ln_binomial(quanta + sites - 1, quanta)
            assert exact_ln_binomial(quanta + energy + sites - 1, quanta + energy) - before >= nats
            assert exact_ln_binomial(quanta + energy + sites - 2, quanta + energy - 1) - before < nats


def test_ties_are_never_called_certain() -> None:
    """N = 2: S(Q + E) - S(Q) = ln((Q + E + 1)/(Q + 1)), so a record of ln 3 at E = 2(Q + 1) is a tie."""
    for quanta in range(200):
        energy, certain = special.erasure_quanta_fast(2, quanta, special.record_nats(2, 0, False))
        assert not certain and abs(energy - 2 * (quanta + 1)) <= 1


def test_prices_at_the_edges() -> None:
    assert special.erasure_quanta_fast(10, 10, 0.0) == (0, True)
    assert special.erasure_quanta_fast(1, 10, 0.5) == (special.UNREACHABLE, True)
    assert special.erasure_quanta_fast(2, 10, 1e3) == (special.E_REACH, False)


@pytest.mark.parametrize("sites", [10**3, 10**6, 10**9])
def test_doubt_is_rare(sites: int) -> None:
    rng = np.random.default_rng(3)
    ones = rng.integers(0, sites, 300)
    doubts = sum(
        not special.erasure_quanta_fast(sites, 5 * sites, special.record_nats(sites, k, False))[1] for k in ones
    )
    assert doubts <= 3


GOLDEN: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "log": (special.log, (0.3,), "-0x1.34378fcbda721p+0"),
    "log_large": (special.log, (1e12,), "0x1.ba18a998fffa0p+4"),
    "log1p": (special.log1p, (0.7,), "0x1.0fae81914a991p-1"),
    "log1p_small": (special.log1p, (1e-7,), "0x1.ad7f2843813dbp-24"),
    "stirling_tail": (special.stirling_tail, (1000,), "0x1.5d867b7b562f1p-14"),
    "ln_binomial": (special.ln_binomial, (4 * 10**12, 10**12 + 7), "0x1.05db92b5522aap+41"),
    "ln_multiplicity": (special.ln_multiplicity, (10**9, 2 * 10**9 + 1), "0x1.c7453974742cep+30"),
    "ln_multinomial": (special.ln_multinomial, (np.arange(256, dtype=np.int64) ** 3,), "0x1.37984ffec6543p+32"),
    "temperature": (special.temperature, (1000, 2345), "0x1.68cffcacdff49p+1"),
    "record_nats": (special.record_nats, (10**6, 12345, False), "0x1.03ded4c0431f6p+16"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_bits(name: str) -> None:
    """The same bits on every machine; the function interpreted, free of a compiler's liberties, agrees."""
    function, arguments, bits = GOLDEN[name]
    assert float(function(*arguments)).hex() == bits
    with np.errstate(all="ignore"):
        assert float(function.py_func(*arguments)).hex() == bits
