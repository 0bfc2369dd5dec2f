"""Scaling studies: what is run and in which order, exact laws, fits, verdicts with known answers, and errors that must be found."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from entropic.config_errors import ConfigError
from entropic.engine import block as engine_block
from entropic.engine.cluster import Executor
from entropic.engine.state import BlockState
from entropic.ledger import DoubleEntryError, MissingEntryError
from entropic.observer import Interrupted
from entropic.scaling import Study, StudyObserver, StudyStore, analyse, fits, run_study, runner, write_results
from entropic.scaling.cells import Cell, Layout, cells_of, region_boxes, sessions_of
from entropic.scaling.charged import analyse_charged
from entropic.scaling.fits import fit_speedup, fitted_seconds
from entropic.scaling.ladder import Count, count_sites, factors, merged, together
from entropic.scaling.laws import Demon, chernoff_p
from entropic.scaling.model import Costs, calibrate
from entropic.scaling.statistics import binomial_p, clopper_pearson, least_bound, median, median_ratio
from entropic.scaling.study import layouts_of_cores
from entropic.scaling.tally import _tally
from entropic.scaling.thermodynamic import Evidence, analyse_fields
from entropic.scaling.verdict import NOT_SETTLED, NOT_TRUSTED, NOTHING, SOMETHING, verdict_of
from test_cli_fuzz import entropic_

SMOKE = Path(__file__).parents[1] / "studies" / "smoke.toml"
DEMON = Demon(5.0, 10, "compressed")
CERTAIN = 1e-6  # false alarms of a test in here
TINY = """
[study]
name = "tiny"
repeats = 2
warm_up = 0
[field]
shape = [12, 12]
regions = [4, 4]
mean = 3.0
[run]
cycles = 6
checkpoint_every = 6
[demon]
threshold = 4
[strong]
layouts = [[0, 1], [1, 2]]
"""


def problems(text: str) -> dict[str, int | None]:
    with pytest.raises(ConfigError) as caught:
        Study.from_text(text, "s.toml")
    assert all(str(problem).startswith("s.toml:") for problem in caught.value.problems)
    return {problem.key: problem.line for problem in caught.value.problems}


# --- what is asked for ----------------------------------------------------------------------------------------------


def test_every_problem_at_once_with_its_line() -> None:
    text = """[study]
