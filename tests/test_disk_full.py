"""A disk that is full: a typed error, its exit code, a remedy that works, nothing lost.

The disk is real: a tmpfs too small for the run, later mounted larger.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import xarray as xr

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations, verify
from entropic.errors import ResourceError, StoreError

CONFIG = """
[field]
shape = [64, 64, 16]
regions = [2, 2, 1]
mean = 3.0
[run]
cycles = 8
checkpoint_every = 2
[demon]
threshold = 4
erase = {erase}
"""
PLENTY = 20_000  # KiB; the run needs about 580

Resize = Callable[[int], None]


def mount(place: Path, kibibytes: int, options: str = "") -> subprocess.CompletedProcess[str]:
    command = ["mount", "-t", "tmpfs", "-o", f"{options}size={kibibytes}k", "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Resize]]:
    """A disk of its own, and how to change its size in KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        made = mount(place, PLENTY)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no disk can be made full")
    if made.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here (root may): {made.stderr.strip()}")

    def resize(kibibytes: int) -> None:
        changed = mount(place, kibibytes, "remount,")
        assert changed.returncode == 0, changed.stderr

    try:
        yield place, resize
    finally:
        gc.collect()  # a lock held by an exception's frames would keep the disk busy
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def config(erase: bool) -> Config:
    return Config.from_mapping(tomllib.loads(CONFIG.format(erase=str(erase).lower())))


@pytest.fixture(scope="module")
def whole() -> dict[bool, dict[str, str]]:
    """Digests of the runs that nothing disturbed."""
    return {erase: EntropicComputer(config(erase)).run()["digest"] for erase in (True, False)}


def run_on_small_disk(run: Path, erase: bool) -> ResourceError:
    """The error in which a run on a disk too small for it ends."""

    def attempt() -> None:
        computer = EntropicComputer(config(erase), run)
        try:
            computer.run()
        finally:
            computer.store.unlock()

    with pytest.raises(ResourceError) as caught:
        attempt()
    return caught.value


@pytest.mark.parametrize("erase", [True, False])
def test_wherever_the_room_ends(
    erase: bool, disk: tuple[Path, Resize], whole: dict[bool, dict[str, str]], tmp_path: Path
) -> None:
    """Sizes that end in the opening, the books, the series, the tape, and checkpoints early and late."""
    place, resize = disk
    reached = []
    for kibibytes in (60, 140, 212, 244, 356, 400, 500, 550):
        resize(kibibytes)
        run = place / "run"
        error = run_on_small_disk(run, erase)
        assert error.exit_code == 4
        assert "No space left" in error.message
        kept = [verify(path) for path in generations(run / "checkpoints")]
        assert not list((run / "checkpoints").glob(".tmp-*"))  # what failed does not keep the disk full
        resize(PLENTY)
        if kept:
            assert f"entropic resume {run}" in error.remedy
            shown = xr.open_zarr(run / "field.zarr")["quanta"]
            assert shown.attrs["cycle"] in {generation.cycle for generation in kept}
            computer = EntropicComputer.resume(run)
            assert computer.cycle == kept[0].cycle
            assert computer.run()["digest"] == whole[erase]
            computer.store.unlock()
            assert all(law.holds for law in audit(run)), kibibytes
            reached.append(kept[0].cycle)
        else:
            assert "run again" in error.remedy and "resume" not in error.remedy
            with pytest.raises(StoreError):
                EntropicComputer.resume(run)
        subprocess.run(["rm", "-rf", str(run)], check=True)
        gc.collect()
    assert reached.count(0) >= 3 and max(reached) >= 2  # the sizes still end where the docstring says


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_from_the_command_line(
    workers: int, disk: tuple[Path, Resize], whole: dict[bool, dict[str, str]], tmp_path: Path
) -> None:
    place, resize = disk
    resize(500)
    (tmp_path / "c.toml").write_text(CONFIG.format(erase="true"))
    run, where = place / "r", ("--workers", str(workers), "--threads", "1")
    commands = (("run", "c.toml", "--out", run), ("resume", run))  # room has not been made: the same again
    for command in commands[: 1 if workers > 1 else 2]:
        failed = entropic(*command, *where, cwd=tmp_path)
        assert failed.returncode == 4, failed.stderr
        assert "Traceback" not in failed.stderr
        said = [line for line in failed.stderr.splitlines() if line.startswith("entropic:")]
        assert len(said) == 1, failed.stderr
        assert "No space left" in said[0] and "make room" in said[0] and "entropic resume" in said[0]
        kept = [verify(path).cycle for path in generations(run / "checkpoints")]
        assert kept and max(kept) < 8
    resize(PLENTY)
    done = entropic("resume", run, "--json", *where, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == whole[True]
    assert all(law.holds for law in audit(run))
