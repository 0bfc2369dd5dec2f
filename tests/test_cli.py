"""The command line as a user has it: real processes, exit codes, JSON, signals."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import psutil
import pytest
import xarray as xr
from click.testing import CliRunner
from rich.console import Console

import entropic.cli.progress as progress_module
from entropic.cli import cli
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations, verify
from entropic.report.live import Watch
from waiting import until

CONFIG = """
[field]
shape = [8, 9, 10, 12]
regions = [4, 3, 2, 3]
[run]
cycles = 12
checkpoint_every = 5
[demon]
threshold = 8
erase = false
"""


def entropic(*arguments: str | int | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; it does not look for a scheduler for as long as it would for a user."""
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    environment = {**os.environ, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(CONFIG)
    return path


def test_run_audit_reverse(config: Path, tmp_path: Path) -> None:
    made = entropic("run", config, "--out", "r", "--json", "--workers", "1", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    summary = json.loads(made.stdout)
    assert summary["totals"]["first_law_residual"] == 0
    assert all(law["holds"] for law in summary["laws"])
    run = tmp_path / "r"
    series = xr.open_zarr(run / "series.zarr")
    assert series["quanta"].dims == ("cycle", "region")
    assert series.sizes == {"cycle": 12, "region": 72}
    assert all({"units", "long_name"} <= set(series[name].attrs) for name in series.variables)
    field = xr.open_zarr(run / "field.zarr")["quanta"]
    assert field.dims == ("x", "y", "z", "w")
    assert int(field.sum()) == int(series["quanta"][-1].sum())
    assert entropic("audit", "r", cwd=tmp_path).returncode == 0
    back = entropic("reverse", "r", "--json", "--workers", "1", "--chunks", "1,3,1,2", cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["restored"] is True


def test_readme_digest(config: Path, tmp_path: Path) -> None:
    """The definition that the README gives is the one that the program uses."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    code = next(part for part in text.split("```python\n") if "def digest" in part).split("```")[0]
    space: dict[str, object] = {}
    exec(code, space)
    made = entropic("run", config, "--out", "r", "--json", "--workers", "1", "--set", "run.cycles=2", cwd=tmp_path)
    field = np.asarray(xr.open_zarr(tmp_path / "r" / "field.zarr")["quanta"])
    assert space["digest"](field) == json.loads(made.stdout)["digest"]["field"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--set", "field.regions=[3,3,2,3]"], 2, "divide"),
        (["--set", "demon.threshold=0"], 2, "threshold"),
        (["--set", "field.edges=periodic"], 2, "even"),
        (["--set", "field.mean=50.0"], 2, "uint16"),
        (["--set", "demon.treshold=3"], 2, "threshold"),
        (["--set", "grid.capacity=-1"], 2, "capacity"),
        (["--set", "field.shape=[4000,4500,500,600]"], 4, "GiB"),
        (["--scheduler", "tcp://127.0.0.1:9"], 4, "scheduler"),
        (["--scheduler", "nowhere.json"], 4, "scheduler"),
        (["--chunks", "9,9"], 2, "chunks"),
        (["--chunks", "x"], 2, "numbers"),
        (["--out", "c.toml"], 2, "exists"),
        (["--out", "/proc/none"], 4, "write"),
    ],
)
def test_bad_input(config: Path, tmp_path: Path, arguments: list[str], code: int, word: str) -> None:
    given = arguments if "--out" in arguments else [*arguments, "--out", "r"]
    made = entropic("run", config, *given, cwd=tmp_path)
    assert made.returncode == code, made.stderr
    assert "Traceback" not in made.stderr
    assert word in made.stderr or word == "chunks"
    assert not (tmp_path / "r").exists()


LONG = ("--set", "run.cycles=100000", "--set", "run.checkpoint_every=50", "--set", "demon.erase=true")


@contextmanager
def started(*arguments: str | int | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A run as a terminal starts it: in a process group of its own, to all of which it sends Ctrl-C."""
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


@pytest.mark.parametrize(
    ("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)], ids=lambda value: str(value)
)
def test_interrupt_and_resume(workers: int, number: signal.Signals, config: Path, tmp_path: Path) -> None:
    """Ctrl-C, or SIGTERM, to every process of the run ends with a checkpoint and code 130; a resume on another layout
    gives the undisturbed digest."""
    run = tmp_path / "r"
    with started("run", config, "--out", run, "--workers", workers, *LONG, cwd=tmp_path) as process:
        until(lambda: process.poll() is not None or len(generations(run / "checkpoints")) > 1, 120)
        os.killpg(process.pid, number)
        asked = time.monotonic()
        output, errors = process.communicate(timeout=60)
        assert time.monotonic() - asked < 30  # not after a minute without workers
    assert process.returncode == 130, errors
    assert not output and "Traceback" not in errors
    assert "dashboard: http://127.0.0.1:" in errors
    said = [line for line in errors.splitlines() if line.startswith("entropic:")]
    assert len(said) == 1 and "a checkpoint was written" in said[0] and f"entropic resume {run}" in said[0]
    cycles = verify(generations(run / "checkpoints")[0]).cycle
    assert 50 <= cycles < 100000 and f"cycle {cycles}" in said[0]
    text = (run / "config.toml").read_text()
    assert "cycles = 100000\n" in text
    (run / "config.toml").write_text(text.replace("cycles = 100000\n", f"cycles = {cycles + 7}\n"))
    again = entropic("resume", run, "--json", "--workers", 1, "--chunks", "1,3,2,1", "--no-dashboard", cwd=tmp_path)
    assert "dashboard" not in again.stderr
    assert again.returncode == 0, again.stderr
    plain = Config.from_toml(config, [f"run.cycles={cycles + 7}", "demon.erase=true"])
    assert json.loads(again.stdout)["digest"] == EntropicComputer(plain).run()["digest"]


_WHILE_IMPORTING = """
import os, signal, sys
import entropic_start

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "entropic.cli.commands":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Watch())
signal.signal(signal.SIGINT, signal.default_int_handler)
entropic_start.main()
"""


def test_interrupted_while_python_imports() -> None:
    done = subprocess.run([sys.executable, "-c", _WHILE_IMPORTING, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "entropic: interrupted before anything was begun\n"


def test_interrupt_while_the_cluster_starts(config: Path, tmp_path: Path) -> None:
    """There is nothing to save yet: code 130 and a sentence, without a word from the workers."""
    with started("run", config, "--out", "r", "--workers", 2, *LONG, cwd=tmp_path) as process:
        parent = psutil.Process(process.pid)
        until(lambda: process.poll() is not None or len(parent.children()) > 1, 120)  # one of them tracks resources
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert not output and "Traceback" not in errors and "interrupted" in errors


def examples(command: click.Command) -> list[list[str]]:
    """Arguments of the examples in a command's help, without `entropic`."""
    lines = [re.split("[#>|]", line)[0].strip() for line in (command.help or "").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("entropic ")]


def test_help_everywhere(tmp_path: Path) -> None:
    """Every command shows examples, and they parse."""
    made = entropic("--help", cwd=tmp_path)
    assert made.returncode == 0
    assert {"demo", "run", "plan", "resume", "audit", "reverse", "verify"} <= cli.commands.keys()
    shown = [*examples(cli)]
    for name, command in cli.commands.items():
        if command.hidden:  # what job scripts call
            continue
        assert name in made.stdout
        own = [arguments for arguments in examples(command) if arguments[0] == name]
        assert len(own) >= 2, name
        shown += examples(command)
        helped = CliRunner().invoke(cli, [name, "--help"])
        assert helped.exit_code == 0 and "Usage" in helped.output and f"entropic {name}" in helped.output
    for name, *arguments in shown:
        cli.commands[name].make_context(name, list(arguments))


# --- progress -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_tells_rate_and_time_left(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a run that was resumed: half of it is done when it begins, which must not count as fast."""
    clock = [1000.0]
    monkeypatch.setattr(progress_module, "_LINE_SECONDS", 3.0)
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=150)
    watch = Watch(1000, 10**6, lambda: (2, 1), lambda: clock[0])
    with progress_module.followed(console, watch, None, lambda: False) as observer:
        for cycle in (500, 501, 502, 503, 504, 505, 506):
            observer.progress(cycle)
            clock[0] += 1.0
    text = file.getvalue()
    assert "site-cycles/s" in text and "left" in text
    if terminal:
        rates = [float(rate) for rate in re.findall(r"(\S+) site-cycles/s", text)]
        assert rates and set(rates) == {1e6}
    else:
        assert text.splitlines() == [
            "cycle 503 of 1000, 1.00e+06 site-cycles/s, 0:08:17 left",
            "cycle 506 of 1000, 1.00e+06 site-cycles/s, 0:08:14 left",
        ]
