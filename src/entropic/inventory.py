"""What the files of a run must be: a log of sizes and SHA-256, one line a checkpoint, sealed by the checkpoint's manifest.

Books and records grow in place.  What a line of the log names and a later cycle replaces is kept aside, as far back as
there are checkpoints to go on from; so a run cut short anywhere is put back, byte for byte, to what a checkpoint sealed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

from entropic.durable import flush, whole
from entropic.errors import StoreError

__all__ = ["DRIVERS", "Facts", "Inventory", "Line", "Survey", "facts_of", "file_facts", "sealed_lines"]

LOG = "inventory.jsonl"
ASIDE = "before"
TAPE = "tape"
CONFIG = "config.toml"
_CYCLES = re.compile(rb"^cycles = \d+$", re.MULTILINE)
_GROWING = ("books.zarr", "flows.zarr", "opening.zarr", "orders.zarr", "series.zarr", TAPE, "trades.zarr")
DRIVERS = ("drivers.jsonl", "lock")  # of whoever drives the run now: left as they are
# Made anew from the books, or of no use to a run that goes on.
_DERIVED = ("series.zarr/", "summary.json", "timeline.json", *DRIVERS)
_COPY = "restore it from a copy, or run again"


@final
class Facts(NamedTuple):
    """A file's size and SHA-256."""

    bytes: int
    sha256: str


GONE = Facts(0, "")  # of a file that was there and shall not be


@final
@dataclass(frozen=True)
class Line:
    """One line of the log: files written since the line before, and the sums of those replaced that are kept aside."""

    cycle: int
    files: Mapping[str, Facts]
    aside: frozenset[str]
    seal: str
    end: int


@final
@dataclass(frozen=True)
class Survey:
    """How a run's files differ from what they were when a checkpoint sealed them.

    Attributes
    ----------
    lost, derived, aside : tuple of str
        Files that are not as they were: for good; but can be made anew; but are kept aside.
    extra : tuple of Path
        Files, or directories that hold none, that were not there.
    """

    lost: tuple[str, ...]
    derived: tuple[str, ...]
    aside: tuple[str, ...]
    extra: tuple[Path, ...]


def facts_of(content: bytes | bytearray | memoryview) -> Facts:
    return Facts(memoryview(content).nbytes, hashlib.sha256(content).hexdigest())