repeats = 0
sed = 3
[field]
shape = [8, 9]
regions = [4, 4]
[strong]
layouts = [[0, 2], [1, 1]]
chunks = [[1, 1, 1]]
[thermodinamic]
shapes = [[4, 4]]
[charged]
fields = [[3, 1, 1]]
hot = 1.0
gears = [[1, 2]]
[scheduler]
workers = [4]
shape = [10]
regions = [3]
"""
    found = problems(text)
    assert found == {
        "study.repeats": 2,
        "study.sed": 3,
        "field.regions": 6,
        "strong.layouts": 8,
        "strong.chunks[0]": 9,
        "thermodinamic": 10,
        "charged.fields[0]": 13,
        "charged.hot": 14,
        "charged.gears[0]": 15,
        "scheduler.regions": 19,
    }
    with pytest.raises(ConfigError, match=r"did you mean seed\?"):
        Study.from_text(text)
    with pytest.raises(ConfigError, match=r"did you mean \[thermodynamic\]\?"):
        Study.from_text(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "study"),
        ("[strong]\nlayouts = 'coers'", "strong.layouts"),
        ("[thermodynamic]\nshapes = [[4, 4]]\n[field]\ninitial = 'uniform'", "thermodynamic.shapes"),
        ("[thermodynamic]\nshapes = [[16]]", "thermodynamic.shapes[0]"),
        ("[thermodynamic]\nshapes = [[4, 4]]\nregions = [3]", "thermodynamic.regions[0]"),
        ("[thermodynamic]\nshapes = [[4, 5]]\n[field]\nedges = 'periodic'", "thermodynamic.shapes[0]"),
        ("[strong]\nlayouts = [[1, 1]]\n[run]\ncycles = 0", "run.cycles"),
        ("[charged]\nfields = [[2, 1]]", "charged.fields[0]"),
        ("[thermodynamic]\nshapes = [[4, 4]]\nreplicas = [1, 2]", "thermodynamic.replicas"),
    ],
)
def test_contradictions(text: str, key: str) -> None:
    assert key in problems(text)


def test_what_is_written_is_read_back() -> None:
    study = Study.from_toml(SMOKE)
    assert Study.from_text(study.to_toml()) == study
    assert study.base.field.shape == (64, 64, 32)
    for path in SMOKE.parent.glob("*.toml"):
        assert cells_of(Study.from_toml(path).resolved(2))


def test_layouts_of_a_machine() -> None:
    assert layouts_of_cores(2) == ((0, 1), (1, 1), (1, 2), (2, 1), (4, 1))
    many = layouts_of_cores(24)
    assert {(1, 24), (24, 1), (12, 2), (1, 16), (16, 1)} <= set(many) and len(set(many)) == len(many)
    asked = Study.from_text("[strong]\nlayouts = 'cores'")
    assert asked.resolved(2).strong.layouts == layouts_of_cores(2)
    assert asked.resolved(2).resolved(64) == asked.resolved(2)


def test_regions_that_are_runs_of_sites() -> None:
    assert region_boxes((256, 256, 256), 4096) == (256, 16, 1)
    assert region_boxes((100, 1000), 2000) == (50, 1)
    for shape, sites in (((4, 6), 8), ((4, 6), 18), ((8, 8), 3)):
        with pytest.raises(ConfigError, match="run that is a box"):
            region_boxes(shape, sites)


# --- the matrix and its order ---------------------------------------------------------------------------------------


def test_cells_and_their_order() -> None:
    study = Study.from_toml(SMOKE)
    cells = cells_of(study)
    assert len({cell.name for cell in cells}) == len(cells)
    strong = {cell.physics for cell in cells if cell.kind in ("strong", "null", "granularity")}
    assert len(strong) == 1  # one outcome is due for all of these
    wide = next(cell for cell in cells if cell.varied == "weak-2x1")
    assert wide.config.field.shape == (128, 64, 32) and wide.config.field.regions == (16, 4, 1)
    seeds = [cell.config.field.seed for cell in cells if cell.kind in ("field", "charged")]
    assert len(set(seeds)) == 3 + 2 * study.study.repeats  # one field and two replicas; no two share random words
    fields = [cell.name for cell in cells if cell.kind == "field"]
    assert fields == [
        *(f"field-{n}" for n in ("64x64x32-1x1", "64x64x32-2x1", "25x25x25-1x1", "25x25x25-2x1")),
        "field-25x25x25.2-1x1",
    ]
    sessions = sessions_of(cells, 1)
    assert sorted(cell.name for session in sessions for cell in session.cells) == sorted(cell.name for cell in cells)
    assert all(cell.layout == session.layout for session in sessions for cell in session.cells)
    ranks = [max(cell.repeat, 1) for session in sessions for cell in session.cells]
    assert ranks == sorted(ranks)  # rounds: every condition once before any comes twice
    assert sessions == sessions_of(cells, 1)


def test_order_is_random() -> None:
    """Every cell of a session comes first equally often: exact binomial, for 600 seeds."""
    study = Study.from_text(TINY + "[granularity]\nlayout = [1, 2]\nchunks = [[1, 4], [2, 4], [4, 4]]\n")
    cells = [cell for cell in cells_of(study) if cell.repeat == 1 and cell.layout.workers]
    first = [sessions_of(cells, seed)[0].cells[0].name for seed in range(600)]
    for cell in cells:
        assert binomial_p(first.count(cell.name), 600, 1 / len(cells)) > CERTAIN


def test_the_same_cell_twice() -> None:
    with pytest.raises(ConfigError, match="each cell once"):
        cells_of(Study.from_text("[strong]\nlayouts = [[1, 1], [1, 1]]"))


# --- counting at every scale ----------------------------------------------------------------------------------------


def thermal(shape: Sequence[int], seed: int, mean: float = 5.0) -> NDArray[np.uint8]:
    drawn = np.random.default_rng(seed).geometric(1 / (1 + mean), size=tuple(shape)) - 1
    return np.minimum(drawn, 255).astype(np.uint8)


def counted(planes: NDArray[np.uint8], demons: tuple[int, ...], cut: Sequence[int]) -> Count:
    """Blocks of so many planes, each counted by itself first."""
    edges = np.cumsum([0, *cut])
    blocks = (planes[i:j] for i, j in pairwise(edges))
    return merged([together([count_sites(plane, DEMON.threshold, demons) for plane in block]) for block in blocks])


def test_counting_against_a_slow_twin() -> None:
    planes = thermal((6, 40), 3)
    demons = (1, 3, 6, 7, 12, 41)
    count = counted(planes, demons, (6,))
    assert sorted(count.tables) == [1, 2, 4, 8, 40, 80, 240]
    for sites, table in count.tables.items():
        runs = planes.reshape(-1, sites).astype(int)
        seen: dict[tuple[int, int], int] = {}
        for run in runs:
            key = (int(run.sum()), int((run >= DEMON.threshold).sum()))
            seen[key] = seen.get(key, 0) + 1
        assert [(q, n, k) for n, q, k in table.tolist()] == [(q, n, k) for (q, n), k in sorted(seen.items())]
    assert sorted(count.demons) == [1, 3, 6, 7, 12]
    for sites, histogram in count.demons.items():
        want = np.zeros(sites + 1, np.int64)
        for plane in planes:
            for r in range(40 // sites):
                want[(plane[r * sites : (r + 1) * sites] >= DEMON.threshold).sum()] += 1
        assert (histogram == want).all()


def test_no_cut_shows_in_the_count() -> None:
    planes, demons = thermal((12, 64), 4), (1, 2, 5, 16)
    whole = _tally(counted(planes, demons, (12,)), DEMON)
    for cut in ((1,) * 12, (5, 7), (4, 4, 4), (11, 1)):
        assert _tally(counted(planes, demons, cut), DEMON) == whole


def test_factors() -> None:
    assert [factors(n) for n in (1, 2, 12, 97)] == [[], [2], [2, 2, 3], [97]]
    assert all(math.prod(factors(n)) == n for n in range(1, 500))


# --- exact laws ------------------------------------------------------------------------------------------------------


def enumerated(sites: int, price: str, threshold: int, mean: float, top: int) -> tuple[float, float]:
    """Mean and deviation of the net of a region, over every configuration up to ``top`` quanta a site."""
    demon = Demon(mean, threshold, "compressed")
    x = mean / (1 + mean)
    site = (1 - x) * x ** np.arange(top)
    grid = np.meshgrid(*[np.arange(top)] * sites, indexing="ij")
    chance = np.prod(np.meshgrid(*[site] * sites, indexing="ij"), axis=0)
    ones = sum((g >= threshold).astype(int) for g in grid)
    quanta = sum(grid)
    from entropic import entropy

    net = np.zeros(chance.shape)
    for key in {(int(n), int(q)) for n, q in zip(np.ravel(ones), np.ravel(quanta), strict=True)}:
        n, q = key
        if price == "own":
            cost = float(entropy.erasure_quanta(sites, q - threshold * n, n) or 0)
        else:
            cost = demon.temperature * entropy.record_nats(sites, n, "raw" if price == "raw" else "compressed")
        net[(ones == n) & (quanta == q)] = threshold * n - cost
    mean_net = float((chance * net).sum())
    return mean_net, math.sqrt(float((chance * (net - mean_net) ** 2).sum()))


@pytest.mark.parametrize(("sites", "price"), [(1, "landauer"), (2, "landauer"), (2, "raw"), (2, "own"), (3, "own")])
def test_net_against_every_configuration(sites: int, price: Any) -> None:
    mean, top = 0.8, 60 if sites < 3 else 30
    law = Demon(mean, 2, "compressed").net(sites, price)
    expected, deviation = enumerated(sites, price, 2, mean, top)
    lost = sites * (mean / (1 + mean)) ** top * 200  # what lies beyond ``top`` costs or brings no more
    assert abs(law.mean - expected) < 1e-9 + lost
    assert math.isclose(law.deviation, deviation, rel_tol=1e-6 + 20 * lost)
    assert law.slack == 0.0


def test_net_of_large_regions() -> None:
    """Above 256 sites the own bath's law is a smooth sum: it must meet the enumerated one, within its slack."""
    from entropic.scaling import laws

    exact = laws._own.__wrapped__(DEMON, 256)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laws, "_ENUMERATED", 1)
        smooth = laws._own.__wrapped__(DEMON, 256)
    assert 0 < abs(smooth.mean - exact.mean) < smooth.slack
    assert math.isclose(smooth.deviation, exact.deviation, rel_tol=1e-3)
    p = DEMON.chance
    limit = DEMON.gross - DEMON.cost_a_site("compressed")
    assert math.isclose(limit, DEMON.temperature * (1 - p) * math.log1p(-p), rel_tol=1e-12)  # −T p ln p − T H(p)
    assert math.isclose(DEMON.net(10**9, "landauer").mean / 10**9, limit, rel_tol=1e-6)
    for sites in (1, 2, 7, 100, 5000):
        assert math.isclose(DEMON.net(sites, "raw").mean / sites, DEMON.gross - DEMON.cost_a_site("raw"), rel_tol=1e-12)
        assert DEMON.net(sites, "landauer").mean < 0


