"""The page's contents: sums against the books, exact laws, layouts, words and errors."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from demos import Demo
from entropic import entropy
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.demo import ACTS
from entropic.errors import EntropicError, StoreError
from entropic.initial import region_quanta
from entropic.lattice import Lattice
from entropic.report import ReportTargetError, report
from entropic.report.books import FLOWS, read_books, sampled, temperature
from entropic.report.cells import MOST_CELLS, cells_of
from entropic.report.charts import Bars, Line, Lines, Map, Node, Panel, Sankey, Spans, Stream, axis_scale, log_ticks
from entropic.report.colours import DARK, LIGHT, contrast, kind_roles
from entropic.report.mosaic import mosaic
from entropic.report.ones import incomparable, ones_figure
from entropic.report.run_figures import run_figures
from entropic.report.sankey import placed, streams
from entropic.report.sources import page_of
from entropic.report.static import adaptive, png, svg
from entropic.report.tables import near, number, table_of
from entropic.report.timeline import timeline_figure
from entropic.report.verdict import owed, verdict
from entropic.store import RunStore
from test_cli_fuzz import entropic_

LOSSES = {"initial": 0.7, "capacity": 1.5, "charge_loss": 0.05, "discharge_loss": 0.02, "self_discharge": 0.05}
DEMANDS = [
    {"region": 1, "quanta": 9, "priority": 1, "kind": "compute"},
    {"region": 5, "quanta": 7, "priority": 2, "kind": "export"},
]
GRID = {"enabled": True, "capacity": 8, "loss": 0.1, "demands": DEMANDS}
RUNS: dict[str, dict[str, Any]] = {
    "paid": {"demon": {"threshold": 3}, "battery": {"initial": 0.5}},
    "kept": {"demon": {"threshold": 3, "erase": False}},
    "charged": {
        "field": {"initial": "hot-cold", "hot": 4.0, "cold": 1.0, "walls": "adiabatic"},
        "demon": {"lift": False},
        "exchange": {"enabled": True, "contact": 0.5},
        "battery": LOSSES,
        "grid": GRID,
    },
    "everything": {
        "field": {"edges": "baths", "bath_left": 4.0, "bath_right": 0.5},
        "demon": {"threshold": 3, "sort": True},
        "exchange": {"enabled": True, "contact": 0.5},
        "battery": LOSSES,
        "grid": GRID,
    },
}


def made_of(name: str) -> Config:
    sections = {key: dict(values) for key, values in RUNS[name].items()}
    field = {"shape": [8, 12], "regions": [2, 3], "mean": 2.0, "seed": 9, **sections.pop("field", {})}
    return Config.from_mapping({"field": field, "run": {"cycles": 12, "checkpoint_every": 6}, **sections})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunStore]:
    """A finished run of every kind."""
    found = {}
    for name in RUNS:
        computer = EntropicComputer(made_of(name), tmp_path_factory.mktemp("runs") / name)
        computer.run()
        computer.store.unlock()
        found[name] = computer.store
    return found


def copied(store: RunStore, place: Path) -> RunStore:
    shutil.copytree(store.path, place, symlinks=True)
    return RunStore.open(place)


# -- books --


@pytest.mark.parametrize("name", RUNS)
def test_sankey_balances_and_equals_the_books(runs: dict[str, RunStore], name: str) -> None:
    """Every account's streams, in whole quanta, are the sums of the stored books."""
    store = runs[name]
    chart, raw, opening = streams(read_books(store)), store.books(), store.opening()
    for account in ("field", "battery"):
        assert chart.into(account) == chart.out_of(account) > 0
    flows = {(s.source, s.target): s.quanta for s in chart.streams}
    assert len(flows) == len(chart.streams)

    def booked(*names: str) -> int:
        return sum(int(raw[n].sum()) for n in names if n in raw)

    gears = raw.get("gear", np.zeros(1, np.int64))
    expected = {
        ("field-start", "field"): int(opening["quanta"].sum()),
        ("battery-start", "battery"): int(opening["battery"].sum()),
        ("field", "field-end"): int(raw["quanta"][-1].sum()),
        ("battery", "battery-end"): int(raw["battery"][-1].sum()),
        ("field", "battery"): booked("lift") + int(gears[gears > 0].sum()),
        ("battery", "delivered"): booked("delivered_out"),
        ("bath-in", "field"): booked("left_in", "right_in"),
        ("field", "bath-out"): booked("left_out", "right_out"),
    }
    back = {"erasure": ("erasure",), "storage": ("stored_loss",), "lines": ("line_loss",), "compute": ("compute",)}
    for node, names in back.items():
        expected["battery", f"{node}-out"] = expected[f"{node}-in", "field"] = booked(*names)
    expected["battery", "pumped-out"] = expected["pumped-in", "field"] = -int(gears[gears < 0].sum())
    assert flows == {key: quanta for key, quanta in expected.items() if quanta}


