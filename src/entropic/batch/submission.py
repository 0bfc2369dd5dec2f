"""A run as one job: the script that holds driver, scheduler and workers.  A pure function of its inputs."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from entropic.batch.file import ClusterFile
from entropic.batch.kubernetes import manifests
from entropic.batch.sections import HTCondorSection, LSFSection, OARSection, PBSSection, SGESection, SlurmSection
from entropic.errors import UsageError

__all__ = ["GO_ON", "Submission", "job_file", "job_text", "submit_command"]

GO_ON = {"lsf": 75, "sge": 99, "htcondor": 75, "oar": 99}  # exit codes that these systems take for "queue me again"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")


@final
@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Parameters
    ----------
    run : str
        Run directory, relative to where it is submitted, or absolute.
    cluster : ClusterFile
    chunks : tuple of int, or None
    plain_tcp : bool
        Whether the user wants no TLS.
    config : str
        Text of the configuration; Kubernetes needs it.

    Raises
    ------
    UsageError
        ``run`` has characters that not every batch system takes, or the system has no jobs.
    """

    run: str
    cluster: ClusterFile
    chunks: tuple[int, ...] | None = None
    plain_tcp: bool = False
    config: str = ""

    def __post_init__(self) -> None:
        if not _PLAIN_PATH.fullmatch(self.run) or self.run.startswith("-"):
            raise UsageError(
                f"the run directory {self.run!r} cannot stand in a job script; expected letters, digits and . _ - /.",
                "give another --out",
            )
        if self.cluster.system == "ssh":
            raise UsageError(
                "hosts that ssh reaches have no queue to submit to.", "use: entropic run CONFIG.toml --cluster FILE"
            )

    @property
    def directory(self) -> str:
        """Where script, logs and certificates are: beside the run, so that they are there before and after it."""
        return f"{self.run.rstrip('/')}.job"

    @property
    def tasks(self) -> int:
        """Workers, and one for the driver with its scheduler."""
        return self.cluster.workers.count + 1

    @property
    def command(self) -> str:
        """What the job runs."""
        words = [self.cluster.environment.python, "-m", "entropic.cli", "carry-on", self.run]
        if self.chunks is not None:
            words += ["--chunks", ",".join(map(str, self.chunks))]
        if self.plain_tcp:
            words.append("--plain-tcp")
        return shlex.join(words)


def job_file(submission: Submission) -> str:
    """Where the script stands."""
    return f"{submission.directory}/{'job.sub' if submission.cluster.system == 'htcondor' else 'job.sh'}"


def submit_command(submission: Submission, after: str | None = None) -> list[str]:
    """How it is handed over; ``after``: id of the job whose end is to be waited for."""
    file, system = job_file(submission), submission.cluster.system
    match system:
        case "slurm":
            return ["sbatch", *([f"--dependency=afterany:{after}"] if after else []), file]
        case "pbs":
            return ["qsub", *(["-W", f"depend=afterany:{after}"] if after else []), file]
        case "sge":
            return ["qsub", *(["-hold_jid", after] if after else []), file]
        case "lsf":
            return ["/bin/sh", "-c", f"bsub < {file}"]
        case "htcondor":
            return ["condor_submit", file]
        case "oar":
            return ["oarsub", "-S", f"./{file}" if not file.startswith("/") else file]
    raise UsageError(
        f"{system} has no queue to submit to.",
        "print it: entropic submit … --dry-run, and hand it over yourself (see cluster/README.md)",
    )


def job_text(submission: Submission) -> str:
    """The script, or the objects, for a submission."""
    system = submission.cluster.system
    if system == "kubernetes":
        return manifests(submission.cluster, submission.run, submission.config, submission.chunks, submission.plain_tcp)
    if system == "htcondor":
        return _htcondor(submission)
    prefix, directives = _HEADERS[system](submission) if system in _HEADERS else ("", [])
    job = submission.cluster.job
    own = [line for line in directives if line and not any(skipped in line for skipped in job.skip)]
    lines = [
        "#!/bin/bash",
        f"# {_title(submission)}",
        *(f"{prefix} {line}" for line in [*own, *job.directives] if prefix),
        "set -e",
        'began="$(date +%s)"',
        *_ENTRY.get(system, ()),
        *submission.cluster.environment.prologue,
        f'exec {submission.command} --began "$began"',
    ]
    return "\n".join(lines) + "\n"


def _title(submission: Submission) -> str:
    workers = submission.cluster.workers
    what = f"scheduler, driver and {workers.count} workers of {workers.threads} threads"
    return f"entropic: {what}, in one job.  Written by 'entropic submit'."


# Slurm's signal may come before Python listens; it then shall not end the job, whose own clock is there too.
_ENTRY = {"slurm": ("trap '' USR1",), "pbs": ('cd "$PBS_O_WORKDIR"',)}


def _mebibytes(submission: Submission, parts: int = 1) -> int:
    """Memory of a worker, or of one of its cores, in MiB, rounded up."""
    return math.ceil(submission.cluster.workers.memory_bytes / parts / 2**20)


def _per_node(submission: Submission) -> int:
    """Tasks a node, where the number of nodes is given."""
    return math.ceil(submission.tasks / submission.cluster.job.nodes)


def _slurm(submission: Submission) -> tuple[str, list[str]]:
    job, workers, own = submission.cluster.job, submission.cluster.workers, submission.cluster.own
    assert isinstance(own, SlurmSection)
    return "#SBATCH", [
        f"--job-name={job.name}",
        f"--output={submission.directory}/%j.log",
        "--open-mode=append",
        f"--partition={job.queue}" if job.queue else "",
        f"--account={job.account}" if job.account else "",
        f"--time={job.walltime}",
        f"--signal=B:USR1@{job.warning}",
        "--requeue" if own.requeue else "--no-requeue",
        f"--nodes={job.nodes}" if job.nodes else "",
        f"--ntasks={submission.tasks}",
        f"--cpus-per-task={workers.threads}",
        f"--mem-per-cpu={_mebibytes(submission, workers.threads)}M",
    ]


