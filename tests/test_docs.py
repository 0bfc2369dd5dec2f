"""The documentation: every Python block runs, prints what it says it prints, and the site builds without a warning."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import entropic
import entropic.machines

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(text: str) -> list[tuple[str, str, int, str]]:
    """Fenced blocks: language, code, line of the first line, and the text between the one before and this."""
    found, end = [], 0
    for match in _FENCED.finditer(text):
        line = text.count("\n", 0, match.start(2)) + 1
        found.append((match[1], match[2], line, text[end : match.start()]))
        end = match.end()
    return found


def test_blocks_are_found() -> None:
    text = "a\n```python\nx = 1\n```\nb\n```text\n1\n```\n"
    assert blocks(text) == [("python", "x = 1\n", 3, "a\n"), ("text", "1\n", 7, "\nb\n")]
    assert sum(kind == "python" for page in PAGES for kind, *_ in blocks(page.read_text("utf-8"))) >= 20


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one session, in an empty directory; a text block right after a Python block is its output."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {"__name__": "__main__"}
    printed = None
    for kind, code, line, between in blocks(page.read_text("utf-8")):
        if kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * (line - 1) + code, str(page), "exec"), session)
            printed = output.getvalue()
        elif kind == "text" and printed is not None and not between.strip():
            assert code == printed, f"{page.name}, line {line}"
            printed = None


def public_names() -> set[str]:
    """Whatever the package and its machines name as public, apart from constants."""
    found = pkgutil.walk_packages(entropic.machines.__path__, "entropic.machines.")
    machines = [importlib.import_module(m.name) for m in found if not m.name.endswith("temperature_ratio")]
    things = [getattr(module, name) for module in (entropic, *machines) for name in getattr(module, "__all__", ())]
    return {
        f"{thing.__module__}.{thing.__qualname__}"
        for thing in things
        if inspect.isclass(thing) or inspect.isfunction(thing)
    }


def test_the_site_builds_and_needs_no_network(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    listed = set(re.findall(r'id="(entropic\.[\w.]+)"', (tmp_path / "site" / "api" / "index.html").read_text("utf-8")))
    assert len(public_names()) > 60 and public_names() - listed == set()
    for page in PAGES:
        name = "index.html" if page.stem == "index" else f"{page.stem}/index.html"
        html = (tmp_path / "site" / name).read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)", html)
        assert loaded == [], page.name
