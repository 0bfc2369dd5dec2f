"""Where a run was made, with what."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

__all__ = ["provenance"]


def provenance() -> dict[str, Any]:
    """Versions, host and command."""
    names = ("entropic", "numpy", "numba", "dask", "distributed", "zarr", "xarray", "scipy")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in names},
    }
