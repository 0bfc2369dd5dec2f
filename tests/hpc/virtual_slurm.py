"""A real Slurm on this machine: three virtual nodes on loopback, without systemd, in a directory of its own.

As a program it serves until it is interrupted: ``python tests/hpc/virtual_slurm.py DIRECTORY``, then, elsewhere,
``export SLURM_CONF=DIRECTORY/slurm.conf``.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

PROGRAMS = ("slurmctld", "slurmd", "munged", "mungekey", "sbatch", "srun", "scontrol", "scancel", "squeue")
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
NODES = ("n1", "n2", "n3")
CPUS = 2
MEMORY = 4000  # MiB a node, as far as Slurm knows
_PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])

_CONF = """
ClusterName=virtual
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={first}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge/socket,cred_expire=5
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
TmpFS={root}/tmp-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0,sched_min_interval=0
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobRequeue=1
ReturnToService=2
KillWait=5
SlurmdTimeout=60
MinJobAge=300
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cpus} RealMemory={memory}
PartitionName=normal Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program, path=_PATH) is None]


def _free_ports(count: int) -> int:
    """First of so many free ports in a row, outside the range that the kernel gives away."""
    for first in range(20000 + os.getpid() % 3000, 30000, count):
        with suppress(OSError):
            for port in range(first, first + count):
                with socket.socket() as tried:
                    tried.bind(("127.0.0.1", port))
            return first
    raise RuntimeError("no ports are free")


@contextmanager
def local_name() -> Iterator[str]:
    """This host's name, which has to mean loopback; where it does not, /etc/hosts says so meanwhile."""
    host, hosts = socket.gethostname().partition(".")[0], Path("/etc/hosts")
    with suppress(OSError):
        if socket.gethostbyname(host).startswith("127."):
            yield host
            return
    before = hosts.read_text()
    hosts.write_text(f"127.0.0.1 {host}\n{before}")
    try:
        yield host
    finally:
        hosts.write_text(before)


@final
class VirtualSlurm:
    """Three nodes of two cores; see `virtual_slurm`."""

    def __init__(self, root: Path, first: int) -> None:
        self.root = root
        self.environment = {**os.environ, "SLURM_CONF": str(root / "slurm.conf"), "PATH": _PATH}
        self._first = first
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground, in a session of its own."""
        log = (self.root / f"{name}.out").open("ab")
        self._daemons[name] = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def start_node(self, node: str) -> None:
        (self.root / f"tmp-{node}").mkdir(exist_ok=True)
        self.start(node, "slurmd", "-D", "-N", node)

    def stop(self) -> None:
        with suppress(Exception):
            self.run("scancel", "--user", str(os.geteuid()), check=False)
        for _, process in sorted(self._daemons.items(), key=lambda item: item[0] == "munged"):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *command: str, check: bool = True, cwd: Path | None = None) -> str:
        """Standard output of a command on this cluster."""
        made = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=60, check=False, cwd=cwd
        )
        if check and made.returncode:
            raise RuntimeError(f"{command}: {made.stdout}{made.stderr}")
        return made.stdout

    def job(self, job: str) -> dict[str, str]:
        """What the controller knows of a job."""
        text = self.run("scontrol", "show", "job", job, "--oneliner")
        return dict(part.split("=", 1) for part in text.split() if "=" in part)

    def state(self, job: str) -> str:
        return self.job(job)["JobState"]

    def set_node(self, node: str, state: str, check: bool = True) -> None:
        reason = ["Reason=test"] if state in {"drain", "down"} else []
        self.run("scontrol", "update", f"NodeName={node}", f"State={state}", *reason, check=check)


@contextmanager
def virtual_slurm(root: Path) -> Iterator[VirtualSlurm]:
    """A Slurm that is up, in an empty directory; all its daemons end with it."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    with local_name() as host:
        first = _free_ports(len(NODES) + 1)
        places = {"ctld": first, "first": first + 1, "last": first + len(NODES)}
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        text = _CONF.format(host=host, root=root, user=user, nodes=len(NODES), cpus=CPUS, memory=MEMORY, **places)
        (root / "slurm.conf").write_text(text)
        for name in ("state", "munge"):
            (root / name).mkdir(mode=0o755, exist_ok=True)
        slurm = VirtualSlurm(root, first)
        munge = root / "munge"
        slurm.run("mungekey", "--create", "--force", f"--keyfile={munge}/key")
        try:
            files = [f"--{name}-file={munge}/{name}" for name in ("key", "pid", "log", "seed")]
            slurm.start("munged", "munged", "--foreground", "--force", f"--socket={munge}/socket", *files)
            _until(lambda: (munge / "socket").exists())
            slurm.start("slurmctld", "slurmctld", "-D", "-c")
            for node in NODES:
                slurm.start_node(node)
            _until(lambda: slurm.run("sinfo", "-h", "-o", "%T", check=False).strip() == "idle")
            yield slurm
        finally:
            slurm.stop()


def _until(holds: object, seconds: float = 60) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("Slurm does not come up; see its logs")
        time.sleep(0.1)


if __name__ == "__main__":
    if lacking := missing():
        sys.exit(f"not installed: {', '.join(lacking)}; apt-get install {' '.join(PACKAGES)}")
    with virtual_slurm(Path(sys.argv[1]).absolute()) as served:
        print(f"three nodes are up:  export SLURM_CONF={served.environment['SLURM_CONF']}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()
