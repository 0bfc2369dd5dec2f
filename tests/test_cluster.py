"""On clusters: the same digests, errors in time, and a scheduler that forgets."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
import zarr
from distributed import Client, LocalCluster
from distributed.security import Security

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine import cluster as engine_cluster
from entropic.engine import cluster_client
from entropic.engine.checkpoint import Generation
from entropic.engine.cluster import DaskExecutor, Executor, SerialExecutor, Where, connect
from entropic.engine.state import BlockState
from entropic.errors import ClusterError, StoreError
from entropic.observer import Observer
from entropic.reading import reading
from entropic.reversal import reverse
from entropic.store import RunStore
from test_scheduler_dies import cluster
from waiting import until

CHUNKS = (1, 2)  # 4 × 2 blocks, seams along both axes


def configure(**run: Any) -> Config:
    return Config.from_mapping(
        {
            "field": {"shape": [12, 12], "regions": [4, 4], "mean": 3.0, "edges": "periodic", "seed": 17},
            "run": {"cycles": 12, "checkpoint_every": 5, **run},
            "demon": {"threshold": 3, "erase": False},
        }
    )


def digests(executor: Executor, out: Path, config: Config | None = None) -> dict[str, str]:
    computer = EntropicComputer(config or configure(), out, executor, CHUNKS)
    summary = computer.run()
    computer.store.unlock()
    assert all(law["holds"] for law in summary["laws"])
    performance = summary["performance"]
    assert performance["workers"] == executor.workers and performance["threads"] == executor.threads
    assert performance["blocks"] == 8 and performance["tasks"] > 100 and performance["peak_bytes"] > 0
    return dict(summary["digest"])


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return digests(SerialExecutor(), tmp_path_factory.mktemp("serial") / "run")


@contextmanager
def seven() -> Iterator[DaskExecutor]:
    with (
        LocalCluster(
            processes=False, n_workers=7, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as local,
        Client(local) as client,
    ):
        yield DaskExecutor(client)


def test_threads_in_this_process(expected: dict[str, str], tmp_path: Path) -> None:
    with connect(Where(workers=1, threads=2, dashboard=False)) as executor:
        assert (executor.workers, executor.threads) == (1, 2)
        assert digests(executor, tmp_path / "run") == expected
        assert reverse(tmp_path / "run", executor, (2, 4), epoch=5).restored


def test_two_processes(expected: dict[str, str], tmp_path: Path) -> None:
    with connect(Where(workers=2, threads=1, dashboard=False)) as executor:
        assert (executor.workers, executor.threads) == (2, 1)
        assert digests(executor, tmp_path / "run") == expected
        addresses = executor.client.scheduler_info(n_workers=-1)["workers"]
        assert all(address.startswith("tls://") for address in addresses)


@pytest.mark.parametrize("dashboard", [True, False])
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_listens_beyond_this_machine(workers: int, dashboard: bool) -> None:
    """Whoever connects to a scheduler or worker runs code: every socket is on the loopback interface."""
    before = set(psutil.Process().net_connections())
    with connect(Where(workers, threads=1, dashboard=dashboard)) as executor:
        here = psutil.Process()
        found = {c for process in (here, *here.children(recursive=True)) for c in process.net_connections()} - before
        listening = {c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        assert bool(executor.address) is dashboard
        assert not dashboard or str(executor.address).startswith("http://127.0.0.1:")


def test_seven_workers(expected: dict[str, str], tmp_path: Path) -> None:
    with seven() as executor:
        assert executor.workers == 7
        assert digests(executor, tmp_path / "run") == expected


def test_resume_elsewhere(expected: dict[str, str], tmp_path: Path) -> None:
    """Begun here, gone on with on seven workers and another cut."""
    computer = EntropicComputer(configure(), tmp_path / "run", chunks=CHUNKS)
    cycles = iter(computer)
    for _ in range(7):
        next(cycles)
    computer.store.unlock()
    with seven() as executor:
        computer = EntropicComputer.resume(tmp_path / "run", executor, (3, 1))
        assert computer.cycle == 7
        assert computer.run()["digest"] == expected
        computer.store.unlock()
        assert reverse(tmp_path / "run", executor, (2, 3), epoch=4).restored


def tls_files(directory: Path) -> Security:
    """A certificate of our own, as files, as a site's administrator would hand them out."""
    made = Security.temporary()
    directory.mkdir()
    (directory / "cert.pem").write_text(str(made.tls_client_cert))
    (directory / "key.pem").write_text(str(made.tls_client_key))
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    return Security(
        require_encryption=True,
        tls_ca_file=cert,
        tls_client_cert=cert,
        tls_client_key=key,
        tls_scheduler_cert=cert,
        tls_scheduler_key=key,
        tls_worker_cert=cert,
        tls_worker_key=key,
    )


