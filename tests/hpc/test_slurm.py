"""A real Slurm, three virtual nodes: whatever is done to the jobs, the bits are those of an undisturbed run."""

from __future__ import annotations

import re
import ssl
import stat
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.security import Security
from runs import ENDLESS, Place, cluster_file, lawful, reached, shorten, until
from virtual_slurm import VirtualSlurm

WHOLE_NODE = {"count": 3, "threads": 2, "memory": "1800 MiB", "at_least": 1}


def submitted(place: Place, cluster: str, cycles: int = ENDLESS) -> str:
    """Id of a job for the run ``r``."""
    place.write(cycles, cluster)
    said = place.entropic("submit", "c.toml", "--cluster", "cluster.toml", "--out", "r", "--chunks", "1,2")
    match = re.search(r"Submitted batch job (\d+)", said)
    assert match
    return match[1]


def over(slurm: VirtualSlurm, job: str) -> str:
    """State of a job that has ended, after waiting for that."""
    final = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"}
    until(lambda: slurm.state(job) in final, 150, lambda: str(slurm.job(job)))
    return slurm.state(job)


def test_workers_as_jobs_come_and_go(slurm: VirtualSlurm, place: Place) -> None:
    """1 → 3 → 2: begun when the first job begins, joined by two more, one of which is cancelled."""
    run = place.path / "r"
    for node in ("n2", "n3"):
        slurm.set_node(node, "drain")
    place.write(ENDLESS, cluster_file("slurm", workers=WHOLE_NODE, wait={"allocation": 90}))
    process = place.begin("run", "c.toml", "--cluster", "cluster.toml", "--out", "r", "--chunks", "1,2")
    until(lambda: reached(run) >= 5 or process.poll() is not None)
    assert place.workers_on() == ["n1"]
    for node in ("n2", "n3"):
        slurm.set_node(node, "resume")
    until(lambda: sorted(place.workers_on()) == ["n1", "n2", "n3"])
    third = reached(run)
    until(lambda: reached(run) > third + 10)
    slurm.set_node("n3", "drain")
    slurm.run("scancel", slurm.run("squeue", "--noheader", "--format=%A", "--nodelist=n3").strip())
    waiting = ("squeue", "--noheader", "--format=%A", "--states=PENDING")
    until(lambda: slurm.run(*waiting).strip() or process.poll() is not None, what=lambda: slurm.run("squeue"))
    assert process.poll() is None, process.communicate()  # the third was asked for again, in vain
    second = reached(run)
    until(lambda: reached(run) > second + 10)
    place.interrupt(process)
    assert lawful(run) > second
    assert slurm.run("squeue", "--noheader").strip() == "" or over_soon(slurm)
    assert not list((place.path / "r.job").glob("session-*")), "keys are left"
    end = shorten(run, 5)
    place.entropic("resume", "r", "--workers", "1")
    assert lawful(run) == end


def over_soon(slurm: VirtualSlurm) -> bool:
    until(lambda: not slurm.run("squeue", "--noheader").strip(), 30)
    return True


