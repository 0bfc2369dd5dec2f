"""A real Grid Engine on this machine: one host of four slots, in a directory of its own.

Its daemons listen on every address, and run what they are told as root: start it in a network namespace of its own, as
tests/hpc/run does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from virtual_slurm import local_name

BIN = Path("/usr/lib/gridengine")
_SHARE = Path("/usr/share/gridengine")
_BOOTSTRAP = """\
admin_user              root
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         {root}/spooldb
binary_path             {root}/bin
qmaster_spool_dir       {root}/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
"""
_ENVIRONMENT = """\
pe_name            {name}
slots              99
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    {rule}
control_slaves     TRUE
job_is_first_task  FALSE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
"""


def alone_on_the_network() -> bool:
    """Whether this is a network namespace with loopback alone."""
    return {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]} <= {"lo"}


@contextmanager
def virtual_sge(root: Path) -> Iterator[dict[str, str]]:
    """A Grid Engine that is up, in an empty directory; yields the environment of its users."""
    with local_name() as host:
        arch = subprocess.run([_SHARE / "util/arch"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("default/common", "qmaster/job_scripts", "spooldb", "execd", "bin", "utilbin", "lib"):
            (root / name).mkdir(parents=True)
        (root / "util").symlink_to(_SHARE / "util")
        for name in ("bin", "utilbin", "lib"):
            (root / name / arch).symlink_to(BIN)
        common = root / "default" / "common"
        (common / "bootstrap").write_text(_BOOTSTRAP.format(root=root))
        (common / "act_qmaster").write_text("localhost\n")
        (common / "host_aliases").write_text(f"localhost {host}\n")
        environment = {
            **os.environ,
            "SGE_ROOT": str(root),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": "24444",
            "SGE_EXECD_PORT": "24445",
            "SGE_ND": "1",  # daemons stay in the foreground
            "PATH": f"{BIN}:{os.environ['PATH']}",
        }

        def run(*command: str, check: bool = True) -> str:
            made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            if check and made.returncode:
                raise RuntimeError(f"{command}: {made.stdout}{made.stderr}")
            return made.stdout

        def written(name: str, text: str) -> str:
            (root / name).write_text(text)
            return str(root / name)

        defaults = (_SHARE / "default-configuration").read_text()
        changes = {"execd_spool_dir": root / "execd", "mailer": "/bin/true", "min_uid": 0, "min_gid": 0}
        run("spoolinit", "berkeleydb", "libspoolb", str(root / "spooldb"), "init")
        run("spooldefaults", "configuration", written("configuration", _changed(defaults, changes)))
        for name in ("complexes", "usersets"):
            place = {"complexes": "centry", "usersets": "usersets"}[name]
            run("spooldefaults", name, str(_SHARE / "util/resources" / place))
        run("spooldefaults", "managers", "root")
        daemons: list[subprocess.Popen[bytes]] = []
        try:
            daemons.append(_daemon("sge_qmaster", root, environment))
            _until(lambda: run("qconf", "-sss", check=False))
            run("qconf", "-ah", "localhost", check=False)
            run("qconf", "-as", "localhost", check=False)
            daemons.append(_daemon("sge_execd", root, environment))
            _until(lambda: "localhost" in run("qconf", "-sel", check=False))
            for name, rule in (("mpi", "$fill_up"), ("smp", "$pe_slots")):
                run("qconf", "-Ap", written(name, _ENVIRONMENT.format(name=name, rule=rule)))
            queue = {"qname": "all.q", "hostlist": "localhost", "slots": 4, "pe_list": "mpi smp", "rerun": "TRUE"}
            queue |= {"shell": "/bin/bash", "load_thresholds": "NONE"}
            run("qconf", "-Aq", written("queue", _changed(run("qconf", "-sq"), queue)))
            quick = {"schedule_interval": "0:0:1", "flush_submit_sec": 1, "flush_finish_sec": 1}
            run("qconf", "-Msconf", written("scheduling", _changed(run("qconf", "-ssconf"), quick)))
            yield environment
        finally:
            with suppress(Exception):
                run("qdel", "-f", "-u", "*", check=False)
            for daemon in reversed(daemons):
                daemon.terminate()
                with suppress(subprocess.TimeoutExpired):
                    daemon.wait(10)
                daemon.kill()
                daemon.wait()


def _daemon(name: str, root: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    log = (root / f"{name}.out").open("ab")
    return subprocess.Popen(
        [str(BIN / name)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        # Grid Engine 8.1 prepares for every file that it could ever open.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
    )


def _changed(text: str, values: dict[str, object]) -> str:
    """A table of Grid Engine with some of its lines replaced."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    lines = [line for line in lines if line.split()[0] not in values]
    return "\n".join([*lines, *(f"{key} {value}" for key, value in values.items())]) + "\n"


def _until(holds: object, seconds: float = 120) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError("Grid Engine does not come up; see its logs")
        time.sleep(0.2)