def test_a_tls_cluster_by_scheduler_file(
    expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials come from Dask's own configuration; without them the door stays shut."""
    security = tls_files(tmp_path / "tls")
    file = tmp_path / "scheduler.json"
    tls = {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": security.tls_ca_file,
        "distributed.comm.tls.client.cert": security.tls_client_cert,
        "distributed.comm.tls.client.key": security.tls_client_key,
    }
    with (
        LocalCluster(
            processes=False,
            protocol="tls",
            host="127.0.0.1",
            n_workers=2,
            threads_per_worker=1,
            security=security,
            dashboard_address=None,
            memory_limit=0,
        ) as local,
        Client(local, security=security) as client,
    ):
        assert client.scheduler is not None and client.scheduler.address.startswith("tls://")
        client.write_scheduler_file(str(file))
        with (
            dask.config.set(tls),
            connect(Where(workers=0, threads=0, scheduler=str(file))) as executor,
        ):
            assert executor.workers == 2
            assert digests(executor, tmp_path / "run") == expected
        monkeypatch.setattr(cluster_client, "_CONNECT_SECONDS", 1.0)
        foreign = tls_files(tmp_path / "foreign")
        strange = {**tls, "distributed.comm.tls.client.cert": foreign.tls_client_cert}
        strange |= {"distributed.comm.tls.client.key": foreign.tls_client_key}
        for credentials in ({}, strange, {**strange, "distributed.comm.tls.ca-file": foreign.tls_ca_file}):
            with (
                dask.config.set(credentials),
                pytest.raises(ClusterError),
                connect(Where(workers=0, threads=0, scheduler=str(file))),
            ):
                pass


def dead_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_no_scheduler_file(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ClusterError) as caught, connect(Where(1, 1, scheduler=str(tmp_path / "nowhere.json"))):
        pass
    assert time.monotonic() - started < 1
    assert caught.value.exit_code == 4
    assert "nowhere.json" in caught.value.message and caught.value.remedy


@pytest.mark.parametrize("by_file", [False, True])
def test_no_scheduler_there(by_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster_client._CONNECT_SECONDS <= 20
    monkeypatch.setattr(cluster_client, "_CONNECT_SECONDS", 1.0)
    place = dead_address()
    if by_file:
        (tmp_path / "scheduler.json").write_text(f'{{"type": "Scheduler", "address": "{place}", "workers": {{}}}}')
        place = str(tmp_path / "scheduler.json")
    started = time.monotonic()
    with pytest.raises(ClusterError) as caught, connect(Where(1, 1, scheduler=place)):
        pass
    assert time.monotonic() - started < 5
    assert caught.value.exit_code == 4
    assert place in caught.value.message


def test_a_spoilt_scheduler_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_client, "_CONNECT_SECONDS", 1.0)
    (tmp_path / "scheduler.json").write_text("{")
    with pytest.raises(ClusterError), connect(Where(1, 1, scheduler=str(tmp_path / "scheduler.json"))):
        pass


def cannot_read(place: Path) -> None:
    """A typed error whose cause does not pickle: zarr's own, about a directory that is no group."""
    with reading(place):
        zarr.open_group(place, mode="r")


def test_typed_errors_travel_whatever_caused_them(tmp_path: Path) -> None:
    with connect(Where(workers=1, threads=1, dashboard=False)) as executor, pytest.raises(StoreError) as caught:
        executor.gather([executor.submit("cannot-read", 0, cannot_read, tmp_path)])
    assert f"{tmp_path} cannot be read" in caught.value.message and caught.value.remedy


def _pid_in_a_second() -> int:
    time.sleep(1)
    return os.getpid()


def test_a_result_that_went_with_its_worker_is_computed_again() -> None:
    """While it is, distributed calls it lost: no failure, as it was once taken for."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as served, Client(served) as client:
        executor = DaskExecutor(client)
        handle = executor.submit("pid-0", 0, _pid_in_a_second)
        (first,) = executor.gather([handle])
        os.kill(first, signal.SIGKILL)
        end = time.monotonic() + 30
        while handle.status != "lost":
            assert time.monotonic() < end
            time.sleep(0.01)
        executor.finish([handle], lambda: None)
        (second,) = executor.gather([handle])
        assert second != first


def test_tasks_whose_worker_went_go_to_whoever_comes() -> None:
    """When a worker goes and leaves no other, those that are ready wait for it alone, as distributed has it."""
    options = {"dashboard_address": None, "memory_limit": 0, "threads_per_worker": 1}
    with LocalCluster(processes=False, n_workers=1, **options) as local, Client(local) as client:
        executor = DaskExecutor(client)
        executor.hold(1)
        local.scale(0)
        until(lambda: not executor._info(), 30)
        handle = executor.submit("pid-1", 0, os.getpid)
        until(lambda: client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.unrunnable)) == 1, 30)
        local.scale(1)
        assert executor.gather([handle]) == [os.getpid()]


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are waited for, since a scheduler that has just started has none yet; but not for ever."""
    monkeypatch.setattr(engine_cluster, "START_SECONDS", 1.0)
    options = {"dashboard_address": None, "memory_limit": 0}
    with LocalCluster(processes=False, n_workers=0, **options) as local:
        place = Where(workers=0, threads=0, scheduler=local.scheduler_address)
        with pytest.raises(ClusterError, match="no workers") as caught, connect(place):
            pass
        assert caught.value.exit_code == 4 and "dask worker" in caught.value.remedy
        monkeypatch.setattr(engine_cluster, "START_SECONDS", 60.0)
        late = threading.Timer(0.5, local.scale, (1,))
        late.start()
        with connect(place) as executor:
            assert executor.workers == 1
        late.join()


def samples(directory: Path, cycles: int, every: int, patience: float) -> tuple[list[int], list[int], int]:
    """Tasks that a scheduler in a process of its own knows, and its bytes, after each epoch; and tasks in all.

    Releases travel in batches, and late on a busy machine: ``patience`` seconds are left to them.
    """
    known: list[int] = []
    used: list[int] = []
    with (
        cluster(directory, 1) as (file, processes),
        connect(Where(workers=0, threads=0, scheduler=str(file))) as executor,
    ):
        scheduler = psutil.Process(processes[0].pid)

        def count() -> int:
            return int(executor.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

        def sample(store: RunStore, cycle: int) -> None:
            known.append(count())
            until = time.monotonic() + patience
            while not forgets(known) and time.monotonic() < until:
                time.sleep(0.05)
                known[-1] = count()
            used.append(scheduler.memory_info().rss)

        config = configure(cycles=cycles, checkpoint_every=every)
        computer = EntropicComputer(config, directory / "run", executor, CHUNKS, observer=Observer(booked=sample))
        computer.run()
        computer.store.unlock()
    return known, used, computer.tasks


def forgets(known: list[int]) -> bool:
    """At no time more than the tasks of two epochs, and some."""
    return max(known) <= 2.5 * known[0]


def test_the_scheduler_forgets(tmp_path: Path) -> None:
    """However long the run, the scheduler's tasks stay those of an epoch or two, and its memory settles.

    A task costs it 6 kB for as long as it is known.  Logs of bounded length fill up, more slowly all the time.
    """
    known, used, tasks = samples(tmp_path, 300, 20, patience=15)
    assert len(known) == 15 and tasks > 5_000, tasks
    assert known[0] < 1.5 * tasks / len(known)
    assert forgets(known), known
    assert used[-1] - used[6] <= 2500 * tasks * 8 / 15, used


def test_a_scheduler_that_does_not_forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the cut of the lineage at checkpoints it knows every task that there ever was."""

    def keep(computer: EntropicComputer, generation: Generation) -> None:
        computer._drive.states = computer._drive.each("flushed", BlockState.flushed)

    monkeypatch.setattr(EntropicComputer, "_load", keep)
    known, _, _ = samples(tmp_path, 100, 20, patience=0)
    assert not forgets(known)
    assert known == sorted(known) and known[-1] > 4 * known[0]
