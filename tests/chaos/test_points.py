"""Faults at chosen points: while a worker starts, in the opening, amid a file of a checkpoint, in the last cycle."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from chaos.clusters import Cluster, cluster
from chaos.points import Point, Points
from chaos.recording import SAME, Recorder
from chaos.runs import END_SECONDS, Run, configuration, note, require_gone, running, signals, workers_of
from entropic.engine.checkpoint import generations, verify
from waiting import until

CYCLES = 120
LOCAL = ("--workers", "3", "--threads", "1", "--chunks", "2,2")
WHERE = {
    "drawing": 0,
    "opening": 0,
    "step": 5,
    "write": 10,
    "face": 15,
    "amid a file": 20,
    "load": 30,
    "books": 40,
    "written": 50,
    "tape": 60,
    "tape written": 80,
    "write ": CYCLES,
    "written ": CYCLES,
}
IN_THE_SAMPLE = {"opening", "step", "amid a file", "load", "tape written", "written "}
BAD = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)


@pytest.mark.parametrize("how", BAD, ids=lambda how: how.name)
def test_a_worker_dies_at_a_chosen_point(how: signal.Signals, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """One after another in one run; a worker is replaced each time."""
    if how != signal.SIGKILL and not full:
        pytest.skip("the sample has SIGKILL")
    points = Points(tmp_path / "points")
    where = {name: cycle for name, cycle in WHERE.items() if full or name in IN_THE_SAMPLE}
    more = points.arm([Point(name.strip(), how, cycle) for name, cycle in where.items()])
    with running(tmp_path, configuration(CYCLES)) as run:
        process = run.run(*LOCAL, more=more)
        run.struck = run.began
        outcome = run.end(process)
        reached = points.reached()
        assert len(reached) == len(where), [name for n, name in enumerate(where) if n not in reached]
        assert all(verify(path) for path in generations(run.path / "checkpoints"))
        for name, cycle in where.items():
            last = ", last checkpoint" if cycle == CYCLES else ""
            note(injected, run, f"a worker at '{name.strip()}'{last}: {how.name}", outcome, 1)


def test_a_worker_dies_while_it_starts(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """One that replaces another: the run goes on with those that are left."""
    if not full:
        pytest.skip("takes half a minute")
    points = Points(tmp_path / "points")
    more = points.arm([])
    with running(tmp_path, configuration(CYCLES)) as run:
        process = run.run(*LOCAL, more=more)
        assert run.await_cycle(20, process)
        points.arm([Point("start"), Point("start", signal.SIGSEGV)])
        run.strike(lambda: signals(workers_of(process.pid)[:2], signal.SIGKILL), 2)
        until(lambda: len(points.reached()) == 2 or process.poll() is not None, 60)
        assert len(points.reached()) == 2, run.words()
        outcome = run.end(process)
        note(injected, run, "a worker, and its successor while it starts: SIGKILL, SIGSEGV", outcome, 4)


def test_a_worker_dies_while_the_cluster_starts(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Nothing has begun: a typed error, nothing is left, and the same command works."""
    if not full:
        pytest.skip("the sample has others")
    points = Points(tmp_path / "points")
    more = points.arm([Point("start")])
    with running(tmp_path, configuration(30)) as run:
        process = run.run(*LOCAL, more=more)
        run.struck = run.began
        code = process.wait(END_SECONDS)
        if code == 0:
            run.require_digest(process)
            outcome = SAME
        else:
            run.require_typed(process)
            assert not run.path.exists()
            again = run.run(*LOCAL)
            assert again.wait(END_SECONDS) == 0, run.words()
            run.require_digest(again)
            outcome = "typed error within 60 s, nothing begun"
        assert len(points.reached()) == 1
        note(injected, run, "a worker while the cluster starts: SIGKILL", outcome, 1)


@contextmanager
def zombies(run: Run, points: list[Point], workers: int) -> Iterator[tuple[Cluster, Points]]:
    """A run on workers without guards, some of which stop themselves at chosen points."""
    plan = Points(run.place / "points")
    with cluster(run.place / "cluster", workers, plan.arm(points)) as (made, _):
        yield made, plan


SLEEP = {
    "a checkpoint's file": [Point("amid a file", signal.SIGSTOP, 30), Point("written", signal.SIGSTOP, 30)],
    "the tape": [Point("tape", signal.SIGSTOP, 30), Point("tape written", signal.SIGSTOP, 30)],
    "a step": [Point("step", signal.SIGSTOP, 35), Point("face", signal.SIGSTOP, 35)],
    "the books": [Point("books", signal.SIGSTOP, 40), Point("write", signal.SIGSTOP, 40)],
}


@pytest.mark.parametrize("where", SLEEP)
def test_zombies(where: str, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Stopped at a chosen point, taken for dead, replaced, woken in mid-run: what they still write harms nothing."""
    if not full:
        pytest.skip("takes a minute")
    points = SLEEP[where]
    with (
        running(tmp_path, configuration(400)) as run,
        zombies(run, points, len(points) + 1) as (made, plan),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2,2")
        run.strike(lambda: until(lambda: plan.reached() or process.poll() is not None, 60), len(points))
        assert run.await_cycle(60, process), run.words()
        assert len(plan.reached()) == len(points)
        asleep = [psutil.Process(pid) for pid in plan.reached().values()]
        assert all(one.status() == psutil.STATUS_STOPPED for one in asleep)
        assert signals(asleep, signal.SIGCONT) == len(points)
        outcome = run.end(process)
        require_gone(asleep)
        assert outcome == SAME
        assert all(verify(path) for path in generations(run.path / "checkpoints"))
        note(injected, run, f"a worker stopped amid {where} until it is taken for dead, then woken", outcome)