def job_processes(job: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SLURM_JOB_ID") == job and "python" in process.name():
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_one_job_over_three_nodes_behind_tls(slurm: VirtualSlurm, place: Place, tmp_path: Path) -> None:
    """Every node computes; nothing listens beyond loopback; keys are private; strangers are refused."""
    run = place.path / "r"
    job = submitted(place, cluster_file("slurm", workers={"count": 3}, job={"nodes": 3}))
    until(lambda: reached(run) >= 5, what=place.logs)
    assert sorted(set(place.workers_on())) == ["n1", "n2", "n3"]
    processes = job_processes(job)
    assert len(processes) >= 7  # a driver, three workers, three guards
    ports = {c.laddr for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}
    assert {address.ip for address in ports} == {"127.0.0.1"}
    (session,) = (place.path / "r.job").glob("session-*")
    assert stat.S_IMODE(session.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in session.glob("*.pem")} == {0o600}
    said = re.search(r"tls://127\.0\.0\.1:\d+", (session / "worker.sh").read_text())
    assert said
    foreign = Security.temporary()
    for address, security in ((said[0].replace("tls", "tcp"), None), (said[0], foreign)):
        with pytest.raises((OSError, TimeoutError, ssl.SSLError)):
            Client(address, security=security, timeout=3, set_as_default=False)
    assert place.status("r")["state"] == "running"
    refused = place.entropic("resume", "r", "--workers", "1", code=4)
    assert "another driver" in refused
    slurm.run("scancel", job)
    assert over(slurm, job) == "CANCELLED"
    found = place.status("r")
    assert (found["state"], found["driver"]) == ("stopped", None)
    assert [driver["job"] for driver in found["jobs"]] == [job]
    assert lawful(run) >= 5
    until(lambda: not job_processes(job), 60)
    end = shorten(run, 5)
    again = re.search(r"\d+", slurm.run("sbatch", "r.job/job.sh", cwd=place.path))
    assert again and over(slurm, again[0]) == "COMPLETED", place.logs()
    assert lawful(run) == end
    assert place.status("r")["state"] == "finished"


def test_a_run_longer_than_the_time_limit(slurm: VirtualSlurm, place: Place) -> None:
    """Slurm's signal alone ends the first job (our own clock is set far away): checkpoint, requeue, resume, done."""
    run = place.path / "r"
    limits = {"nodes": 3, "walltime": "01:00:00", "warning": 20, "directives": ["--time=1"]}
    job = submitted(place, cluster_file("slurm", workers={"count": 3}, job=limits))
    until(lambda: f"time is up: scontrol requeue {job}" in place.logs(), what=place.logs)
    end = shorten(run, 10)  # at once: the next job will soon begin
    assert over(slurm, job) == "COMPLETED", place.logs()
    assert lawful(run) == end
    assert place.status("r")["state"] == "finished"
    assert place.drivers()[:2] == [(job, 0, 0), (job, 1, end - 10)]


def test_requeued_by_hand_then_a_node_goes_down(slurm: VirtualSlurm, place: Place) -> None:
    run = place.path / "r"
    job = submitted(place, cluster_file("slurm", workers={"count": 2}, job={"nodes": 2}))

    def goes_on(starts: int) -> int:
        """Wait until so many drivers have begun and the last has come further; returns the cycle reached."""
        until(lambda: len(place.drivers()) == starts and slurm.state(job) == "RUNNING", what=place.logs)
        begun = place.drivers()[-1][2]
        until(lambda: reached(run) > begun + 5, what=place.logs)
        return reached(run)

    goes_on(1)
    slurm.run("scontrol", "requeue", job)
    goes_on(2)
    *_, last = slurm.run("scontrol", "show", "hostnames", slurm.job(job)["NodeList"]).split()
    slurm.set_node(last, "down")
    third = goes_on(3)
    slurm.run("scancel", job)
    assert over(slurm, job) == "CANCELLED"
    assert lawful(run) >= third
    assert [driver[:2] for driver in place.drivers()] == [(job, 0), (job, 1), (job, 2)]
    assert [cycle for *_, cycle in place.drivers()] == sorted({cycle for *_, cycle in place.drivers()})


def test_over_its_memory(slurm: VirtualSlurm, place: Place) -> None:
    """A job that is killed for its memory says so; with enough of it, the same run ends."""
    run = place.path / "r"
    job = submitted(place, cluster_file("slurm", workers={"count": 1, "memory": "100 MiB"}), cycles=10)
    assert over(slurm, job) in {"OUT_OF_MEMORY", "FAILED", "CANCELLED"}
    assert "memory" in place.logs().lower()
    assert reached(run) < 10
    place.write(10, cluster_file("slurm", workers={"count": 2, "memory": "100 MiB"}, wait={"allocation": 25}))
    error = place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "w", code=4)
    assert "0 of 1 workers came within 25 s" in error and "memory" in error.lower(), error
    again = submitted(place, cluster_file("slurm", workers={"count": 1}), cycles=10)
    assert over(slurm, again) == "COMPLETED", place.logs()
    assert lawful(run) == 10


def test_an_allocation_that_never_comes(slurm: VirtualSlurm, place: Place) -> None:
    for node in ("n1", "n2", "n3"):
        slurm.set_node(node, "drain")
    place.write(10, cluster_file("slurm", wait={"allocation": 3}))
    error = place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "r", code=4, seconds=60)
    assert "0 of 1 workers came within 3 s" in error and "PENDING" in error, error
    assert over_soon(slurm) and not (place.path / "r").exists()


def test_refused_at_once(place: Place) -> None:
    """More memory than any node has, a partition that is not there: told in Slurm's own words."""
    place.write(10, cluster_file("slurm", workers={"count": 1, "memory": "64 GiB"}))
    error = place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "r", code=4, seconds=60)
    assert "refuses" in error and "memory" in error.lower(), error
    place.write(10, cluster_file("slurm", job={"queue": "nowhere"}))
    error = place.entropic("submit", "c.toml", "--cluster", "cluster.toml", "--out", "s", code=4, seconds=60)
    assert "refuses" in error and "partition" in error.lower(), error
