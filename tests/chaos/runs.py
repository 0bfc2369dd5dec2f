"""Runs of `entropic` as processes of their own, to be hurt; and what must come of them."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import psutil

from chaos.recording import SAME, Injected, Recorder
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations
from waiting import until

RESUMED = "typed error within 60 s, then that digest by resume"
ERROR_SECONDS = 60
END_SECONDS = 150  # for what is left of a run, on a busy machine
_GONE_SECONDS = 60  # for processes that a dead driver leaves

TESTS = Path(__file__).resolve().parent.parent
CLI = ("-m", "entropic.cli")
POINTS = (str(TESTS / "chaos" / "points.py"),)


def configuration(cycles: int, every: int = 10, **sections: Mapping[str, Any]) -> Config:
    """A field of 4 × 4 regions, all of whose cuts have seams that layers cross."""
    return Config.from_mapping(
        {
            "field": {"shape": [24, 24], "regions": [4, 4], "mean": 3.0, "edges": "periodic", "seed": 5},
            "run": {"cycles": cycles, "checkpoint_every": every},
            "relax": {"layers": 1},
            "demon": {"threshold": 4, "erase": False},
            **sections,
        }
    )


@functools.cache
def _undisturbed(text: str) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "c.toml").write_text(text)
        return dict(EntropicComputer(Config.from_toml(Path(place) / "c.toml")).run()["digest"])


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    path = os.pathsep.join([str(TESTS), *(entry for entry in sys.path if entry)])
    return {**os.environ, "PYTHONPATH": path, "NUMBA_NUM_THREADS": "1", **(more or {})}


@final
@dataclass
class Run:
    """One run directory, whoever drives it.

    Parameters
    ----------
    place : Path
        Empty directory; everything goes there.
    inside : tuple of str
        What commands begin with, to run them in a network namespace.
    """

    place: Path
    config: Config
    inside: tuple[str, ...] = ()
    faults: int = 0
    struck: float = 0.0
    began: float = 0.0
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / "c.toml").write_text(self.config.to_toml())

    @property
    def path(self) -> Path:
        return self.place / "r"

    @property
    def expected(self) -> dict[str, str]:
        return _undisturbed(self.config.to_toml())

    def begin(
        self, *arguments: str | Path, program: Sequence[str] = CLI, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """`entropic` with these arguments, in the run's directory."""
        command = [*self.inside, sys.executable, "-X", "faulthandler", *program, *map(str, arguments)]
        with (self.place / f"out-{len(self.started)}").open("w") as out, self.said(len(self.started)).open("w") as err:
            process = subprocess.Popen(
                command, cwd=self.place, env=environment(more), stdout=out, stderr=err, text=True, process_group=0
            )
        self.started.append(process)
        self.began = time.monotonic()
        return process

    def run(self, *arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
        return self.begin("run", "c.toml", "--out", "r", "--json", *arguments, **how)

    def resume(self, *arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
        return self.begin("resume", "r", "--json", *arguments, **how)

    def said(self, number: int) -> Path:
        return self.place / f"err-{number}"

    def cycle(self) -> int:
        """Of the newest generation; −1 before the first."""
        kept = generations(self.path / "checkpoints")
        return int(kept[0].name.split("-")[1]) if kept else -1

    def await_cycle(self, cycle: int, process: subprocess.Popen[str]) -> bool:
        """Whether the run came so far before it ended."""
        until(
            lambda: process.poll() is not None or self.cycle() >= cycle,
            END_SECONDS,
            lambda: f"stuck at {self.cycle()} on the way to {cycle}: {self.words()}",
        )
        return process.poll() is None

    def words(self) -> str:
        """What all commands said, for a test that fails."""
        return "\n".join(path.read_text(errors="replace")[-9000:] for path in sorted(self.place.glob("err-*")))

    def strike(self, act: Callable[[], object], count: int = 1) -> None:
        """Inject a fault."""
        act()
        self.faults += count
        self.struck = time.monotonic()

    def end(self, process: subprocess.Popen[str]) -> str:
        """What came of it: the digest, at once or by a resume on another layout; else the test fails."""
        seconds = END_SECONDS
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # it tells where each thread is
            process.wait(30)
            raise AssertionError(f"no end within {seconds} s, at cycle {self.cycle()}: {self.words()}") from None
        if code == 0:
            self.require_digest(process)
            return SAME
        took = time.monotonic() - self.struck
        self.require_typed(process)
        assert took < ERROR_SECONDS, (took, self.words())
        self.finish()
        return RESUMED

    def require_typed(self, process: subprocess.Popen[str]) -> None:
        """Exit code 4, one sentence with its remedy, no traceback."""
        text = self.said(self.started.index(process)).read_text()
        assert process.returncode == 4, (process.returncode, self.words())
        assert "Traceback" not in text, text
        said = [line for line in text.splitlines() if line.startswith("entropic:")]
        assert len(said) == 1 and " Remedy: " in said[0], text

    def finish(self) -> None:
        """Go on on another layout, to the end."""
        chunks = ",".join(["4"] + ["1"] * (len(self.config.field.shape) - 1))
        process = self.resume("--workers", "1", "--threads", "2", "--chunks", chunks)
        assert process.wait(END_SECONDS) == 0, self.words()
        self.require_digest(process)

    def require_digest(self, process: subprocess.Popen[str]) -> None:
        """That of an undisturbed run, and every law holds."""
        found = json.loads((self.place / f"out-{self.started.index(process)}").read_text())
        assert found["digest"] == self.expected, self.words()
        laws = audit(self.path)
        assert all(law.holds for law in laws), [law for law in laws if not law.holds]

    def close(self) -> None:
        """End what a failed test leaves running, children and all."""
        for process in self.started:
            if process.poll() is None:
                for child in [*_children(process.pid), psutil.Process(process.pid)]:
                    _signal(child, signal.SIGKILL)
                process.wait(30)


@contextmanager
def running(place: Path, config: Config, inside: Sequence[str] = ()) -> Iterator[Run]:
    run = Run(place, config, tuple(inside))
    try:
        yield run
    finally:
        run.close()


def _signal(process: psutil.Process, number: int) -> bool:
    """Whether there was anyone to send it to."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return False
    return True


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def workers_of(pid: int) -> list[psutil.Process]:
    """Worker processes of a driver with a cluster of its own, or of a nanny, oldest first."""
    found = []
    for child in _children(pid):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append((child.create_time(), child.pid, child))
        except psutil.Error:  # it ends
            continue
    return [child for _, _, child in sorted(found, key=lambda entry: entry[:2])]


def signals(processes: Sequence[psutil.Process], number: int) -> int:
    """Send a signal to each; returns how many were there."""
    return sum(_signal(process, number) for process in processes)


def require_gone(processes: Sequence[psutil.Process], seconds: float = _GONE_SECONDS) -> None:
    """They end by themselves."""
    until(
        lambda: not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes),
        seconds,
        lambda: f"still there: {[process for process in processes if process.is_running()]}",
    )


def moments(rng: np.random.Generator, count: int, cycles: int) -> list[int]:
    """Cycles at which to strike, spread over a run by lot."""
    return sorted(int(cycle) for cycle in rng.choice(np.arange(1, cycles - 15), count, replace=False))


def note(injected: Recorder, run: Run, fault: str, outcome: str, count: int | None = None) -> None:
    injected(Injected(fault, outcome, run.faults if count is None else count, time.monotonic() - run.struck))
