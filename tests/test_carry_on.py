"""Runs on clusters that a file describes, without a batch system: real workers, real TLS, jobs that go on by themselves.

Grid Engine's way is used where a job is needed: its host file names this host alone, so workers are started directly,
and exit code 99 asks to be queued again.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from distributed import Client
from distributed.security import Security

from entropic.batch.file import ClusterFile
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.drivers import drivers
from entropic.engine.checkpoint import generations, newest_sound
from entropic.store import RunStore
from waiting import until

CONFIG = """
[field]
shape = [12, 12]
regions = [4, 4]
mean = 3.0
[run]
cycles = {cycles}
checkpoint_every = 5
[relax]
layers = 1
[demon]
threshold = 3
"""
COMMON = f"""
[workers]
count = 2
memory = "1 GiB"
[environment]
python = "{sys.executable}"
[network]
interface = "lo"
"""
# What mpirun does, on this host.
SEVERAL = 'sh -c \'for i in $(seq {workers}); do "$0" "$@" & done; wait\''
MPI = f"[cluster]\nsystem = 'mpi'\n{COMMON}[mpi]\nlauncher = {json.dumps(SEVERAL)}\n"
SGE = f"[cluster]\nsystem = 'sge'\n{COMMON}"


def undisturbed(cycles: int) -> dict[str, str]:
    return dict(EntropicComputer(Config.from_text(CONFIG.format(cycles=cycles))).run()["digest"])


def begin(cwd: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "entropic.cli", *arguments]
    return subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str], code: int, seconds: float = 200) -> str:
    output, errors = process.communicate(timeout=seconds)
    assert process.returncode == code, output + errors
    assert "Traceback" not in output + errors
    return errors if code else output


def children(pid: int) -> list[psutil.Process]:
    here = psutil.Process(pid)
    return [here, *here.children(recursive=True)]


def test_a_launched_cluster_is_private_and_gives_the_same_bits(tmp_path: Path) -> None:
    """Loopback alone; keys 0600 in a directory 0700; strangers refused; the driver's death ends all."""
    (tmp_path / "c.toml").write_text(CONFIG.format(cycles=100_000))
    (tmp_path / "m.toml").write_text(MPI)
    run = tmp_path / "r"
    process = begin(tmp_path, "run", "c.toml", "--cluster", "m.toml", "--out", "r", "--chunks", "1,4")
    until(lambda: len(generations(run / "checkpoints")) > 1 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    (session,) = (tmp_path / "r.job").glob("session-*")
    assert stat.S_IMODE(session.stat().st_mode) == 0o700
    assert {f.name: stat.S_IMODE(f.stat().st_mode) for f in session.glob("*.pem")} == {
        "ca.pem": 0o600,
        "key.pem": 0o600,
    }
    family = children(process.pid)
    assert sum("cluster_worker" in " ".join(p.cmdline()) for p in family) >= 2
    listening = [c.laddr.ip for p in family for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 5 and set(listening) == {"127.0.0.1"}
    found = re.search(r"tls://127\.0\.0\.1:\d+", (session / "worker.sh").read_text())
    assert found
    for address, security in ((found[0].replace("tls", "tcp"), None), (found[0], Security.temporary())):
        with pytest.raises((OSError, TimeoutError, ssl.SSLError)):
            Client(address, security=security, timeout=3, set_as_default=False)
    process.kill()
    process.communicate()
    psutil.wait_procs(family, timeout=60)
    assert not [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE], (
        "workers outlive the driver"
    )
    generation = newest_sound(run / "checkpoints")
    end = generation.cycle + 3
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("cycles = 100000", f"cycles = {end}"))
    said = ended(begin(tmp_path, "resume", "r", "--cluster", "m.toml", "--json"), 0)
    assert json.loads(said)["digest"] == undisturbed(end)
    assert json.loads(said)["performance"]["workers"] == 2
    assert not list((tmp_path / "r.job").glob("session-*/*.pem")) or session.exists()


def test_launchers_that_fail_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CONFIG.format(cycles=5))
    broken = MPI.replace(json.dumps(SEVERAL), json.dumps("sh -c 'echo no such node >&2; exit {workers}'"))
    (tmp_path / "m.toml").write_text(broken)
    started = time.monotonic()
    error = ended(begin(tmp_path, "run", "c.toml", "--cluster", "m.toml", "--out", "r"), 4)
    assert "0 of 2 workers are connected" in error and "no such node" in error
    assert time.monotonic() - started < 150
    assert not (tmp_path / "r").exists() and not list((tmp_path / "r.job").glob("session-*"))


def job(tmp_path: Path, cycles: int) -> dict[str, str]:
    """What `entropic submit` lays out, and the environment of a job of Grid Engine on this host."""
    place = tmp_path / "r.job"
    place.mkdir()
    (place / "config.toml").write_text(CONFIG.format(cycles=cycles))
    (place / "cluster.toml").write_text(SGE)
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{platform.node()} 3 all.q@here UNDEFINED\n")
    return {"PE_HOSTFILE": str(hosts), "JOB_ID": "41"}


