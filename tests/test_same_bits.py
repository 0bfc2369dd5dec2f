"""The same bits: one digest of field and series, however the field is cut, wherever and in whatever order it runs.

`test_engine` compares cuts in one thread, book by book; here the ways to run are crossed with drawn cuts:
{in this process, threads, processes, a TLS cluster} × {1, 2, 7 workers}, any order of tasks, ten repeats.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from distributed.security import Security

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import DaskExecutor, Executor, SerialExecutor, Where, connect
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid
from test_cluster import tls_files
from test_engine import special_grids
from test_lattice import draw_grid

WORKERS = (7, 2, 1)  # a cluster starts once and shrinks
CONFIGS = {
    "periodic": Config.from_mapping(
        {
            "field": {"shape": [8, 12, 6], "regions": [2, 4, 2], "mean": 2.0, "edges": "periodic", "seed": 31},
            "run": {"cycles": 4, "checkpoint_every": 3},
            "relax": {"layers": 2},
            "demon": {"threshold": 3},
            "battery": {"initial": 0.5},
        }
    ),
    "closed": Config.from_mapping(
        {
            "field": {"shape": [9, 35], "regions": [3, 7], "initial": "hot-cold", "hot": 5.0, "cold": 1.0, "seed": 32},
            "run": {"cycles": 4, "checkpoint_every": 3, "record_every": 2},
            "relax": {"layers": 3},
            "demon": {"threshold": 3, "erase": False},
        }
    ),
}
# Pinned: a change here is a change of the physics, of the random words, or of the series.
GOLDEN = {
    "periodic": {"field": "4c02a61ed60eaaebb0a575ba2953bb82", "series": "bb90242c4a0e2b1f21779a6f820de550"},
    "closed": {"field": "b565dd6a0ea8d085062fb4d6f04b1b37", "series": "2f0f6076cab9f077045196bae03aaf86"},
}


def cuts(name: str, seed: int, number: int) -> list[BlockGrid]:
    """Different cuts of a field, drawn: even, uneven, thin."""
    lattice, rng = lattice_of(CONFIGS[name].field), np.random.default_rng([seed, len(name)])
    found: dict[Any, BlockGrid] = {}
    while len(found) < number:
        grid = draw_grid(lattice, rng)
        found.setdefault(grid.cuts, grid)
    return list(found.values())


def digests(
    name: str, grid: BlockGrid, executor: Executor, directory: Path, epoch: int | None = None
) -> dict[str, str]:
    """Field and series digest of a whole run with checkpoints; every law holds."""
    out = directory / "run"
    computer = EntropicComputer(CONFIGS[name], out, executor, grid, epoch)
    summary = computer.run()
    computer.store.unlock()
    assert all(law["holds"] for law in summary["laws"])
    shutil.rmtree(out)
    return dict(summary["digest"])


def agree(name: str, grids: Sequence[BlockGrid], executor: Executor, directory: Path) -> None:
    for grid in grids:
        assert digests(name, grid, executor, directory) == GOLDEN[name], (executor.workers, grid.cuts)


# --- in one thread ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "number"), [("periodic", 30), ("closed", 6)])
def test_drawn_cuts_and_golden_digests(name: str, number: int, tmp_path: Path) -> None:
    """The whole field, every region a block, slabs, and drawn cuts."""
    grids = [*special_grids(lattice_of(CONFIGS[name].field)), *cuts(name, 1, number)]
    sizes = [{n for cut in grid.cuts for n in np.diff(cut)} for grid in grids]
    assert sum(len(size - {1}) > 1 for size in sizes) > 5  # uneven ones are among them
    agree(name, grids, SerialExecutor(), tmp_path)


class _Late:
    """A task that waits for its turn."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.done, self.result = False, None

    def ready(self) -> bool:
        return all(a.done for a in self.arguments if isinstance(a, _Late))

    def run(self) -> None:
        self.result = self.function(*(a.result if isinstance(a, _Late) else a for a in self.arguments))
        self.done = True