def test_the_runs_use_every_stream(runs: dict[str, RunStore]) -> None:
    """So that the test above sees all of them; negative work of gears needs chance, and is tested by itself."""
    seen = {s.source for store in runs.values() for s in streams(read_books(store)).streams}
    seen |= {s.target for store in runs.values() for s in streams(read_books(store)).streams}
    assert seen >= {"bath-in", "bath-out", "delivered", "erasure-in", "storage-in", "lines-in", "compute-in"}


@pytest.mark.parametrize("name", RUNS)
def test_books_agree_with_the_summary(runs: dict[str, RunStore], name: str) -> None:
    """Sums made page by page, against those that the run's own summary makes of the whole books."""
    store = runs[name]
    books, summary = read_books(store), store.read_json("summary.json")
    totals = summary["totals"]
    assert int(books.gross.sum()) == totals["gross"]
    assert books.total("erasure") == totals["erasure"]
    assert books.total("stored_loss", "line_loss") == totals["losses"]
    assert books.residual == totals["first_law_residual"] == 0
    assert int(books.battery[-1]) == totals["battery"]
    for end, at in (("initial", 0), ("final", -1)):
        assert {n: v[at] for n, v in books.entropy.items()} == summary["entropy"][end]
    told = verdict(store.config(), books, summary)
    assert told.tone == "sound"
    assert not told.trouble
    assert number(int(books.gross.sum())) in told.text


@pytest.mark.parametrize("account", ["lift", "erasure", "battery", "quanta"])
def test_one_quantum_off_is_not_to_be_trusted(runs: dict[str, RunStore], tmp_path: Path, account: str) -> None:
    """A page of books that were changed by a single quantum says so, first of all."""
    store = copied(runs["paid"], tmp_path / "run")
    array = zarr.open_group(store.path / "books.zarr", mode="r+")[account]
    array[-1, 3] += 1
    told = page_of(store.path).verdict
    assert told.tone == "broken"
    assert told.trouble


@pytest.mark.parametrize("total", ["gross", "erasure", "battery", "first_law_residual"])
def test_a_summary_that_the_books_do_not_bear_out(runs: dict[str, RunStore], tmp_path: Path, total: str) -> None:
    store = copied(runs["paid"], tmp_path / "run")
    summary = store.read_json("summary.json")
    summary["totals"][total] += 1
    store.write_json("summary.json", summary)
    told = page_of(store.path).verdict
    assert told.tone == "broken"
    assert told.trouble[0].startswith(f"the summary says {total.replace('_', ' ')}")


def test_a_summary_of_earlier_cycles_is_made_anew(runs: dict[str, RunStore], tmp_path: Path) -> None:
    """As after a run that was made longer and went on."""
    store = copied(runs["paid"], tmp_path / "run")
    summary = store.read_json("summary.json")
    summary["totals"] |= {"cycles": 6, "gross": 1}
    store.write_json("summary.json", summary)
    assert page_of(store.path).verdict.tone == "sound"


def test_a_broken_law_comes_first(runs: dict[str, RunStore], tmp_path: Path) -> None:
    store = copied(runs["paid"], tmp_path / "run")
    summary = store.read_json("summary.json")
    summary["laws"][2] |= {"holds": False, "detail": "cycle 3, region 1"}
    store.write_json("summary.json", summary)
    told = page_of(store.path).verdict
    assert told.tone == "broken"
    assert told.trouble == ("the law “lift” does not hold: cycle 3, region 1",)
    assert "6 of 7 laws hold" in told.text


