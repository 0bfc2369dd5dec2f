"""The market: matches against brute force in rationals, exact shares of the work, ties that floats cannot see."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations, product
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_machines as reference
from entropic import entropy
from entropic.machines import exchange, temperature_ratio
from entropic.machines.exchange import EntropyExchange, MarketError, OrderBook
from entropic.machines.pump import EntropyPump, GearError, PumpResult
from entropic.machines.temperature_ratio import compare_ratio
from entropic.machines.trade_log import TRADE_COLUMNS, Settlement, trade_columns

Gear = tuple[int, int]

drawn = settings(deadline=None, max_examples=150)
OFFER: tuple[Gear, ...] = ((2, 1), (3, 1), (3, 2))
gears = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda g: (g[0] + g[1], g[1])), min_size=1, max_size=4
).map(tuple)
shares = st.one_of(st.none(), st.sampled_from([0.25, 0.5, 1.0]), st.floats(0.01, 1.0))


def picked(market: EntropyExchange, quanta: Any, sites: int) -> list[tuple[int, int, int, int]]:
    return [(t.hot, t.cold, t.m, t.n) for t in market.match(np.asarray(quanta, np.int64), sites)]


# --- matching ---------------------------------------------------------------------------------------------------


@drawn
@given(st.lists(st.integers(0, 40), max_size=14), st.integers(2, 12), gears, shares)
def test_match_in_small(quanta: list[int], sites: int, offer: tuple[Gear, ...], share: float | None) -> None:
    """Small counts, where equal quotes and gears at their exact Carnot point are common."""
    assert picked(EntropyExchange(offer, 0.1, share), quanta, sites) == reference.match(offer, quanta, sites, share)


@drawn
@given(
    st.lists(
        st.one_of(st.integers(0, 10**7), st.integers(4_990_000, 5_010_000), st.integers(0, 4 * 10**12)), max_size=8
    ),
    st.integers(2, 10**7),
    gears,
    shares,
)
def test_match_in_large(quanta: list[int], sites: int, offer: tuple[Gear, ...], share: float | None) -> None:
    assert picked(EntropyExchange(offer, 0.1, share), quanta, sites) == reference.match(offer, quanta, sites, share)


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_thousand_regions(share: float | None) -> None:
    quanta = np.random.default_rng(5).integers(10**5, 9 * 10**6, 1000)
    market = EntropyExchange(OFFER, 0.1, share)
    trades = picked(market, quanta, 10**6)
    assert trades == reference.match(OFFER, quanta.tolist(), 10**6, share)
    assert 300 < len(trades) < 500
    touched = [region for hot, cold, _, _ in trades for region in (hot, cold)]
    assert len(set(touched)) == len(touched)
    assert picked(market, quanta.astype(np.int32), 10**6) == trades


@drawn
@given(st.lists(st.integers(0, 60), max_size=14), st.integers(2, 12), gears, shares)
def test_the_exact_route_agrees_with_the_fast_one(
    quanta: list[int], sites: int, offer: tuple[Gear, ...], share: float | None
) -> None:
    """With an error bound that nothing passes, all is settled in rationals and digits: the trades are the same."""
    market = EntropyExchange(offer, 0.1, share)
    fast = picked(market, quanta, sites)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "_UNDERFLOW", math.inf)
        assert picked(market, quanta, sites) == fast


def test_floats_cannot_see_the_golden_ratio() -> None:
    """Beside an empty region 3:1 beats 2:1 just when x² + x > 1.  Fibonacci's ratios, and mediants of them, come as near as 1e-24."""
    fibonacci = [1, 1]
    while fibonacci[-1] < 2 * 10**10:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    market, winners = EntropyExchange(((2, 1), (3, 1)), 0.1), set()
    for k, a, b in product(range(20, len(fibonacci)), range(1, 9), range(9)):
        quanta, sites = a * fibonacci[k] + b * fibonacci[k - 1], a * fibonacci[k - 1] + b * fibonacci[k - 2]
        m = 3 if quanta**2 + quanta * (quanta + sites) > (quanta + sites) ** 2 else 2
        assert picked(market, [0, quanta], sites) == [(1, 0, m, 1)]
        winners.add(m)
    assert winners == {2, 3}


@pytest.mark.parametrize("k", [1, 7, 10**6, 10**12])
def test_at_its_carnot_point_a_gear_does_not_trade(k: int) -> None:
    """N = 3k, Q_h = 3k, Q_c = k: x_h² = x_c, the mean work of 2:1 is 0; one quantum either way decides."""
    market = EntropyExchange(((2, 1),), 0.1)
    assert picked(market, [3 * k, k], 3 * k) == []
    assert picked(market, [3 * k, k - 1], 3 * k) == [(0, 1, 2, 1)]
    assert picked(market, [3 * k, k + 1], 3 * k) == []
    assert picked(EntropyExchange(((2, 1),), 0.1, 0.5), [3 * k, k], 3 * k) == []


