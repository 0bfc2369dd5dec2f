"""The page of a study: what its results say, in words, figures and tables, also where parts are missing or not to be trusted."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chromium import Browser
from entropic.errors import StoreError
from entropic.report import report
from entropic.report.charts import Lines, Stacks
from entropic.report.parts import Page
from entropic.report.sources import page_of
from test_cli_fuzz import entropic_
from test_report_browser import DRAWN, PIXELS

STUDY = """
[study]
name = "tiny"
repeats = 2
warm_up = 0
[field]
shape = [16, 16]
regions = [4, 4]
[run]
cycles = 4
checkpoint_every = 4
[demon]
threshold = 10
[strong]
layouts = [[1, 1], [1, 2]]
[granularity]
layout = [1, 1]
chunks = [[4, 4], [1, 1]]
[thermodynamic]
shapes = [[32, 32, 32]]
layouts = [[0, 1]]
regions = [512]
[charged]
fields = [[2, 1, 1], [2, 2, 1]]
region = [8, 8, 8]
cycles = 6
bound = 0.5
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run on the command line."""
    place = tmp_path_factory.mktemp("study")
    (place / "tiny.toml").write_text(STUDY)
    made = entropic_("scale", str(place / "tiny.toml"), "--out", str(place / "tiny"), "--json")
    assert made.code == 0, made.errors
    return place / "tiny"


def record(study: Path) -> dict[str, Any]:
    return json.loads((study / "study.json").read_text())


def changed(study: Path, place: Path, change: Callable[[dict[str, Any]], None]) -> Page:
    """The page of a study whose results were changed."""
    found = copy.deepcopy(record(study))
    change(found)
    place.mkdir()
    (place / "study.json").write_text(json.dumps(found))
    return page_of(place)


def lines(page: Page, name: str) -> dict[str, Any]:
    chart = next(figure.chart for found, figure in page.figures() if found == name)
    assert isinstance(chart, Lines)
    return {f"{panel.y_label}: {line.label}": line for panel in chart.panels for line in panel.lines}


def test_the_page_says_what_the_study_says(study: Path) -> None:
    page, found = page_of(study), record(study)
    assert page.verdict.text == found["verdict"]["sentence"]
    assert page.verdict.notes == tuple(found["verdict"]["notes"])
    scales = found["thermodynamic"]["pooled"]
    net = lines(page, "net")["net work, quanta a site: measured, the least that any bath takes"]
    np.testing.assert_array_equal(net.x, [scale["sites"] for scale in scales])
    np.testing.assert_array_equal(net.y, [scale["landauer"]["net"]["value"] for scale in scales])
    np.testing.assert_array_equal(net.high, [scale["landauer"]["net"]["high"] for scale in scales])
    gaps = lines(page, "net")["departure, quanta a site: measured less exact"]
    np.testing.assert_allclose(gaps.y, net.y - [scale["landauer"]["exact"] for scale in scales], rtol=1e-12)
    assert (
        lines(page, "net")["departure, quanta a site: upper bound of no effect"].y[0]
        == found["thermodynamic"]["equivalence"]["bound"]
    )
    raw = [demon for demon in found["thermodynamic"]["demons"] if demon["price"] == "raw"]
    seen = lines(page, "violation")["probability, raw price: seen"]
    assert dict(zip(seen.x.tolist(), seen.y.tolist(), strict=True)) == {
        demon["sites"]: demon["probability"]["value"] for demon in raw if demon["gains"]
    }
    assert (seen.y > 0).all()  # on a logarithmic axis
    speed = [
        line for name, line in lines(page, "speedup").items() if not name.endswith("ideal") and line.dash == "points"
    ]
    assert sum(len(line.x) for line in speed) == len(found["strong"]["points"])
    loss = next(figure.chart for name, figure in page.figures() if name == "losses")
    assert isinstance(loss, Stacks)
    np.testing.assert_allclose(np.sum(list(loss.parts.values()), axis=0), 1, atol=1e-6)
    tables = {table.caption: table for section in page.parts[0].sections for table in section.tables}
    assert len(tables["Every cell"].rows) == len(found["cells"]) == found["study"]["of"]
    assert {row[-1] for row in tables["Every cell"].rows} == {cell["digest"]["field"] for cell in found["cells"]}


@pytest.mark.parametrize(
    ("word", "trusted", "tone"),
    [
        ("scale changes nothing", True, "sound"),
        ("not settled", True, "open"),
        ("scale changes the outcome", True, "open"),
        ("not to be trusted", False, "broken"),
    ],
)
def test_tone_of_the_verdict(study: Path, tmp_path: Path, word: str, trusted: bool, tone: str) -> None:
    fault = {"cell": "strong-1x2-r1", "kind": "differs", "cycle": 3, "region": 7, "account": "lift"}
    fault |= {"found": 11, "expected": 10, "detail": "one outcome of two"}

    def change(found: dict[str, Any]) -> None:
        found["verdict"] |= {"word": word, "trusted": trusted, "faults": [] if trusted else [fault]}

    told = changed(study, tmp_path / "s", change).verdict
    assert told.tone == tone
    place = "cell strong-1x2-r1, differs, cycle 3, region 7, account lift: found 11, expected 10 (one outcome of two)"
    assert told.trouble == (() if trusted else (place,))


@pytest.mark.parametrize(
    "part", ["strong", "weak", "granularity", "scheduler", "null", "planner", "model", "thermodynamic", "charged"]
)
def test_parts_that_were_not_asked_for(study: Path, tmp_path: Path, part: str) -> None:
    page = changed(study, tmp_path / "s", lambda found: found.update({part: None}))
    assert page.verdict.text
    assert len(list(page.figures())) >= 3


def test_an_unfinished_study_says_so(study: Path, tmp_path: Path) -> None:
    page = changed(study, tmp_path / "s", lambda found: found["study"].update({"complete": False, "cells": 3}))
    assert page.verdict.notes[0].startswith("The study is unfinished: 3 of ")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_results_that_are_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(StoreError, match="entropic scale"):
        page_of(tmp_path)


def test_in_a_browser(study: Path, tmp_path: Path) -> None:
    """Every figure drawn, nothing fetched, at both widths and in both schemes."""
    page = tmp_path / "study.html"
    report(study, page, tmp_path / "figures")
    assert page.stat().st_size < 10e6
    assert len(list((tmp_path / "figures").iterdir())) == 2 * len(list(page_of(study).figures()))
    browser = Browser(tmp_path / "profile")
    try:
        for width, dark in ((1280, False), (390, True)):
            browser.look(width, 900, dark)
            browser.open(page.as_uri(), DRAWN)
            least = width  # opaque pixels: a plot that is half as wide has half as much ink
            browser.until(f"{PIXELS}.every((plot) => Object.values(plot.colours).reduce((a, b) => a + b, 0) > {least})")
            assert len(browser.value(PIXELS)) == len(list(page_of(study).figures()))
            assert browser.troubles() == []
            assert [url for url in browser.requests() if not url.startswith("data:")] == [page.as_uri()]
            assert browser.value("document.documentElement.scrollWidth") <= width
    finally:
        browser.close()
