"""On clusters: the same digests, errors in time, and a scheduler that forgets."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from entropic.computer import EntropicComputer, Observer
from entropic.config import Config
from entropic.engine import cluster as engine_cluster
from entropic.engine.cluster import DaskExecutor, Executor, SerialExecutor, Where, connect
from entropic.errors import ClusterError
from entropic.reversal import reverse
from entropic.store import RunStore

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
        monkeypatch.setattr(engine_cluster, "_CONNECT_SECONDS", 1.0)
        with pytest.raises(ClusterError), connect(Where(workers=0, threads=0, scheduler=str(file))):
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
    assert engine_cluster._CONNECT_SECONDS <= 20
    monkeypatch.setattr(engine_cluster, "_CONNECT_SECONDS", 1.0)
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
    monkeypatch.setattr(engine_cluster, "_CONNECT_SECONDS", 1.0)
    (tmp_path / "scheduler.json").write_text("{")
    with pytest.raises(ClusterError), connect(Where(1, 1, scheduler=str(tmp_path / "scheduler.json"))):
        pass


def test_a_cluster_without_workers() -> None:
    with (
        LocalCluster(processes=False, n_workers=0, dashboard_address=None, memory_limit=0) as local,
        Client(local) as client,
        pytest.raises(ClusterError),
    ):
        DaskExecutor(client)


def test_the_scheduler_forgets(tmp_path: Path) -> None:
    """However long the run, what the scheduler knows is at most two epochs' tasks, and settles to a handful."""
    cycles, every, chunks = 300, 20, (4, 2)
    config = configure(cycles=cycles, checkpoint_every=every)
    raw: list[int] = []
    settled: list[int] = []
    with connect(Where(workers=1, threads=2, dashboard=False)) as executor:

        def known() -> int:
            return int(executor.client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

        def sample(store: RunStore, cycle: int) -> None:
            raw.append(known())
            gc.collect()  # futures in reference cycles
            least, until = raw[-1], time.monotonic() + 2
            while least > 20 and time.monotonic() < until:  # releases travel in batches
                time.sleep(0.01)
                least = min(least, known())
            settled.append(least)

        computer = EntropicComputer(config, tmp_path / "run", executor, chunks, observer=Observer(booked=sample))
        computer.run()
        computer.store.unlock()
        tasks = computer.tasks
    assert len(raw) == cycles // every
    half = len(settled) // 2
    assert max(settled[half:]) <= max(settled[:half]) + 8, settled
    assert max(raw) <= 2.5 * tasks / len(raw), raw
    print(raw, settled, tasks)