def test_floats_cannot_see_every_carnot_point() -> None:
    """2:1 works just when Q_h² > Q_c (2 Q_h + N).  Where x_(k+1) = c x_k - x_(k-1), x_k² misses x_(k-1) x_(k+1) by a small constant."""
    market, outcomes = EntropyExchange(((2, 1),), 0.1), set()
    for first, c, scale in product((0, 1), range(3, 40), range(1, 12, 2)):
        cold, hot = first, 1
        while hot < 3 * 10**10 // scale:
            cold, hot, over = hot, c * hot - cold, c * (c * hot - cold) - hot
            sites = scale * (over - 2 * hot)
            if hot > 10**6 and sites <= 10**12:
                found = picked(market, [scale * hot, scale * cold], sites)
                assert found == ([(0, 1, 2, 1)] if hot**2 > cold * over else [])
                outcomes.add(len(found))
    assert outcomes == {0, 1}


# Carnot's share halfway between two gears, with T_c/T_h rational: Q_h, Q_c, N.
HALFWAY = [
    (0.5, ((4, 3), (2, 1)), 14, 0, 16),  # T_c/T_h = ln 2 / ln 16 = 1/4: target 3/8 of 1/4 and 1/2
    (1.0, ((3, 2), (2, 1)), 4094, 126, 520066),  # ln 128 / ln 4096 = 7/12: target 5/12 of 1/3 and 1/2
]


@pytest.mark.parametrize(("share", "offer", "hot", "cold", "sites"), HALFWAY)
def test_between_equals_the_first_is_taken(
    share: float, offer: tuple[Gear, ...], hot: int, cold: int, sites: int
) -> None:
    for order in permutations(offer):
        found = picked(EntropyExchange(order, 0.1, share), [cold, hot], sites)
        working = [g for g in order if reference.expected_work(*g, hot, cold, sites) > 0]
        assert found == [(1, 0, *working[0])]
        assert found == reference.match(order, [cold, hot], sites, share)
        nudged = math.nextafter(share, 0.0)
        lower = min(working, key=lambda g: 1 - g[1] / g[0])
        assert picked(EntropyExchange(order, 0.1, nudged), [cold, hot], sites) == [(1, 0, *lower)]
    assert compare_ratio(hot, cold, sites, Fraction(1, 4) if share == 0.5 else Fraction(7, 12)) == 0


def test_carnot_s_share_within_a_float_of_the_middle() -> None:
    """The share is the float nearest to where two gears are equally near, and its neighbours: digits decide."""
    draw, offer = np.random.default_rng(8), ((3, 2), (2, 1))
    winners = set()
    for cold, gap, sites in draw.integers(1, 10**6, (150, 3)).tolist():
        hot = 20 * (cold + gap)
        with mpmath.workdps(60):
            carnot = 1 - reference.temperature(cold, sites) / reference.temperature(hot, sites)
            middle = float(mpmath.mpf(5) / 12 / carnot)
        for share in (math.nextafter(middle, 0.0), middle, math.nextafter(middle, 1.0)):
            found = picked(EntropyExchange(offer, 0.1, share), [hot, cold], sites)
            assert found == reference.match(offer, [hot, cold], sites, share)
            winners.update(trade[2] for trade in found)
    assert winners == {2, 3}


def test_gears_of_one_ratio() -> None:
    """4:2 has the efficiency of 2:1: by Carnot's share the first of the list is taken, by work the better one."""
    for order in (((2, 1), (4, 2)), ((4, 2), (2, 1))):
        assert picked(EntropyExchange(order, 0.1, 0.5), [100, 1], 10) == [(0, 1, *order[0])]
        assert picked(EntropyExchange(order, 0.1), [100, 1], 10) == reference.match(order, [100, 1], 10)


def test_what_a_trade_says() -> None:
    trade = EntropyExchange(OFFER, 0.1).match(np.array([10**6, 8 * 10**6]), 10**6)[0]
    assert (trade.hot, trade.cold) == (1, 0)
    assert trade.temperature_hot == entropy.temperature(10**6, 8 * 10**6)
    assert trade.temperature_cold == entropy.temperature(10**6, 10**6)
    assert trade.price == math.sqrt(trade.temperature_hot * trade.temperature_cold)
    exact = reference.expected_work(trade.m, trade.n, 8 * 10**6, 10**6, 10**6)
    assert trade.expected_work == pytest.approx(float(exact), rel=1e-14)


