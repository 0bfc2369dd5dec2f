"""Make the gallery's pictures, notebooks and printed figures from its scripts: python docs/make_gallery.py [NAME …]"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import jupytext
import nbformat

DOCS = Path(__file__).parent
SCRIPTS = DOCS.parent / "examples" / "gallery"
PICTURES = DOCS / "images" / "gallery"
PAGE = DOCS / "gallery.md"


def notebook(script: Path) -> str:
    """The script as a notebook without outputs, the same bytes every time."""
    made = jupytext.read(script)
    made.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(made.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    return nbformat.writes(made) + "\n"


def mark(script: Path) -> str:
    """What a picture says of the script that drew it, so that an old picture can be told."""
    return f"<!-- {script.name} {sha256(script.read_bytes()).hexdigest()} -->\n"


def draw(script: Path) -> tuple[str, str]:
    """The picture of a script at its full size, and what it printed."""
    with tempfile.TemporaryDirectory() as place:
        settings = {"MATPLOTLIBRC": str(SCRIPTS), "MPLBACKEND": "Agg", "SOURCE_DATE_EPOCH": "0", "TMPDIR": place}
        environment = {name: value for name, value in os.environ.items() if name != "GALLERY_SIZE"} | settings
        command = [sys.executable, str(script)]
        made = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if made.returncode:
            sys.exit(f"{script.name}: {made.stderr}")
        return (Path(place) / f"{script.stem}.svg").read_text("utf-8") + mark(script), made.stdout


def printed(page: str, name: str, text: str) -> str:
    """The page with the text block after the picture of a name replaced."""
    block = re.compile(rf"(\(images/gallery/{name}\.svg\)\n\n```text\n).*?(```\n)", re.S)
    page, found = block.subn(lambda match: match[1] + text + match[2], page)
    if found != 1:
        sys.exit(f"{PAGE.name}: {found} pictures of {name} with a text block after them, expected one")
    return page


def main(*names: str) -> None:
    """All of the gallery, or the studies named."""
    PICTURES.mkdir(exist_ok=True)
    for script in [SCRIPTS / f"{name}.py" for name in names] or sorted(SCRIPTS.glob("*.py")):
        picture, text = draw(script)
        (PICTURES / f"{script.stem}.svg").write_text(picture, "utf-8")
        script.with_suffix(".ipynb").write_text(notebook(script), "utf-8")
        PAGE.write_text(printed(PAGE.read_text("utf-8"), script.stem, text), "utf-8")
        print(script.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