def test_pages_do_not_matter(runs: dict[str, RunStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """However few cycles are read at once, the sums are the same."""
    whole = read_books(runs["everything"])
    monkeypatch.setattr("entropic.report.books._READ", 5 * 6)
    parts = read_books(runs["everything"])
    assert set(whole.flows) == set(parts.flows) >= {*FLOWS} - {"compute"}
    for name in whole.flows:
        np.testing.assert_array_equal(whole.flows[name], parts.flows[name])
    for name in ("field", "battery", "moments", "warmth", "cell_quanta", "cell_battery"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_samples_are_the_states_of_their_cycles(runs: dict[str, RunStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entropic.report.books.MOMENTS", 5)
    store = runs["paid"]
    books, raw = read_books(store), store.books()
    assert books.moments[0] == 0
    assert books.moments[-1] == 12
    assert len(books.moments) == 6
    at = books.moments[1:] - 1
    np.testing.assert_array_equal(books.entropy["hist"][1:], [math.fsum(row) for row in raw["entropy_hist"][at]])
    warm = temperature(16, raw["quanta"][at])
    np.testing.assert_array_equal(books.warmth[1:, [0, 4]], np.stack([warm.min(axis=1), warm.max(axis=1)], axis=1))


@given(st.integers(0, 5000), st.integers(1, 300))
def test_sampled_cycles(cycles: int, most: int) -> None:
    found = sampled(cycles, most)
    assert found[0] == 0
    assert found[-1] == cycles
    assert len(found) == min(cycles, most) + 1
    assert (np.diff(found) >= 1).all()


def test_an_unfinished_run_has_a_page(tmp_path: Path) -> None:
    """Interrupted after a checkpoint: no summary yet, so the laws are audited for the page."""
    computer = EntropicComputer(made_of("paid"), tmp_path / "run", epoch=4)
    cycles = iter(computer._epochs(4))
    next(cycles)
    page = page_of(tmp_path / "run")
    assert page.verdict.tone == "sound"
    assert "4 of 12 cycles" in page.verdict.text
    commands = next(s for s in page.parts[0].sections if s.name == "origin").listings[0].text
    assert f"entropic resume {tmp_path / 'run'}" in commands


def test_a_run_before_its_first_cycle_has_a_page(tmp_path: Path) -> None:
    computer = EntropicComputer(made_of("paid"), tmp_path / "run")
    computer._start()
    page = page_of(tmp_path / "run")
    assert "No work was taken in 0 cycles." in page.verdict.text
    assert [figure.name for _, figure in page.figures()] == ["quanta"]


def test_tape_is_owed(runs: dict[str, RunStore]) -> None:
    books = read_books(runs["kept"])
    warm = 1 / math.log1p((96 - 1) / (int(books.field[-1]) + 1))
    assert owed(made_of("kept"), books) == pytest.approx(warm * books.entropy["tape"][-1], rel=1e-12)
    assert owed(made_of("charged"), read_books(runs["charged"])) == 0


# -- acts and claims --


def test_acts_share_a_page(demo: Demo) -> None:
    """A part for each act, the claims once, as the demonstration judged them; no name of a figure twice."""
    page = page_of(demo.place)
    assert [part.title for part in page.parts] == [f"Act {act.number}: {act.title}" for act in ACTS]
    assert page.verdict.tone == "sound"
    assert len(page.verdict.points) == 3
    (section,) = page.sections
    claims = demo.answer["claims"]
    assert [row[0] for row in section.tables[0].rows] == [claim["claim"] for claim in claims]
    tried = [claim for claim in claims if claim["holds"] is not None]
    kept = sum(claim["holds"] for claim in tried)
    assert f"{kept} are kept, {len(tried) - kept} refuted" in page.verdict.text
    names = [name for name, _ in page.figures()]
    assert len(names) == len(set(names)) > 15
    assert sum(name.endswith("-quanta") for name in names) == 3


def test_a_demonstration_that_has_not_ended(demo: Demo, tmp_path: Path) -> None:
    """Two acts, no claims yet: there is a page all the same; a damaged file of claims is an error."""
    for act in ACTS[:2]:
        shutil.copytree(demo.place / act.directory, tmp_path / act.directory, symlinks=True)
    page = page_of(tmp_path)
    assert len(page.parts) == 2
    assert page.sections == ()
    assert "claims are judged when" in page.verdict.notes[0]
    (tmp_path / "demo.json").write_text('{"claims": [{}]}')
    with pytest.raises(StoreError, match="claim"):
        page_of(tmp_path)


def test_an_act_off_by_one_quantum_breaks_the_whole_page(demo: Demo, tmp_path: Path) -> None:
    shutil.copytree(demo.place, tmp_path / "acts", symlinks=True)
    zarr.open_group(tmp_path / "acts" / ACTS[1].directory / "books.zarr", mode="r+")["lift"][-1, 0] += 1
    told = page_of(tmp_path / "acts").verdict
    assert told.tone == "broken"
    assert all(trouble.startswith("Act 2") for trouble in told.trouble)


def test_a_run_answers_to_the_claims_that_it_can(demo: Demo, runs: dict[str, RunStore]) -> None:
    """The paying act alone, judged as a run, says of every claim that is its own what the demonstration says."""
    (section,) = page_of(demo.place / ACTS[1].directory).sections
    own = {row[0]: row[2:5] for row in section.tables[0].rows}
    whole = {claim["claim"]: claim for claim in demo.answer["claims"] if claim["act"] == 2}
    assert whole
    for name, claim in whole.items():
        assert own[name] == (claim["gross"], claim["cost"], claim["net"]), name
    assert page_of(runs["everything"].path).sections == ()  # the document knows no such machine


# -- charts --


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 500))
def test_cells_keep_every_quantum(boxes: list[int], most: int) -> None:
    lattice = Lattice(tuple(2 * n for n in boxes), tuple(boxes))
    cells = cells_of(lattice, max(most, 2))
    assert len(cells.places) == math.prod(cells.shape) <= max(most, 2)
    assert cells.sites.sum() == lattice.sites
    values = np.arange(2 * lattice.region_count).reshape(2, -1)
    np.testing.assert_array_equal(cells.merged(values).sum(axis=1), values.sum(axis=1))
    assert cells.whole == (cells.shape == lattice.boxes)
    if lattice.region_count <= most:
        assert cells.whole
        np.testing.assert_array_equal(cells.merged(values), values)


def test_a_lattice_of_a_billion_sites_is_shown_region_by_region() -> None:
    assert cells_of(Lattice((100, 100, 100, 1000), (10, 10, 10, 1))).whole
    assert MOST_CELLS >= 1000


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_mosaic_places_every_cell_alone(shape: list[int]) -> None:
    tiles = mosaic(tuple(shape), ("x", "y", "z", "w")[: len(shape)])
    places = np.stack([tiles.x, tiles.y], axis=1)
    assert len(places) == math.prod(shape)
    assert (places >= 0.5 - 1e-9).all()
    assert (places <= [tiles.width - 0.5 + 1e-9, tiles.height - 0.5 + 1e-9]).all()
    if len(places) > 1:
        apart = np.abs(places[:, None] - places[None]).max(axis=2)
        assert apart[~np.eye(len(places), dtype=bool)].min() >= 1 - 1e-9


@pytest.mark.parametrize("name", RUNS)
def test_sankey_is_drawn_to_scale(runs: dict[str, RunStore], name: str) -> None:
    """One scale for all, nodes apart, ribbons as thick as their quanta and attached end to end."""
    chart = streams(read_books(runs[name]))
    layout = placed(chart)
    scale = {round((box.bottom - box.top) / box.quanta, 12) for box in layout.boxes}
    assert len(scale) == 1
    boxes = {box.node.name: box for box in layout.boxes}
    for a, b in itertools.combinations(layout.boxes, 2):
        assert a.node.column != b.node.column or a.bottom < b.top or b.bottom < a.top
    assert all(0 <= box.top <= box.bottom <= 1 + 1e-9 for box in layout.boxes)
    left: dict[str, float] = {}
    for stream, band in zip(chart.streams, layout.bands, strict=True):
        n = len(band) // 2
        thick = band[n:][::-1, 1] - band[:n, 1]
        np.testing.assert_allclose(thick, stream.quanta * scale.copy().pop(), atol=1e-9)
        left[stream.source] = left.get(stream.source, 0.0) + thick[0]
        for end, at in ((stream.source, 0), (stream.target, n - 1)):
            assert boxes[end].top - 1e-9 <= band[at, 1]
            assert band[at, 1] + thick[at] <= boxes[end].bottom + 1e-9
    for source, height in left.items():
        assert height == pytest.approx(boxes[source].bottom - boxes[source].top, abs=1e-9)


def test_work_put_into_gears_goes_the_other_way(runs: dict[str, RunStore], tmp_path: Path) -> None:
    """Entries of negative work are a stream of their own, back to the field."""
    store = copied(runs["charged"], tmp_path / "run")
    gear = zarr.open_group(store.path / "books.zarr", mode="r+")["gear"]
    values = np.asarray(gear[:])
    gear[:] = -values
    chart = streams(read_books(store))
    assert {s.quanta for s in chart.streams if s.source == "pumped-in"} == {int(np.maximum(values, 0).sum())}


def test_colours_can_be_told_from_the_ground() -> None:
    text = ("ink", "muted", "blue", "green", "red")
    for scheme in (LIGHT, DARK):
        for name in text:
            assert contrast(scheme[name], scheme["ground"]) >= 4.5, name
        for name in set(scheme) - {"ground", "grid"}:
            assert contrast(scheme[name], scheme["ground"]) >= 3, name
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert len(set(kind_roles("abcdefghi").values())) == 9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-1234567, "−1,234,567"),
        (86470750, "86,470,750"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1234.5678, "1,235"),
        (1 / 3, "0.333333"),
        (-4e-21, "−4e−21"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (True, "yes"),
        (False, "no"),
        (None, ""),
        ("as it is", "as it is"),
    ],
)
def test_numbers(value: Any, text: str) -> None:
    assert number(value) == text


def test_numbers_in_sentences() -> None:
    assert [near(x) for x in (5.49485, 1234567.8, 0.00012345)] == ["5.495", "1,234,568", "0.0001234"]


def test_tables_hold_what_is_drawn() -> None:
    x = np.array([0, 2, 5])
    lines = Lines(
        (
            Panel((Line("a", x, np.array([3, -4, 2**53]), "gross"),), "y", "quanta"),
            Panel((Line("b", x[1:], np.array([0.5, 1.5]), "cost", "points", x[1:] - 1, x[1:] + 1),), "y"),
        ),
        "cycle",
    )
    table = table_of(lines)
    assert table.header == ("cycle", "a", "b", "b, low", "b, high")
    assert table.rows == ((0, 3, None, None, None), (2, -4, 0.5, 1, 3), (5, 2**53, 1.5, 4, 6))
    bars = Bars(np.array([0, 5]), 5, np.array([7, 1]), np.array([6.5, 1.5]), "ones", "regions", "found", "law")
    assert table_of(bars).rows == ((0, 7, 6.5), (5, 1, 1.5))
    spans = Spans(("w",), np.zeros(3, np.int64), np.array([0.0, 1, 2]), np.array([0.5, 2, 3]), ("a", "b", "a"))
    assert table_of(spans).rows == (("w", "a", 2, 1.5), ("w", "b", 1, 1.0))
    places = np.array([[0, 0], [0, 1]])
    cells = Map(places, (1, 2), np.array([0, 3, 9]), np.arange(6.0).reshape(3, 2), "T", "K", ("x", "y"))
    assert table_of(cells).header == ("x", "y", "T after cycle 0 (K)", "T after cycle 9 (K)")
    assert table_of(cells).rows == ((0, 0, 0.0, 4.0), (0, 1, 1.0, 5.0))
    sankey = Sankey((Node("p", "P", 0), Node("q", "Q", 1)), (Stream("p", "q", 12, "gross"),))
    assert table_of(sankey).rows == (("P", "Q", 12),)


def test_axes_are_scaled_to_words() -> None:
    def scale(most: int) -> tuple[float, str]:
        return axis_scale(Panel((Line("a", np.arange(2), np.array([0, most]), "gross"),), "work", "quanta"))

    assert scale(1500) == (1.0, "work (quanta)")
    assert scale(25_000) == (1e3, "work (thousand quanta)")
    assert scale(86_470_750) == (1e6, "work (million quanta)")


def test_ticks_of_short_logarithmic_axes() -> None:
    assert log_ticks([np.array([2.6e5, 1.7e7])]) == {
        5e5: "5·10⁵", 1e6: "10⁶", 2e6: "2·10⁶", 5e6: "5·10⁶", 1e7: "10⁷"
    }  # fmt: skip
    assert list(log_ticks([np.array([0.02, np.nan, 0.0]), np.array([1.4])]).values()) == [
        "0.02",
        "0.05",
        "0.1",
        "0.2",
        "0.5",
        "1",
    ]
    assert log_ticks([np.array([1.0, 1e4])]) == {}  # powers of ten will do
    assert log_ticks([np.array([np.nan, -1.0])]) == {}


# -- the first ones --


def test_ones_lie_over_their_exact_law() -> None:
    """In a closed region the law is that of its macrostate, in a thermal field the binomial; both sum to the regions."""
    field = {"shape": [40, 40], "regions": [20, 20], "mean": 2.0, "walls": "adiabatic", "initial": "microcanonical"}
    config = Config.from_mapping(
        {"field": field, "run": {"cycles": 1}, "demon": {"threshold": 3}, "battery": {"initial": 0}}
    )
    computer = EntropicComputer(config)
    computer.run()
    ones = read_books(computer.store).first_ones
    figure = ones_figure(config, ones)
    assert figure is not None
    bars = figure.chart
    assert isinstance(bars, Bars)
    assert bars.counts.sum() == 400
    law = entropy.macrostate_law(4, region_quanta(2.0, 4), 3)
    np.testing.assert_allclose(bars.expected, 400 * np.append(law, [0.0] * 9)[bars.x], atol=1e-9)
    # Exact law and fixed seed: a chi-square of 2 degrees of freedom beyond 27.6 has probability 1e-6.
    some = bars.expected > 1
    assert (((bars.counts - bars.expected) ** 2)[some] / bars.expected[some]).sum() < 27.6


def test_thermal_ones_are_binomial(runs: dict[str, RunStore]) -> None:
    config = made_of("paid")
    figure = ones_figure(config, read_books(runs["paid"]).first_ones)
    assert figure is not None
    bars = figure.chart
    assert isinstance(bars, Bars)
    p = (2 / 3) ** 3
    law = [math.comb(16, k) * p**k * (1 - p) ** (16 - k) for k in range(17)]
    np.testing.assert_allclose(bars.expected, [6 * sum(law[int(x) : int(x + bars.width)]) for x in bars.x], rtol=1e-9)
    chance = re.search(r"probability ([\d.e−-]+) ", figure.reading)
    assert chance is not None
    assert float(chance[1]) > 1e-6  # exact test of the fixed seed


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ((), ""),
        (("demon.lift=false",), "no demon"),
        (("demon.sort=true",), "sorted"),
        (("exchange.enabled=true",), "traded"),
        (("field.edges=baths", "field.bath_left=1.0", "field.bath_right=1.0"), "baths"),
        (("field.initial=uniform",), "uniform"),
        (("field.initial=microcanonical",), "microcanonical"),
        (("field.initial=microcanonical", "field.walls=adiabatic"), ""),
    ],
)
def test_where_ones_can_be_compared(changes: tuple[str, ...], word: str) -> None:
    why = incomparable(made_of("paid").with_overrides(changes))
    assert word in why
    assert bool(word) == bool(why)


