"""The sections of a cluster file: keys, types, defaults, what each means."""

from __future__ import annotations

import re
from typing import Annotated, Literal, final

from pydantic import BeforeValidator, Field

from entropic.config_errors import Expected
from entropic.config_sections import Section

__all__ = [
    "BATCH_SYSTEMS",
    "SYSTEMS",
    "ClusterSection",
    "EnvironmentSection",
    "HTCondorSection",
    "JobSection",
    "KubernetesSection",
    "LSFSection",
    "MPISection",
    "NetworkSection",
    "OARSection",
    "PBSSection",
    "SGESection",
    "SSHSection",
    "SlurmSection",
    "WaitSection",
    "WorkersSection",
    "bytes_of",
    "sections_of",
]

BATCH_SYSTEMS = ("slurm", "pbs", "lsf", "sge", "htcondor", "oar")
SYSTEMS = (*BATCH_SYSTEMS, "ssh", "kubernetes", "mpi")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_BYTES = r"^(\d{1,12}(?:\.\d{1,6})?) ?(|[kMGT]|[KMGT]i)B$"


def bytes_of(text: str) -> int:
    """A number of bytes and its unit, as a number."""
    match = re.match(_BYTES, text)
    assert match
    return int(float(match[1]) * _UNITS[match[2]])


def _list_to_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


_Count = Annotated[int, Field(ge=1, le=4096), Expected("a whole number from 1 to 4096")]
_MaybeCount = Annotated[int, Field(ge=0, le=4096), Expected("a whole number from 0 to 4096")]
_Bytes = Annotated[str, Field(pattern=_BYTES), Expected('a number and its unit, such as "4 GiB" or "500 MB"')]
_Walltime = Annotated[
    str, Field(pattern=r"^\d{1,4}:[0-5]\d:[0-5]\d$"), Expected('hours, minutes and seconds, such as "01:30:00"')
]
_Seconds = Annotated[int, Field(ge=1, le=10**7), Expected("seconds, a whole number from 1 to 10^7")]
_Port = Annotated[int, Field(ge=0, le=65535), Expected("a port, or 0 for any that is free")]
_Ports = Annotated[str, Field(pattern=r"^$|^\d{1,5}:\d{1,5}$"), Expected('a range such as "40000:40100", or ""')]
_Word = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$"), Expected("letters, digits and . _ -, from 1 to 64 of them")
]
_Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$"), Expected("one line of text")]
_Lines = Annotated[tuple[_Line, ...], BeforeValidator(_list_to_tuple), Expected("a list of strings, each one line")]


@final
class ClusterSection(Section):
    """Which system."""

    system: Literal["slurm", "pbs", "lsf", "sge", "htcondor", "oar", "ssh", "kubernetes", "mpi"] = Field(
        default="slurm", description=" | ".join(SYSTEMS)
    )


@final
class WorkersSection(Section):
    """The processes that compute."""

    count: _Count = Field(
        default=2, description="worker processes; with 'run' each is a job of its own, with 'submit' a task of one job"
    )
    threads: _Count = Field(default=1, description="cores of each worker")
    memory: _Bytes = Field(default="4 GiB", description="of each worker; one that takes more is ended")
    at_least: _Count = Field(
        default=1, description="'run' begins as soon as so many are there; the others join as their jobs begin"
    )

    @property
    def memory_bytes(self) -> int:
        """Bytes of one worker."""
        return bytes_of(self.memory)


@final
class JobSection(Section):
    """What the batch system is asked for."""

    name: _Word = Field(default="entropic", description="of the jobs, as the queue shows it")
    queue: _Line = Field(default="", description="queue or partition; empty: the system's default")
    account: _Line = Field(default="", description="account or project to charge; empty: the system's default")
    walltime: _Walltime = Field(default="01:00:00", description="time limit of a job; a longer run takes several jobs")
    warning: _Seconds = Field(
        default=120, description="seconds before the limit at which 'submit' writes a checkpoint and queues again"
    )
    nodes: _MaybeCount = Field(default=0, description="'submit': nodes to spread over; 0: as the system likes")
    directives: _Lines = Field(default=(), description="more directives, written as the system's own, without prefix")
    skip: _Lines = Field(default=(), description="leave out every directive of ours that contains one of these")

    @property
    def seconds(self) -> int:
        """The time limit in seconds."""
        hours, minutes, seconds = map(int, self.walltime.split(":"))
        return 3600 * hours + 60 * minutes + seconds


@final
class EnvironmentSection(Section):
    """Where the program is, on every node."""

    python: _Line = Field(
        default=".venv/bin/python", description="with entropic; a path is relative to where you submit"
    )
    prologue: _Lines = Field(default=(), description='shell lines that come first, such as "module load python"')
    scratch: _Line = Field(default="", description="a node's own fast directory; empty: its temporary one")


