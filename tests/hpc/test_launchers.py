"""The real ssh and the real mpirun, on loopback."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Place, cluster_file, lawful, until


@pytest.fixture
def ssh_configuration(tmp_path: Path) -> Iterator[Path]:
    """Two hosts, node1 and node2, which are an ssh server on this machine's loopback."""
    place = tmp_path / "ssh"
    place.mkdir(mode=0o700)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    known = (place / "host.pub").read_text()
    (place / "known").write_text("".join(f"{node} {known}" for node in ("node1", "node2")))
    server, client = place / "sshd_config", place / "ssh_config"
    server.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/user.pub\n"
        f"PidFile {place}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    aliases = "".join(f"Host {node}\n  HostKeyAlias {node}\n" for node in ("node1", "node2"))
    client.write_text(
        f"{aliases}Host node1 node2\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {place}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {place}/known\n"
        "  StrictHostKeyChecking yes\n"
    )
    program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    assert program, "start these tests by tests/hpc/run, which installs what they need"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = (place / "log").open("wb")
    process = subprocess.Popen([program, "-D", "-e", "-f", str(server)], stdout=log, stderr=log)
    try:
        until(lambda: b"listening" in (place / "log").read_bytes(), 20, lambda: (place / "log").read_text())
        yield client
    finally:
        process.terminate()
        process.wait(20)


def test_hosts_by_ssh(ssh_configuration: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, dict(os.environ))
    remote = f"ssh -F {ssh_configuration} -o BatchMode=yes"
    place.write(10, cluster_file("ssh", ssh={"hosts": ["node1", "node2"], "remote": remote}))
    place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "r")
    assert lawful(tmp_path / "r") == 10
    assert len(place.workers_on()) == 2
    place.write(10, cluster_file("ssh", ssh={"hosts": ["node3"], "remote": f"{remote} -o ConnectTimeout=5"}))
    error = place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "w", code=4, seconds=120)
    assert "0 of 2 workers are connected" in error and "node3" in error


def test_mpirun(tmp_path: Path) -> None:
    place = Place(tmp_path, {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    launcher = "mpirun --bind-to none --oversubscribe -n {workers}"
    place.write(10, cluster_file("mpi", mpi={"launcher": launcher}))
    place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "r")
    assert lawful(tmp_path / "r") == 10
    assert len(place.workers_on()) == 2
