"""Settings that all tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30  # bytes

settings.register_profile("entropic", deadline=None, derandomize=True)
settings.load_profile("entropic")


def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories are in memory where there is room: the tests flush many thousands of files to disk."""
    if config.option.basetemp is None and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
