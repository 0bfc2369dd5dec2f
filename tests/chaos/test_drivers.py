"""Drivers and schedulers that die: what is left behind ends by itself, and a resume on any layout reaches the digest."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from chaos.clusters import cluster
from chaos.points import Point, Points
from chaos.recording import Recorder
from chaos.runs import END_SECONDS, POINTS, RESUMED, Run, configuration, moments, note, require_gone, running
from waiting import until

CYCLES = 120
LAYOUTS = (
    ("--workers", "2", "--threads", "1", "--chunks", "2,2"),
    ("--workers", "1", "--threads", "2", "--chunks", "4,1"),
    ("--workers", "1", "--threads", "1", "--chunks", "1,2"),
)
OPENING = [Point("driver starts"), Point("opening to write"), Point("checkpoint begins"), Point("blocks written")]
CHAIN = [
    Point("books to append", cycle=10),
    Point("books appended", signal.SIGSEGV, cycle=20),
    Point("series appended", cycle=30),
    Point("checkpoint begins", signal.SIGABRT, cycle=50),
    Point("blocks written", cycle=60),
    Point("committed", cycle=70),
    Point("put back", cycle=70),
    Point("pruned", cycle=90),
    Point("blocks written", cycle=CYCLES),
    Point("committed", signal.SIGSEGV, cycle=CYCLES),
    Point("summary", cycle=1),
]
RESUMED_AFTER_A_DEATH = "that digest by resume"
IN_THE_SAMPLE = {"books appended", "committed", "put back"}


def killed(run: Run, process: subprocess.Popen[str], number: signal.Signals | None = None) -> None:
    """The driver dies, by this signal or by one that it sends itself; its workers end by themselves."""
    left = psutil.Process(process.pid).children(recursive=True) if number is not None else []
    if number is not None:
        process.send_signal(number)
    assert process.wait(END_SECONDS) < 0, (process.returncode, run.words())
    run.struck = time.monotonic()
    run.faults += 1
    require_gone(left)


def test_a_driver_dies_at_chosen_points(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Each resume, on another layout than what was before it, dies at the next."""
    chain = [point for point in CHAIN if full or point.name in IN_THE_SAMPLE]
    with running(tmp_path, configuration(CYCLES)) as run:
        for number, point in enumerate(chain):
            points = Points(tmp_path / f"points-{number}")
            how = {"program": POINTS, "more": points.arm([point])}
            layout = LAYOUTS[number % len(LAYOUTS)]
            killed(run, run.resume(*layout, **how) if number else run.run(*layout, **how))
            assert len(points.reached()) == 1, point
        run.finish()
        for point in chain:
            last = ", last cycle" if point.cycle in (1, CYCLES) else ""
            name = signal.Signals(point.signal).name
            note(injected, run, f"driver at '{point.name}'{last}: {name}", RESUMED_AFTER_A_DEATH, 1)


def test_a_driver_dies_before_the_first_checkpoint(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """There is nothing to go on from: that is said, and a run beside it works."""
    if not full:
        pytest.skip("the sample has later points")
    for number, point in enumerate(OPENING):
        with running(tmp_path / str(number), configuration(20)) as run:
            points = Points(run.place / "points")
            killed(run, run.run(*LAYOUTS[number % 3], program=POINTS, more=points.arm([point])))
            again = run.resume(*LAYOUTS[1])
            assert again.wait(END_SECONDS) in (2, 5), run.words()
            said = [line for line in run.said(1).read_text().splitlines() if line.startswith("entropic:")]
            assert len(said) == 1 and " Remedy: " in said[0], run.words()
            (run.path).rename(run.place / "half") if run.path.exists() else None
            once_more = run.run(*LAYOUTS[1])
            assert once_more.wait(END_SECONDS) == 0, run.words()
            run.require_digest(once_more)
            note(injected, run, f"driver at '{point.name}', before the first checkpoint: SIGKILL", "said; run again")


@pytest.mark.parametrize("seed", range(3))
def test_a_driver_dies_at_drawn_moments(seed: int, full: bool, tmp_path: Path, injected: Recorder) -> None:
    if not full:
        pytest.skip("the sample has chosen points")
    rng = np.random.default_rng([6, seed])
    with running(tmp_path, configuration(CYCLES)) as run:
        process = run.run(*LAYOUTS[0])
        for number, moment in enumerate(moments(rng, 6, CYCLES)):
            if not run.await_cycle(moment // 10 * 10, process):
                break
            time.sleep(float(rng.uniform(0, 0.3)))
            if process.poll() is None:
                killed(run, process, rng.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT]))
            process = run.resume(*LAYOUTS[number % 3])
        assert run.end(process)
        assert run.faults >= 4
        note(injected, run, "driver: SIGKILL, segmentation fault, SIGABRT", RESUMED_AFTER_A_DEATH)


