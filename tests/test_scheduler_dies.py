"""A scheduler that dies in mid-run: exit code 4 in time, the checkpoint intact, the same bits after a resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations, verify
from waiting import until

CYCLES = 3000
CONFIG = f"""
[field]
shape = [24, 24]
regions = [4, 4]
mean = 3.0
[run]
cycles = {CYCLES}
checkpoint_every = 10
[relax]
layers = 1
[demon]
threshold = 4
"""


@contextmanager
def cluster(directory: Path, workers: int) -> Iterator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    """`dask scheduler` and so many `dask worker`; yields the scheduler file and the processes, scheduler first."""
    file = directory / "scheduler.json"
    start = [sys.executable, "-m", "dask"]
    scheduler = [*start, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*start, "worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    made: list[subprocess.Popen[bytes]] = []
    try:
        for command in (scheduler, *[worker] * workers):
            with (directory / f"dask-{len(made)}.log").open("w") as log:
                command = [*command, "--scheduler-file", str(file)]
                made.append(subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=log))
            until(file.is_file, 60)
        yield file, made
    finally:
        for process in made:
            process.kill()
            process.wait(30)


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_the_scheduler_dies(how: signal.Signals, tmp_path: Path) -> None:
    """Killed, told to end, or stopped for ever, with work in flight; then the same run on a new cluster."""
    (tmp_path / "c.toml").write_text(CONFIG)
    run = tmp_path / "r"
    with cluster(tmp_path, 2) as (file, processes):
        process = entropic("run", "c.toml", "--out", run, "--scheduler", file, "--chunks", "2,2", cwd=tmp_path)
        until(lambda: process.poll() is not None or len(generations(run / "checkpoints")) > 1, 90)
        assert process.poll() is None, process.communicate()
        processes[0].send_signal(how)
        started = time.monotonic()
        output, errors = process.communicate(timeout=90)
        assert time.monotonic() - started < 60
    assert process.returncode == 4, errors
    assert "Traceback" not in output + errors
    said = [line for line in errors.splitlines() if line.startswith("entropic:")]
    assert len(said) == 1 and "scheduler" in said[0] and "entropic resume" in said[0], errors
    kept = generations(run / "checkpoints")
    reached = verify(kept[0]).cycle
    assert all(verify(path) for path in kept) and 0 < reached < CYCLES
    end = reached + 12
    text = (run / "config.toml").read_text()
    assert f"cycles = {CYCLES}\n" in text
    (run / "config.toml").write_text(text.replace(f"cycles = {CYCLES}\n", f"cycles = {end}\n"))
    (tmp_path / "again").mkdir()
    with cluster(tmp_path / "again", 1) as (file, _):
        again = entropic("resume", run, "--json", "--scheduler", file, cwd=tmp_path)
        output, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    plain = Config.from_toml(tmp_path / "c.toml", [f"run.cycles={end}"])
    assert json.loads(output)["digest"] == EntropicComputer(plain).run()["digest"]