# -- files --


def test_figures_as_svg_and_png(runs: dict[str, RunStore], tmp_path: Path) -> None:
    """Each opens and holds its words as text; they come out the same twice."""
    page = tmp_path / "deep" / "page.html"
    report(runs["everything"].path, page, tmp_path / "figures")
    figures = run_figures(made_of("everything"), read_books(runs["everything"]))
    assert page.stat().st_size < 10e6
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {figure.name for figure in figures}
    for figure in figures:
        text = (tmp_path / "figures" / f"{figure.name}.svg").read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "<text" in text
        ElementTree.fromstring(adaptive(text))
        assert LIGHT["muted"] not in adaptive(text).split("</style>")[1]
        drawn = Image.open(tmp_path / "figures" / f"{figure.name}.png")
        assert drawn.width >= 1400
        assert len(drawn.convert("RGB").getcolors(1 << 20) or range(99)) > 3

    again = figures[0]
    assert svg(again.chart, again.name) == (tmp_path / "figures" / f"{again.name}.svg").read_text()
    assert png(again.chart) == (tmp_path / "figures" / f"{again.name}.png").read_bytes()


def test_a_page_that_is_there_is_replaced(runs: dict[str, RunStore], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    report(runs["kept"].path, page)
    assert "<!doctype html>" in page.read_text()[:200]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_what_is_asked_for_in_vain(runs: dict[str, RunStore], tmp_path: Path) -> None:
    with pytest.raises(ReportTargetError, match="directory"):
        report(runs["kept"].path, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ReportTargetError, match="no directory"):
        report(runs["kept"].path, tmp_path / "page.html", tmp_path / "file")
    assert not (tmp_path / "page.html").exists()


def entropic(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("case", ["nothing", "a file", "an empty directory", "damaged", "short", "no room"])
def test_errors(runs: dict[str, RunStore], tmp_path: Path, case: str) -> None:
    """Each with the exit code of its kind and a remedy; nothing is written."""
    source, target, code = tmp_path / "run", tmp_path / "page.html", 5
    if case == "nothing":
        code = 2
    elif case == "a file":
        source.touch()
        code = 2
    elif case == "an empty directory":
        source.mkdir()
    else:
        copied(runs["paid"], source)
    if case == "damaged":
        shutil.rmtree(source / "books.zarr" / "lift")
    if case == "short":
        zarr.open_group(source / "books.zarr", mode="r+", use_consolidated=False)["erasure"].resize((5, 6))
    if case == "no room":
        target, code = Path("/proc/none/page.html"), 4
    with pytest.raises(EntropicError) as found:
        report(source, target)
    assert found.value.exit_code == code
    assert found.value.remedy
    assert not target.exists()


def test_the_command(runs: dict[str, RunStore], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    made = entropic("report", runs["kept"].path, "-o", page)
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{page} ({page.stat().st_size / 1e6:.1f} MB)\n"
    refused = entropic_("report", str(tmp_path), "-o", str(page))
    assert refused.code == 5
    assert "Remedy" in refused.errors


def test_missing_libraries_are_named(runs: dict[str, RunStore], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path\nfrom entropic.report import ReportExtraError, report\n"
        "try:\n    report(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ReportExtraError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(runs["kept"].path), str(tmp_path / "page.html")]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert made.stdout == "matplotlib is not installed. Remedy: pip install 'entropic[report]'\n"


def test_text_of_a_store_cannot_become_a_script(runs: dict[str, RunStore], tmp_path: Path) -> None:
    """Names of directories and words in JSON are shown as they are."""
    place = tmp_path / "<script>alert(1)<"
    store = copied(runs["paid"], place)
    facts = store.read_json("provenance.json")
    store.write_json("provenance.json", {**facts, "command": "</script><script>alert(2)</script>"})
    report(place, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert "</script><script>" not in text.replace("</script>\n<script", "")


# -- timeline --


def test_timeline(runs: dict[str, RunStore], tmp_path: Path) -> None:
    """Idle workers have a lane; what overlaps is counted once."""
    store = copied(runs["kept"], tmp_path / "run")
    assert timeline_figure(store) is None
    columns = {
        "worker": [0, 0, 0],
        "thread": [0, 0, 0],
        "task": ["block", "block", "write"],
        "what": ["compute", "transfer", "compute"],
        "start": [1.0, 1.5, 3.0],
        "stop": [2.0, 2.5, 5.0],
    }
    store.write_json("timeline.json", {"workers": 2, "threads": 1, **columns})
    figure = timeline_figure(store)
    assert figure is not None
    assert isinstance(figure.chart, Spans)
    assert figure.chart.lanes == ("worker 0, thread 0", "worker 1, thread 0")
    assert figure.chart.kind == ("block", "transfer", "write")
    assert figure.chart.start.tolist() == [0.0, 0.5, 2.0]
    assert "busy for 44%" in figure.reading  # 3.5 s of 2 × 4 s
    for spoilt in ({"stop": [2.0]}, {"threads": 1 << 31}):
        store.write_json("timeline.json", {"workers": 2, "threads": 1, **columns, **spoilt})
        with pytest.raises(StoreError, match="damaged"):
            timeline_figure(store)


def test_timeline_of_a_run(tmp_path: Path) -> None:
    """Noted by a real scheduler: blocks, books and checkpoints, on both workers."""
    (tmp_path / "c.toml").write_text(made_of("paid").to_toml())
    options = ("--workers", "2", "--threads", "1", "--chunks", "1,3", "--timeline", "--json")
    made = entropic("run", tmp_path / "c.toml", "--out", tmp_path / "run", *options)
    assert made.returncode == 0, made.stderr
    noted = json.loads((tmp_path / "run" / "timeline.json").read_text())
    assert noted["workers"] == 2
    assert set(noted["worker"]) == {0, 1}
    assert {"first", "block", "books", "write", "load"} <= set(noted["task"])
    assert len(noted["start"]) >= json.loads(made.stdout)["performance"]["tasks"]
    assert all(0 <= a <= b for a, b in zip(noted["start"], noted["stop"], strict=True))
    assert timeline_figure(RunStore.open(tmp_path / "run")) is not None
