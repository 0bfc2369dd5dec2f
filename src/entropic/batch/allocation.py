"""Inside an allocation: which host is whose, how workers are started there, how the job is queued again.  Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import final

from entropic.batch.file import ClusterFile
from entropic.batch.sections import (
    HTCondorSection,
    LSFSection,
    MPISection,
    OARSection,
    PBSSection,
    SGESection,
    SlurmSection,
    SSHSection,
)
from entropic.batch.submission import GO_ON, Submission, submit_command
from entropic.errors import ClusterError

__all__ = ["Contact", "Continuation", "attempt_name", "continuation", "job_id", "launchers", "places", "worker_script"]

_JOB_ID = {
    "slurm": "SLURM_JOB_ID",
    "pbs": "PBS_JOBID",
    "lsf": "LSB_JOBID",
    "sge": "JOB_ID",
    "htcondor": "ENTROPIC_CONDOR_ID",
    "oar": "OAR_JOB_ID",
}
_HOST_FILE = {"pbs": "PBS_NODEFILE", "lsf": "LSB_DJOB_HOSTFILE", "sge": "PE_HOSTFILE", "oar": "OAR_NODEFILE"}
_GRACE_SECONDS = 60  # that a worker outlives SIGTERM: the driver, told at the same time, needs it for a checkpoint


def job_id(environment: Mapping[str, str]) -> str | None:
    """Id of the batch job that this process is part of, whatever the system."""
    return next((environment[name] for name in _JOB_ID.values() if environment.get(name)), None)


def attempt_name(environment: Mapping[str, str], began: int) -> str:
    """What no other attempt at the job is called: its id, and how often it was started, or when."""
    restarts = str(began)
    if "SLURM_JOB_ID" in environment:
        restarts = environment.get("SLURM_RESTART_COUNT", "0")
    elif "ENTROPIC_CONDOR_ID" in environment:  # every node of the job must find the same name
        restarts = "0"
    name = f"{job_id(environment) or 'here'}-{restarts}"
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)


def places(cluster: ClusterFile, environment: Mapping[str, str], read: Callable[[str], str]) -> list[str]:
    """Host of every task of the allocation, the driver's first; ``read`` gives a file's text.

    Raises
    ------
    ClusterError
        This is no job of the system, or one with too few places.
    """
    variable = _HOST_FILE[cluster.system]
    threads = cluster.workers.threads
    if variable not in environment:
        raise ClusterError(
            f"{variable} is not set: this is no job of {cluster.system}.", "hand it over with 'entropic submit'"
        )
    lines = [line.split() for line in read(environment[variable]).splitlines() if line.strip()]
    slots = Counter[str]()
    for words in lines:  # Grid Engine: host, slots, queue, …; the others: a line a slot
        slots[words[0]] += int(words[1]) if cluster.system == "sge" else 1
    cores_each = 1 if isinstance(cluster.own, PBSSection) and cluster.own.dialect == "openpbs" else threads
    found = [host for host, count in slots.items() for _ in range(count // cores_each)]
    wanted = cluster.workers.count + 1
    if len(found) < wanted:
        raise ClusterError(
            f"the allocation has room for {len(found)} tasks of {threads} cores; expected {wanted}, driver and workers.",
            "ask for whole tasks a host: [job] nodes, or your site's directives",
        )
    return found[:wanted]


def launchers(
    cluster: ClusterFile, script: str, environment: Mapping[str, str], read: Callable[[str], str]
) -> list[list[str]]:
    """Commands that start all workers; each runs ``script`` as often as the system was told to."""
    start, workers = ["/bin/sh", script], cluster.workers
    match cluster.own:
        case SlurmSection() as own:
            tasks = [f"--ntasks={workers.count + 1}", f"--cpus-per-task={workers.threads}"]
            # One task is the driver's place and ends at once; no task that ends shall end the others.
            return [[*shlex.split(own.launcher), *tasks, "--wait=0", "--kill-on-bad-exit=0", *start]]
        case MPISection() as own:
            return [[*shlex.split(own.launcher.format(workers=workers.count)), *start]]
        case SSHSection() as own:
            hosts = [own.hosts[n % len(own.hosts)] for n in range(workers.count)]
            return [[*shlex.split(own.remote), host, *start] for host in hosts]
        case PBSSection() | LSFSection() | SGESection() | OARSection() as own:
            here, *others = places(cluster, environment, read)
            return [start if host == here else [*shlex.split(own.remote), host, *start] for host in others]
        case HTCondorSection():
            return []  # the other nodes of the job wait for the script
    raise ClusterError(f"{cluster.system} starts its workers itself.", "connect with --scheduler")


@final
@dataclass(frozen=True)
class Contact:
    """What a worker must know: the scheduler's address, and where certificates are (None: plain TCP)."""

    address: str
    tls: PurePath | None


def worker_script(cluster: ClusterFile, contact: Contact, python: str, directory: str) -> str:
    """Shell script that becomes one worker, in a directory, on whichever node it is started."""
    workers, network, scratch = cluster.workers, cluster.network, cluster.environment.scratch
    words = [
        *(python, "-m", "entropic.engine.cluster_worker", contact.address),
        *("--nthreads", str(workers.threads), "--memory-limit", str(workers.memory_bytes)),
        *("--interface", network.interface, "--death-timeout", str(cluster.wait.workers)),
        *("--grace", str(_GRACE_SECONDS)),
    ]
    if network.worker_ports:
        words += ["--ports", network.worker_ports]
    if contact.tls is not None:
        words += ["--tls-ca-file", str(contact.tls / "ca.pem"), "--tls-cert", str(contact.tls / "ca.pem")]
        words += ["--tls-key", str(contact.tls / "key.pem")]
    command = f"exec {shlex.join(words)}" + (f" --local-directory {_expanding(scratch)}" if scratch else "")
    lines = ["#!/bin/sh"]
    if isinstance(cluster.own, SlurmSection):
        lines.append('[ "${SLURM_PROCID:-1}" != 0 ] || exit 0  # the place of the driver, which runs already')
    return "\n".join([*lines, f"cd {shlex.quote(directory)}", *cluster.environment.prologue, command]) + "\n"


def _expanding(text: str) -> str:
    """Quoted, but for variables such as $TMPDIR, which a node knows."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`") + '"'


@final
@dataclass(frozen=True)
class Continuation:
    """How a job whose time is up is queued again.

    Attributes
    ----------
    commands : tuple of list of str
        The first that works will do; none: the exit code says it all.
    exit_code : int
    """

    commands: tuple[list[str], ...]
    exit_code: int


def continuation(submission: Submission, environment: Mapping[str, str]) -> Continuation:
    """What to do when the time is up and a checkpoint is written."""
    system = submission.cluster.system
    here = environment.get(_JOB_ID.get(system, ""))
    if system in GO_ON:
        return Continuation((), GO_ON[system])
    if here is None:
        return Continuation((), 130)
    after = submit_command(submission, here)
    return Continuation((["scontrol", "requeue", here], after) if system == "slurm" else (after,), 0)
