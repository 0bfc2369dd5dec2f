"""`entropic.entropy` against big integers, brute force and the inequalities of physics.md."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import entropy, special, units

drawn = settings(deadline=None, max_examples=150)  # the first draw may wait for the compiler
KINDS: tuple[entropy.RecordKind, ...] = ("compressed", "raw")


def states(sites: int, quanta: int) -> int:
    return math.comb(quanta + sites - 1, quanta)


def ln_states(sites: int, quanta: int) -> mpmath.mpf:
    return mpmath.loggamma(quanta + sites) - mpmath.loggamma(quanta + 1) - mpmath.loggamma(sites)


def records(sites: int, ones: int, kind: entropy.RecordKind) -> int:
    return 2**sites if kind == "raw" else math.comb(sites, ones) * (sites + 1)


def least_energy(sites: int, quanta: int, factor: int) -> int:
    """The slow twin: step by step, in integers."""
    needed, energy, reached = factor * states(sites, quanta), 0, states(sites, quanta)
    while reached < needed:
        energy += 1
        reached = reached * (quanta + energy + sites - 1) // (quanta + energy)
    return energy


def test_multiplicity_of_ints_and_arrays() -> None:
    assert entropy.multiplicity_nats(3, 2) == pytest.approx(math.log(6), rel=1e-15)
    assert isinstance(entropy.multiplicity_nats(3, 2), float)
    table = entropy.multiplicity_nats([[1], [5]], [0, 3, 4])
    assert np.shape(table) == (2, 3)
    np.testing.assert_allclose(np.asarray(table), np.log([[1, 1, 1], [1, 35, 70]]), rtol=1e-15)


@drawn
@given(st.lists(st.integers(0, 400), min_size=1, max_size=20))
def test_histogram_against_integers(counts: list[int]) -> None:
    exact = Fraction(math.factorial(sum(counts)), math.prod(map(math.factorial, counts)))
    with mpmath.workdps(40):
        ln = mpmath.log(exact.numerator)
    assert abs(entropy.histogram_nats(counts) - ln) <= 1e-13 * ln
    assert entropy.region_histogram_nats([counts, counts[::-1]])[0] == entropy.histogram_nats(counts)


@drawn
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 60), st.floats(0.05, 8.0))
def test_order_of_the_entropies(seed: int, regions: int, sites: int, mean: float) -> None:
    field = np.random.default_rng(seed).geometric(1 / (1 + mean), (regions, sites)) - 1
    counts = np.stack([np.bincount(region, minlength=int(field.max()) + 1) for region in field])
    both = entropy.field_nats(sites, field.sum(axis=1))
    histogram = math.fsum(entropy.region_histogram_nats(counts))
    slack = 1e-12 * (1 + both.equilibrium)
    assert 0 <= histogram <= both.region + slack
    assert both.region <= both.equilibrium + slack
    assert both == entropy.field_nats([sites] * regions, field.sum(axis=1)[::-1])


@drawn
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(1, 1000))
def test_ladder_rises_from_regions_to_equilibrium(seed: int, shape: list[int], sites: int) -> None:
    quanta = np.random.default_rng(seed).integers(0, 5 * sites, shape)
    ladder = entropy.coarse_ladder(sites, quanta)
    both = entropy.field_nats(sites, quanta)
    assert (ladder[0].nats, ladder[-1].nats) == (both.region, both.equilibrium)
    assert (ladder[0].boxes, ladder[-1].boxes, ladder[-1].regions_merged) == (quanta.size, 1, quanta.size)
    for fine, coarse in itertools.pairwise(ladder):
        assert coarse.boxes < fine.boxes and coarse.regions_merged > fine.regions_merged
        assert coarse.nats >= fine.nats * (1 - 1e-13)


def test_temperature_and_ratio() -> None:
    assert entropy.temperature(100, 50) == pytest.approx(1 / math.log(150 / 51), rel=1e-15)
    assert entropy.temperature(1, 50) == math.inf
    mean = 5.0
    beta = -math.log(entropy.thermal_ratio(mean))
    assert 1 / entropy.temperature(10**12, 10**12) == pytest.approx(math.log(2), rel=1e-11)
    assert beta == pytest.approx(math.log(1 + 1 / mean), rel=1e-15)


def test_price_of_every_small_record_is_exact() -> None:
    """All N <= 9, Q <= 12, n1, both kinds: 1,500 prices, many of them ties."""
    ties = 0
    for sites, quanta, kind in itertools.product(range(2, 10), range(13), KINDS):
        for ones in range(sites + 1):
            factor = records(sites, ones, kind)
            energy = least_energy(sites, quanta, factor)
            assert entropy.erasure_quanta(sites, quanta, ones, kind) == energy, (sites, quanta, ones, kind)
            tie = states(sites, quanta + energy) == factor * states(sites, quanta)
            ties += tie
            fast, certain = special.erasure_quanta_fast(sites, quanta, special.record_nats(sites, ones, kind == "raw"))
            assert not (certain and tie)
            assert fast == energy or not certain
    assert ties > 30


@drawn
@given(st.integers(2, 300), st.integers(0, 3000), st.data(), st.sampled_from(KINDS))
def test_price_is_the_least_in_integers(sites: int, quanta: int, data: st.DataObject, kind: entropy.RecordKind) -> None:
    ones = data.draw(st.integers(0, sites))
    energy = entropy.erasure_quanta(sites, quanta, ones, kind)
    assert energy is not None and energy > 0
    needed = records(sites, ones, kind) * states(sites, quanta)
    assert states(sites, quanta + energy) >= needed > states(sites, quanta + energy - 1)


@pytest.mark.parametrize("quanta", [0, 7, 10**5, 10**9, 4 * 10**12])
def test_tie_at_two_sites(quanta: int) -> None:
    """C(Q + 1, Q) = Q + 1, so a record of ln 3 costs exactly 2(Q + 1); multiprecision alone could not tell."""
    assert entropy.erasure_quanta(2, quanta, 0) == 2 * (quanta + 1)
    assert entropy.erasure_quanta(2, quanta, 1) == 5 * (quanta + 1)
    assert entropy.erasure_quanta(2, quanta, 1, "raw") == 3 * (quanta + 1)


@pytest.mark.parametrize(("sites", "mean"), [(10**9, 5), (10**12, 3), (10**8, 30_000)])
def test_doubtful_price_is_settled(monkeypatch: pytest.MonkeyPatch, sites: int, mean: int) -> None:
    """A wrong, uncertain fast answer never reaches the caller."""
    quanta, ones = mean * sites, sites // 7
    right = entropy.erasure_quanta(sites, quanta, ones)
    assert right is not None
    for shift in (-1000, -1, 0, 1, 12345):
        monkeypatch.setattr(special, "erasure_quanta_fast", lambda *_, s=shift: (right + s, False))
        assert entropy.erasure_quanta(sites, quanta, ones) == right


def test_a_certain_answer_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entropy, "sign_of_logs", lambda *_: pytest.fail("multiprecision was asked"))
    assert entropy.erasure_quanta(10**6, 10**6, 12345) is not None


@drawn
@given(st.integers(2, 200), st.integers(0, 1000), st.floats(0.001, 2.0))
def test_price_of_nats(sites: int, quanta: int, nats_a_site: float) -> None:
    nats = nats_a_site * (sites - 1)
    energy = entropy.erasure_quanta_for_nats(sites, quanta, nats)
    assert energy is not None
    with mpmath.workdps(50):
        needed = mpmath.exp(nats) * states(sites, quanta)
        assert states(sites, quanta + energy) >= needed > states(sites, quanta + energy - 1)


def test_prices_that_are_none_or_nothing() -> None:
    assert entropy.erasure_quanta(1, 5, 0) is None
    assert entropy.erasure_quanta(1, 5, 1, "raw") is None
    assert entropy.erasure_quanta_for_nats(1, 5, 0.1) is None
    assert entropy.erasure_quanta_for_nats(1, 5, 0.0) == 0
    with pytest.raises(entropy.EntropyDomainError, match="larger region"):
        entropy.erasure_quanta_for_nats(2, 5, 1000.0)


@pytest.mark.parametrize("mean", [1, 5])
def test_price_tends_to_landauer(mean: int) -> None:
    """E_min / (T k) -> 1 from above as the bath outgrows the record (Reeb & Wolf)."""
    excess = []
    for sites in (10**4, 10**6, 10**8, 10**10):
        energy = entropy.erasure_quanta_for_nats(sites, mean * sites, 1000.0)
        assert energy is not None
        excess.append(energy / entropy.landauer_quanta(entropy.temperature(sites, mean * sites), 1000.0) - 1)
    assert excess[0] > 0.01 and abs(excess[-1]) < 1e-3
    assert all(later < earlier for earlier, later in itertools.pairwise(excess[:3]))


def slow_exergy(sites: list[int], quanta: list[int]) -> int:
    needed = math.prod(map(states, sites, quanta))
    return sum(quanta) - next(q for q in range(sum(quanta) + 1) if states(sum(sites), q) >= needed)


@drawn
@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 25)), min_size=1, max_size=6))
def test_exergy_against_integers(regions: list[tuple[int, int]]) -> None:
    sites, quanta = map(list, zip(*regions, strict=True))
    work = entropy.exergy(sites, quanta)
    assert work == slow_exergy(sites, quanta)
    assert entropy.exergy(sites, quanta, 1e9) == sum(quanta)
    assert work <= entropy.exergy(sites, quanta, 0.5) <= sum(quanta)


def test_exergy_of_large_fields() -> None:
    assert entropy.exergy(10**9, [4 * 10**9]) == 0  # one region: an exact tie
    for quanta in ([10**9] * 4, [8 * 10**9, 2 * 10**9], [0, 0, 3]):
        final = sum(quanta) - entropy.exergy(10**9, quanta)
        with mpmath.workdps(60):
            initial = mpmath.fsum(ln_states(10**9, q) for q in quanta)
            assert ln_states(len(quanta) * 10**9, final) >= initial > ln_states(len(quanta) * 10**9, final - 1)


def decades(least: int, most: int) -> st.SearchStrategy[int]:
    """Integers spread over the decades."""
    powers = st.integers(int(math.log2(least)), int(math.log2(most)))
    return powers.flatmap(lambda p: st.integers(max(least, 2**p), min(most, 2 ** (p + 1))))


@settings(deadline=None, max_examples=60)
@given(decades(1000, 10**12), st.floats(1e-3, 8.0), st.data(), st.sampled_from(KINDS))
def test_prices_up_to_a_trillion_sites(sites: int, mean: float, data: st.DataObject, kind: entropy.RecordKind) -> None:
    """E_min, whether the fast search was certain or not, is the least integer that pays: checked to 60 digits.

    Ties, which digits cannot tell, are a matter of few sites, above.
    """
    quanta, ones = int(mean * sites), data.draw(st.integers(0, sites))
    energy = entropy.erasure_quanta(sites, quanta, ones, kind)
    assert energy is not None
    with mpmath.workdps(60):
        nats = sites * mpmath.log(2)
        if kind == "compressed":
            nats = ln_states(sites - ones + 1, ones) + mpmath.log(sites + 1)  # C(n, k): n − k + 1 oscillators, k quanta
        before = ln_states(sites, quanta)
        assert ln_states(sites, quanta + energy) - before >= nats
        assert ln_states(sites, quanta + energy - 1) - before < nats
        relative = abs(entropy.record_nats(sites, ones, kind) - nats) / nats
        assert relative < 1e-12
        warmth = entropy.temperature(sites, quanta)
        exact = nats / mpmath.log(mpmath.mpf(quanta + sites) / (quanta + 1))
        assert abs(entropy.landauer_quanta(warmth, float(nats)) / exact - 1) < 1e-12
        quantum = mpmath.mpf(4e-21)
        joules = entropy.landauer_joules(units.kelvin(warmth, 4e-21), float(nats))
        assert abs(joules / (exact * quantum) - 1) < 1e-12
        assert abs(units.joules(energy, 4e-21) / (energy * quantum) - 1) < 1e-12


@settings(deadline=None, max_examples=40)
@given(decades(1, 10**11), st.lists(st.floats(0, 8.0), min_size=2, max_size=8), st.floats(0, 1e6))
def test_exergy_up_to_a_trillion_sites(sites: int, means: list[float], tape: float) -> None:
    quanta = [int(mean * sites) for mean in means]
    work = entropy.exergy(sites, quanta, tape)
    with mpmath.workdps(60):
        needed = mpmath.fsum(ln_states(sites, q) for q in quanta) - mpmath.mpf(tape)
        final, whole = sum(quanta) - work, len(quanta) * sites
        assert 0 <= work <= sum(quanta)
        assert ln_states(whole, final) >= needed
        assert final == 0 or ln_states(whole, final - 1) < needed


def test_exergy_tends_to_the_thermodynamic_limit() -> None:
    """Two equal halves of mean 8 and 2 end at the mean u with 2 s(u) = s(8) + s(2), s(u) = (1+u) ln(1+u) - u ln u."""
    with mpmath.workdps(30):

        def s(u: mpmath.mpf) -> mpmath.mpf:
            return (1 + u) * mpmath.log(1 + u) - u * mpmath.log(u)

        u = mpmath.findroot(lambda u: 2 * s(u) - s(mpmath.mpf(8)) - s(mpmath.mpf(2)), 4)
    assert entropy.exergy(10**9, [8 * 10**9, 2 * 10**9]) == pytest.approx(float(10**9 * (10 - 2 * u)), rel=1e-7)
    assert entropy.exergy(10**3, [8 * 10**3, 2 * 10**3]) > 10**3 * (10 - 2 * u)  # physics.md: the finite sum is larger


def law_by_enumeration(sites: int, quanta: int, threshold: int) -> list[Fraction]:
    tally = [0] * (sites + 1)
    for state in itertools.product(range(quanta + 1), repeat=sites):
        if sum(state) == quanta:
            tally[sum(q >= threshold for q in state)] += 1
    return [Fraction(count, sum(tally)) for count in tally]


@pytest.mark.parametrize(
    ("sites", "quanta", "threshold"), [(1, 0, 1), (1, 4, 2), (2, 5, 3), (3, 7, 2), (4, 6, 1), (5, 5, 6)]
)
def test_law_against_enumeration(sites: int, quanta: int, threshold: int) -> None:
    law = entropy.macrostate_law(sites, quanta, threshold)
    assert law.tolist() == [float(p) for p in law_by_enumeration(sites, quanta, threshold)]


@drawn
@given(st.integers(1, 60), st.integers(0, 300), st.integers(1, 20))
def test_law_is_a_law(sites: int, quanta: int, threshold: int) -> None:
    law = entropy.macrostate_law(sites, quanta, threshold)
    assert law.shape == (sites + 1,) and (law >= 0).all()
    assert math.fsum(law) == pytest.approx(1.0, abs=1e-14)
    above = Fraction(states(sites, quanta - threshold), states(sites, quanta)) if quanta >= threshold else Fraction(0)
    assert math.fsum(law * np.arange(sites + 1)) == pytest.approx(float(sites * above), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    "call",
    [
        lambda: entropy.multiplicity_nats(0, 1),
        lambda: entropy.multiplicity_nats(2, -1),
        lambda: entropy.multiplicity_nats(2, 5 * 10**12),
        lambda: entropy.multiplicity_nats(2, [1.5]),
        lambda: entropy.multiplicity_nats(2, np.array([2**63 + 1], dtype=np.uint64)),
        lambda: entropy.histogram_nats([[1, 2]]),
        lambda: entropy.region_histogram_nats([1, 2]),
        lambda: entropy.field_nats(10**12, [1] * 5),
        lambda: entropy.record_nats(3, 4),
        lambda: entropy.record_nats(3, 1, "zip"),  # type: ignore[arg-type]
        lambda: entropy.exergy(3, [1], -1.0),
        lambda: entropy.erasure_quanta_for_nats(3, 1, math.nan),
        lambda: entropy.thermal_ratio(-1.0),
        lambda: entropy.macrostate_law(10**6, 1, 1),
    ],
)
def test_domain(call: object) -> None:
    with pytest.raises(entropy.EntropyDomainError):
        call()  # type: ignore[operator]


def test_units() -> None:
    assert units.kelvin(2.0, units.BOLTZMANN) == 2.0
    assert units.joules(4, 1e-21) == 4e-21
    assert units.watts(4, 1e-21, 2.0) == 2e-21
    assert units.landauer_joules_per_bit(300.0) == pytest.approx(2.870979e-21, rel=1e-6)
    assert entropy.landauer_joules(300.0, math.log(2)) == units.landauer_joules_per_bit(300.0)
    assert entropy.record_nats(4, 2) == pytest.approx(math.log(30), rel=1e-15)
    assert entropy.record_nats(4, 2, "raw") == 4 * math.log(2)