# --- temperatures -----------------------------------------------------------------------------------------------


@drawn
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(2, 10**9), st.fractions(0, 3, max_denominator=10**6))
def test_comparing_temperatures(a: int, b: int, sites: int, bound: Fraction) -> None:
    hot, cold = max(a, b), min(a, b)
    with mpmath.workdps(100):
        exact = reference.temperature(cold, sites) / reference.temperature(hot, sites)
        assert compare_ratio(hot, cold, sites, bound) == mpmath.sign(
            exact - mpmath.mpf(bound.numerator) / bound.denominator
        )
        found = temperature_ratio.ratio(hot, cold, sites)
        assert abs(found / exact - 1) < temperature_ratio.RELATIVE_ERROR / 2
        # Rationals within a float's reach of the ratio, on both sides of it.
        near = Fraction(found)
        assert compare_ratio(hot, cold, sites, near * (1 - Fraction(1, 2**48))) == 1
        assert compare_ratio(hot, cold, sites, near * (1 + Fraction(1, 2**48))) == -1


@pytest.mark.parametrize(("i", "j"), [(1, 2), (1, 4), (4, 9), (7, 12), (2, 42), (41, 42)])
def test_rational_ratios_are_recognised(i: int, j: int) -> None:
    """A = 2^i, B = 2^j: the least N and Q with ln A / ln B = i / j exactly."""
    rise = math.lcm(2**i - 1, 2**j - 1)
    hot, cold = rise // (2**i - 1) - 1, rise // (2**j - 1) - 1
    sites = rise + 1
    assert compare_ratio(hot, cold, sites, Fraction(i, j)) == 0
    assert compare_ratio(hot, cold, sites, Fraction(i, j) + Fraction(1, 10**60)) == -1
    assert compare_ratio(hot, cold, sites, Fraction(i, j) - Fraction(1, 10**60)) == 1
    assert compare_ratio(hot, cold, sites, Fraction(-1, 3)) == 1


# --- shares of the work -----------------------------------------------------------------------------------------

MARKET = EntropyExchange(OFFER, 0.1)


@drawn
@given(
    st.one_of(st.integers(-100, 100), st.integers(-(10**13), 10**13), st.integers(-(10**40), 10**40)),
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.integers(2, 10**9),
)
def test_no_quantum_is_lost_in_the_split(work: int, cold: int, gap: int, sites: int) -> None:
    hot = cold + gap
    share_hot, share_cold = MARKET.split(work, hot, cold, sites)
    assert share_hot + share_cold == work
    assert share_hot == reference.hot_share(work, hot, cold, sites)
    assert abs(share_hot) >= abs(work) // 2  # 1 / (1 + sqrt(T_c/T_h)) is above 1/2 ...
    assert abs(share_hot) <= abs(work)  # ... and below 1
    assert MARKET.split(-work, hot, cold, sites) == (-share_hot, -share_cold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "_EXACT_FLOAT", 0)
        assert MARKET.split(work, hot, cold, sites) == (share_hot, share_cold)


def test_shares_that_come_out_whole() -> None:
    """T_c/T_h = 1/4 and 4/9: the hot side's share is 2/3 and 3/5 exactly, which floats must not round down."""
    for k in [*range(2000), 10**15, 10**15 + 1, 10**30 + 7]:
        assert MARKET.split(3 * k, 14, 0, 16) == (2 * k, k)
        assert MARKET.split(3 * k + 2, 14, 0, 16) == (2 * k + 1, k + 1)
        assert MARKET.split(-3 * k, 14, 0, 16) == (-2 * k, -k)
        assert MARKET.split(5 * k, 510, 14, 7666) == (3 * k, 2 * k)
    assert [MARKET.split(w, 9, 9, 5) for w in (0, 7, -7)] == [(0, 0), (3, 4), (-3, -4)]  # the limit of equal quotes


