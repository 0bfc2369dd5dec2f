"""Inside an allocation: whose hosts, which commands, how the next job begins; and which block is whose."""

from __future__ import annotations

import shlex
import subprocess
from collections import Counter
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic.batch.allocation import (
    Contact,
    attempt_name,
    continuation,
    job_id,
    launchers,
    places,
    worker_script,
)
from entropic.batch.submission import Submission
from entropic.engine.owners import share_out
from entropic.errors import ClusterError
from test_submission import ready

PBS = "n1\nn1\nn2\nn3\nn3\n"  # a line a task
CORES = "".join(f"{host}\n" * count for host, count in (("n1", 16), ("n2", 8), ("n3", 17)))  # a line a core
SGE = "n1 16 all.q@n1 <NULL>\nn2 8 all.q@n2 <NULL>\nn3 17 all.q@n3 <NULL>\n"
FILES = {"pbs": ("PBS_NODEFILE", PBS), "lsf": ("LSB_DJOB_HOSTFILE", CORES), "sge": ("PE_HOSTFILE", SGE),
         "oar": ("OAR_NODEFILE", CORES)}  # fmt: skip


@pytest.mark.parametrize("system", FILES)
def test_places_and_launchers(system: str) -> None:
    """The driver has the first place; workers on its host need no remote command."""
    variable, text = FILES[system]
    cluster, environment = ready(system), {variable: "/hosts"}
    read = {"/hosts": text}.__getitem__
    assert places(cluster, environment, read) == ["n1", "n1", "n2", "n3", "n3"]
    remote = shlex.split(cluster.own.remote)  # type: ignore[attr-defined]
    start = ["/bin/sh", "/s/worker.sh"]
    expected = [start, *([*remote, host, *start] for host in ("n2", "n3", "n3"))]
    assert launchers(cluster, "/s/worker.sh", environment, read) == expected


def test_torque_counts_cores() -> None:
    cluster = ready("pbs", ("dialect", '"torque"'))
    assert places(cluster, {"PBS_NODEFILE": "f"}, {"f": CORES}.__getitem__) == ["n1", "n1", "n2", "n3", "n3"]


def test_too_few_places_and_no_job_at_all() -> None:
    with pytest.raises(ClusterError, match="room for 4 tasks of 8 cores; expected 5"):
        places(ready("sge"), {"PE_HOSTFILE": "f"}, {"f": "n1 20 q -\nn2 23 q -\n"}.__getitem__)
    with pytest.raises(ClusterError, match="PBS_NODEFILE is not set"):
        places(ready("pbs"), {}, {}.__getitem__)


def test_launchers_that_know_their_hosts() -> None:
    (command,) = launchers(ready("slurm"), "/s/w.sh", {}, {}.__getitem__)
    assert command[:2] == ["srun", "--mpi=none"] and "--ntasks=5" in command and command[-2:] == ["/bin/sh", "/s/w.sh"]
    assert "--wait=0" in command and "--kill-on-bad-exit=0" in command
    assert launchers(ready("mpi"), "/w", {}, {}.__getitem__) == [
        ["mpirun", "--bind-to", "none", "-n", "4", "/bin/sh", "/w"]
    ]
    assert launchers(ready("htcondor"), "/w", {}, {}.__getitem__) == []
    hosts = [command[-3] for command in launchers(ready("ssh"), "/w", {}, {}.__getitem__)]
    assert hosts == ["node1", "node2", "node1", "node2"]
    with pytest.raises(ClusterError):
        launchers(ready("kubernetes"), "/w", {}, {}.__getitem__)