def file_facts(path: Path) -> Facts:
    """Of a configuration all but how many cycles it asks for: that is for its owner to change before a resume."""
    if path.name == CONFIG:
        return facts_of(_CYCLES.sub(b"cycles =", path.read_bytes()))
    with path.open("rb") as file:
        return Facts(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _line(cycle: int, files: Mapping[str, Facts], aside: Iterable[str], before: str) -> tuple[str, str]:
    """Text and seal of the line that follows the one with the seal ``before``."""
    body: dict[str, Any] = {"cycle": cycle, "files": files, "aside": sorted(aside)}
    seal = hashlib.sha256(f"{before} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()
    return json.dumps({**body, "seal": seal}, sort_keys=True) + "\n", seal


def sealed_lines(run: Path) -> Iterator[Line]:
    """Lines of a run's log, up to the first that is not as it was written."""
    seal, end = "", 0
    try:
        for raw in (run / LOG).read_bytes().splitlines(keepends=True):
            content = json.loads(raw)
            cycle = content["cycle"]
            files = {str(name): Facts(int(size), str(sha256)) for name, (size, sha256) in content["files"].items()}
            aside = frozenset(map(str, content["aside"]))
            text, seal = _line(cycle, files, aside, seal)
            if raw != text.encode() or type(cycle) is not int:
                return
            end += len(raw)
            yield Line(cycle, files, aside, seal, end)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _second_name(source: Path, target: Path) -> None:
    """The same file under another name as well, or a copy where the file system knows no second names."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(source, target)
        flush(target)


@final
class Inventory:
    """The log of one run; what is written is noted here, and becomes a line by `write`.

    Parameters
    ----------
    run : Path
    cycle : int or None
        Up to which checkpoint; None: all.
    """

    def __init__(self, run: Path, cycle: int | None = None) -> None:
        self.run = run
        self.files: dict[str, Facts] = {}
        self.cycle, self.seal, self.end = 0, "", 0
        self._noted: dict[str, Facts] = {}
        self._last: list[str] = []  # what grew when it last did
        self._kept: set[str] = set()  # aside since the last line
        self._kept_before: set[str] = set()  # and between it and the one of the checkpoint before
        for line in sealed_lines(run):
            if cycle is None or line.cycle <= cycle:
                self._fold(line)

    def _fold(self, line: Line) -> None:
        if line.cycle > self.cycle:
            self._kept_before = set()
        self._kept_before |= line.aside
        self.files.update(line.files)
        self.cycle, self.seal, self.end = line.cycle, line.seal, line.end
        grown = [name for name in line.files if name.split("/")[0] in _GROWING and not name.startswith(TAPE)]
        self._last = grown or self._last

    # -- writing --

    def note(self, path: Path, facts: Facts | None = None) -> None:
        """A file was written, with this content (None: look)."""
        self._noted[str(path.relative_to(self.run))] = facts or file_facts(path)

    def protect(self) -> None:
        """Keep aside what the next cycles are likely to replace: the ends of what the last ones wrote."""
        aside = self.run / ASIDE
        aside.mkdir(exist_ok=True)
        for name in self._last:
            self._keep(name)
        flush(aside)
        flush(self.run)

    def keep(self, path: Path) -> None:
        """Keep a file aside that is about to be replaced."""
        name = str(path.relative_to(self.run))
        if name in self.files and name not in self._noted and self.files[name].sha256 not in self._kept:
            (self.run / ASIDE).mkdir(exist_ok=True)
            self._keep(name)
            flush(self.run / ASIDE)

    def _keep(self, name: str) -> None:
        sha256 = self.files[name].sha256
        if (self.run / name).is_file():
            _second_name(self.run / name, self.run / ASIDE / sha256)
            self._kept.add(sha256)

    def write(self, cycle: int) -> str:
        """A line with all that was noted; returns its seal, for the manifest of the cycle's checkpoint."""
        replaced = {self.files[name].sha256 for name in self._noted if name in self.files}
        aside = frozenset(self._kept & replaced)
        text, seal = _line(cycle, self._noted, aside, self.seal)
        log = self.run / LOG
        log.touch()
        with log.open("r+b") as file:
            file.seek(self.end)  # beyond it is what an attempt that failed left
            file.truncate()
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            end = file.tell()
        self._fold(Line(cycle, self._noted, aside, seal, end))
        self._noted = {}
        return seal

    def amend(self, name: str, content: bytes) -> None:
        """Note a file that is about to be written beside a checkpoint that there is."""
        self._noted[name] = facts_of(content)
        self.write(self.cycle)

    def prune(self) -> None:
        """Forget what was kept aside for checkpoints that are gone; to be called when one was made."""
        self._kept = set()
        aside = self.run / ASIDE
        for path in aside.iterdir() if aside.is_dir() else ():
            if path.name not in self._kept_before:
                path.unlink()

    # -- looking --

    def survey(self, cycle: int, tape: bool = True, within: str = "") -> Survey:
        """Compare files with the log's lines up to a cycle.

        Parameters
        ----------
        tape : bool
            Look into the tape's files, which may be many, not only at their sizes.
        within : str
            What the names of files that are looked at begin with.
        """
        files = Inventory(self.run, cycle).files
        wrong = [
            name
            for name, facts in files.items()
            if name.startswith(within) and not self.holds(name, facts, tape or not name.startswith(TAPE))
        ]
        aside = tuple(name for name in wrong if self.holds(f"{ASIDE}/{files[name].sha256}", files[name]))
        derived = tuple(name for name in wrong if name not in aside and name.startswith(_DERIVED))
        lost = tuple(name for name in wrong if name not in {*derived, *aside})
        known = {*files, *(str(parent) for name in files for parent in Path(name).parents)}
        extra = tuple(
            path
            for top in _GROWING
            if top.startswith(within.split("/")[0])
            for path in sorted([self.run / top, *(self.run / top).rglob("*")])
            if str(path.relative_to(self.run)) not in known and os.path.lexists(path)
        )
        return Survey(lost, derived, aside, extra)

    def holds(self, name: str, facts: Facts, look: bool = True) -> bool:
        """Whether a file is what the log says, in its own place (no link leads there)."""
        path = self.run / name
        if facts == GONE:
            return not os.path.lexists(path)
        try:
            if os.path.realpath(path) != os.path.join(os.path.realpath(self.run), name) or not path.is_file():
                return False
            if name != CONFIG and path.stat().st_size != facts.bytes:
                return False
            return not look or file_facts(path) == facts
        except OSError:
            return False

    def require(self, cycle: int, tape: bool = True, within: str = "") -> None:
        """Every file must be as the checkpoint of a cycle sealed it.

        Raises
        ------
        StoreError
            One is not.
        """
        found = self.survey(cycle, tape, within)
        log = self.run / LOG
        whole = not log.is_symlink() and (not log.exists() or log.stat().st_size == Inventory(self.run).end)
        beyond = [str(path.relative_to(self.run)) for path in found.extra]
        # A worker that was stopped and replaced may wake and write a piece of tape once more: the same bits, or the laws tell.
        beyond = [name for name in beyond if name.split("/")[0] != TAPE]
        wrong = [*found.lost, *found.derived, *found.aside, *beyond, *([] if whole else [LOG])]
        if wrong:
            remedy = _COPY if found.lost else f"run: entropic resume {self.run}"
            raise StoreError(f"{self.run / wrong[0]} is not as it was written{_more(wrong)}.", remedy)

    def lacking_aside(self) -> list[Path]:
        """What was kept aside for the checkpoint before, and is not there."""
        aside = self.run / ASIDE
        return [aside / name for name in sorted(self._kept_before) if not os.path.lexists(aside / name)]

    def spoilt_aside(self) -> list[Path]:
        """What is kept aside and is not as it was written."""
        aside = self.run / ASIDE
        return [path for path in aside.iterdir() if not _keeps_its_name(path)] if aside.is_dir() else []

    # -- putting back --

    def restore(self, cycle: int) -> None:
        """Make every file what it was when the checkpoint of a cycle sealed it; what can be made anew may be gone after.

        Raises
        ------
        StoreError
            A file is lost.  Nothing was changed.
        """
        found = self.survey(cycle, tape=False)
        if found.lost:
            raise StoreError(f"{self.run / found.lost[0]} is not as it was written{_more(found.lost)}.", _COPY)
        fresh = Inventory(self.run, cycle)
        # Metadata first, the group's copy of it before all: cut short, a reader sees fewer rows, and none that is gone as zeros.
        for name in sorted(found.aside, key=lambda name: (not name.endswith("zarr.json"), name.count("/"))):
            temporary = self.run / ASIDE / "back"
            temporary.unlink(missing_ok=True)
            _second_name(self.run / ASIDE / fresh.files[name].sha256, temporary)
            (self.run / name).parent.mkdir(parents=True, exist_ok=True)
            if (self.run / name).is_dir():
                _remove(self.run / name)
            temporary.rename(self.run / name)
            flush((self.run / name).parent)
        if any(name.startswith("series.zarr") for name in found.derived):
            _remove(self.run / "series.zarr")
        for name in found.derived:
            if name not in DRIVERS:
                _remove(self.run / name)
                fresh._noted[name] = GONE
        for path in found.extra:
            _remove(path)
        log = self.run / LOG
        if log.is_symlink():
            content = log.read_bytes()
            with whole(log) as temporary:  # in place of the link
                temporary.write_bytes(content)
        os.truncate(log, fresh.end)
        flush(log)
        vars(self).update(vars(fresh))


def _keeps_its_name(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and file_facts(path).sha256 == path.name


def _more(names: list[str] | tuple[str, ...]) -> str:
    return f", nor are {len(names) - 1} more" if len(names) > 1 else ""
