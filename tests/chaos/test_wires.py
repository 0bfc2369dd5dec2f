"""Hosts that a wire joins, which is slow, loses frames, is cut, is whole again: two network namespaces, TLS, real frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from chaos.clusters import Cluster
from chaos.recording import SAME, Recorder
from chaos.runs import RESUMED, Run, configuration, note, running
from chaos.wire import HERE, THERE, Hosts, hosts

CYCLES = 150


@pytest.fixture
def wired() -> Iterator[Hosts]:
    try:
        made = hosts()
        with made as found:
            yield found
    except OSError as error:
        if not str(error).startswith("ip "):
            raise
        pytest.skip(f"NO NETWORK WAS CUT: no network namespaces here ({error})")


@contextmanager
def apart(
    wired: Hosts, place: Path, there: int = 2, here: int = 0, nanny: bool = False, cycles: int = CYCLES
) -> Iterator[tuple[Run, Cluster, list[psutil.Process]]]:
    """Scheduler and driver on one host, workers on the other (and some here)."""
    with running(place, configuration(cycles), wired.here) as run:
        made = Cluster(place / "cluster", wired.here, HERE, tls=True)
        try:
            far = [made.worker(wired.there, THERE, nanny) for _ in range(there)]
            for _ in range(here):
                made.worker(wired.here, HERE, nanny)
            yield run, made, far
        finally:
            wired.tell("heal")
            made.close()


def begin(run: Run, made: Cluster) -> Callable[[int], bool]:
    process = run.run("--scheduler", made.file, "--chunks", "2,2", more=made.tls())
    return lambda cycle: run.await_cycle(cycle, process)


def test_latency_and_loss(full: bool, wired: Hosts, tmp_path: Path, injected: Recorder) -> None:
    """The wire gets worse and better, in mid-run: nobody is taken for dead."""
    weather = [("latency 0.05", "slow: 50 ms"), ("loss 0.05", "loses 5 % of frames"), ("latency 0", "quick again")]
    if full:
        weather += [("loss 0.2", "loses 20 % of frames"), ("latency 0.2", "slow: 200 ms"), ("loss 0", "loses none")]
    with apart(wired, tmp_path) as (run, made, _):
        reached = begin(run, made)
        for number, (order, _) in enumerate(weather):
            assert reached(5 + 5 * number), run.words()
            run.strike(lambda order=order: wired.tell(order))
        assert reached(5 * len(weather) + 10)
        wired.tell("latency 0")
        wired.tell("loss 0")
        assert run.end(run.started[0]) == SAME
        for order, words in weather:
            if order not in ("latency 0", "loss 0"):
                note(injected, run, f"the wire between hosts: {words}", SAME, 1)


@pytest.mark.parametrize("seed", range(2))
def test_short_cuts(seed: int, full: bool, wired: Hosts, tmp_path: Path, injected: Recorder) -> None:
    """Frames vanish for some seconds, at drawn moments; connections outlive it."""
    if seed and not full:
        pytest.skip("the sample has one of these")
    rng = np.random.default_rng([7, seed])
    with apart(wired, tmp_path) as (run, made, _):
        reached = begin(run, made)
        for moment in range(10, 10 + 30 * (4 if full else 1), 30):
            assert reached(moment), run.words()
            time.sleep(float(rng.uniform(0, 0.3)))
            run.strike(lambda: wired.tell("cut"))
            time.sleep(float(rng.uniform(1, 8 if full else 3)))
            wired.tell("heal")
        assert run.end(run.started[0]) == SAME
        note(injected, run, "the wire between hosts: cut for up to 8 s", SAME)


@pytest.mark.parametrize("nanny", [False, True], ids=["no guard", "guard"])
def test_a_long_cut(nanny: bool, full: bool, wired: Hosts, tmp_path: Path, injected: Recorder) -> None:
    """Workers are given up; they come again, if a guard starts them anew, and not without."""
    if not full:
        pytest.skip("takes a minute")
    with apart(wired, tmp_path, nanny=nanny) as (run, made, _):
        reached = begin(run, made)
        assert reached(30), run.words()
        run.strike(lambda: wired.tell("cut"))
        time.sleep(25)
        wired.tell("heal")
        guard = "with guards" if nanny else "without guards"
        note(injected, run, f"the wire between hosts: cut for 25 s, workers {guard}", run.end(run.started[0]))


def test_cut_for_good(full: bool, wired: Hosts, tmp_path: Path, injected: Recorder) -> None:
    """All workers are beyond the cut: an error within a minute, a resume on this host; scheduler and workers end."""
    if not full:
        pytest.skip("takes a minute")
    with apart(wired, tmp_path) as (run, made, _):
        reached = begin(run, made)
        assert reached(30), run.words()
        run.strike(lambda: wired.tell("cut"))
        assert run.end(run.started[0]) == RESUMED
        made.scheduler.kill()
        made.scheduler.wait(30)
        made.require_end(150)
        note(injected, run, "the wire between hosts: cut for good, all workers beyond", RESUMED)


@pytest.mark.parametrize("moment", [0, 20, 70])
def test_some_are_cut_off(moment: int, full: bool, wired: Hosts, tmp_path: Path, injected: Recorder) -> None:
    """One worker is on this side, and does it all; the others wake up to a run that went on without them."""
    if not full:
        pytest.skip("takes half a minute")
    with apart(wired, tmp_path, here=1, cycles=400) as (run, made, far):
        reached = begin(run, made)
        assert reached(moment), run.words()
        run.strike(lambda: wired.tell("cut"), len(far))
        assert reached(run.cycle() + 40), run.words()
        wired.tell("heal")
        assert run.end(run.started[0]) == SAME
        note(injected, run, "the wire to some of the workers: cut until the run went on, then whole", SAME)