@pytest.mark.parametrize(
    ("base", "i", "j"),
    [
        (2, 1, 2),
        (2, 1, 3),
        (2, 2, 3),
        (2, 1, 4),
        (2, 3, 4),
        (2, 1, 5),
        (2, 1, 6),
        (3, 1, 2),
        (3, 1, 3),
        (3, 2, 3),
        (3, 1, 4),
    ],
)
def test_whole_shares_at_every_rational_price(base: int, i: int, j: int) -> None:
    """A = base^(i²), B = base^(j²): sqrt(T_c/T_h) = i/j, the hot side gets j/(i+j), whole for every multiple of i + j."""
    hot_part, cold_part = base ** (i * i) - 1, base ** (j * j) - 1
    rise = math.lcm(hot_part, cold_part)
    for k in range(1, 400):
        assert MARKET.split(k * (i + j), rise // hot_part - 1, rise // cold_part - 1, rise + 1) == (k * j, k * i)
        assert MARKET.split(k * (i + j) - 1, rise // hot_part - 1, rise // cold_part - 1, rise + 1)[0] == k * j - 1


def test_shares_that_are_nearly_whole() -> None:
    """Work at the denominators of the share's continued fraction: it misses a whole number by less than 1/W, unseen by floats."""
    draw = np.random.default_rng(9)
    for cold, gap, sites in draw.integers(2, 10**7, (60, 3)).tolist():
        hot = cold + gap
        with mpmath.workdps(80):
            rest = 1 / (1 + mpmath.sqrt(reference.temperature(cold, sites) / reference.temperature(hot, sites)))
            older, work = 0, 1
            while work < 10**15:
                rest = 1 / (rest - mpmath.floor(rest))
                older, work = work, int(mpmath.floor(rest)) * work + older
                share = reference.hot_share(work, hot, cold, sites)
                assert MARKET.split(work, hot, cold, sites) == (share, work - share)


def test_the_share_rises_with_the_gradient() -> None:
    found = [MARKET.split(10**6, hot, 10**5, 10**5)[0] for hot in (10**5, 2 * 10**5, 10**6, 10**8)]
    assert found == sorted(set(found))


@pytest.mark.parametrize(("hot", "cold", "sites"), [(1, 2, 5), (1, -1, 5), (2, 1, 1), (10**13, 1, 5)])
def test_trades_without_a_price_are_refused(hot: int, cold: int, sites: int) -> None:
    with pytest.raises(MarketError, match="no price"):
        MARKET.split(10, hot, cold, sites)


# --- order book and log -----------------------------------------------------------------------------------------


def test_the_order_book() -> None:
    book = OrderBook.open(np.array([5, 9, 5, 0, 9]), 10)
    assert book.region.tolist() == [1, 4, 0, 2, 3]  # hottest first, equals by number
    assert book.quanta.tolist() == [9, 9, 5, 5, 0]
    assert book.pairs() == 2
    quotes = book.temperatures()
    assert quotes.tolist() == [entropy.temperature(10, q) for q in (9, 9, 5, 5, 0)]
    assert OrderBook.open(np.array([3, 3, 3, 3]), 10).pairs() == 0
    assert OrderBook.open(np.array([], np.int64), 10).pairs() == 0


def test_quotes_rise_with_every_quantum() -> None:
    quotes = OrderBook.open(np.arange(5000), 777).temperatures()
    assert (np.diff(quotes) < 0).all()


@pytest.mark.parametrize(
    ("quanta", "sites"), [([1.5, 2.0], 10), ([[1, 2]], 10), ([1, -1], 10), ([1, 2], 1), ([1, 10**13], 10)]
)
def test_quotes_out_of_range_are_refused(quanta: Any, sites: int) -> None:
    with pytest.raises(MarketError):
        OrderBook.open(np.array(quanta), sites)


def test_bad_markets_are_refused() -> None:
    for offer in ((), ((1, 2),), ((2, 2),), ((2, 0),), ((70000, 1),)):
        with pytest.raises(GearError):
            EntropyExchange(offer, 0.1)
    for contact in (0.0, 1.5):
        with pytest.raises(GearError):
            EntropyExchange(OFFER, contact)
    for share in (0.0, 1.5, math.nan):
        with pytest.raises(MarketError):
            EntropyExchange(OFFER, 0.1, share)
    assert MARKET.pumps(255) == {gear: EntropyPump(*gear, 255) for gear in OFFER}
    with pytest.raises(GearError):
        EntropyExchange(((300, 1),), 0.1).pumps(255)


def test_the_log_keeps_every_column() -> None:
    trades = MARKET.match(np.array([100, 90, 3, 2]), 10)
    done = [Settlement(trade, PumpResult(6, 9, 3), 4, 2) for trade in trades]
    columns = trade_columns(12, done)
    assert list(columns) == list(TRADE_COLUMNS)
    assert all(columns[name].dtype == column.dtype and column.units for name, column in TRADE_COLUMNS.items())
    assert all(array.shape == (2,) for array in columns.values())
    assert columns["cycle"].tolist() == [12, 12]
    assert columns["hot"].tolist() == [0, 1]
    assert columns["cold"].tolist() == [3, 2]
    assert columns["price"].tolist() == [trade.price for trade in trades]
    assert columns["work"].tolist() == [6, 6]
    assert (columns["share_hot"] + columns["share_cold"] == columns["work"]).all()
    empty = trade_columns(0, [])
    assert all(
        empty[name].dtype == column.dtype and empty[name].shape == (0,) for name, column in TRADE_COLUMNS.items()
    )