class AnyOrder:
    """Runs tasks as late as it may, in a drawn order that respects nothing but what each waits for."""

    workers = 1
    threads = 1
    address: str | None = None

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.waiting: list[_Late] = []
        self.order: list[int] = []

    def submit(self, key: str, block: int, function: Callable[..., Any], *arguments: Any) -> _Late:
        task = _Late(function, arguments)
        self.waiting.append(task)
        return task

    def gather(self, handles: Sequence[_Late]) -> list[Any]:
        self.finish(handles, lambda: None)
        return [handle.result for handle in handles]

    def finish(self, handles: Sequence[_Late], poll: Callable[[], None]) -> None:
        while not all(handle.done for handle in handles):
            ready = [i for i, task in enumerate(self.waiting) if task.ready()]
            chosen = int(self.rng.choice(ready))
            self.order.append(chosen)
            self.waiting.pop(chosen).run()
        poll()

    def release(self, handles: Sequence[Any]) -> None:
        pass

    def peak_bytes(self) -> int:
        return 0


@pytest.mark.parametrize("name", CONFIGS)
def test_any_order_of_tasks(name: str, tmp_path: Path) -> None:
    orders = set()
    for seed, grid in enumerate(cuts(name, 2, 10)):
        executor = AnyOrder(seed)
        agree(name, [grid], executor, tmp_path)
        orders.add(tuple(executor.order))
        assert any(executor.order) or len(grid.blocks) == 1  # with several blocks, the first is not always next
    assert len(orders) > 5


# --- clusters ---------------------------------------------------------------------------------------------------


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the cluster did not come to the size asked for"
        time.sleep(0.05)


def shrink(client: Client, workers: int) -> DaskExecutor:
    """An executor on so many of the cluster's workers; the others are retired."""
    there = sorted(client.scheduler_info(n_workers=-1)["workers"])
    if len(there) > workers:
        client.retire_workers(there[workers:], close_workers=True, remove=True)
    until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == workers)
    executor = DaskExecutor(client)
    assert executor.workers == workers
    return executor


