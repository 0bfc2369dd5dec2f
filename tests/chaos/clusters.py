"""Clusters of `dask scheduler` and `dask worker` processes, which no driver owns."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from chaos.runs import environment, require_gone
from waiting import until

_START_SECONDS = 60


class Cluster:
    """Processes of one cluster; scheduler and workers may be on different hosts."""

    def __init__(self, place: Path, inside: Sequence[str] = (), host: str = "127.0.0.1", tls: bool = False) -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.place, self.file = place, place / "scheduler.json"
        self._made: list[subprocess.Popen[bytes]] = []
        self._security = _certificates(place) if tls else []
        protocol = ["--protocol", "tls"] if tls else []
        self.scheduler = self._start(inside, "scheduler", "--host", host, "--port", "0", "--no-dashboard", *protocol)
        until(self.file.is_file, _START_SECONDS, lambda: self.said())

    def worker(
        self,
        inside: Sequence[str] = (),
        host: str = "127.0.0.1",
        nanny: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> psutil.Process:
        """Start a worker; returns its process, or its nanny's."""
        options = ["--host", host, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
        kind = "--nanny" if nanny else "--no-nanny"
        return psutil.Process(self._start(inside, "worker", *options, kind, more=more).pid)

    def _start(
        self, inside: Sequence[str], *arguments: str, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        command = [*inside, sys.executable, "-m", "dask", *arguments, *self._security]
        with (self.place / f"dask-{len(self._made)}.log").open("w") as log:
            command += ["--scheduler-file", str(self.file)]
            made = subprocess.Popen(command, cwd=self.place, env=environment(more), stdout=log, stderr=log)
        self._made.append(made)
        return made

    def tls(self) -> dict[str, str]:
        """What a client needs to be let in."""
        return {
            "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(self.place / "tls" / "ca.pem"),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": str(self.place / "tls" / "ca.pem"),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": str(self.place / "tls" / "key.pem"),
        }

    def said(self) -> str:
        return "\n".join(path.read_text()[-2000:] for path in sorted(self.place.glob("dask-*.log")))

    def require_end(self, seconds: float) -> None:
        """All that a dead scheduler leaves ends by itself."""
        require_gone([psutil.Process(made.pid) for made in self._made if made.poll() is None], seconds)

    def close(self) -> None:
        for made in self._made:
            for child in psutil.Process(made.pid).children(recursive=True) if made.poll() is None else []:
                child.kill()
            made.kill()
            made.wait(30)


def _certificates(place: Path) -> list[str]:
    from entropic.engine.cluster_security import make_certificates, private_directory

    make_certificates(private_directory(place / "tls"))
    certificate, key = place / "tls" / "ca.pem", place / "tls" / "key.pem"
    return ["--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key)]


@contextmanager
def cluster(
    place: Path, workers: int, more: Mapping[str, str] | None = None
) -> Iterator[tuple[Cluster, list[psutil.Process]]]:
    """A scheduler and so many workers without a guard."""
    made = Cluster(place)
    try:
        yield made, [made.worker(more=more) for _ in range(workers)]
    finally:
        made.close()
