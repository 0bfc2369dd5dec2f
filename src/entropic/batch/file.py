"""A cluster file: frozen sections from TOML, every error at once with file, line, key and remedy."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, final

from entropic.batch.sections import (
    BATCH_SYSTEMS,
    SYSTEMS,
    ClusterSection,
    EnvironmentSection,
    JobSection,
    KubernetesSection,
    MPISection,
    NetworkSection,
    SSHSection,
    WaitSection,
    WorkersSection,
    sections_of,
)
from entropic.config_errors import Finding, Origin, Path, nearest, plain, refuse, show, validate_section
from entropic.config_locate import key_lines, parse_toml, read_toml
from entropic.config_sections import Section

__all__ = ["ClusterFile"]


@final
@dataclass(frozen=True)
class ClusterFile:
    """A cluster as a file says it.

    Attributes
    ----------
    system : str
        One of `SYSTEMS`.
    workers, environment, job, network, wait : Section
        Where a system has no such section, its defaults.
    own : Section
        The section that is named like the system.
    text : str
        The file's text; a submitted run keeps a copy.
    """

    system: str
    workers: WorkersSection
    environment: EnvironmentSection
    job: JobSection
    network: NetworkSection
    wait: WaitSection
    own: Section
    text: str

    @property
    def has_queue(self) -> bool:
        """Whether jobs are submitted to it."""
        return self.system in BATCH_SYSTEMS

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file.

        Raises
        ------
        ConfigError
            It cannot be read or parsed, or anything in it is wrong; with every problem at once.
        """
        return cls.from_text(read_toml(path), os.fsdecode(path))

    @classmethod
    def from_text(cls, text: str, name: str = "<text>") -> Self:
        """Parse TOML text; ``name`` stands for the file in errors. Raises like `from_toml`."""
        origin = Origin(name, key_lines(text))
        data = plain(parse_toml(text, name))
        assert isinstance(data, dict)
        chosen, findings, _ = validate_section(ClusterSection, "cluster", data.get("cluster", {}))
        if "system" not in _table(data, "cluster"):
            remedy = 'write [cluster] and, below, system = "slurm", say'
            findings.append(Finding(("cluster", "system"), "nothing", f"one of {', '.join(SYSTEMS)}", remedy))
        if findings:  # which sections there may be is not known
            refuse(findings, origin)
        models = sections_of(chosen.system)
        doubtful: set[Path] = set()
        findings += [_unknown_section(name, data[name], chosen.system, models) for name in data.keys() - models.keys()]
        sections: dict[str, Section] = {}
        for name, model in models.items():
            sections[name], wrong, unsure = validate_section(model, name, data.get(name, {}))
            findings += wrong
            doubtful |= unsure
        for check, needs in _CHECKS.items():
            if doubtful.isdisjoint(tuple(need.split(".")) for need in needs.split()):
                findings += check(sections)
        refuse(findings, origin)
        own = sections[chosen.system]
        parts = {n: sections.get(n, model()) for n, model in _PARTS.items()}
        return cls(system=chosen.system, own=own, text=text, **parts)  # type: ignore[arg-type]


_PARTS: dict[str, type[Section]] = {
    "workers": WorkersSection,
    "environment": EnvironmentSection,
    "job": JobSection,
    "network": NetworkSection,
    "wait": WaitSection,
}