@pytest.mark.parametrize("price", ["raw", "compressed"])
def test_apparent_gains(price: Any) -> None:
    """The tail, summed by hand in integers; below its exponential bound."""
    for sites in (1, 2, 3, 8, 33, 64):
        cost = DEMON.cost_a_site(price)
        by_hand = math.fsum(
            math.comb(sites, n) * DEMON.chance**n * (1 - DEMON.chance) ** (sites - n)
            for n in range(sites + 1)
            if DEMON.threshold * n > sites * cost
        )
        assert math.isclose(DEMON.violation(sites, price), by_hand, rel_tol=1e-10)
        assert by_hand <= DEMON.violation_bound(sites, price) * (1 + 1e-12)


# --- statistics with known answers ------------------------------------------------------------------------------------


def test_chernoff_never_understates() -> None:
    """P(p ≤ a) ≤ a for means of skew draws; exact binomial, at a = 0.05 and 0.005; and a shift is found."""
    law, draws, studies = DEMON.net(2, "landauer"), 400, 2000
    random = np.random.default_rng(5)
    means = random.choice(law.values, p=law.chances / law.chances.sum(), size=(studies, draws)).mean(axis=1)
    values = np.array([chernoff_p(law, mean, draws) for mean in means])
    for level in (0.05, 0.005):
        assert stats.binom.sf(int((values <= level).sum()) - 1, studies, level) > CERTAIN
    assert (values <= 0.05).any()  # it is no constant
    assert chernoff_p(law, law.mean + 5 * law.deviation / math.sqrt(draws), draws) < 1e-3


def test_clopper_pearson() -> None:
    assert clopper_pearson(0, 100, 0.95)["high"] == pytest.approx(1 - 0.025 ** (1 / 100), rel=1e-12)
    assert clopper_pearson(100, 100, 0.95)["low"] == pytest.approx(0.025 ** (1 / 100), rel=1e-12)
    found = stats.binomtest(7, 50).proportion_ci(0.9, "exact")
    mine = clopper_pearson(7, 50, 0.9)
    assert (mine["low"], mine["high"]) == pytest.approx((found.low, found.high), rel=1e-9)
    for chance in (0.01, 0.3):  # exact coverage, summed over all outcomes
        spans = [clopper_pearson(k, 60, 0.95) for k in range(61)]
        inside = [s["low"] <= chance <= s["high"] for s in spans]  # type: ignore[operator]
        assert stats.binom.pmf(np.arange(61), 60, chance)[inside].sum() >= 0.95


