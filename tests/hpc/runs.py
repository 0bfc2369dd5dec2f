"""What the tests on real batch systems share: one small field, its undisturbed digests, and ways to look at a run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.drivers import drivers
from entropic.engine.checkpoint import generations, newest_sound, verify
from entropic.store import RunStore

ENDLESS = 200_000  # cycles: no test waits for their end
CONFIG = """
[field]
shape = [24, 24]
regions = [4, 4]
mean = 3.0
[run]
cycles = {cycles}
checkpoint_every = 5
[relax]
layers = 1
[demon]
threshold = 4
"""


def cluster_file(system: str, **sections: dict[str, Any]) -> str:
    """A cluster file for this machine: loopback, this Python, small workers."""
    tables: dict[str, dict[str, Any]] = {
        "cluster": {"system": system},
        "workers": {"count": 2, "memory": "900 MiB"},
        "environment": {"python": sys.executable},
        "network": {"interface": "lo"},
        "wait": {"workers": 200},
    }
    for name, table in sections.items():
        tables.setdefault(name, {}).update(table)
    lines = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def configured(cycles: int) -> Config:
    return Config.from_text(CONFIG.format(cycles=cycles))


@cache
def undisturbed(cycles: int) -> dict[str, str]:
    """Digests of a run of so many cycles, in this thread."""
    return dict(EntropicComputer(configured(cycles)).run()["digest"])


def reached(run: Path) -> int:
    """Cycles up to the newest checkpoint; -1 if there is none."""
    found = generations(run / "checkpoints") if run.is_dir() else []
    return int(found[0].name.split("-")[1]) if found else -1


def lawful(run: Path) -> int:
    """Cycle of the newest checkpoint, after comparing it, and the series up to it, with an undisturbed run."""
    store = RunStore.open(run)
    generation = newest_sound(store.checkpoints)
    assert all(verify(path) for path in generations(store.checkpoints))
    series = store.series_digest()  # at once: a next job may begin
    expected = undisturbed(generation.cycle)
    assert generation.digest == expected["field"]
    assert series == expected["series"]
    return generation.cycle


def shorten(run: Path, more: int) -> int:
    """Let a run end so many cycles beyond its newest checkpoint; returns how many it will then have."""
    end = reached(run) + more
    for file in (run / "config.toml", run.parent / f"{run.name}.job" / "config.toml"):
        if file.is_file():
            file.write_text(re.sub(r"(?m)^cycles = \d+$", f"cycles = {end}", file.read_text()))
    return end


def until(holds: Callable[[], object], seconds: float = 150, what: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {seconds} s {what()}"
        time.sleep(0.1)


class Place:
    """A directory in which a user works, with an environment."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path = path
        self.environment = {**environment, "NUMBA_NUM_THREADS": "1"}

    def write(self, cycles: int, cluster: str) -> None:
        (self.path / "c.toml").write_text(CONFIG.format(cycles=cycles))
        (self.path / "cluster.toml").write_text(cluster)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "entropic.cli", *arguments],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def entropic(self, *arguments: str, code: int = 0, seconds: float = 200) -> str:
        """Standard output, or, of a failure that is expected, the error."""
        process = self.begin(*arguments)
        output, errors = process.communicate(timeout=seconds)
        assert process.returncode == code, output + errors
        assert "Traceback" not in output + errors
        return errors if code else output

    def interrupt(self, process: subprocess.Popen[str]) -> str:
        """Ctrl-C; returns what was said on stderr."""
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130, errors
        return errors

    def status(self, run: str) -> dict[str, Any]:
        return dict(json.loads(self.entropic("status", run, "--json")))

    def drivers(self, run: str = "r") -> list[tuple[str | None, int, int]]:
        """Who drove a run: job, restarts, cycle that was reached before."""
        return [(d.job, d.restarts, d.cycle) for d in drivers(self.path / run)]

    def logs(self, run: str = "r") -> str:
        files = sorted((self.path / f"{run}.job").glob("*"))
        return "\n".join(f.read_text(errors="replace") for f in files if f.is_file() and f.suffix != ".toml")

    def workers_on(self, run: str = "r") -> list[str]:
        """Node of every worker that ever began, as it said itself."""
        return re.findall(r"worker \S+ on (\S+), ", self.logs(run))
