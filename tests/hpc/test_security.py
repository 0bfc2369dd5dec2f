"""Who can reach a cluster that we start, from where: a scan of every port, and another user of the machine."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from distributed.security import Security
from runs import ENDLESS, Place, cluster_file, reached, until
from virtual_sge import alone_on_the_network

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not alone_on_the_network(), reason="as root, in a network of its own: see tests/hpc/run"
)

SEVERAL = 'sh -c \'for i in $(seq {workers}); do "$0" "$@" & done; wait\''  # mpirun, on this host
NOBODY = 65534


@pytest.fixture
def interfaces() -> Iterator[dict[str, str]]:
    """Two more interfaces, with their addresses: the one that clusters shall use, and another."""
    made = {"named0": "10.97.1.1", "other0": "10.97.2.1"}
    subprocess.run(["ip", "link", "add", "named0", "type", "veth", "peer", "name", "other0"], check=True)
    try:
        for name, address in made.items():
            for words in (f"address add {address}/24 dev {name}", f"link set {name} up"):
                subprocess.run(["ip", *words.split()], check=True)
        yield made
    finally:
        subprocess.run(["ip", "link", "delete", "named0"], check=True)


def open_ports(address: str) -> set[int]:
    """All ports at which something answers."""
    found = set()
    for port in range(1, 65536):
        with socket.socket() as tried:
            tried.settimeout(2)
            # A port that nobody has may connect to itself, if the kernel happens to give it to us.
            if tried.connect_ex((address, port)) == 0 and tried.getsockname() != tried.getpeername():
                found.add(port)
    return found


def let_in(address: str, port: int, certificate: Path | None = None) -> bool:
    """Whether a server goes on talking with someone who shows this certificate, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    try:
        with socket.create_connection((address, port), 10) as plain, context.wrap_socket(plain) as secured:
            return len(secured.recv(1)) == 1  # Dask's servers greet whom they accept
    except ConnectionError:
        return False
    except ssl.SSLError as error:
        assert not isinstance(error, ssl.SSLCertVerificationError)
        return False


def test_nothing_listens_beyond_the_named_interface(interfaces: dict[str, str], tmp_path: Path) -> None:
    place = Place(tmp_path, dict(os.environ))
    network = {"interface": "named0"}
    place.write(ENDLESS, cluster_file("mpi", mpi={"launcher": SEVERAL}, network=network))
    addresses = ("127.0.0.1", *interfaces.values())
    before = {address: open_ports(address) for address in addresses}
    process = place.begin("run", "c.toml", "--cluster", "cluster.toml", "--out", "r", "--chunks", "1,2")
    until(lambda: reached(tmp_path / "r") >= 5 or process.poll() is not None)
    after = {address: open_ports(address) - before[address] for address in addresses}
    assert len(after["10.97.1.1"]) >= 5  # a scheduler, two workers, two guards
    assert not after["10.97.2.1"]
    (session,) = (tmp_path / "r.job").glob("session-*")
    ours = tmp_path / "ours.pem"
    ours.write_text((session / "ca.pem").read_text() + (session / "key.pem").read_text())
    assert all(let_in("10.97.1.1", port, ours) for port in after["10.97.1.1"])
    assert not any(let_in("10.97.1.1", port) for port in after["10.97.1.1"])
    place.interrupt(process)
    assert not open_ports("10.97.1.1") - before["10.97.1.1"], "something outlives the run"


def as_nobody(question: Callable[[], str]) -> str:
    """What another user of this machine finds out: the name of the error, or the answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = question()
        except BaseException as error:
            answer = type(error).__name__
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that everyone can read."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_another_user_of_this_machine(public: Path) -> None:
    place = Place(public, dict(os.environ))
    place.write(ENDLESS, cluster_file("mpi", mpi={"launcher": SEVERAL}))
    process = place.begin("run", "c.toml", "--cluster", "cluster.toml", "--out", "r", "--chunks", "1,2")
    until(lambda: reached(public / "r") >= 5 or process.poll() is not None)
    (session,) = (public / "r.job").glob("session-*")
    script = (session / "worker.sh").read_text()
    port = int(script.partition("tls://127.0.0.1:")[2].split()[0])
    stranger = Security.temporary()
    foreign = public / "foreign.pem"
    foreign.write_text(str(stranger.tls_client_cert) + str(stranger.tls_client_key))
    foreign.chmod(0o644)
    assert as_nobody(lambda: " ".join(sorted(os.listdir(public)))) == "c.toml cluster.toml foreign.pem r r.job"
    for closed in (public / "r", public / "r" / "checkpoints", public / "r.job", session):
        assert as_nobody(lambda path=closed: " ".join(os.listdir(path))) == "PermissionError", closed
    for file in (session / "key.pem", session / "worker.sh", public / "r" / "config.toml"):
        assert as_nobody(lambda path=file: path.read_text()) == "PermissionError", file
    for one in (process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))):
        assert as_nobody(lambda pid=one: Path(f"/proc/{pid}/environ").read_text()) == "PermissionError"
        assert as_nobody(lambda pid=one: str(os.kill(pid, 9))) == "PermissionError"
    assert as_nobody(lambda: str(let_in("127.0.0.1", port))) == "False"
    assert as_nobody(lambda: str(let_in("127.0.0.1", port, foreign))) == "False"
    place.interrupt(process)
    # What was handed over with 'submit' is as private.
    environment = {**os.environ, "PATH": "/nowhere"}
    lsf = cluster_file("lsf")
    (public / "lsf.toml").write_text(lsf)
    command = ["submit", "c.toml", "--cluster", "lsf.toml", "--out", "s"]
    Place(public, environment).entropic(*command, code=4)
    assert as_nobody(lambda: " ".join(os.listdir(public / "s.job"))) == "PermissionError"