def test_two_one_sided_tests_keep_their_level() -> None:
    """An effect as large as the bound passes for none with a chance of 5 % at most; one of nothing passes nearly always."""
    random, bound, spread = np.random.default_rng(6), 1.0, 0.2
    at_bound = [least_bound(gap, spread, 0.95) <= bound for gap in random.normal(bound, spread, 4000)]
    assert binomial_p(sum(at_bound), 4000, 0.05) > CERTAIN
    assert np.mean([least_bound(gap, spread, 0.95) <= bound for gap in random.normal(0, spread, 400)]) > 0.95


def test_medians() -> None:
    found = median([3.0, 1.0, 2.0, 5.0, 4.0], 0.95, 1)
    assert found == {"value": 3.0, "low": 1.0, "high": 5.0}
    assert median([2.0], 0.95, 1) == {"value": 2.0, "low": None, "high": None}
    random = np.random.default_rng(7)
    hits = 0
    for number in range(300):
        spans = median_ratio(random.lognormal(0.5, 0.1, 9), random.lognormal(0, 0.1, 9), 0.95, number)
        hits += bool(spans["low"] <= math.exp(0.5) <= spans["high"])  # type: ignore[operator]
    assert hits / 300 > 0.88  # the percentile bootstrap of few values is a little too narrow


def test_fits_recover_what_was_put_in() -> None:
    workers = [1, 2, 4, 8, 16]
    exact = {n: [float(fitted_seconds(np.array([float(n)]), 7.0, 0.04, 0.003)[0])] * 3 for n in workers}
    found = fit_speedup(exact, "usl", [64], 0.95, 1)
    assert found is not None
    assert found["base_seconds"]["value"] == pytest.approx(7.0) and found["serial"]["value"] == pytest.approx(0.04)
    assert found["crosstalk"]["value"] == pytest.approx(0.003) and found["largest_deviation"] < 1e-9
    truth = 7.0 / fitted_seconds(np.array([64.0]), 7.0, 0.04, 0.003)[0]
    assert next(r for r in found["curve"] if r["workers"] == 64)["speedup"]["value"] == pytest.approx(truth)
    straight = {n: [6.0 * (0.1 + 0.9 / n)] * 3 for n in workers}
    amdahl = fit_speedup(straight, "amdahl", [], 0.95, 1)
    assert amdahl is not None and amdahl["serial"]["value"] == pytest.approx(0.1) and amdahl["crosstalk"] is None
    assert fit_speedup({1: [1.0], 2: [0.6]}, "usl", [], 0.95, 1) is None