def test_the_worker_script_is_sound_shell() -> None:
    cluster = ready(
        "slurm", ("prologue", '["A=1"]'), ("scratch", '"$TMPDIR/it\'s \\"mine\\" `x`"'), ("worker_ports", '"1:9"')
    )
    text = worker_script(cluster, Contact("tls://h:1", PurePosixPath("/a b")), "/py", "/it's here")
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
    shown = text.replace("cd ", "true ").replace("exec ", "printf '%s\\n' ")
    environment = {"TMPDIR": "/tmp/1", "PATH": "/usr/bin:/bin", "SLURM_PROCID": "1"}
    words = subprocess.run(["sh", "-c", shown], env=environment, capture_output=True, text=True, check=True).stdout
    said = words.splitlines()
    assert said[:4] == ["/py", "-m", "entropic.engine.cluster_worker", "tls://h:1"]
    assert dict(zip(said[4::2], said[5::2], strict=True)) == {
        "--nthreads": "8",
        "--memory-limit": str(16 * 2**30),
        "--interface": "ib0",
        "--death-timeout": "180",
        "--grace": "60",
        "--ports": "1:9",
        "--tls-ca-file": "/a b/ca.pem",
        "--tls-cert": "/a b/ca.pem",
        "--tls-key": "/a b/key.pem",
        "--local-directory": '/tmp/1/it\'s "mine" `x`',
    }
    first = {**environment, "SLURM_PROCID": "0"}
    assert subprocess.run(["sh", "-c", shown], env=first, capture_output=True, text=True, check=True).stdout == ""


def test_no_certificates_without_tls() -> None:
    assert "--tls" not in worker_script(ready("mpi"), Contact("tcp://h:1", None), "/py", "/")


@pytest.mark.parametrize(
    ("system", "environment", "commands", "code"),
    [
        (
            "slurm",
            {"SLURM_JOB_ID": "7"},
            [["scontrol", "requeue", "7"], ["sbatch", "--dependency=afterany:7", "r.job/job.sh"]],
            0,
        ),
        ("pbs", {"PBS_JOBID": "7.h"}, [["qsub", "-W", "depend=afterany:7.h", "r.job/job.sh"]], 0),
        ("lsf", {"LSB_JOBID": "7"}, [], 75),
        ("sge", {"JOB_ID": "7"}, [], 99),
        ("htcondor", {}, [], 75),
        ("oar", {"OAR_JOB_ID": "7"}, [], 99),
        ("mpi", {}, [], 130),
        ("slurm", {}, [], 130),
    ],
)
def test_how_the_next_job_begins(
    system: str, environment: dict[str, str], commands: list[list[str]], code: int
) -> None:
    found = continuation(Submission("r", ready(system)), environment)
    assert (list(found.commands), found.exit_code) == (commands, code)


def test_attempts_have_names_of_their_own() -> None:
    slurm = {"SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "2"}
    assert attempt_name(slurm, 5) == "7-2"
    assert attempt_name({"SLURM_JOB_ID": "7"}, 5) == "7-0"
    assert attempt_name({"PBS_JOBID": "7[1].host"}, 5) == "7_1_.host-5"
    assert attempt_name({"ENTROPIC_CONDOR_ID": "7"}, 5) == "7-0"
    assert attempt_name({}, 5) == "here-5"
    assert job_id({}) is None and job_id({"LSB_JOBID": "3"}) == "3"


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.sets(st.sampled_from("abcdefgh"), min_size=1))
def test_blocks_are_shared_out_evenly_and_stay_where_they_can(owners: list[str], present: set[str]) -> None:
    workers = sorted(present)
    shared = share_out(owners, workers)
    assert len(shared) == len(owners) and set(shared) <= present
    counts = Counter(shared)
    sizes = [counts[worker] for worker in workers]
    assert not owners or max(sizes) - min(sizes) <= 1
    assert share_out(shared, workers) == shared
    before = Counter(owner for owner in owners if owner in present)
    kept = sum(a == b for a, b in zip(owners, shared, strict=True))
    most = sorted((before[worker] for worker in workers), reverse=True)
    room = sorted(sizes, reverse=True)
    assert kept == sum(min(a, b) for a, b in zip(most, room, strict=True)), "a block moved for nothing"
