"""What both ways of starting a cluster share: the scheduler's options, and what is known when workers do not come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed.deploy.spec import SpecCluster
from distributed.security import Security

from entropic.batch.file import ClusterFile
from entropic.engine.cluster_spans import scheduler_extensions

__all__ = ["CLOSE_SECONDS", "LOOPBACK", "POLL_SECONDS", "newest_log", "present", "scheduler_options", "tail"]

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.2
CLOSE_SECONDS = 30
_SHOWN = 300  # characters of what a command said


def scheduler_options(cluster: ClusterFile, host: str, security: Security | None) -> dict[str, Any]:
    """A scheduler that listens on one address, and serves its dashboard, if any, on this host alone."""
    return {
        "host": host,
        "port": cluster.network.scheduler_port,
        "protocol": "tls://" if security else "tcp://",
        "security": security,
        "dashboard": cluster.network.dashboard,
        "extensions": scheduler_extensions(),
        "dashboard_address": f"{LOOPBACK}:0",  # None would not mean none
    }


def present(cluster: SpecCluster) -> int:
    """Number of workers that are connected."""
    return len(cluster.scheduler.workers)


def tail(text: str) -> str:
    """Last words, on one line."""
    lines = " / ".join(line.strip() for line in text.strip().splitlines()[-3:])
    return lines[-_SHOWN:]


def newest_log(directory: Path) -> str:
    """What the newest log says in the end, as a sentence; nothing if there is none."""
    try:
        logs = sorted(directory.glob("*.*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in logs:
            if path.suffix not in {".sh", ".toml", ".sub"} and (said := tail(path.read_text(errors="replace"))):
                return f" {path.name} says: {said}"
    except OSError:
        pass
    return ""