def test_fitted_intervals_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 noisy studies of five repeats: the intervals of σ and of the speed-up at 64 hold the truth in 80 % at least."""
    monkeypatch.setattr(fits, "_RESAMPLES", 199)
    random, hits = np.random.default_rng(8), np.zeros(2)
    for number in range(40):
        seconds = {
            n: list(fitted_seconds(np.full(5, float(n)), 7.0, 0.04, 0.003) * random.lognormal(0, 0.02, 5))
            for n in (1, 2, 4, 8, 16)
        }
        found = fit_speedup(seconds, "usl", [64], 0.95, number)
        assert found is not None
        truth = 7.0 / fitted_seconds(np.array([64.0]), 7.0, 0.04, 0.003)[0]
        ahead = next(r for r in found["curve"] if r["workers"] == 64)["speedup"]
        for place, (span, value) in enumerate(((found["serial"], 0.04), (ahead, truth))):
            hits[place] += bool(span["low"] <= value <= span["high"])
    assert (hits / 40 > 0.8).all()


def made_up(kind: str, workers: int, sites: int, regions: int, tasks: int, truth: Costs, number: int) -> dict[str, Any]:
    """Record of a cell whose costs are known."""
    layout = {"workers": workers, "threads": 1, "slots": workers, "processes": 0}
    plan = {"tasks": tasks, "blocks": workers, "epoch": 10}
    control = (truth.control_task + truth.control_task_worker * workers) * tasks
    spending = {
        "task_cpu": truth.site_cycle * sites * 10 + truth.task * tasks,
        "worker_cpu": truth.site_cycle * sites * 10 + truth.task * tasks,
        "scheduler_cpu": 0.9 * control,
        "driver_cpu": 0.1 * control,
    }
    closing = truth.close + truth.entry * regions * 10 + truth.store * sites / min(workers, 4)
    return {
        "kind": kind,
        "name": f"{kind}-{number}",
        "varied": f"{kind}-{number}",
        "layout": layout,
        "plan": plan,
        "spending": spending,
        "sites": sites,
        "cycles": 10,
        "regions": regions,
        "tasks": tasks,
        "blocks": workers,
        "closing_seconds": closing,
    }


def test_model_recovers_its_costs() -> None:
    truth = Costs(2e-9, 3e-3, 1e-3, 5e-6, 0.2, 1e-5, 4e-9)
    cells = [
        made_up("strong", 2, 10**8, 640, 100, truth, 1),
        made_up("strong", 4, 10**7, 64, 3000, truth, 2),
        made_up("weak", 1, 3 * 10**7, 6400, 900, truth, 3),
        made_up("scheduler", 4, 10**4, 64, 2000, truth, 4),
        made_up("scheduler", 64, 10**4, 64, 2000, truth, 5),
    ]
    found = calibrate(cells, 4)
    assert vars(found) == pytest.approx(vars(truth), rel=1e-6)
    parts = found.parts(10**8, 10, 640, {"tasks": 100, "blocks": 2, "epoch": 10}, {"slots": 2, "workers": 2}, 4)
    assert parts["compute"] == pytest.approx((2e-9 * 10**9 + 0.3) / 2)
    assert parts["seconds"] == pytest.approx(parts["compute"] + 0.2 + 1e-5 * 6400 + 4e-9 * 10**8 / 2)


# --- the verdict on data whose answer is known --------------------------------------------------------------------------


def field_record(shape: tuple[int, int], seed: int, mean: float = 5.0) -> dict[str, Any]:
    """Record of a field drawn by NumPy, counted as the workers would."""
    tally = _tally(counted(thermal(shape, seed, mean), (1, 4, 16), (shape[0],)), DEMON)
    name = "x".join(map(str, shape))
    return {
        "kind": "field",
        "state": "done",
        "name": f"field-{name}-1x1",
        "varied": f"field-{name}-1x1",
        "physics": name,
        "outcome": name,
        "layout": {"name": "1x1", "workers": 1},
        "digest": {"field": name, "series": "", "books": ""},
        "laws": [],
        "tally": tally,
    }


SHAPES = ((16, 64), (16, 256), (32, 512))
FIELDS = """
[study]
bound = 0.4
false_alarm = 0.1
[demon]
threshold = 10
[thermodynamic]
shapes = [[16, 64], [16, 256], [32, 512]]
demons = [1, 4, 16]
"""


def judged(records: list[dict[str, Any]], faults: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    study = Study.from_text(FIELDS)
    outcomes = [{"cells": 1, "same": True} for _ in records]
    fields = analyse_fields(study, records)
    return verdict_of(study, True, records, outcomes, faults, fields, Evidence(None), [])


def test_false_alarms_of_the_verdict() -> None:
    """60 sound studies at a rate of 10 %: exact binomial, and the rest settle that scale changes nothing."""
    words = [judged([field_record(shape, 3 * k + i) for i, shape in enumerate(SHAPES)])["word"] for k in range(60)]
    assert set(words) <= {NOTHING, NOT_SETTLED, SOMETHING}
    assert stats.binom.sf(words.count(SOMETHING) - 1, 60, 0.1) > CERTAIN
    assert words.count(NOTHING) > 45


def test_replicas_are_counted_together() -> None:
    """Three fields of one shape: their sums, three times the regions, intervals as much narrower; and each counts once."""
    names = ("16x64-1x1", "16x64-2x1", "16x64.2-1x1", "16x64.3-1x1")
    records = [field_record((16, 64), seed) for seed in (0, 0, 1, 2)]
    for record, name in zip(records, names, strict=True):
        record |= {"name": f"field-{name}", "varied": f"field-{name}", "physics": name.split("-")[0]}
    study = Study.from_text(FIELDS + "replicas = [3, 1, 1]\n")
    alone, together = (analyse_fields(study, some).section for some in (records[:2], records))
    assert alone is not None and together is not None
    (one,), (three,) = alone["fields"], together["fields"]
    assert (one["replicas"], three["replicas"]) == (1, 3)
    assert three["ones"] == sum(record["tally"]["ones"] for record in records[1:])
    assert three["layouts"] == ["1x1"]
    for small, large in zip(one["scales"], three["scales"], strict=True):
        assert large["regions"] == 3 * small["regions"]
        narrower = small["landauer"]["deviation"] / large["landauer"]["deviation"]
        assert narrower == pytest.approx(math.sqrt(3), rel=1e-12)


def test_an_effect_of_scale_is_found() -> None:
    """The largest of three fields is eight per cent hotter: its ones and its net say so."""
    records = [field_record(shape, i, 5.4 if i == 2 else 5.0) for i, shape in enumerate(SHAPES)]
    verdict = judged(records)
    assert verdict["word"] == SOMETHING and verdict["trusted"]
    failed = {check["name"] for check in verdict["checks"] if check["holds"] is False}
    assert {"work", "net"} <= failed
    assert "What speaks against it" in verdict["sentence"]
    assert sum(check["tests"] * (check["level"] or 0) for check in verdict["checks"]) == pytest.approx(0.1)


def test_a_fault_outweighs_everything() -> None:
    fault = {
        "cell": "strong-2x1-r1",
        "kind": "differs",
        "cycle": 3,
        "region": 7,
        "account": "lift",
        "detail": "lift is 1",
    }
    verdict = judged([field_record(shape, i) for i, shape in enumerate(SHAPES)], [fault])
    assert verdict["word"] == NOT_TRUSTED and not verdict["trusted"]
    assert "cell strong-2x1-r1, region 7, cycle 3" in verdict["sentence"]


def test_sentence_has_the_numbers() -> None:
    verdict = judged([field_record(shape, 11 + i) for i, shape in enumerate(SHAPES)])
    assert verdict["word"] == NOTHING
    assert "1 to 16,384 sites" in verdict["sentence"] and "false alarm: 0.1" in verdict["sentence"]
    assert all(check["question"].endswith("?") for check in verdict["checks"])


def test_shares_of_exergy() -> None:
    """Student's interval and Welch's bound, on shares that are known; an exact mean of the first cycle."""
    study = Study.from_text("[charged]\nfields = [[2, 1, 1], [4, 1, 1]]\nbound = 0.1\n")
    random = np.random.default_rng(9)
    records = []
    for boxes, sites in (("2x1x1", 8192), ("4x1x1", 16384)):
        for _ in range(8):
            exergy = 2 * sites
            pairs = sites // 4
            hot, cold = (8 / 9) ** 2, (2 / 3) ** 1
            turns = random.geometric(1 - hot, pairs) - random.geometric(1 - cold, pairs)
            first = int(turns.sum())
            trades = {"work": [first, round(0.6 * exergy) - first], "exergy": exergy, "pairs": pairs, "gears": [[2, 1]]}
            kind = {"kind": "charged", "state": "done", "varied": f"charged-{boxes}"}
            records.append({**kind, "sites": sites, "regions": 2, "trades": trades})
    found = analyse_charged(study, records)
    assert found.section is not None
    assert [point["share"]["value"] for point in found.section["points"]] == pytest.approx([0.6, 0.6], abs=1e-4)
    assert found.section["equivalence"]["holds"]
    exact = (8 / 9) ** 2 / (1 - (8 / 9) ** 2) - (2 / 3) / (1 / 3)
    assert found.section["points"][0]["first"]["exact"] == pytest.approx(exact)
    assert all(test.p > CERTAIN for test in found.tests)
    for record in records[8:]:
        record["trades"]["work"] = [w * 5 // 6 for w in record["trades"]["work"]]
    shifted = analyse_charged(study, records)
    assert shifted.section is not None and not shifted.section["equivalence"]["holds"]
    assert min(test.p for test in shifted.tests) < CERTAIN


# --- running: errors that must be found, and interruption -------------------------------------------------------------


def finished(text: str, path: Path, observer: StudyObserver | None = None) -> dict[str, Any]:
    store = StudyStore.enter(path, Study.from_text(text))
    run_study(store, lambda: 8 << 30, observer or StudyObserver())
    return analyse(store)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study, run to its end."""
    path = tmp_path_factory.mktemp("sound") / "s"
    finished(TINY, path)
    return path


