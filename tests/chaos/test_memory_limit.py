"""Workers that get no more memory, by limits that the kernel keeps, in mid-run."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from chaos.clusters import cluster
from chaos.recording import Recorder
from chaos.runs import configuration, note, running
from waiting import until

LARGE = {"field": {"shape": [64, 64, 512], "regions": [4, 4, 1], "mean": 3.0, "edges": "periodic", "seed": 5}}
GROUPS = Path("/sys/fs/cgroup/memory")


@pytest.mark.parametrize("who", ["one", "all"])
def test_no_more_address_space(who: str, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """RLIMIT_AS: whatever asks for memory fails, in tasks and in Dask itself."""
    if not full:
        pytest.skip("takes a minute")
    with (
        running(tmp_path, configuration(150, **LARGE)) as run,
        cluster(tmp_path / "cluster", 2) as (made, workers),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2,2,1")
        assert run.await_cycle(20, process), run.words()
        chosen = workers if who == "all" else workers[:1]

        def limit() -> None:
            for worker in chosen:
                held = worker.memory_info().vms
                worker.rlimit(resource.RLIMIT_AS, (held, held))

        run.strike(limit, len(chosen))
        note(injected, run, f"{who} of two workers at its limit of address space (RLIMIT_AS)", run.end(process))


@contextmanager
def group(bytes_most: int) -> Iterator[Path]:
    """A group of processes that may not hold more memory together."""
    place = GROUPS / f"entropic-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"NOTHING RAN OUT OF MEMORY: no memory control group (version 1) here ({error})")
    try:
        (place / "memory.limit_in_bytes").write_text(str(bytes_most))
        yield place
    finally:
        for pid in (place / "cgroup.procs").read_text().split():
            psutil.Process(int(pid)).kill()
        until(lambda: not (place / "cgroup.procs").read_text().strip(), 30)
        place.rmdir()


@pytest.mark.parametrize("who", ["one", "all"])
def test_out_of_memory(who: str, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A control group at its limit: the kernel kills."""
    if who == "all" and not full:
        pytest.skip("the sample has one of these")
    with (
        running(tmp_path, configuration(150, **LARGE)) as run,
        group(1 << 20) as place,
        cluster(tmp_path / "cluster", 2) as (made, workers),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2,2,1")
        assert run.await_cycle(20, process), run.words()
        chosen = workers if who == "all" else workers[:1]

        def join() -> None:
            for worker in chosen:  # what it holds already is not counted, whatever more it asks for is
                (place / "cgroup.procs").write_text(str(worker.pid))

        run.strike(join, len(chosen))
        outcome = run.end(process)
        killed = sum(not w.is_running() or w.status() == psutil.STATUS_ZOMBIE for w in chosen)
        assert killed == len(chosen), "the kernel killed nobody"
        note(injected, run, f"{who} of two workers out of memory (control group): killed by the kernel", outcome)


def test_out_of_memory_from_the_start(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A worker that cannot even start: the run goes on with the other."""
    if not full:
        pytest.skip("the sample has the other")
    with (
        running(tmp_path, configuration(60)) as run,
        group(40 << 20) as place,
        cluster(tmp_path / "cluster", 1) as (made, _),
    ):
        join = ["sh", "-c", f'echo $$ > {place}/cgroup.procs; exec "$0" "$@"']
        process = run.run("--scheduler", made.file, "--chunks", "2,2")
        doomed = made.worker(join)
        run.strike(lambda: until(lambda: doomed.status() == psutil.STATUS_ZOMBIE, 60))
        note(injected, run, "a worker out of memory (control group) while it starts", run.end(process))
