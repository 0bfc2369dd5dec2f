"""Job scripts: a pure function of configuration and cluster file, golden for every system."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from entropic.batch.file import ClusterFile
from entropic.batch.sections import SYSTEMS
from entropic.batch.submission import Submission, job_file, job_text, submit_command
from entropic.errors import UsageError

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
WITH_JOBS = [system for system in SYSTEMS if system != "ssh"]
CONFIG = "[field]\nshape = [8, 8]\nregions = [2, 2]\n[run]\ncycles = 3\n"


def ready(system: str, *changes: tuple[str, str]) -> ClusterFile:
    """The file that we ship, with some lines changed."""
    text = (ROOT / "cluster" / f"{system}.toml").read_text("utf-8")
    for key, value in changes:
        text, count = re.subn(rf"(?m)^{key} = .*$", lambda _, line=f"{key} = {value}": line, text)
        assert count == 1, key
    return ClusterFile.from_text(text)


def dry_run(directory: Path, system: str, *more: str, environment: dict[str, str] | None = None) -> str:
    (directory / "c.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "entropic.cli", "submit", "c.toml", "--cluster"]
    made = subprocess.run(
        [*command, str(ROOT / "cluster" / f"{system}.toml"), "--out", "runs/demon", "--dry-run", *more],
        cwd=directory,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize("system", WITH_JOBS)
def test_golden(system: str) -> None:
    """Renew a golden file by hand, from `entropic submit --dry-run`, after reading what has changed."""
    submission = Submission("runs/demon", ready(system), config=CONFIG)
    text = job_text(submission)
    assert text == (GOLDEN / f"{system}.txt").read_text("utf-8")
    if system not in {"htcondor", "kubernetes"}:
        checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_the_command_prints_the_same_wherever_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    other = {"SLURM_JOB_ID": "7", "USER": "someone", "TZ": "Pacific/Apia", "LC_ALL": "C"}
    first, second = dry_run(tmp_path / "a", "slurm"), dry_run(tmp_path / "b", "slurm", environment=other)
    assert first == second == (GOLDEN / "slurm.txt").read_text("utf-8")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["c.toml"], "a dry run leaves nothing"


def test_what_is_asked_for_is_in_the_script() -> None:
    cluster = ready(
        "slurm", ("queue", '"long"'), ("account", '"a1"'), ("nodes", "3"), ("directives", '["--qos=high"]'),
        ("skip", '["--mem"]'), ("prologue", '["module load python"]'), ("requeue", "false"),
    )  # fmt: skip
    lines = job_text(Submission("r", cluster, (1, 2), plain_tcp=True)).splitlines()
    for line in ("--partition=long", "--account=a1", "--nodes=3", "--qos=high", "--no-requeue"):
        assert f"#SBATCH {line}" in lines
    assert not any("--mem" in line for line in lines)
    assert lines.index("module load python") < len(lines) - 1
    assert lines[-1].endswith('carry-on r --chunks 1,2 --plain-tcp --began "$began"')


def test_nodes_become_whole_tasks() -> None:
    """5 tasks of 8 cores on 2 nodes: 3 a node."""
    pbs = job_text(Submission("r", ready("pbs", ("nodes", "2"))))
    assert "select=2:ncpus=24:mpiprocs=3:mem=49152mb" in pbs and "place=scatter" in pbs
    torque = job_text(Submission("r", ready("pbs", ("nodes", "2"), ("dialect", '"torque"'))))
    assert "nodes=2:ppn=24" in torque and "pmem=2048mb" in torque
    assert "span[ptile=24]" in job_text(Submission("r", ready("lsf", ("nodes", "2"))))
    assert "/nodes=2/core=24" in job_text(Submission("r", ready("oar", ("nodes", "2"))))


def test_kubernetes_objects() -> None:
    secured = list(yaml.safe_load_all(job_text(Submission("runs/Demon_1", ready("kubernetes"), config=CONFIG))))
    plain = list(
        yaml.safe_load_all(job_text(Submission("runs/Demon_1", ready("kubernetes"), plain_tcp=True, config=CONFIG)))
    )
    assert [o["kind"] for o in secured] == ["ConfigMap", "DaskCluster", "Job"]
    assert {o["metadata"]["name"] for o in secured} == {"demon-1", "demon-1-driver"}
    assert secured[0]["data"]["config.toml"] == CONFIG
    assert secured[1]["spec"]["worker"]["replicas"] == 4
    assert "tls://demon-1-scheduler.default.svc:8786" in str(secured) and "tcp://" not in str(secured)
    assert "tls" not in str(plain).replace("tcp-comm", "")
    for secure, objects in ((True, secured), (False, plain)):
        pods = [objects[1]["spec"][part]["spec"] for part in ("scheduler", "worker")]
        for pod in [*pods, objects[2]["spec"]["template"]["spec"]]:
            mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["volumes"]}
            assert ("tls" in mounted) is secure


def test_condor_quotes() -> None:
    text = job_text(Submission("r", ready("htcondor", ("prologue", '["export A=\'b c\'; export D=\\"e\\""]'))))
    (arguments,) = re.findall(r'^arguments = "-c \'(.*)\'"$', text, re.M)
    shell = arguments.replace("''", "'").replace('""', '"').replace("$(DOLLAR)", "$").replace("$(Cluster)", "7")
    shell = re.sub(r"exec .*", 'echo "$A $D"', shell)
    assert subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout == "b c e\n"


@pytest.mark.parametrize("run", ["a b", "-x", "a;b", "ü", "", "$HOME"])
def test_paths_that_no_script_can_have(run: str) -> None:
    with pytest.raises(UsageError):
        Submission(run, ready("slurm"))


def test_ssh_has_no_queue() -> None:
    with pytest.raises(UsageError, match="entropic run"):
        Submission("r", ready("ssh"))


def test_how_each_is_handed_over() -> None:
    commands = {system: submit_command(Submission("r", ready(system)), "7") for system in
                ("slurm", "pbs", "lsf", "sge", "htcondor", "oar")}  # fmt: skip
    assert commands == {
        "slurm": ["sbatch", "--dependency=afterany:7", "r.job/job.sh"],
        "pbs": ["qsub", "-W", "depend=afterany:7", "r.job/job.sh"],
        "lsf": ["/bin/sh", "-c", "bsub < r.job/job.sh"],
        "sge": ["qsub", "-hold_jid", "7", "r.job/job.sh"],
        "htcondor": ["condor_submit", "r.job/job.sub"],
        "oar": ["oarsub", "-S", "./r.job/job.sh"],
    }
    for system in ("mpi", "kubernetes"):
        with pytest.raises(UsageError, match="dry-run"):
            submit_command(Submission("r", ready(system)))
    assert job_file(Submission("/x/r/", ready("slurm"))) == "/x/r.job/job.sh"