def test_a_sound_study(sound: Path) -> None:
    summary = analyse(StudyStore.open(sound))
    assert summary["verdict"]["trusted"] and summary["verdict"]["faults"] == []
    assert [outcome["same"] for outcome in summary["outcomes"]] == [True]
    assert len(list((sound / "outcomes").iterdir())) == 1
    assert summary["study"]["complete"] and summary["verdict"]["word"] == NOT_SETTLED  # nothing thermodynamic was asked


Spoil = Callable[..., Any]


@contextmanager
def spoiled(monkeypatch: pytest.MonkeyPatch, name: str, layout: str, spoil: Spoil) -> Iterator[StudyObserver]:
    """On the layout and in the cell named, tasks called ``name`` of block 2 are run by ``spoil``."""
    cell: list[str] = []
    plain = runner.executor_on

    @contextmanager
    def executor_on(place: Layout) -> Iterator[Executor]:
        with plain(place) as executor:
            submit = executor.submit

            def submitted(key: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
                if key.startswith(name) and block == 2 and cell == [layout]:
                    return submit(key, block, spoil, function, *arguments)
                return submit(key, block, function, *arguments)

            executor.submit = submitted  # type: ignore[method-assign]
            yield executor

    def began(now: Cell, done: int, of: int) -> None:
        cell[:] = [now.name]

    monkeypatch.setattr(runner, "executor_on", executor_on)
    yield StudyObserver(began=began)


def wrong_pair(function: Callable[..., BlockState], *arguments: Any) -> BlockState:
    """In layer 6 (cycle 4, of two layers a cycle) one pair of the block's first region gets a quantum wrong."""
    plain = engine_block.exchange_block

    def exchange(old: Any, array: Any, block: Any, layer: int, *more: Any) -> Any:
        flows = plain(old, array, block, layer, *more)
        if layer == 6:
            row = array[0, 0, 0]
            x = next(x for x in range(2) if row[x] > 0 and row[x] != row[x + 1] + 1)
            row[x] -= 1
            row[x + 1] += 1
        return flows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_block, "exchange_block", exchange)
        return function(*arguments)


def lost_entry(function: Callable[..., Any], *arguments: Any) -> Any:
    return tuple(row for row in function(*arguments) if row.cycle != 5)


def counted_twice(function: Callable[..., BlockState], state: BlockState, *arguments: Any) -> BlockState:
    """The task is run again on what it made."""
    return function(function(state, *arguments), *arguments)


def booked_twice(function: Callable[..., Any], *arguments: Any) -> Any:
    """The block's work of cycle 2 is entered twice over."""
    rows = [row.copy() for row in function(*arguments)]
    rows[1]["lift"][:] *= 2
    return tuple(rows)


CUT = TINY.replace("[strong]", "[strong]\nchunks = [[1, 4]]")  # four blocks, one a row of four regions
FOURTH = "strong-{layout}-c1.4-r2"


def on_one(layout: str) -> str:
    """The study `CUT`, on one layout alone: five cells besides the one to be spoilt."""
    return CUT.replace("[[0, 1], [1, 2]]", str([[int(n) for n in layout.split("x")]]))


