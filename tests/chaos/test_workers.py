"""Workers that die, break, are stopped and wake, in runs that go on: the digest stays that of an undisturbed run."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from chaos.recording import Recorder
from chaos.runs import Run, configuration, moments, note, running, signals, workers_of

Fault = Callable[[list[psutil.Process], np.random.Generator], int]
WORKERS = 3
LOCAL = ("--workers", str(WORKERS), "--threads", "1", "--chunks", "2,2")


def one(number: signal.Signals) -> Fault:
    return lambda there, rng: signals([there[rng.integers(len(there))]], number)


def several(there: list[psutil.Process], rng: np.random.Generator) -> int:
    """All but one."""
    spared = rng.integers(len(there))
    return signals([process for n, process in enumerate(there) if n != spared], signal.SIGKILL)


def everyone(there: list[psutil.Process], rng: np.random.Generator) -> int:
    return signals(there, signal.SIGKILL)


def nap(there: list[psutil.Process], rng: np.random.Generator) -> int:
    """Stopped, and woken before anyone takes it for dead."""
    chosen = [there[rng.integers(len(there))]]
    count = signals(chosen, signal.SIGSTOP)
    time.sleep(float(rng.uniform(0.5, 4)))
    signals(chosen, signal.SIGCONT)
    return count


FAULTS: dict[str, Fault] = {
    "a worker: SIGKILL": one(signal.SIGKILL),
    "a worker: segmentation fault": one(signal.SIGSEGV),
    "a worker: SIGABRT": one(signal.SIGABRT),
    "all workers but one at once: SIGKILL": several,
    "all workers at once: SIGKILL": everyone,
    "a worker: SIGSTOP, SIGCONT within 4 s": nap,
}


def suffer(run: Run, seed: int, count: int, kinds: list[str]) -> tuple[str, Counter[str]]:
    """Strike at drawn moments; returns the outcome, and how often what was injected."""
    rng = np.random.default_rng([5, seed])
    process, done = run.run(*LOCAL), Counter[str]()
    for moment in moments(rng, count, run.config.run.cycles):
        if not run.await_cycle(moment // 10 * 10, process):
            break
        time.sleep(float(rng.uniform(0, 0.3)))
        kind = str(rng.choice(kinds))
        there = workers_of(process.pid)
        if there:
            run.strike(lambda kind=kind, there=there: done.update({kind: FAULTS[kind](there, rng)}))
    return run.end(process), done


@pytest.mark.parametrize("seed", range(12))
def test_at_drawn_moments(seed: int, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Nannies start new workers; blocks move, and lost ones are computed again."""
    if seed and not full:
        pytest.skip("the sample has one of these")
    with running(tmp_path, configuration(cycles=200)) as run:
        outcome, done = suffer(run, seed, 8, list(FAULTS))
        for kind, count in done.items():
            note(injected, run, kind, outcome, count)
