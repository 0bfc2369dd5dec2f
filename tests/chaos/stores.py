"""Small runs with every machine on, so that every file of a store exists; and processes forked to be killed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.observer import Interrupted, Observer

DEMANDS = [
    {"region": 1, "quanta": 3, "priority": 1, "kind": "compute"},
    {"region": 5, "quanta": 2, "priority": 2, "kind": "export"},
]


def every_machine(cycles: int, every: int, **demon: Any) -> Config:
    """Demon with its tape kept, market, grid, batteries that lose."""
    return Config.from_mapping(
        {
            "field": {"shape": [4, 6], "regions": [2, 3], "mean": 2.0, "seed": 9, "edges": "periodic"},
            "run": {"cycles": cycles, "checkpoint_every": every},
            "relax": {"layers": 2},
            "demon": {"threshold": 3, "sort": True, "erase": False, **demon},
            "battery": {"initial": 0.9, "capacity": 3.0, "charge_loss": 0.05, "self_discharge": 0.05},
            "exchange": {"enabled": True, "contact": 0.5},
            "grid": {"enabled": True, "capacity": 8, "loss": 0.1, "demands": DEMANDS},
        }
    )


def finished(computer: EntropicComputer) -> dict[str, Any]:
    """Run to the end and let the lock go."""
    try:
        return computer.run()
    finally:
        computer.store.unlock()


def run_until(config: Config, path: Path, cycle: int) -> None:
    """A run that was stopped, with a checkpoint, after some cycles."""
    reached: list[int] = []
    observer = Observer(booked=lambda store, done: reached.append(done), stop=lambda: cycle in reached)
    computer = EntropicComputer(config, path, observer=observer)
    try:
        computer.run()
    except Interrupted:
        pass
    finally:
        computer.store.unlock()


def copied(original: Path, target: Path) -> Path:
    """A copy in the place of the one before."""
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(original, target, symlinks=True))


def in_child(action: Callable[[], Any]) -> tuple[int, Any]:
    """Do it in a process of its own, forked from this one; returns how that ended (−9: killed) and what came of it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child: no test framework, no cleaning up
        code = 1
        try:
            os.close(read)
            os.write(write, json.dumps(action()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        content = file.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), json.loads(content) if content else None
