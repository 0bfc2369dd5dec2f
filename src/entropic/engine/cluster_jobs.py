"""Workers as jobs of a batch system, by dask-jobqueue; lost jobs are asked for again."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from distributed.core import Status
from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from entropic.batch.file import ClusterFile
from entropic.batch.sections import HTCondorSection, LSFSection, OARSection, PBSSection, SGESection, SlurmSection
from entropic.engine.cluster_common import CLOSE_SECONDS, POLL_SECONDS, newest_log, present, scheduler_options, tail
from entropic.errors import ClusterError, UsageError

__all__ = ["Tender", "job_cluster", "job_options"]

_AGAIN_SECONDS = 10.0  # between two looks at whether jobs were lost, and must be asked for again
_ASK_SECONDS = 10.0  # for the queue's own word on our jobs
_ASK = {
    "slurm": ["squeue", "--noheader", "--format=%i %T %r", "--jobs"],
    "pbs": ["qstat"],
    "lsf": ["bjobs"],
    "sge": ["qstat", "-j"],
    "htcondor": ["condor_q", "-nobatch"],
    "oar": ["oarstat", "-j"],
}
_CLASS = {"slurm": "SLURM", "pbs": "PBS", "lsf": "LSF", "sge": "SGE", "htcondor": "HTCondor", "oar": "OAR"}


def _job_class(system: str) -> Any:
    """dask-jobqueue's job, which also remembers why it was refused.

    Raises
    ------
    UsageError
        dask-jobqueue is not installed.
    """
    try:
        import dask_jobqueue
    except ImportError as error:
        raise UsageError(
            f"dask-jobqueue is not installed ({error}), and workers as jobs of {system} need it.",
            "pip install 'entropic[hpc]', or use 'entropic submit'",
        ) from error
    base = getattr(dask_jobqueue, f"{_CLASS[system]}Cluster").job_cls

    async def start(self: Any) -> None:
        try:
            await base.start(self)
        except Exception as error:  # whatever the command line of the system, or its absence, leads to
            self.status, self.refused = Status.failed, str(error)

    async def close(self: Any) -> None:
        await base.close(self)
        self.status = Status.closed

    return type(f"{base.__name__}Noted", (base,), {"start": start, "close": close, "refused": None})


def job_options(cluster: ClusterFile) -> dict[str, Any]:
    """What dask-jobqueue's job of the file's system takes beside what all take."""
    job, workers = cluster.job, cluster.workers
    directives: Any = list(job.directives)
    named = {"queue": job.queue or None}
    account = job.account or None
    match cluster.own:
        case SlurmSection():
            options = {"account": account, "walltime": job.walltime}
        case PBSSection() as own:
            options = {"account": account, "walltime": job.walltime}
            if own.dialect == "torque":
                per_core = -(-workers.memory_bytes // workers.threads // 2**20)
                options["resource_spec"] = f"nodes=1:ppn={workers.threads},pmem={per_core}mb"
        case LSFSection() as own:
            hours, minutes = divmod(-(-job.seconds // 60), 60)
            options = {"project": account, "walltime": f"{hours:02}:{minutes:02}", "lsf_units": own.unit.lower()}
        case SGESection() as own:
            per_core = -(-workers.memory_bytes // workers.threads // 2**20)
            options = {"project": account, "walltime": job.walltime}
            options["resource_spec"] = f"{own.memory}={per_core}M" if own.memory else None
            if workers.threads > 1:
                directives.insert(0, f"-pe {own.one_host} {workers.threads}")
        case OARSection() as own:
            options = {"project": account, "walltime": job.walltime}
            options["memory_per_core_property_name"] = own.memory_property or "not_applicable"
        case HTCondorSection() as own:
            lines = dict(line.partition("=")[::2] for line in directives)
            directives = {key.strip(): value.strip() for key, value in lines.items()}
            if account:
                directives.setdefault("accounting_group", account)
            options, named = {"disk": own.disk}, {}
        case _:
            raise UsageError(f"{cluster.system} has no jobs.", "use another system")
    return {**named, **options, "job_extra_directives": directives}


@contextmanager
def job_cluster(
    cluster: ClusterFile, place: Path, security: Security | None, python: str, host: str
) -> Iterator[tuple[SpecCluster, Tender]]:
    """Submit the jobs and wait until so many workers are there as it takes to begin."""
    job_class = _job_class(cluster.system)
    from dask_jobqueue.core import JobQueueCluster

    network, directory = cluster.network, place.parent
    with JobQueueCluster(
        job_cls=job_class,
        cores=cluster.workers.threads,
        processes=1,
        memory=f"{cluster.workers.memory_bytes}B",
        interface=network.interface,
        protocol="tls://" if security else "tcp://",
        security=security,
        scheduler_options=scheduler_options(cluster, host, security),
        python=python,
        worker_command="entropic.engine.cluster_worker",
        worker_extra_args=["--ports", network.worker_ports] if network.worker_ports else [],
        death_timeout=cluster.wait.workers,
        local_directory=cluster.environment.scratch or None,
        job_script_prologue=list(cluster.environment.prologue),
        job_name=cluster.job.name,
        job_directives_skip=list(cluster.job.skip),
        log_directory=str(directory),
        silence_logs=50,
        **job_options(cluster),
    ) as made:
        try:
            with _interruptible():
                made.scale(jobs=cluster.workers.count)
                _await_jobs(cluster, made, directory)
            yield made, Tender(cluster, made)
        finally:
            made.close(timeout=CLOSE_SECONDS)


@contextmanager
def _interruptible() -> Iterator[None]:
    """While we wait for the queue, SIGTERM is Ctrl-C: jobs that wait are taken back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)