def test_one_worker_computes_one_pair_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real cluster of two processes: energy is conserved, every law holds, and still it is found."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    spoilt = "strong-2x1-c1.4-r1"
    with spoiled(monkeypatch, "block", spoilt, wrong_pair) as observer:
        summary = finished(on_one("2x1").replace("repeats = 2", "repeats = 1"), tmp_path / "s", observer)
    verdict = summary["verdict"]
    assert verdict["word"] == NOT_TRUSTED
    (fault,) = verdict["faults"]
    assert (fault["cell"], fault["cycle"], fault["region"]) == (spoilt, 4, 8)
    assert fault["kind"] == "differs" and fault["account"] == "counts"
    assert "cell strong-2x1-c1.4-r1, region 8, cycle 4" in verdict["sentence"]
    assert len(list((tmp_path / "s" / "outcomes").iterdir())) == 2
    assert all(law["holds"] for cell in summary["cells"] for law in cell["laws"])


@pytest.mark.parametrize(
    ("name", "spoil", "cycle", "kind"),
    [
        ("books", lost_entry, 5, "error"),
        ("block", counted_twice, 1, "error"),
        ("books", booked_twice, 2, "law"),
    ],
)
@pytest.mark.parametrize("layout", ["0x1", "1x2"])
def test_an_entry_lost_or_counted_twice(
    name: str, spoil: Spoil, cycle: int, kind: str, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with spoiled(monkeypatch, name, FOURTH.format(layout=layout), spoil) as observer:
        summary = finished(on_one(layout), tmp_path / "s", observer)
    verdict = summary["verdict"]
    assert verdict["word"] == NOT_TRUSTED
    assert {fault["cell"] for fault in verdict["faults"]} == {FOURTH.format(layout=layout)}
    assert verdict["faults"][0]["kind"] == kind
    named = [fault for fault in verdict["faults"] if fault["region"] is not None]
    assert (named[0]["cycle"], named[0]["region"]) == (cycle, 8)
    assert FOURTH.format(layout=layout) in verdict["sentence"]


def test_of_two_that_differ_neither_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_one("0x1").replace("repeats = 2", "repeats = 1")
    with spoiled(monkeypatch, "block", "strong-0x1-c1.4-r1", wrong_pair) as observer:
        store = StudyStore.enter(tmp_path / "s", Study.from_text(text))
        run_study(store, lambda: 8 << 30, observer)
    (store.path / "cells" / "null-0x1-r1.json").unlink()  # leaves the spoilt cell and one other
    faults = analyse(store)["verdict"]["faults"]
    assert len(faults) == 1 and "no third cell can tell" in faults[0]["detail"]


def test_typed_entry_errors() -> None:
    import pickle

    for kind in (DoubleEntryError, MissingEntryError):
        error = pickle.loads(pickle.dumps(kind(3, (4, 5))))
        assert (error.cycle, error.regions, error.exit_code) == (3, (4, 5), 3)
        assert "cycle 3" in str(error) and "4, 5" in str(error)


def test_interrupted_and_resumed(sound: Path, tmp_path: Path) -> None:
    """Stopped after every second cell, and within cells: what is on disk is never run again, and all comes out the same."""
    whole = analyse(StudyStore.open(sound))
    names: list[str] = []
    for _ in range(9):
        begun: list[str] = []

        def began(cell: Cell, done: int, of: int, begun: list[str] = begun) -> None:
            begun.append(cell.name)

        def stop(begun: list[str] = begun) -> bool:
            return len(begun) == 3  # in the midst of the third

        try:
            observer = StudyObserver(began, lambda record, done, of: names.append(record["name"]), stop)
            summary = finished(TINY, tmp_path / "pieces", observer)
            break
        except Interrupted as error:
            assert error.exit_code == 130 and "entropic scale" in str(error)
            assert len(begun) == 3
    assert sorted(names) == sorted(cell["name"] for cell in whole["cells"]) and len(set(names)) == len(names)
    assert summary["outcomes"] == whole["outcomes"]
    assert list((tmp_path / "pieces" / "scratch").iterdir()) == []


def test_another_study_in_the_directory(tmp_path: Path) -> None:
    StudyStore.enter(tmp_path / "s", Study.from_text(TINY))
    with pytest.raises(Exception, match="holds another study"):
        StudyStore.enter(tmp_path / "s", Study.from_text(TINY.replace("mean = 3.0", "mean = 2.0")))
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "file").touch()
    with pytest.raises(Exception, match="is no study"):
        StudyStore.enter(tmp_path / "t", Study.from_text(TINY))
    with pytest.raises(Exception, match="is not a study directory"):
        StudyStore.open(tmp_path / "t")


def test_a_study_of_which_nothing_is_done(tmp_path: Path) -> None:
    """No question is answered; it can be printed, and has a page."""
    (tmp_path / "s.toml").write_text(TINY)
    done = entropic_("scale", str(tmp_path / "s.toml"), "--judge", "--out", str(tmp_path / "s"))
    assert done.code == 0 and "no cell is done" in done.output
    assert {
        check["holds"] for check in json.loads((tmp_path / "s" / "study.json").read_text())["verdict"]["checks"]
    } == {None}
    page = entropic_("report", str(tmp_path / "s"), "-o", str(tmp_path / "s.html"))
    assert page.code == 0, page.errors


def test_a_cell_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    store = StudyStore.enter(tmp_path / "s", Study.from_text(TINY))
    run_study(store, lambda: 1 << 20, StudyObserver())
    summary = analyse(store)
    assert {cell["state"] for cell in summary["cells"]} == {"refused"}
    assert not summary["study"]["complete"] and summary["verdict"]["word"] == NOT_SETTLED
    assert any("does not fit" in note for note in summary["verdict"]["notes"])
    write_results(store, summary)


