"""The gallery: every script runs, and as a notebook too; pictures, notebooks and the page are in step with the scripts."""

from __future__ import annotations

import re
import runpy
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib
import nbformat
import pytest
from ipykernel.kernelspec import write_kernel_spec
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[1]
GALLERY = runpy.run_path(str(ROOT / "docs" / "make_gallery.py"))  # what `make gallery` makes things with
SCRIPTS = sorted((ROOT / "examples" / "gallery").glob("*.py"))
PAGE = (ROOT / "docs" / "gallery.md").read_text("utf-8")
WHERE_FROM = "import sys\nprint(sys.executable)"
each = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own for a study of small size, its runs, and its kernel: this interpreter's, no one else's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", None)  # so that TMPDIR is looked at again
    for name in ("TMPDIR", "JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GALLERY_SIZE", "1")
    return tmp_path


def drawn(picture: Path) -> int:
    """Lines, markers and letters in a picture."""
    return sum(1 for element in ET.parse(picture).iter() if element.tag.endswith(("}path", "}use")))


def executed(book: nbformat.NotebookNode, place: Path) -> nbformat.NotebookNode:
    write_kernel_spec(str(place / "kernels" / "gallery"))
    return NotebookClient(book, kernel_name="gallery", timeout=240, resources={"metadata": {"path": place}}).execute()


def test_the_studies_are_found() -> None:
    asked = {"demon", "charged_field", "driven_by_baths", "sorting", "grid", "violation_probability"}
    assert asked <= {script.stem for script in SCRIPTS}
    assert all(len(script.read_text("utf-8").splitlines()) <= 120 for script in SCRIPTS)


@each
def test_a_script_runs(script: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its own assertions hold at the small size, the first law's among them, and it draws its picture."""
    assert '["first_law_residual"] == 0' in script.read_text("utf-8")
    matplotlib.use("Agg")
    with matplotlib.rc_context(fname=script.with_name("matplotlibrc")):
        try:
            runpy.run_path(str(script), run_name="__main__")
        finally:
            plt.close("all")
    assert capsys.readouterr().out.strip()
    assert drawn(place / f"{script.stem}.svg") > 100


@each
def test_a_notebook_runs(script: Path, place: Path) -> None:
    """The notebook that is in the repository, executed cell by cell: no error, and the picture in the last cell's output."""
    book = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(WHERE_FROM))
    *_, last, where = executed(book, place).cells
    assert where.outputs[0].text.strip() == sys.executable
    assert any("image/png" in output.get("data", {}) for output in last.outputs)
    assert drawn(place / f"{script.stem}.svg") > 100


def test_a_failing_cell_is_noticed(place: Path) -> None:
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 + 1 == 3")])
    with pytest.raises(CellExecutionError, match="AssertionError"):
        executed(book, place)


@each
def test_notebook_and_picture_are_in_step(script: Path, tmp_path: Path) -> None:
    """`make gallery` was run after the last change, and an older picture or notebook would be told."""
    remedy = f"make gallery ({script.name} has changed)"
    book, picture = script.with_suffix(".ipynb"), ROOT / "docs" / "images" / "gallery" / f"{script.stem}.svg"
    assert book.read_text("utf-8") == GALLERY["notebook"](script), remedy
    assert picture.read_text("utf-8").endswith(GALLERY["mark"](script)), remedy
    assert drawn(picture) > 100
    nbformat.validate(nbformat.read(book, as_version=4))

    changed = tmp_path / script.name
    changed.write_text(script.read_text("utf-8") + "# a word more\n", "utf-8")
    assert GALLERY["notebook"](changed) != book.read_text("utf-8")
    assert not picture.read_text("utf-8").endswith(GALLERY["mark"](changed))


def test_the_page_shows_every_study_and_no_other() -> None:
    names = {script.stem for script in SCRIPTS}
    shown = re.findall(r"^!\[([^\]]{40,})\]\(images/gallery/(\w+)\.svg\)\n\n```text\n(.*?)^```$", PAGE, re.M | re.S)
    assert [name for _, name, _ in shown] == re.findall(r"^`(\w+)\.py`: ", PAGE, re.M)
    assert {name for _, name, _ in shown} == names
    assert len({text for *_, text in shown}) == len(names) and all(text.strip() for *_, text in shown)
    for folder, ending in ((ROOT / "docs" / "images" / "gallery", ".svg"), (SCRIPTS[0].parent, ".ipynb")):
        assert {file.stem for file in folder.glob(f"*{ending}")} == names


def test_what_was_printed_goes_under_its_picture() -> None:
    for script in SCRIPTS:
        changed = GALLERY["printed"](PAGE, script.stem, "new\n")
        before, after = changed.split("new\n")
        assert before.rstrip().endswith(f"(images/gallery/{script.stem}.svg)\n\n```text")
        assert PAGE.startswith(before) and PAGE.endswith(after)
    with pytest.raises(SystemExit, match="0 pictures of nothing"):
        GALLERY["printed"](PAGE, "nothing", "")
