"""The page as readers have it: in a real Chromium, at desktop and phone width, light and dark, printed, without scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from chromium import Browser
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.report import report
from entropic.report.books import MOMENTS
from entropic.report.colours import DARK, LIGHT
from entropic.report.sources import page_of
from entropic.report.tables import number
from test_report import RUNS, made_of

DRAWN = "document.documentElement?.dataset.drawn !== undefined"
# Canvases lie in shadow trees; of each figure, the pixels of all its canvases, one over the other.
PIXELS = """
(() => {
  const canvases = (node) => [...node.querySelectorAll("*")].flatMap((e) =>
    [...(e.tagName === "CANVAS" ? [e] : []), ...(e.shadowRoot ? canvases(e.shadowRoot) : [])]);
  return [...document.querySelectorAll(".plot")].map((plot) => {
    const counts = new Map();  // by the pixel's four bytes as one number: a page has ten million of them
    for (const canvas of canvases(plot)) {
      const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
      copy.drawImage(canvas, 0, 0);
      const pixels = new Uint32Array(copy.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
      for (const pixel of pixels) if (pixel >>> 24 === 255) counts.set(pixel, (counts.get(pixel) || 0) + 1);
    }
    const hex = (pixel) => "#" + [0, 8, 16].map((k) => (pixel >>> k & 255).toString(16).padStart(2, "0")).join("");
    const colours = Object.fromEntries([...counts].map(([pixel, count]) => [hex(pixel), count]));
    return {name: plot.id, colours};
  });
})()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of every kind of run, and the run's directory beside it."""
    place = tmp_path_factory.mktemp("pages")
    for name in RUNS:
        computer = EntropicComputer(made_of(name), place / name)
        computer.run()
        report(place / name, place / f"{name}.html")
    return {name: place / f"{name}.html" for name in RUNS}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    try:
        yield browser
    finally:
        browser.close()


def opened(browser: Browser, page: Path, width: int = 1280, dark: bool = False) -> float:
    browser.look(width, 900, dark)
    seconds = browser.open(page.as_uri(), DRAWN)
    # Bokeh paints in the frames after it has embedded.
    browser.until(f"{PIXELS}.every((plot) => Object.keys(plot.colours).length > 1)")
    return seconds


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", RUNS)
def test_every_figure_is_drawn_and_nothing_fetched(
    browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    """No complaint, no request but for the file itself, no figure blank, nothing wider than the screen."""
    opened(browser, pages[name], width, dark)
    assert browser.troubles() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [pages[name].as_uri()]
    found = browser.value(PIXELS)
    names = [f"{figure}-plot" for figure, _ in page_of(pages[name].with_suffix("")).figures()]
    assert [plot["name"] for plot in found] == names
    ours, others = (DARK, LIGHT) if dark else (LIGHT, DARK)
    for plot in found:
        assert sum(plot["colours"].values()) > 1000, plot["name"]
        inks = {ours["muted"], ours["ink"]}
        assert inks & set(plot["colours"]), plot["name"]
        assert not ({others["muted"], others["ink"]} & set(plot["colours"])), plot["name"]
    assert browser.value("document.documentElement.scrollWidth") <= width
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb({}, {}, {})".format(*bytes.fromhex(ours["ground"][1:]))


def test_the_network_log_would_show_a_request(browser: Browser, tmp_path: Path) -> None:
    """And the page's own policy would stop it: the two tests above can fail."""
    (tmp_path / "x.png").write_bytes(b"")
    (tmp_path / "a.html").write_text('<img src="x.png"><script>console.error("!")</script>')
    browser.open((tmp_path / "a.html").as_uri())
    assert any(url.endswith("x.png") for url in browser.requests())
    assert browser.troubles()
    policy = re.search(r"<meta http-equiv=[^>]*>", (Path(__file__).parents[1] / PAGE).read_text())
    assert policy is not None
    (tmp_path / "b.html").write_text(f'<head>{policy[0]}</head><img src="x.png">')
    browser.open((tmp_path / "b.html").as_uri())
    assert any("Content Security Policy" in trouble for trouble in browser.troubles())


PAGE = "src/entropic/report/templates/page.html"


def test_colours_follow_the_reader(browser: Browser, pages: dict[str, Path]) -> None:
    opened(browser, pages["paid"])
    browser.look(1280, 900, dark=True)
    browser.until("document.documentElement.dataset.drawn === 'dark'")
    muted = DARK["muted"]
    browser.until(f"{PIXELS}.every((plot) => plot.colours['{muted}'] > 0 || plot.colours['{DARK['ink']}'] > 0)")
    assert browser.troubles() == []


def test_slider_by_keyboard(browser: Browser, pages: dict[str, Path]) -> None:
    """An arrow key moves the map to the moment before, in words and in pixels."""
    opened(browser, pages["paid"])
    before = {plot["name"]: plot["colours"] for plot in browser.value(PIXELS)}
    browser.value("document.querySelector('#warmth-map-slider').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowLeft", code="ArrowLeft", windowsVirtualKeyCode=37)
    assert browser.value("document.querySelector('output[for=warmth-map-slider]').value") == "after cycle 11"
    slider = "document.querySelector('#warmth-map-slider').getAttribute('aria-valuetext')"
    assert browser.value(slider) == "after cycle 11"
    browser.until("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
    after = {plot["name"]: plot["colours"] for plot in browser.value(PIXELS)}
    assert after["warmth-map-plot"] != before["warmth-map-plot"]
    assert after["battery-map-plot"] == before["battery-map-plot"]


def test_hover_tells_the_numbers(browser: Browser, pages: dict[str, Path]) -> None:
    opened(browser, pages["paid"])
    browser.value("document.querySelector('#work-plot').scrollIntoView({behavior: 'instant', block: 'center'})")
    box = browser.value("document.querySelector('#work-plot').getBoundingClientRect().toJSON()")
    x, y = box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x - 3, y=y)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    shown = """
    (() => { const walk = (n) => [...n.querySelectorAll("*")].flatMap((e) =>
      [...(e.shadowRoot ? [e.shadowRoot.textContent, ...walk(e.shadowRoot)] : [])]);
      return walk(document).join(" ").includes("gross: work delivered"); })()"""
    browser.until(shown)


def test_without_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    """Figures stand still, tables are there, and a note says so."""
    browser.look(1280, 900)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.call("Page.navigate", url=pages["paid"].as_uri())
        # DevTools' own expressions run all the same.
        browser.until("document.readyState === 'complete' && document.images.length > 0")
        assert browser.value("[...document.images].every((i) => i.naturalWidth > 0 && i.offsetWidth > 300)")
        assert browser.value("[...document.querySelectorAll('.interactive')].every((e) => e.offsetHeight === 0)")
        assert browser.value("document.querySelector('noscript').innerText").startswith("Scripts are off")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_printed(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """On paper: the still figures, in light colours, whole tables; and it prints."""
    opened(browser, pages["paid"], dark=True)
    browser.look(1280, 900, dark=True, media="print")
    assert browser.value("[...document.images].every((i) => i.offsetWidth > 300)")
    assert browser.value("[...document.querySelectorAll('.interactive, nav')].every((e) => e.offsetHeight === 0)")
    assert browser.value("getComputedStyle(document.documentElement).getPropertyValue('--ground').trim()") == "#ffffff"
    browser.picture(tmp_path / "paper.png")
    box = browser.value("document.querySelector('#quanta .still').getBoundingClientRect().toJSON()")
    paper = Image.open(tmp_path / "paper.png").convert("RGB")
    assert paper.getpixel((int(box["x"] + 3), int(box["y"] + 3))) == (255, 255, 255)  # the drawing's own ground
    assert browser.value("document.documentElement.scrollWidth") <= 1280
    assert browser.pdf().startswith(b"%PDF")


def test_for_those_who_do_not_see_it(browser: Browser, pages: dict[str, Path]) -> None:
    """Language, title, headings in order, names for figures, tables, sliders; ids once; a link past the contents."""
    opened(browser, pages["everything"])
    assert browser.value("document.documentElement.lang") == "en"
    levels = browser.value("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = browser.value("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    links = "[...document.querySelectorAll('a[href^=\"#\"]')].every((a) => document.getElementById(a.hash.slice(1)))"
    assert browser.value(links)
    browser.call("Accessibility.enable")
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = ("img", "image", "slider", "table", "link", "region", "figure", "heading", "navigation", "main")
    found: dict[str, int] = {}
    for node in nodes:
        role = node.get("role", {}).get("value", "")
        if role in named and not node.get("ignored"):
            found[role] = found.get(role, 0) + 1
            if role != "main":
                assert node.get("name", {}).get("value"), node
    assert found["image"] == len(list(page_of(pages["everything"].with_suffix("")).figures()))
    assert found["slider"] == 2
    assert found["main"] == found["navigation"] == 1
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert browser.value("document.activeElement.textContent") == "Skip to the verdict"
    assert browser.value("document.activeElement.getBoundingClientRect().x") >= 0


def test_tables_say_what_the_books_say(browser: Browser, pages: dict[str, Path]) -> None:
    """Numbers as the reader finds them behind the figures, to the quantum."""
    opened(browser, pages["paid"])
    page = page_of(pages["paid"].with_suffix(""))
    chart = next(figure.chart for name, figure in page.figures() if name == "quanta")
    rows = browser.value(
        "[...document.querySelectorAll('#quanta tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))"
    )
    labels = {node.name: node.label for node in chart.nodes}
    assert rows == [[labels[s.source], labels[s.target], number(s.quanta)] for s in chart.streams]
    verdict = browser.value("document.querySelector('.verdict').textContent")
    assert page.verdict.text in verdict
    first = browser.value("document.querySelector('main').firstElementChild.id")
    assert first == "verdict"


def test_a_page_as_large_as_that_of_a_billion_sites_opens_fast(browser: Browser, tmp_path: Path) -> None:
    """A page grows with regions and moments, never with sites: here are as many of both as it ever shows of 1e9 sites."""
    sections = {
        "field": {"shape": [10, 10, 80], "regions": [10, 10, 10], "mean": 5.0},
        "run": {"cycles": MOMENTS, "checkpoint_every": MOMENTS},
        "demon": {"threshold": 20, "erase": False},
    }
    computer = EntropicComputer(Config.from_mapping(sections), tmp_path / "run")
    computer.run()
    page = tmp_path / "page.html"
    report(tmp_path / "run", page)
    assert page.stat().st_size < 10e6
    before = browser.processor_seconds()
    opened(browser, page)
    # Of all of the browser's processes together, so that what else the machine does is no matter.
    assert browser.processor_seconds() - before < 3.0
    assert browser.troubles() == []