def _table(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = data.get(name)
    return table if isinstance(table, dict) else {}


def _unknown_section(name: str, value: object, system: str, models: Mapping[str, type[Section]]) -> Finding:
    found = "" if isinstance(value, dict) else show(value)
    expected = f"one of the sections {', '.join(models)}"
    if name in SYSTEMS:
        return Finding(
            (name,), found, f"no section of {name} in a file for {system}", "remove it, or change the system"
        )
    near = nearest(name, models)
    homes = [section for section, model in models.items() if name in model.model_fields]
    if homes and not isinstance(value, dict):
        return Finding((name,), found, expected, f"move it below [{homes[0]}]")
    return Finding((name,), found, expected, f"did you mean [{near}]?" if near else "remove it")


# -- checks that look at more than one key, or need more than a pattern --

_Sections = Mapping[str, Section]


def _check_interface(sections: _Sections) -> Iterator[Finding]:
    network = sections.get("network")
    if isinstance(network, NetworkSection) and not network.interface:
        remedy = "name it: 'ip -brief address' on a node lists them"
        yield Finding(("network", "interface"), "nothing", "the network interface that nodes share", remedy)


def _check_ports(sections: _Sections) -> Iterator[Finding]:
    network = sections.get("network")
    if isinstance(network, NetworkSection) and network.worker_ports:
        low, high = map(int, network.worker_ports.split(":"))
        if not 1 <= low < high <= 65535:
            found = show(network.worker_ports)
            yield Finding(("network", "worker_ports"), found, "two ports at least, up to 65535", 'write "40000:40100"')


def _check_workers(sections: _Sections) -> Iterator[Finding]:
    workers = sections["workers"]
    assert isinstance(workers, WorkersSection)
    if workers.at_least > workers.count:
        expected = f"at most count, {workers.count}"
        yield Finding(("workers", "at_least"), show(workers.at_least), expected, "lower it, or raise count")
    if workers.memory_bytes < 2**26:
        yield Finding(("workers", "memory"), show(workers.memory), "64 MiB at least", "write a larger number")


def _check_job(sections: _Sections) -> Iterator[Finding]:
    job, workers = sections.get("job"), sections["workers"]
    assert isinstance(workers, WorkersSection)
    if not isinstance(job, JobSection):
        return
    if job.warning >= job.seconds:
        expected = f"less than walltime, {job.seconds} s"
        yield Finding(("job", "warning"), show(job.warning), expected, "lower it, or raise walltime")
    if job.nodes and ("sge" in sections or "htcondor" in sections):
        remedy = "write 0: the parallel environment, or the pool, decides"
        yield Finding(("job", "nodes"), show(job.nodes), "0, for this system has no way to ask for nodes", remedy)
    if job.nodes > workers.count + 1:
        expected = f"at most workers.count + 1 (the driver), {workers.count + 1}"
        yield Finding(("job", "nodes"), show(job.nodes), expected, "lower it, or raise workers.count")


def _check_python(sections: _Sections) -> Iterator[Finding]:
    environment = sections.get("environment")
    if isinstance(environment, EnvironmentSection) and not environment.python.strip():
        yield Finding(("environment", "python"), show(environment.python), "a Python interpreter", 'write "python3"')


def _check_own(sections: _Sections) -> Iterator[Finding]:
    for name, own in sections.items():
        match own:
            case SSHSection() if not own.hosts or not all(_plain_host(host) for host in own.hosts):
                yield Finding(
                    (name, "hosts"), show(list(own.hosts)), "names of hosts", 'write hosts = ["node1", "node2"]'
                )
            case MPISection() if "{workers}" not in own.launcher or own.launcher.count("{") > 1:
                remedy = 'write "mpirun -n {workers}"'
                yield Finding((name, "launcher"), show(own.launcher), "a command with {workers} once", remedy)
            case KubernetesSection() if not own.mount.startswith("/"):
                yield Finding((name, "mount"), show(own.mount), "an absolute path", 'write "/runs"')


def _plain_host(name: str) -> bool:
    """Whether ssh will take it for a host: not for an option, not for two words."""
    return bool(name) and not name.startswith("-") and not set(name) & set(" \t'\"\\;&|<>()$`*?")


def _check_commands(sections: _Sections) -> Iterator[Finding]:
    for name, own in sections.items():
        for key in ("remote", "launcher"):
            command = getattr(own, key, None)
            if isinstance(command, str) and not _words(command):
                yield Finding((name, key), show(command), "a command, with quotes in pairs", "correct the command")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


_CHECKS: dict[Callable[[_Sections], Iterator[Finding]], str] = {
    _check_interface: "network.interface",
    _check_ports: "network.worker_ports",
    _check_workers: "workers.at_least workers.count workers.memory",
    _check_job: "job.warning job.walltime job.nodes workers.count",
    _check_python: "environment.python",
    _check_own: "ssh.hosts mpi.launcher kubernetes.mount",
    _check_commands: "pbs.remote lsf.remote sge.remote oar.remote ssh.remote slurm.launcher mpi.launcher",
}