def _refusals(made: SpecCluster) -> list[str]:
    return [job.refused for job in list(made.workers.values()) if getattr(job, "refused", None)]


def _await_jobs(cluster: ClusterFile, made: SpecCluster, directory: Path) -> None:
    end = time.monotonic() + cluster.wait.allocation
    while present(made) < cluster.workers.at_least:
        if refused := _refusals(made):
            raise ClusterError(
                f"{cluster.system} refuses a job: {_reason(refused[0])}.", "correct the cluster file, [job] above all"
            )
        if time.monotonic() > end:
            raise ClusterError(
                f"{present(made)} of {cluster.workers.at_least} workers came within {cluster.wait.allocation} s."
                f"{_queue_says(cluster.system, made)}{newest_log(directory)}",
                "ask for less, or raise allocation below [wait] in the cluster file",
            )
        time.sleep(POLL_SECONDS)


def _reason(refusal: str) -> str:
    """What the command wrote to stderr, else all that is known."""
    _, _, errors = refusal.partition("stderr:")
    return tail(errors) or tail(refusal)


def _queue_says(system: str, made: SpecCluster) -> str:
    ids = [str(job.job_id) for job in list(made.workers.values()) if getattr(job, "job_id", None)]
    if not ids:
        return ""
    command = [*_ASK[system], ",".join(ids)] if system in {"slurm", "sge"} else [*_ASK[system], *ids]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return f" Jobs: {', '.join(ids)}."
    return f" The queue says: {tail(answer.stdout) or tail(answer.stderr) or 'nothing'}."


@final
class Tender:
    """Asks for jobs anew where some were lost: ended by their time limit, cancelled, or with their node."""

    def __init__(self, cluster: ClusterFile, made: SpecCluster) -> None:
        self._count = cluster.workers.count
        self._made = made
        self._looked = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._looked < _AGAIN_SECONDS:
            return
        self._looked = time.monotonic()
        self._made.loop.add_callback(self._forget_refused)
        self._made.scale(jobs=self._count)

    def _forget_refused(self) -> None:
        """In the cluster's own thread: what was refused may be granted now."""
        for name, job in list(self._made.workers.items()):
            if getattr(job, "refused", None):
                del self._made.workers[name]