def _pbs(submission: Submission) -> tuple[str, list[str]]:
    job, workers, own = submission.cluster.job, submission.cluster.workers, submission.cluster.own
    assert isinstance(own, PBSSection)
    per = _per_node(submission) if job.nodes else 1
    chunks, cores, memory = job.nodes or submission.tasks, per * workers.threads, per * _mebibytes(submission)
    if own.dialect == "torque":
        resources = [f"-l nodes={chunks}:ppn={cores}", f"-l pmem={_mebibytes(submission, workers.threads)}mb"]
    else:
        resources = [f"-l select={chunks}:ncpus={cores}:mpiprocs={per}:mem={memory}mb"]
        resources += ["-l place=scatter"] if job.nodes else []
    return "#PBS", [
        f"-N {job.name}",
        "-j oe",
        f"-o {submission.directory}/",
        f"-q {job.queue}" if job.queue else "",
        f"-A {job.account}" if job.account else "",
        f"-l walltime={job.walltime}",
        *resources,
        "-r y",
    ]


def _lsf(submission: Submission) -> tuple[str, list[str]]:
    job, workers, own = submission.cluster.job, submission.cluster.workers, submission.cluster.own
    assert isinstance(own, LSFSection)
    unit = {"KB": 10**3, "MB": 10**6, "GB": 10**9}[own.unit]
    per = workers.threads * (_per_node(submission) if job.nodes else 1)
    return "#BSUB", [
        f"-J {job.name}",
        f"-o {submission.directory}/%J.log",
        f"-q {job.queue}" if job.queue else "",
        f'-P "{job.account}"' if job.account else "",
        f"-W {math.ceil(job.seconds / 60)}",
        f"-n {submission.tasks * workers.threads}",
        f'-R "span[{"ptile" if job.nodes else "block"}={per}]"',
        f"-M {math.ceil(workers.memory_bytes / unit)}",
        f'-Q "{GO_ON["lsf"]}"',
    ]


def _sge(submission: Submission) -> tuple[str, list[str]]:
    job, workers, own = submission.cluster.job, submission.cluster.workers, submission.cluster.own
    assert isinstance(own, SGESection)
    return "#$", [
        "-S /bin/bash",
        f"-N {job.name}",
        "-cwd",
        "-j y",
        f"-o {submission.directory}/",
        f"-q {job.queue}" if job.queue else "",
        f"-P {job.account}" if job.account else "",
        f"-l h_rt={job.walltime}",
        f"-l {own.memory}={_mebibytes(submission, workers.threads)}M" if own.memory else "",
        f"-pe {own.many_hosts} {submission.tasks * workers.threads}",
        "-r y",
    ]


def _oar(submission: Submission) -> tuple[str, list[str]]:
    job, workers, own = submission.cluster.job, submission.cluster.workers, submission.cluster.own
    assert isinstance(own, OARSection)
    cores = f"/core={submission.tasks * workers.threads}"
    if job.nodes:
        cores = f"/nodes={job.nodes}/core={_per_node(submission) * workers.threads}"
    memory = own.memory_property
    return "#OAR", [
        f"-n {job.name}",
        f"-O {submission.directory}/%jobid%.log",
        f"-E {submission.directory}/%jobid%.log",
        f"-q {job.queue}" if job.queue else "",
        f"--project {job.account}" if job.account else "",
        f"-l {cores},walltime={job.walltime}",
        f'-p "{memory}>={_mebibytes(submission, workers.threads)}"' if memory else "",
        "-t idempotent",
    ]


_HEADERS: dict[str, Callable[[Submission], tuple[str, list[str]]]] = {
    "slurm": _slurm,
    "pbs": _pbs,
    "lsf": _lsf,
    "sge": _sge,
    "oar": _oar,
}


def _htcondor(submission: Submission) -> str:
    """A submit description: the parallel universe starts the same command on every node, told apart by number."""
    cluster = submission.cluster
    job, workers, own = cluster.job, cluster.workers, cluster.own
    assert isinstance(own, HTCondorSection)
    shell = "; ".join(
        [
            "export ENTROPIC_CONDOR_ID=$(Cluster)",
            *cluster.environment.prologue,
            f"exec {submission.command} --began $(DOLLAR)(date +%s) --node $(Node)",
        ]
    )
    shell = shell.replace("'", "''").replace('"', '""')  # in condor's quoting; and $(DOLLAR) is a dollar
    log = f"{submission.directory}/$(Cluster)"
    lines = [
        f"# {_title(submission)}",
        "universe = parallel",
        f"batch_name = {job.name}",
        "executable = /bin/bash",
        f"arguments = \"-c '{shell}'\"",
        "transfer_executable = false",
        "should_transfer_files = NO",
        f"output = {log}.$(Node).log",
        f"error = {log}.$(Node).log",
        f"log = {log}.events",
        f"machine_count = {submission.tasks}",
        f"request_cpus = {workers.threads}",
        f"request_memory = {_mebibytes(submission)}",
        f"request_disk = {math.ceil(own.disk_bytes / 1024)}",
        f"allowed_job_duration = {job.seconds}",
        f"accounting_group = {job.account}" if job.account else "",
        f"on_exit_remove = ExitCode =!= {GO_ON['htcondor']}",
    ]
    kept = [line for line in lines if line and not any(skipped in line for skipped in job.skip)]
    return "\n".join([*kept, *job.directives, "queue"]) + "\n"
