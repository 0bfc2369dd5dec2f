"""The laws of physics.md as whole runs obey them, against exact distributions.

Every test drives the engine, takes what it left on disk, and compares with a law evaluated in integers or
fractions.  Seeds are fixed, nothing is tried twice, so a pass stays a pass; FALSE_ALARM is the chance that a sound
program would have failed a test with a seed drawn at random.  Each law is also run with a broken kernel or machine,
which the same statistic must reject at the same level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from scipy import stats

import entropic.engine.layers as engine_layers
import entropic.initial as initial_states
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.machines.harvester import EntropyHarvester
from entropic.observer import Observer
from entropic.store import RunStore
from entropic.verification import closed_forms
from entropic.verification.closed_forms import boltzmann_factor, information, ones_law, record, site_law
from entropic.verification.exchange import shell_tables, uniform_p
from entropic.verification.statistics import binomial_p, p_value

FALSE_ALARM = 1e-6  # of each p-value

Array = NDArray[Any]


# --- statistics -------------------------------------------------------------------------------------------------


def geometric(mean: float, cells: int) -> list[float]:
    """P(q), q = 0 … cells − 2, and what lies beyond."""
    return closed_forms.geometric(boltzmann_factor(mean), cells)


def test_the_statistic_itself() -> None:
    """Under the law its p-values are spread evenly (400 of them, by Kolmogorov's exact law); beside it they are tiny."""
    rng = np.random.default_rng(1)
    law = geometric(3.0, 40)
    values = [p_value([(rng.multinomial(3000, law), law)]) for _ in range(400)]
    assert stats.kstest(values, "uniform", method="exact").pvalue > FALSE_ALARM
    assert p_value([(rng.multinomial(300_000, geometric(3.05, 40)), law)]) < FALSE_ALARM


# --- runs -------------------------------------------------------------------------------------------------------


def run(place: Path, **sections: dict[str, Any]) -> tuple[list[Array], dict[str, Array]]:
    """Fields after the cycles 0, 1, …, and the books."""
    config = Config.from_mapping(
        {**sections, "run": {"checkpoint_every": 1, **sections["run"]}, "battery": {"initial": 0.0}}
    )
    fields: list[Array] = []

    def keep(store: RunStore, cycle: int) -> None:
        if not fields:
            first = next((store.path / "checkpoints").glob("cycle-000000000-*"))
            fields.append(np.asarray(zarr.open_group(first / "field.zarr", mode="r")["quanta"][...]))  # type: ignore[index]
        fields.append(np.asarray(zarr.open_group(store.path / "field.zarr", mode="r")["quanta"][...]))  # type: ignore[index]

    computer = EntropicComputer(config, place, observer=Observer(booked=keep))
    computer.run()
    computer.store.unlock()
    return fields, computer.store.books()


def break_exchange(
    monkeypatch: pytest.MonkeyPatch, update: Callable[[Array, Array, np.random.Generator], Array]
) -> None:
    """Put another update (lower, total, randomness → new lower) in the place of the kernels of a layer."""

    def mix(lower: Array, upper: Array, layer: int) -> tuple[Array, Array]:
        total = lower.astype(np.int64) + upper
        new = update(lower.astype(np.int64), total, np.random.default_rng([77, layer]))
        return new.astype(lower.dtype), (total - new).astype(lower.dtype)

    def runs(view: Array, a: Array, b: Array, stride: int, lower: Array, seed: int, layer: int, *rest: Any) -> None:
        view[:, lower], view[:, lower + 1] = mix(view[:, lower], view[:, lower + 1], layer)

    def runs_anew(old: Array, view: Array, *rest: Any) -> None:
        view[...] = old
        runs(view, *rest)

    def touching(rows: Array, base: Array, lower: Array, full: bool, seed: int, layer: int, *rest: Any) -> None:
        rows[:, lower], rows[:, lower + 1] = mix(rows[:, lower], rows[:, lower + 1], layer)

    def seam(low: Array, high: Array, base: Array, step: int, halve: bool, seed: int, layer: int, *rest: Any) -> None:
        low[...], high[...] = mix(low, high, layer)

    monkeypatch.setattr(engine_layers, "exchange_runs", runs)
    monkeypatch.setattr(engine_layers, "exchange_runs_anew", runs_anew)
    monkeypatch.setattr(engine_layers, "exchange_touching", touching)
    monkeypatch.setattr(engine_layers, "exchange_seam", seam)


def one_place_short(lower: Array, total: Array, rng: np.random.Generator) -> Array:
    """⌊u t / 2³²⌋ for ⌊u (t + 1) / 2³²⌋: keeps every shell uniform, but one place cannot be reached from each start."""
    return (lower + rng.integers(0, np.maximum(total, 1))) % (total + 1)


def eight_bits(lower: Array, total: Array, rng: np.random.Generator) -> Array:
    """A word of 8 bits for one of 32: shares of places differ by one in 256."""
    return (lower + ((rng.integers(0, 256, total.shape) * (total + 1)) >> 8)) % (total + 1)


def coin_for_each_quantum(lower: Array, total: Array, rng: np.random.Generator) -> Array:
    """Every quantum goes left or right by itself: distinguishable quanta, Poissonian equilibrium."""
    return rng.binomial(total, 0.5)


# --- the pair update is uniform on its shell ----------------------------------------------------------------------


def uniform_on_shells(place: Path) -> float:
    """p-value of twelve layers: two axes, two parities, three turns.

    Two tests, each at half the level: one table a (t, q_i), to see every start, and one a t, to see a slight unevenness
    that all starts share.
    """
    fields, _ = run(
        place,
        field={"shape": [480, 1201], "regions": [4, 1], "mean": 5.0, "seed": 41},
        run={"cycles": 12},
        relax={"layers": 1},
        demon={"lift": False},
    )
    assert len(fields) == 13
    starts, shells = shell_tables([fields])
    assert len(starts) > 1500 and len(shells) > 300
    return uniform_p(starts, shells)


def test_pair_update_is_uniform_on_its_shell(tmp_path: Path) -> None:
    assert uniform_on_shells(tmp_path / "run") > FALSE_ALARM


@pytest.mark.parametrize("update", [one_place_short, eight_bits, coin_for_each_quantum])
def test_pair_update_that_is_not(update: Callable[..., Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_exchange(monkeypatch, update)
    assert uniform_on_shells(tmp_path / "run") < FALSE_ALARM


# --- equilibrium is geometric -------------------------------------------------------------------------------------


def thermal_for_ever(place: Path) -> float:
    """p-value of a thermal field after 24 layers: sites independent and geometric, so neighbours tell nothing.

    The update keeps the product of geometric laws exactly (it is uniform on shells on which that product is constant),
    so disjoint pairs of neighbours are independent draws from the product law, at any time.
    """
    mean, cells = 3.0, 14
    fields, _ = run(
        place,
        field={"shape": [24, 40, 1000], "regions": [3, 2, 4], "mean": mean, "seed": 42},
        run={"cycles": 4, "checkpoint_every": 4},
        relax={"layers": 6},
        demon={"lift": False},
    )
    last = np.minimum(fields[-1], cells - 1).astype(np.int64)
    law = np.array(geometric(mean, cells))
    counts = np.bincount((last[0::2] * cells + last[1::2]).ravel(), minlength=cells**2)
    return p_value([(counts, np.outer(law, law).ravel())])


def test_thermal_stays_geometric(tmp_path: Path) -> None:
    assert thermal_for_ever(tmp_path / "run") > FALSE_ALARM


def test_thermal_that_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_exchange(monkeypatch, coin_for_each_quantum)
    assert thermal_for_ever(tmp_path / "run") < FALSE_ALARM


def test_thermal_of_another_temperature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two per cent hotter."""
    table = initial_states.thermal_table
    monkeypatch.setattr(initial_states, "thermal_table", lambda mean, q_max: table(1.02 * mean, q_max))
    assert thermal_for_ever(tmp_path / "run") < FALSE_ALARM


REGION, QUANTA = 16, 48  # sites and quanta of a closed box of 4 × 4
SIDE = 64  # boxes along each axis: 4,096 replicas
MIXING = 120  # layers: the slowest mode of 4 sites falls by cos²(π/4) = 1/2 in four layers, so to 2⁻³⁰


def closed_boxes(place: Path, threshold: int, cycles: int) -> tuple[list[Array], dict[str, Array]]:
    """Boxes with adiabatic walls that begin as far from equilibrium as can be told: every site at the mean."""
    return run(
        place,
        field={
            "shape": [4 * SIDE, 4 * SIDE],
            "regions": [SIDE, SIDE],
            "mean": QUANTA / REGION,
            "initial": "uniform",
            "walls": "adiabatic",
            "seed": 43,
        },
        run={"cycles": cycles, "checkpoint_every": cycles},
        relax={"layers": MIXING},
        demon={"threshold": threshold, "erase": False, "lift": threshold < QUANTA + 1},
    )


def geometric_in_the_end(place: Path) -> float:
    """p-value of the law of one site of each box (boxes are independent), at four places in the box."""
    fields, _ = closed_boxes(place, QUANTA + 1, 1)
    assert (fields[0] == QUANTA // REGION).all()
    law = site_law(REGION, QUANTA)
    smallest = 1.0
    for i, j in product((0, 2), (1, 3)):  # four places are four tests, not one: sites of a box know each other
        counts = np.bincount(fields[-1][i::4, j::4].ravel(), minlength=QUANTA + 1)
        smallest = min(smallest, 4 * p_value([(counts, law)]))
    return smallest


def test_boxes_forget_their_start(tmp_path: Path) -> None:
    assert sum(site_law(REGION, QUANTA)) == pytest.approx(1, rel=1e-14)
    assert geometric_in_the_end(tmp_path / "run") > FALSE_ALARM


def test_boxes_in_another_equilibrium(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_exchange(monkeypatch, coin_for_each_quantum)
    assert geometric_in_the_end(tmp_path / "run") < FALSE_ALARM


def test_boxes_that_have_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers are too few, and the statistic sees it."""
    monkeypatch.setattr("test_physics.MIXING", 2)
    assert geometric_in_the_end(tmp_path / "run") < FALSE_ALARM


# --- the microcanonical law of n₁ -----------------------------------------------------------------------------------


def law_of_ones(books: dict[str, Array], threshold: int) -> float:
    """p-value of the ones of all boxes and cycles, each given the energy that its box held before the lift."""
    before = books["quanta"] + books["lift"]  # the tape is kept, so no heat was deposited
    tables = []
    for quanta in np.unique(before):
        ones = books["ones"][before == quanta]
        law = ones_law(REGION, int(quanta), threshold)
        assert sum(law) == 1
        tables.append((np.bincount(ones, minlength=REGION + 1), [float(p) for p in law]))
    return p_value(tables)


@pytest.mark.parametrize("threshold", [3, 8])
def test_microcanonical_law_of_the_lift(threshold: int, tmp_path: Path) -> None:
    """Three cycles: relax to equilibrium from wherever the last lift left the box, measure, lift."""
    _, books = closed_boxes(tmp_path / "run", threshold, 3)
    assert books["measured"].all() and not books["heat"].any()
    assert (books["quanta"][0] + books["lift"][0] == QUANTA).all()
    assert len(np.unique(books["quanta"][1])) > 5
    assert law_of_ones(books, threshold) > FALSE_ALARM


def test_microcanonical_law_is_sharp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a measurement with > for ≥, nor quanta that can be told apart, nor too little time pass for the law."""
    with monkeypatch.context() as broken:
        broken.setattr(EntropyHarvester, "ones", lambda self, counts: counts[:, self.threshold + 1 :].sum(axis=1))
        assert law_of_ones(closed_boxes(tmp_path / "greater", 8, 1)[1], 8) < FALSE_ALARM
    with monkeypatch.context() as broken:
        break_exchange(broken, coin_for_each_quantum)
        assert law_of_ones(closed_boxes(tmp_path / "coins", 8, 1)[1], 8) < FALSE_ALARM
    with monkeypatch.context() as broken:
        broken.setattr("test_physics.MIXING", 2)
        assert law_of_ones(closed_boxes(tmp_path / "early", 8, 1)[1], 8) < FALSE_ALARM


def test_microcanonical_start_has_the_law_at_once(tmp_path: Path) -> None:
    """Boxes drawn in equilibrium need no relaxation; thermal ones of the same mean obey another law."""
    found = {}
    for initial in ("microcanonical", "thermal"):
        field = {"shape": [4 * SIDE, 4 * SIDE], "regions": [SIDE, SIDE], "mean": QUANTA / REGION, "seed": 44}
        _, books = run(
            tmp_path / initial,
            field={**field, "initial": initial},
            run={"cycles": 1},
            relax={"layers": 0},
            demon={"threshold": 6, "erase": False},
        )
        counts = np.bincount(books["ones"][0], minlength=REGION + 1)
        found[initial] = p_value([(counts, [float(p) for p in ones_law(REGION, QUANTA, 6)])])
    assert found["microcanonical"] > FALSE_ALARM
    assert found["thermal"] < FALSE_ALARM


# --- what a lift yields, and what its record costs ------------------------------------------------------------------

SITES, BOX = 1_000_000, 2500  # sites of the field, and of one of its 400 regions
THRESHOLDS = [4, 50]  # p ≈ 0.48 and p ≈ e⁻⁹


def one_lift(
    place: Path, threshold: int, layers: int = 3, regions: Sequence[int] = (20, 20)
) -> tuple[list[Array], dict[str, Array]]:
    """A thermal field, relaxed a little (which changes no law) or not at all, and lifted once."""
    return run(
        place,
        field={"shape": [1000, 1000], "regions": list(regions), "mean": 5.0, "seed": 45},
        run={"cycles": 1},
        relax={"layers": layers},
        demon={"threshold": threshold, "erase": False},
    )


def chance_of_one(threshold: int) -> float:
    """p = x^θ, x = 5/6."""
    return float(Fraction(5, 6) ** threshold)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_work_of_a_lift(threshold: int, tmp_path: Path) -> None:
    """⟨W⟩ = θ p a site: W / θ of the whole field is binomial (N, p), that of each region binomial (N_r, p)."""
    _, books = one_lift(tmp_path / "run", threshold)
    work, p = books["lift"][0], chance_of_one(threshold)
    assert (work % threshold == 0).all()
    ones = work // threshold
    assert binomial_p(int(ones.sum()), SITES, p) > FALSE_ALARM
    law = stats.binom.pmf(np.arange(BOX + 1), BOX, p)
    assert p_value([(np.bincount(ones, minlength=BOX + 1), law / law.sum())]) > FALSE_ALARM
    # −T p ln p is the same ⟨W⟩
    assert math.isclose(threshold * p, -p * math.log(p) / math.log(6 / 5), rel_tol=1e-12)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_information_of_a_lift(threshold: int, tmp_path: Path) -> None:
    """I = H(p) a site: one region that is the whole field, whose record is at most ln(N + 1) nats longer than N H(n₁/N).

    The nats rise with n₁ below N / 2, so the exact binomial quantiles of n₁ are exact quantiles of the nats.
    """
    _, books = one_lift(tmp_path / "run", threshold, regions=[1, 1])
    ones, nats, p = int(books["ones"][0, 0]), float(books["record_nats"][0, 0]), chance_of_one(threshold)
    assert math.isclose(nats, record(SITES, ones), rel_tol=1e-12)
    low, high = (int(stats.binom.ppf(q, SITES, p)) for q in (FALSE_ALARM / 2, 1 - FALSE_ALARM / 2))
    assert high < SITES / 2
    assert record(SITES, low) <= nats <= record(SITES, high)
    assert 0 <= nats - SITES * information(ones / SITES) <= math.log(SITES + 1)
    assert record(SITES, round(SITES * p)) == pytest.approx(SITES * information(p), abs=math.log(SITES + 1))


def test_information_of_regions_is_that_of_their_own_ones(tmp_path: Path) -> None:
    _, books = one_lift(tmp_path / "run", 4)
    for ones, nats in zip(books["ones"][0].tolist(), books["record_nats"][0].tolist(), strict=True):
        assert math.isclose(nats, record(BOX, ones), rel_tol=1e-12)
        assert 0 <= nats - BOX * information(ones / BOX) <= math.log(BOX + 1)


def test_yield_of_a_lift(tmp_path: Path) -> None:
    """W / (T I) → 1 as p → 0: above nine tenths at p ≈ e⁻⁹, two thirds or so at p ≈ 1/2, exactly −p ln p / H(p)."""
    exact = {}
    for threshold in THRESHOLDS:
        p = chance_of_one(threshold)
        exact[threshold] = -p * math.log(p) / information(p)
        _, books = one_lift(tmp_path / str(threshold), threshold, regions=[1, 1])
        assert math.isclose(exact[threshold], threshold * p * math.log(6 / 5) / information(p), rel_tol=1e-12)
        seen = int(books["lift"].sum()) * math.log(6 / 5) / float(books["record_nats"].sum())
        edges = [int(stats.binom.ppf(q, SITES, p)) for q in (FALSE_ALARM / 2, 1 - FALSE_ALARM / 2)]
        bounds = sorted(threshold * n * math.log(6 / 5) / record(SITES, n) for n in edges)
        assert bounds[0] <= seen <= bounds[1]
    assert exact[50] > 0.9 > 0.6 > exact[4] > 0.4


def test_ones_are_thermal_again_and_zeros_are_not(tmp_path: Path) -> None:
    """Without relaxation: what a lift leaves of the ones is geometric, the zeros are cut off at θ."""
    threshold, cells = 4, 30
    (before, after), books = one_lift(tmp_path / "run", threshold, layers=0)
    ones = before >= threshold
    assert int(ones.sum()) == int(books["ones"].sum())
    assert np.array_equal(after, np.where(ones, before - threshold, before))
    law = geometric(5.0, cells)
    counts = {bit: np.bincount(np.minimum(after[ones == bit], cells - 1), minlength=cells) for bit in (True, False)}
    assert p_value([(counts[True], law)]) > FALSE_ALARM
    cut = np.array(law[:threshold]) / sum(law[:threshold])
    assert p_value([(counts[False][:threshold], cut)]) > FALSE_ALARM
    assert p_value([(counts[False], law)]) < FALSE_ALARM
    everything = counts[True] + counts[False]
    assert p_value([(everything, law)]) < FALSE_ALARM


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_work_of_a_broken_lift(threshold: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """> for ≥, and a field hotter than it says, by two per cent (or 20, where only about a hundred ones are expected)."""
    p = chance_of_one(threshold)
    hotter = {4: 1.02, 50: 1.2}[threshold]
    table = initial_states.thermal_table
    with monkeypatch.context() as broken:
        broken.setattr(initial_states, "thermal_table", lambda mean, q_max: table(hotter * mean, q_max))
        _, books = one_lift(tmp_path / "hotter", threshold)
        assert binomial_p(int(books["ones"].sum()), SITES, p) < FALSE_ALARM
    if threshold == 4:
        monkeypatch.setattr(EntropyHarvester, "ones", lambda self, counts: counts[:, self.threshold + 1 :].sum(axis=1))
        _, books = one_lift(tmp_path / "greater", threshold)
        assert binomial_p(int(books["ones"].sum()), SITES, p) < FALSE_ALARM
