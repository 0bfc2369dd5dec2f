"""`entropic status`: where a run stands, from its files alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from entropic.batch.file import ClusterFile
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.drivers import StoreBusyError, drivers, is_locked, note_driver, take_lock
from entropic.engine.checkpoint import generations
from entropic.errors import UsageError
from entropic.status import status_of

CONFIG = """
[field]
shape = [8, 8]
regions = [2, 2]
[run]
cycles = 12
checkpoint_every = 3
[demon]
threshold = 8
"""


def stopped(path: Path, cycles: int = 4) -> Path:
    """A run that was left after so many cycles."""
    computer = EntropicComputer(Config.from_text(CONFIG), path)
    cycle = iter(computer)
    for _ in range(cycles):
        next(cycle)
    computer.store.unlock()
    return path


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=200, check=False)


def test_from_the_queue_to_the_end(tmp_path: Path) -> None:
    run, job = tmp_path / "r", tmp_path / "r.job"
    with pytest.raises(UsageError, match="there is no run"):
        status_of(run)
    job.mkdir()
    (job / "config.toml").write_text(CONFIG)
    (job / "job.sh").write_text("")
    queued = status_of(run)
    assert (queued.state, queued.cycle, queued.cycles, queued.checkpoint) == ("queued", 0, 12, None)
    before = time.time()
    stopped(run)
    found = status_of(run)
    assert (found.state, found.cycle, found.cycles, found.damage) == ("stopped", 4, 12, ())
    assert found.checkpoint == generations(run / "checkpoints")[0].name
    assert found.progressed is not None and before - 2 < os.stat(run / "checkpoints" / found.checkpoint).st_mtime
    assert "entropic resume" in found.advice and "job.sh" in found.advice
    shutil.rmtree(job)
    assert status_of(run).advice == f"entropic resume {run}"
    computer = EntropicComputer.resume(run)
    running = status_of(run)
    assert running.state == "running" and running.driver is not None
    assert (running.driver.pid, running.driver.cycle, running.driver.job) == (os.getpid(), 4, None)
    computer.run()
    computer.store.unlock()
    finished = status_of(run)
    assert (finished.state, finished.cycle, finished.driver) == ("finished", 12, None)
    assert [driver.cycle for driver in finished.jobs] == [0, 4]
    assert "audit" in finished.advice


def test_looking_changes_nothing(tmp_path: Path) -> None:
    run = stopped(tmp_path / "r")

    def snapshot() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in sorted(run.rglob("*"))}

    before = snapshot()
    status_of(run)
    assert snapshot() == before


def test_damage_is_told(tmp_path: Path) -> None:
    run = stopped(tmp_path / "r")
    newest, older = generations(run / "checkpoints")
    (newest / "manifest.json").write_text("{}")
    found = status_of(run)
    assert (found.state, found.cycle, found.checkpoint) == ("stopped", 3, older.name)
    assert len(found.damage) == 1 and newest.name in found.damage[0]
    (older / "manifest.json").unlink()
    assert (status_of(run).state, status_of(run).cycle) == ("damaged", 0)
    made = entropic("status", run, "--json", cwd=tmp_path)
    assert made.returncode == 5 and json.loads(made.stdout)["state"] == "damaged"
    assert "Traceback" not in made.stderr and "no sound checkpoint" in made.stderr


def test_one_driver_at_a_time_and_a_look_between(tmp_path: Path) -> None:
    """The lock is told from outside the process; whoever looks does not keep a driver out."""
    run = stopped(tmp_path / "r")
    code = "import sys, time; from pathlib import Path; from entropic.drivers import take_lock\n"
    code += "lock = take_lock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    assert is_locked(run) and status_of(run).state == "running"
    with pytest.raises(StoreBusyError):
        take_lock(run)
    other.kill()
    other.wait()
    assert not is_locked(run)
    looking = "import sys; from pathlib import Path; from entropic.drivers import is_locked\n"
    looking += "print('looks', flush=True)\nwhile True: is_locked(Path(sys.argv[1]))"
    looker = subprocess.Popen([sys.executable, "-c", looking, str(run)], stdout=subprocess.PIPE, text=True)
    assert looker.stdout is not None and looker.stdout.readline() == "looks\n"
    try:
        for _ in range(200):
            take_lock(run).close()
    finally:
        looker.kill()
        looker.wait()


def test_batch_jobs_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    note_driver(tmp_path, 7)
    with (tmp_path / "drivers.jsonl").open("a") as file:
        file.write('{"began": "2020')  # a crash in mid-line
    (driver,) = drivers(tmp_path)
    assert (driver.job, driver.restarts, driver.cycle) == ("17", 2, 7)
    assert driver.where.startswith("job 17, start 3, process ")
    (tmp_path / "drivers.jsonl").write_text('[]\n{"began": 1}\nnull\n\x00\n{"host": {}}\n')
    assert drivers(tmp_path) == ()


def test_the_command(tmp_path: Path) -> None:
    run = stopped(tmp_path / "r")
    made = entropic("status", "r", cwd=tmp_path)
    assert made.returncode == 0
    assert made.stdout.splitlines()[0] == "r: stopped, 4 of 12 cycles"
    assert f"checkpoint: {generations(run / 'checkpoints')[0].name}, verified" in made.stdout
    assert "next: entropic resume r" in made.stdout
    assert entropic("status", "nowhere", cwd=tmp_path).returncode == 2


def test_a_cluster_file_is_kept_as_it_was(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "cluster" / "slurm.toml").read_text("utf-8")
    assert ClusterFile.from_text(ClusterFile.from_text(text).text) == ClusterFile.from_text(text)