def test_a_job_goes_on_until_the_run_is_done(tmp_path: Path) -> None:
    """The first ends at its time limit, the second by its system's signal, the third ends the run, a fourth has nothing to do."""
    environment, run = job(tmp_path, 100_000), tmp_path / "r"
    limit = ClusterFile.from_text(SGE).job
    began = int(time.time()) - (limit.seconds - limit.warning)  # its time is up as soon as it has begun
    ended(begin(tmp_path, "carry-on", "r", "--began", str(began), **environment), 99)
    first = newest_sound(run / "checkpoints").cycle
    assert first == 1, "one cycle, so that even such a chain comes to its end"
    process = begin(tmp_path, "carry-on", "r", "--began", str(int(time.time())), **environment)
    until(lambda: newest_sound(run / "checkpoints").cycle > first or process.poll() is not None)
    process.send_signal(signal.SIGUSR1)
    ended(process, 99)
    second = newest_sound(run / "checkpoints")
    assert second.cycle > first
    assert second.digest == undisturbed(second.cycle)["field"]
    assert RunStore.open(run).series_digest() == undisturbed(second.cycle)["series"]
    end = second.cycle + 4
    for file in (run / "config.toml", tmp_path / "r.job" / "config.toml"):
        file.write_text(file.read_text().replace("cycles = 100000", f"cycles = {end}"))
    ended(begin(tmp_path, "carry-on", "r", **environment), 0)
    assert newest_sound(run / "checkpoints").digest == undisturbed(end)["field"]
    assert [(driver.job, driver.cycle) for driver in drivers(run)] == [("41", 0), ("41", first), ("41", second.cycle)]
    ended(begin(tmp_path, "carry-on", "r", **environment), 0)
    assert len(drivers(run)) == 3


def test_a_signal_that_comes_too_late_is_none(tmp_path: Path) -> None:
    """Slurm may send it at any time: also while Python, having done everything, comes to its end."""
    environment = job(tmp_path, 3)
    ended(begin(tmp_path, "carry-on", "r", **environment), 0)
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until Python listens, as in the job's script
    process = begin(tmp_path, "carry-on", "r", **environment)
    signal.signal(signal.SIGUSR1, before)
    while process.poll() is None:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.001)
    ended(process, 0)


def test_a_job_that_comes_no_further_ends_the_chain(tmp_path: Path) -> None:
    """And a run of another configuration, or without a sound checkpoint, is never gone on with."""
    environment, run = job(tmp_path, 50), tmp_path / "r"
    computer = EntropicComputer(Config.from_text(CONFIG.format(cycles=50)), run)
    next(iter(computer))
    computer.store.unlock()
    line = (run / "drivers.jsonl").read_text().replace('"cycle": 0', '"cycle": 1')
    (run / "drivers.jsonl").write_text(line * 3)
    error = ended(begin(tmp_path, "carry-on", "r", **environment), 4)
    assert "began at cycle 1 and came no further" in error
    (run / "drivers.jsonl").write_text("")
    (tmp_path / "r.job" / "config.toml").write_text(CONFIG.format(cycles=51))
    assert "another configuration" in ended(begin(tmp_path, "carry-on", "r", **environment), 2)
    (tmp_path / "r.job" / "config.toml").write_text(CONFIG.format(cycles=50))
    for generation in generations(run / "checkpoints"):
        (generation / "manifest.json").write_text("{}")
    assert "no sound checkpoint" in ended(begin(tmp_path, "carry-on", "r", **environment), 5)


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["run", "c.toml", "--cluster", "s.toml", "--workers", "2"], 2, "--workers"),
        (["run", "c.toml", "--plain-tcp"], 2, "--cluster"),
        (["run", "c.toml", "--cluster", "nowhere.toml"], 2, "nowhere.toml"),
        (["run", "c.toml", "--cluster", "wire.toml"], 2, "no network interface 'wire0'"),
        (["run", "c.toml", "--cluster", "k.toml"], 2, "operator"),
        (["submit", "c.toml", "--cluster", "s.toml"], 4, "there is no"),
        (["submit", "c.toml", "--cluster", "big.toml"], 4, "GiB"),
        (["submit", "c.toml"], 2, "--cluster"),
        (["certificates", "."], 2, "exists"),
    ],
)
def test_bad_usage(arguments: list[str], code: int, word: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CONFIG.format(cycles=5))
    lsf = f"[cluster]\nsystem = 'lsf'\n{COMMON}"
    (tmp_path / "s.toml").write_text(lsf)
    (tmp_path / "wire.toml").write_text(MPI.replace('"lo"', '"wire0"'))
    (tmp_path / "k.toml").write_text('[cluster]\nsystem = "kubernetes"\n')
    if "big.toml" in arguments:
        (tmp_path / "big.toml").write_text(lsf)
        arguments = [*arguments, "--set", "field.shape=[12000, 1200000]"]
    error = ended(begin(tmp_path, *arguments, PATH="/nowhere"), code)
    assert word in error.replace("\n", " ")
    assert not (tmp_path / "r").exists()


def test_certificates(tmp_path: Path) -> None:
    said = ended(begin(tmp_path, "certificates", "tls"), 0)
    place = tmp_path / "tls"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in place.iterdir()} == {0o600}
    assert f"export DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY={place}/key.pem" in said.splitlines()
