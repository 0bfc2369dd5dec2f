"""Dask settings that every cluster of ours runs with."""

from __future__ import annotations

from typing import Any

__all__ = ["QUIET_SECONDS", "START_SECONDS", "WORKER_SETTINGS", "cluster_settings"]

START_SECONDS = 60.0  # for the first workers to come
QUIET_SECONDS = 45.0  # without a sign of any worker, before giving up: within a minute a user knows
WORKER_SETTINGS: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,
    # Every process would look 50 times a second whether its event loop is late, and at its own memory twice: together
    # that takes 2 % of a small machine.
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.system-monitor.interval": "2s",
    # By default the last thousand messages of every connection are remembered, tasks with their arguments and all.
    "distributed.admin.low-level-log-length": 10,
    # Workers keep the memory that they use over and over: by default they give it back, and fetch every page anew.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 256 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
    # The plan says what fits.  A worker that pauses would wait for memory that no one gives back.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.http.routes": [],  # nothing for other users of a node to look at
}


def cluster_settings(quiet: float = QUIET_SECONDS) -> dict[str, Any]:
    """What scheduler, client and workers started by us share; ``quiet``: seconds without any worker to bear."""
    return {
        **WORKER_SETTINGS,
        "distributed.scheduler.work-stealing": False,  # blocks have owners
        "distributed.scheduler.no-workers-timeout": f"{int(quiet)}s",
        "distributed.scheduler.allowed-failures": 3,
        # On loopback, for whoever is on this host: what the dashboard shows, and no proxy to anywhere else.
        "distributed.scheduler.http.routes": [
            "distributed.http.scheduler.info",
            "distributed.http.health",
            "distributed.http.statics",
        ],
    }
