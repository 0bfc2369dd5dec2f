"""Clusters that a file describes: workers as jobs of a batch system, or started by hand within an allocation.

The scheduler runs in this process, behind TLS, on the interface that the file names.  Every wait ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import dask
import psutil
from distributed import Scheduler
from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from entropic.batch.allocation import Contact, attempt_name, launchers, worker_script
from entropic.batch.file import ClusterFile
from entropic.engine.cluster_common import CLOSE_SECONDS, POLL_SECONDS, newest_log, present, scheduler_options
from entropic.engine.cluster_jobs import job_cluster
from entropic.engine.cluster_security import make_certificates, private_directory, security_of
from entropic.engine.cluster_settings import cluster_settings
from entropic.errors import ClusterError, UsageError

__all__ = ["Session", "Started", "chosen_python", "join_cluster", "start_cluster"]


@final
@dataclass(frozen=True)
class Session:
    """Where one driver of a run keeps what its cluster needs.

    Attributes
    ----------
    directory : Path
        Of scripts and logs, shared by all nodes; beside the run.
    inside : bool
        Whether this process is within an allocation, and starts its workers there.
    plain_tcp : bool
        No TLS: whoever reaches a port runs code.  The user asked for it.
    began : int
        When the job began, s since 1970.
    """

    directory: Path
    inside: bool = False
    plain_tcp: bool = False
    began: int = 0

    def place(self) -> Path:
        """A directory of this attempt alone."""
        name = attempt_name(os.environ, self.began)
        # Other nodes of an allocation must know the name; elsewhere two drivers may begin in the same second.
        return self.directory.absolute() / f"session-{name}{'' if self.inside else f'-{os.getpid()}'}"


@final
@dataclass(frozen=True)
class Started:
    """A cluster that is up; ``tend`` is called now and then to keep it so."""

    cluster: SpecCluster
    security: Security | None
    tend: Callable[[], None]


def chosen_python(cluster: ClusterFile) -> str:
    """The interpreter for nodes, as an absolute path if it is a path.

    Raises
    ------
    UsageError
        There is none.
    """
    python = cluster.environment.python
    if not shutil.which(python) and not cluster.environment.prologue:
        remedy = f'set python = "{sys.executable}" below [environment] in the cluster file'
        raise UsageError(f"there is no Python at {python}.", remedy)
    return os.path.abspath(python) if "/" in python else python


def _address_of(interface: str) -> str:
    known = psutil.net_if_addrs()
    found = [str(a.address) for a in known.get(interface, []) if a.family.name == "AF_INET"]
    if not found:
        raise UsageError(
            f"this host has no network interface {interface!r} with an IPv4 address.",
            f"set interface or scheduler_interface below [network] to one of {', '.join(sorted(known))}",
        )
    return found[0]


@contextmanager
def start_cluster(cluster: ClusterFile, session: Session) -> Iterator[Started]:
    """The cluster, with as many workers as it takes to begin; closed, and its keys removed, in the end.

    Raises
    ------
    ClusterError
        Workers do not come in time, or are refused.
    UsageError
        The file does not fit this host.
    """
    python, host, place = chosen_python(cluster), _address_of(cluster.network.scheduler), session.place()
    shutil.rmtree(place, ignore_errors=True)  # what an earlier start of this very job left is stale
    private_directory(place)
    try:
        if not session.plain_tcp:
            make_certificates(place)
        security = security_of(None if session.plain_tcp else place)
        with dask.config.set(cluster_settings(cluster.wait.quiet)):
            if cluster.has_queue and not session.inside:
                with job_cluster(cluster, place, security, python, host) as (made, tender):
                    yield Started(made, security, tender)
            else:
                with _launched(cluster, place, security, python, host) as made:
                    yield Started(made, security, lambda: None)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _launched(
    cluster: ClusterFile, place: Path, security: Security | None, python: str, host: str
) -> Iterator[SpecCluster]:
    """Workers that this process starts, by the system's own means."""
    scheduler = {"cls": Scheduler, "options": scheduler_options(cluster, host, security)}
    with (
        (place.parent / "workers.log").open("ab") as log,
        SpecCluster(scheduler=scheduler, workers={}, security=security, silence_logs=50) as made,
    ):
        contact = Contact(made.scheduler.address, place if security else None)
        temporary, script = place / ".worker.sh", place / "worker.sh"
        temporary.write_text(worker_script(cluster, contact, python, os.getcwd()))
        temporary.rename(script)  # nodes that wait for it find it whole
        started: list[subprocess.Popen[bytes]] = []
        try:
            for command in launchers(cluster, str(script), os.environ, lambda path: Path(path).read_text()):
                started.append(_start(command, log))
            _await_workers(cluster, made, started, place.parent)
            yield made
        finally:
            made.close(timeout=CLOSE_SECONDS)
            _end(started)


def join_cluster(cluster: ClusterFile, session: Session) -> None:
    """Be a worker of the driver that runs on another node of the same job, where no command could start us.

    Raises
    ------
    ClusterError
        The driver does not say in time where its scheduler is.
    """
    place, end = session.place(), time.monotonic() + cluster.wait.workers
    while time.monotonic() < end:
        # Listed, not asked for by name: network file systems remember for long that a name was not there.
        there = place.is_dir() and "worker.sh" in os.listdir(place)
        if there and subprocess.call(["/bin/sh", str(place / "worker.sh")]) == 0:
            return  # a script that fails may be an earlier attempt's
        time.sleep(1)
    raise ClusterError(
        f"the driver wrote no {place}/worker.sh that works within {cluster.wait.workers} s.",
        "put the run where all nodes see it, or raise workers below [wait]",
    )


def _start(command: list[str], log: Any) -> subprocess.Popen[bytes]:
    try:
        # In a session of its own: a terminal's Ctrl-C is the driver's to answer.
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        remedy = "correct launcher or remote in the cluster file"
        raise ClusterError(f"cannot start workers by {command[0]}: {error.strerror or error}.", remedy) from error


def _await_workers(
    cluster: ClusterFile, made: SpecCluster, started: list[subprocess.Popen[bytes]], directory: Path
) -> None:
    wanted, end = cluster.workers.count, time.monotonic() + cluster.wait.workers
    while present(made) < wanted:
        ended = bool(started) and all(process.poll() is not None for process in started)
        if ended or time.monotonic() > end:
            why = "and their launchers have ended" if ended else f"after {cluster.wait.workers} s"
            raise ClusterError(
                f"{present(made)} of {wanted} workers are connected, {why}.{newest_log(directory)}",
                f"see {directory}/workers.log; raise workers below [wait] if nodes are slow to start",
            )
        time.sleep(POLL_SECONDS)


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """Workers end with their scheduler, and launchers with them; what does not is ended."""
    until = time.monotonic() + CLOSE_SECONDS
    for process in started:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