def test_a_damaged_cell(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "s")
    path = tmp_path / "s" / "cells" / "strong-0x1-r1.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(Exception, match="remove it, and run the study again") as caught:
        analyse(StudyStore.open(tmp_path / "s"))
    assert caught.value.exit_code == 5  # type: ignore[attr-defined]


# --- as a user has it ---------------------------------------------------------------------------------------------------


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "entropic.cli", "scale", *map(str, arguments)]


def test_ctrl_c_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.toml").write_text(TINY.replace("cycles = 6", "cycles = 60").replace("[[0, 1], [1, 2]]", "[[0, 1]]"))
    process = subprocess.Popen(command("s.toml"), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    cells = tmp_path / "runs" / "tiny" / "cells"
    deadline = time.monotonic() + 200
    while len(list(cells.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    kept = {path: path.read_bytes() for path in cells.glob("*.json")}
    assert process.returncode == 130, errors
    assert "entropic scale" in errors and "Traceback" not in errors
    assert 2 <= len(kept) < 4
    page = entropic_("report", str(cells.parent), "-o", str(tmp_path / "page.html"))
    assert page.code == 2 and "not been judged" in page.errors
    judged_so_far = json.loads(entropic_("scale", str(cells.parent), "--judge", "--json").output)
    assert not judged_so_far["study"]["complete"] and judged_so_far["study"]["cells"] == len(kept)
    assert judged_so_far["verdict"]["word"] == NOT_SETTLED
    monkeypatch.chdir(tmp_path)
    again = entropic_("scale", "s.toml", "--json")
    assert again.code == 0, again.errors
    assert json.loads(again.output)["study"]["cells"] == 4
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_plan_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be run, also of the deep study, with nothing run or written; workers that share processes fit."""
    monkeypatch.chdir(tmp_path)
    for name in ("smoke", "deep"):
        study = SMOKE.with_name(f"{name}.toml")
        rows = json.loads(entropic_("scale", str(study), "--plan", "--json").output)["plan"]
        cells = cells_of(Study.from_toml(study).resolved(2))
        assert {row["kind"]: row["cells"] for row in rows} == dict(Counter(cell.kind for cell in cells))
    (field,) = (row for row in rows if row["kind"] == "field")
    assert field["site_cycles"] > 6e9 and (field["refused"] or field["bytes_total"] > 2e9)
    small = json.loads(entropic_("scale", str(SMOKE), "--plan", "--json", "--set", "scheduler.workers=[4000]").output)[
        "plan"
    ]
    assert next(row["bytes_total"] for row in small if row["kind"] == "scheduler") < 2e9
    told = entropic_("scale", str(SMOKE), "--plan").output
    assert "What would be run" in told and "granularity" in told
    assert list(tmp_path.iterdir()) == []


def test_smoke_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of it, on real processes; everything that docs/scaling.md names is there."""
    made = subprocess.run(
        command(SMOKE, "--out", "s", "--json", "--set", "study.repeats=1"),
        cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    summary = json.loads(made.stdout)
    verdict = summary["verdict"]
    assert verdict["trusted"] and verdict["word"] in (NOTHING, NOT_SETTLED)
    assert all(check["holds"] for check in verdict["checks"] if check["kind"] != "equivalence")
    assert all(outcome["same"] for outcome in summary["outcomes"])
    assert all(row["agrees"] for row in summary["thermodynamic"]["engine"]) and summary["thermodynamic"]["engine"]
    (strong,) = (outcome for outcome in summary["outcomes"] if "strong" in outcome["kinds"])
    assert strong["kinds"] == ["granularity", "null", "strong", "weak"] and strong["cells"] == 8
    assert [point["layout"]["workers"] for point in summary["scheduler"]["points"]] == [2, 8]
    assert all(point["scheduler_seconds_a_task"] > 0 for point in summary["scheduler"]["points"])
    assert summary["model"]["target"]["sites"] >= 10**12 and summary["model"]["checked"]["cells"] == 11
    store = tmp_path / "s"
    assert json.loads((store / "study.json").read_text()) == summary
    frame = pd.read_csv(store / "cells.csv")
    assert len(frame) == summary["study"]["cells"] == summary["study"]["of"]
    with xr.open_dataset(store / "results.nc") as results:
        assert results.attrs["verdict"] == verdict["word"]
        rows = results[["net_landauer", "net_landauer_exact", "scale_sites"]].to_dataframe()
        assert rows["scale_sites"].max() == 64 * 64 * 32 and np.isfinite(rows["net_landauer"]).all()
        assert all("long_name" in results[name].attrs for name in results.variables)
    monkeypatch.chdir(tmp_path)
    shown = entropic_("scale", "s")
    assert shown.code == 0, shown.errors
    page = entropic_("report", "s", "-o", "s.html")  # of one repeat, without intervals
    assert page.code == 0, page.errors
    assert verdict["word"] in shown.output and "scheduler's limit" in shown.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere.toml"], 2, "cannot be read"),
        (["."], 2, "is not a study directory"),
        (["s.toml", "--set", "study.repeats=0"], 2, "repeats"),
        (["s.toml", "--set", "strong.chunks=[[9,9]]", "--out", "/proc/none"], 4, "cannot write"),
    ],
)
def test_bad_usage(
    arguments: list[str], code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text(TINY)
    made = entropic_("scale", *arguments)  # which sees to it that there is no traceback
    assert made.code == code, made.errors
    assert words in made.errors
    assert not Path("runs").exists()