@contextmanager
def seven_threads() -> Iterator[Client]:
    """Seven workers of one thread each in this process."""
    with (
        LocalCluster(
            processes=False, n_workers=7, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as made,
        Client(made, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def threads() -> Iterator[Client]:
    with seven_threads() as client:
        yield client


def test_in_this_process(tmp_path: Path) -> None:
    """As `--workers 1 --threads N` runs."""
    for number, count in enumerate(WORKERS):
        with connect(Where(workers=1, threads=count, dashboard=False)) as executor:
            assert (executor.workers, executor.threads) == (1, count)
            for name in CONFIGS:
                agree(name, cuts(name, 3 + number, 1), executor, tmp_path)


def test_ten_repeats(threads: Client, tmp_path: Path) -> None:
    (grid,) = cuts("periodic", 10, 1)
    agree("periodic", [grid] * 10, DaskExecutor(threads), tmp_path)


RAN: list[tuple[str, ...]] = []  # tasks in the order in which the workers in this process began them


class ShuffledClient:
    """A client that gives every task a drawn priority and any worker, and has the workers note the order."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client, self._rng = client, np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, **options: Any) -> Any:
        options["priority"] = int(self._rng.integers(-1000, 1000))
        options["workers"] = [str(self._rng.choice(options["workers"] + self._addresses()))]
        return self._client.submit(_noted, key.rsplit("-", 3), function, *arguments, key=key, **options)

    def _addresses(self) -> list[str]:
        return sorted(self._client.scheduler_info(n_workers=-1)["workers"])


def _noted(key: list[str], function: Callable[..., Any], *arguments: Any) -> Any:
    RAN.append((key[0], *key[2:]))
    return function(*arguments)


def test_processes(tmp_path: Path) -> None:
    """As `--workers N` runs: processes, TLS between them."""
    with connect(Where(workers=7, threads=1, dashboard=False)) as executor:
        addresses = executor.client.scheduler_info(n_workers=-1)["workers"]
        assert all(address.startswith("tls://") for address in addresses)
        for number, count in enumerate(WORKERS):
            smaller = shrink(executor.client, count)
            for name in CONFIGS:
                agree(name, cuts(name, 20 + number, 1), smaller, tmp_path)


@contextmanager
def tls_cluster(directory: Path, workers: int) -> Iterator[Path]:
    """A scheduler in a process of its own, workers in another; yields the scheduler file."""
    security, file = tls_files(directory / "tls"), directory / "scheduler.json"
    flags = ["--tls-ca-file", str(security.tls_ca_file)]
    flags += ["--tls-cert", str(security.tls_scheduler_cert), "--tls-key", str(security.tls_scheduler_key)]
    scheduler = [sys.executable, "-m", "dask", "scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0"]
    scheduler += ["--no-dashboard", "--scheduler-file", str(file), *flags]
    crew = [sys.executable, __file__, str(file), str(directory / "tls"), str(workers)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    processes = []
    try:
        for command in (scheduler, crew):
            with (directory / f"{len(processes)}.log").open("w") as log:
                environment = {**os.environ, "PYTHONPATH": path}
                processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
            until(lambda: file.is_file() or processes[0].poll() is not None)
        yield file
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(30)


async def crew(file: str, directory: str, workers: int) -> None:
    """So many workers of the cluster, until the scheduler goes."""
    from distributed import Worker

    cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    security = Security(tls_ca_file=cert, tls_worker_cert=cert, tls_worker_key=key, require_encryption=True)
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            worker = Worker(
                scheduler_file=file,
                name=number,
                nthreads=1,
                protocol="tls",
                host="127.0.0.1",
                security=security,
                dashboard=False,
                memory_limit=0,
            )
            await worker
            group.create_task(worker.finished())


def test_tls_cluster(tmp_path: Path) -> None:
    """As `--scheduler FILE` runs, with credentials from Dask's own configuration."""
    with tls_cluster(tmp_path, 7) as file:
        tls = {
            "distributed.comm.require-encryption": True,
            "distributed.comm.tls.ca-file": str(tmp_path / "tls" / "cert.pem"),
            "distributed.comm.tls.client.cert": str(tmp_path / "tls" / "cert.pem"),
            "distributed.comm.tls.client.key": str(tmp_path / "tls" / "key.pem"),
        }
        with dask.config.set(tls):
            with Client(scheduler_file=str(file), set_as_default=False, timeout=60) as client:
                client.wait_for_workers(7, timeout=60)
            for number, count in enumerate(WORKERS):
                with connect(Where(workers=0, threads=0, scheduler=str(file))) as executor:
                    smaller = shrink(executor.client, count)
                    for name in CONFIGS:
                        agree(name, cuts(name, 30 + number, 1), smaller, tmp_path)


def test_shuffled_priorities(threads: Client, tmp_path: Path) -> None:
    """Drawn priorities and places; the tasks did run in other orders."""
    orders = []
    (grid,) = cuts("periodic", 40, 1)
    for seed in range(4):
        client = ShuffledClient(threads, seed)
        RAN.clear()
        agree("periodic", [grid], DaskExecutor(client), tmp_path)
        orders.append(tuple(RAN))
    assert len(set(orders)) == len(orders)
    assert len({tuple(sorted(order)) for order in orders}) == 1


def test_threads(tmp_path: Path) -> None:
    """Workers that share this process."""
    with seven_threads() as client:
        for number, count in enumerate(WORKERS):
            executor = shrink(client, count)
            for name in CONFIGS:
                agree(name, cuts(name, 50 + number, 1), executor, tmp_path)


if __name__ == "__main__":
    asyncio.run(crew(sys.argv[1], sys.argv[2], int(sys.argv[3])))