@final
class NetworkSection(Section):
    """Who listens where."""

    interface: _Line = Field(default="", description="network interface of the workers, such as ib0 or eth0")
    scheduler_interface: _Line = Field(default="", description="that of the scheduler; empty: the same")
    scheduler_port: _Port = Field(default=0, description="0: any that is free")
    worker_ports: _Ports = Field(default="", description='two ports a worker, such as "40000:40100"; empty: any')
    dashboard: bool = Field(default=False, description="Dask's dashboard, on 127.0.0.1 of the scheduler's host alone")

    @property
    def scheduler(self) -> str:
        """Interface of the scheduler."""
        return self.scheduler_interface or self.interface


@final
class WaitSection(Section):
    """Patience, in seconds; what takes longer is an error."""

    allocation: _Seconds = Field(default=86400, description="'run': until the queue has given at_least workers")
    workers: _Seconds = Field(default=180, description="until workers that were started are connected")
    quiet: _Seconds = Field(default=600, description="without any worker in mid-run, before giving up")


@final
class SlurmSection(Section):
    """Slurm alone."""

    launcher: _Line = Field(default="srun --mpi=none", description="'submit': starts the tasks of the job")
    requeue: bool = Field(default=True, description="a job that lost a node is queued again, and goes on")


@final
class PBSSection(Section):
    """OpenPBS, PBS Professional, Torque."""

    dialect: Literal["openpbs", "torque"] = Field(
        default="openpbs", description="openpbs (-l select=…) | torque (-l nodes=…:ppn=…)"
    )
    remote: _Line = Field(default="pbs_tmrsh", description="'submit': starts a command on the host named next")


@final
class LSFSection(Section):
    """LSF alone."""

    remote: _Line = Field(default="blaunch", description="'submit': starts a command on the host named next")
    unit: Literal["KB", "MB", "GB"] = Field(default="MB", description="LSF_UNIT_FOR_LIMITS of lsf.conf: KB | MB | GB")


@final
class SGESection(Section):
    """Grid Engine alone."""

    remote: _Line = Field(default="qrsh -inherit -nostdin", description="'submit': starts a command on the host named")
    one_host: _Line = Field(default="smp", description="'run', threads above 1: parallel environment on one host")
    many_hosts: _Line = Field(default="mpi", description="'submit': parallel environment over hosts")
    memory: _Line = Field(default="mem_free", description="resource that limits memory a slot; empty: ask for none")


@final
class HTCondorSection(Section):
    """HTCondor alone."""

    disk: _Bytes = Field(default="1 GiB", description="of each worker, on its node")

    @property
    def disk_bytes(self) -> int:
        """Bytes of one worker."""
        return bytes_of(self.disk)


@final
class OARSection(Section):
    """OAR alone."""

    remote: _Line = Field(default="oarsh", description="'submit': starts a command on the host named next")
    memory_property: _Line = Field(
        default="", description="your site's property for memory a core, in MiB, such as memcore; empty: ask for none"
    )


@final
class SSHSection(Section):
    """Hosts that you reach by SSH, without a batch system."""

    hosts: _Lines = Field(default=(), description="hosts, as ssh knows them; workers take turns on them")
    remote: _Line = Field(
        default="ssh -o BatchMode=yes -o ConnectTimeout=10", description="starts a command on the host named next"
    )


@final
class MPISection(Section):
    """Any system whose mpirun knows the allocation."""

    launcher: _Line = Field(
        default="mpirun --bind-to none -n {workers}", description="starts {workers} processes, free to use their cores"
    )


@final
class KubernetesSection(Section):
    """The Dask operator."""

    namespace: _Word = Field(default="default", description="of all objects")
    image: _Line = Field(default="entropic:latest", description="container image with entropic")
    python: _Line = Field(default="python3", description="its interpreter")
    volume: _Word = Field(default="entropic", description="persistent volume claim, ReadWriteMany, for the run")
    mount: _Line = Field(default="/runs", description="where pods mount it; --out lies below")
    secret: _Word = Field(default="entropic-tls", description="secret made from what 'entropic certificates' writes")


_COMMON: dict[str, type[Section]] = {"cluster": ClusterSection, "workers": WorkersSection}
_REACHED: dict[str, type[Section]] = {
    "environment": EnvironmentSection,
    "network": NetworkSection,
    "wait": WaitSection,
}
_OWN: dict[str, type[Section]] = {
    "slurm": SlurmSection,
    "pbs": PBSSection,
    "lsf": LSFSection,
    "sge": SGESection,
    "htcondor": HTCondorSection,
    "oar": OARSection,
    "ssh": SSHSection,
    "kubernetes": KubernetesSection,
    "mpi": MPISection,
}


def sections_of(system: str) -> dict[str, type[Section]]:
    """The sections that a file for a system may have, by name."""
    sections = dict(_COMMON)
    if system in BATCH_SYSTEMS:
        sections["job"] = JobSection
    if system != "kubernetes":  # there, pods have all this
        sections |= _REACHED
    return {**sections, system: _OWN[system]}
