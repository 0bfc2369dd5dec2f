"""Power that goes off: what was flushed is there, what was not is not, and a run goes on from it.

The disk is modelled at its worst: a file has the content of its last flush (none, if it never was), a directory the names
of its last flush.  From what is then left, `resume` must reach the digests of an undisturbed run.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.observer import Observer

GRID = {"enabled": True, "demands": [{"region": 0, "quanta": 5, "priority": 1, "kind": "compute"}]}
RUNS: dict[str, dict[str, Any]] = {
    "tape kept": {"demon": {"erase": False, "threshold": 4}},
    "market and grid": {"exchange": {"enabled": True, "contact": 0.4}, "grid": GRID, "demon": {"threshold": 4}},
}


class Disk:
    """What would be left of a directory."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._files: dict[int, bytes] = {}  # by inode
        self._names: dict[int, dict[str, int]] = {}
        self._held: list[int] = []  # descriptors, so that no inode is used twice
        self._lock = threading.Lock()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, handle: int) -> None:
        self._fsync(handle)
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        with self._lock:
            inode = os.fstat(handle).st_ino
            self._held.append(os.dup(handle))
            if place.is_dir():
                found = {entry.name: entry for entry in os.scandir(place) if not entry.is_symlink()}
                self._names[inode] = {name: entry.inode() for name, entry in found.items()}
            else:
                self._files[inode] = place.read_bytes()

    def left(self, target: Path) -> Path:
        """Make what is left, somewhere else."""
        self._make(self.root.stat().st_ino, target)
        return target

    def _make(self, inode: int, target: Path) -> None:
        target.mkdir()
        for name, child in self._names.get(inode, {}).items():
            if child in self._names:
                self._make(child, target / name)
            else:
                (target / name).write_bytes(self._files.get(child, b""))

    def close(self) -> None:
        for handle in self._held:
            os.close(handle)


@pytest.mark.parametrize("name", RUNS)
def test_every_acknowledged_cycle_is_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    field = {"shape": [8, 12], "regions": [2, 3], "mean": 3.0}
    config = Config.from_mapping({"field": field, "run": {"cycles": 6, "checkpoint_every": 2}, **RUNS[name]})
    expected = EntropicComputer(config, tmp_path / "whole").run()
    run = tmp_path / "run"
    left: list[Path] = []
    with monkeypatch.context() as patched:
        disk = Disk(run, patched)

        def booked(store: object, cycle: int) -> None:
            left.append(disk.left(tmp_path / f"left-{cycle}"))

        computer = EntropicComputer(config, run, observer=Observer(booked=booked))
        computer.run()
        disk.close()
    assert len(left) == 3
    for cycle, place in zip((2, 4, 6), left, strict=True):
        again = EntropicComputer.resume(place)
        assert again.cycle == cycle
        summary = again.run()
        assert summary["digest"] == expected["digest"]
        assert summary["totals"] == expected["totals"]
        assert all(law["holds"] for law in summary["laws"])
        assert again.store.tape_cycles() == computer.store.tape_cycles()
