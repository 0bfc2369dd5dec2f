"""The command line as a user has it: real processes, exit codes, JSON, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

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


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


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


def test_interrupt_and_resume(config: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with a checkpoint and code 130; resume on another layout gives the undisturbed digest."""
    more = ("--set", "run.cycles=4000", "--set", "run.checkpoint_every=50", "--set", "demon.erase=true")
    command = [sys.executable, "-m", "entropic.cli", "run", str(config), "--out", "r", "--workers", "1", *more]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "r" / "checkpoints").glob("cycle-0000001*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "resume" in errors
    cycles = max(int(p.name.split("-")[1]) for p in (tmp_path / "r" / "checkpoints").glob("cycle-*"))
    assert 0 < cycles < 4000
    (tmp_path / "r" / "config.toml").write_text(
        (tmp_path / "r" / "config.toml").read_text().replace("cycles = 4000", f"cycles = {cycles + 7}")
    )
    again = entropic("resume", "r", "--json", "--workers", "1", "--chunks", "1,3,2,1", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    plain = ("--set", f"run.cycles={cycles + 7}", "--set", "demon.erase=true")
    whole = entropic("run", config, "--out", "w", "--json", "--workers", "1", *plain, cwd=tmp_path)
    assert json.loads(again.stdout)["digest"] == json.loads(whole.stdout)["digest"]


def test_help_everywhere(tmp_path: Path) -> None:
    for command in ((), ("demo",), ("run",), ("plan",), ("resume",), ("audit",), ("reverse",), ("verify",)):
        made = entropic(*command, "--help", cwd=tmp_path)
        assert made.returncode == 0
        assert "Usage" in made.stdout