def test_a_driver_dies_and_its_cluster_serves_the_next(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Scheduler and workers stay, with tasks of the dead driver; a resume there begins at once."""
    if not full:
        pytest.skip("takes half a minute")
    with (
        running(tmp_path, configuration(CYCLES)) as run,
        cluster(tmp_path / "cluster", 2) as (made, _),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2,2")
        for number in range(3):
            assert run.await_cycle(20 + 30 * number, process), run.words()
            killed(run, process, signal.SIGKILL)
            process = run.resume("--scheduler", made.file, "--chunks", ("1,4", "2,4", "4,1")[number])
        assert process.wait(END_SECONDS) == 0, run.words()
        run.require_digest(process)
        note(injected, run, "driver, its scheduler and workers stay: SIGKILL", RESUMED_AFTER_A_DEATH)


WHEN = {
    "while workers start": None,
    "in the opening": Point("opening", signal.SIGSTOP),
    "while blocks are drawn": Point("drawing", signal.SIGSTOP),
    "in mid-run": Point("step", signal.SIGSTOP, 35),
    "while a checkpoint is written": Point("amid a file", signal.SIGSTOP, 30),
    "in the last checkpoint": Point("amid a file", signal.SIGSTOP, CYCLES),
}
FOR_LONG = ("while workers start", "while a checkpoint is written")
HOW = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGSTOP)


@pytest.mark.parametrize("how", HOW, ids=lambda how: how.name)
@pytest.mark.parametrize("when", WHEN)
def test_a_scheduler_dies(when: str, how: signal.Signals, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A worker pauses at the chosen point, the scheduler goes, the worker goes on: it and the others end by themselves."""
    sample = (when, how) == ("while a checkpoint is written", signal.SIGKILL)
    in_full = how == signal.SIGKILL or when == "in mid-run" or (how == signal.SIGSTOP and when in FOR_LONG)
    if not (in_full if full else sample):
        pytest.skip("not in the sample" if not full else "one moment is enough for this signal")
    points, point = Points(tmp_path / "points"), WHEN[when]
    with (
        running(tmp_path, configuration(CYCLES)) as run,
        cluster(tmp_path / "cluster", 2 if point else 0, points.arm([point] if point else [])) as (made, workers),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2,2")
        if point:
            until(lambda: points.reached() or process.poll() is not None, 90)
            assert points.reached(), run.words()
        else:
            time.sleep(2)
        run.strike(lambda: made.scheduler.send_signal(how))
        for pid in points.reached().values():
            psutil.Process(pid).send_signal(signal.SIGCONT)
        process.wait(END_SECONDS)
        took = time.monotonic() - run.struck
        run.require_typed(process)
        assert took < 60, took
        if how == signal.SIGSTOP:
            made.scheduler.kill()
            made.scheduler.wait(30)
        require_gone(workers)
        outcome = RESUMED if run.cycle() >= 0 else "typed error within 60 s, nothing begun"
        if run.cycle() >= 0:
            run.finish()
        note(injected, run, f"scheduler {when}: {how.name}", outcome)
