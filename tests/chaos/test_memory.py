"""Ten thousand cycles leave scheduler and client as they were: in tasks, in Python objects, in bytes.

Both live in one process, that of the run; the workers are processes of their own.  What grows by a task, an object or a
few hundred bytes a cycle is found: each test below that plants such a leak must find it.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import DaskExecutor, Where, connect
from entropic.observer import Observer
from entropic.store import RunStore

# How much more there may be in the last quarter of a run than in the second one.
BOUNDS = {"tasks": 40, "futures": 20, "objects": 2_000, "bytes": 8 << 20}
CYCLES, ALL_CYCLES = 240, 10_000
EPOCHS, FEW_EPOCHS = 48, 16  # few are enough to find a leak
LEAK_BYTES, LEAK_OBJECTS = 2 << 20, 1_000  # an epoch


@dataclass(frozen=True)
class Sample:
    """What there is after an epoch."""

    tasks: int
    futures: int
    objects: int
    bytes: int


def grown(samples: Sequence[Sample]) -> dict[str, float]:
    """What grew by more than its bound from the second quarter of the samples to the last: by how much."""
    quarter = len(samples) // 4
    found = {}
    for name, bound in BOUNDS.items():
        values = [getattr(sample, name) for sample in samples]
        growth = statistics.median(values[-quarter:]) - statistics.median(values[quarter : 2 * quarter])
        if growth > bound:
            found[name] = growth
    return found


def look(executor: DaskExecutor) -> Sample:
    gc.collect()
    client, here = executor.client, psutil.Process()
    tasks = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    return Sample(int(tasks), len(client.futures), len(gc.get_objects()), here.memory_info().rss)


def hoard_nothing(executor: DaskExecutor) -> Callable[[], object]:
    return lambda: None


def hoard_futures(executor: DaskExecutor) -> Callable[[], object]:
    """Nothing is given up."""
    kept: list[Any] = []
    DaskExecutor.release = lambda self, handles: kept.extend(handles)  # type: ignore[method-assign]
    return lambda: None


def hoard_bytes(executor: DaskExecutor) -> Callable[[], object]:
    kept: list[bytes] = []
    return lambda: kept.append(b"\1" * LEAK_BYTES)


def hoard_objects(executor: DaskExecutor) -> Callable[[], object]:
    kept: list[list[int]] = []
    return lambda: kept.extend([n] for n in range(LEAK_OBJECTS))


HOARDS = {f.__name__: f for f in (hoard_nothing, hoard_futures, hoard_bytes, hoard_objects)}


def samples_of(place: Path, cycles: int, every: int, hoard: str) -> list[Sample]:
    """Run, and look after every epoch; in a process of its own, for other tests leave things behind."""
    field = {"shape": [8, 16], "regions": [2, 4], "mean": 3.0}
    table = {"field": field, "run": {"cycles": cycles, "checkpoint_every": every}, "demon": {"threshold": 4}}
    found: list[Sample] = []
    with connect(Where(2, 1, dashboard=False)) as executor:
        leak = HOARDS[hoard](executor)

        def booked(store: RunStore, cycle: int) -> None:
            leak()
            found.append(look(executor))

        computer = EntropicComputer(
            Config.from_mapping(table), place, executor, (1, 4), observer=Observer(booked=booked)
        )
        for _ in computer._epochs(every):  # without the summary, which reads all books
            pass
    return found


def sampled(place: Path, epochs: int, every: int, hoard: str) -> list[Sample]:
    command = [sys.executable, __file__, str(place), str(epochs * every), str(every), hoard]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [Sample(**row) for row in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.timeout(3000)
def test_nothing_grows(full: bool, tmp_path: Path) -> None:
    every = -(-(ALL_CYCLES if full else CYCLES) // EPOCHS)
    samples = sampled(tmp_path / "run", EPOCHS, every, "hoard_nothing")
    assert len(samples) == EPOCHS
    assert not grown(samples), samples[:: len(samples) // 10]


@pytest.mark.parametrize(
    ("hoard", "finds"),
    [("hoard_futures", {"tasks", "futures"}), ("hoard_bytes", {"bytes"}), ("hoard_objects", {"objects"})],
)
def test_what_grows_is_found(hoard: str, finds: set[str], full: bool, tmp_path: Path) -> None:
    if not full and "futures" not in finds:
        pytest.skip("the sample has the other")
    assert grown(sampled(tmp_path / "run", FEW_EPOCHS, CYCLES // EPOCHS, hoard)).keys() >= finds


if __name__ == "__main__":
    target, cycles, every, hoard = sys.argv[1:]
    print(json.dumps([asdict(sample) for sample in samples_of(Path(target), int(cycles), int(every), hoard)]))
