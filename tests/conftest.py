"""Settings that all tests share, and the demonstration that several of them look at."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30  # bytes

# A shell that runs the suite in the background has it ignore Ctrl-C, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("entropic", deadline=None, derandomize=True)
settings.load_profile("entropic")


def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories are in memory where there is room: the tests flush many thousands of files to disk."""
    if config.option.basetemp is None and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


# A field of 16 regions on which every part of the three acts still does something.
TINY_DEMO = ("field.shape=[16,12,12]", "field.regions=[4,2,2]", "run.cycles=60", "demon.threshold=25")


@dataclass(frozen=True)
class Demo:
    """A demonstration that was played on the command line."""

    place: Path
    arguments: tuple[str, ...]
    answer: dict[str, Any]
    shown: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """All three acts, small enough for a test."""
    place = tmp_path_factory.mktemp("demo") / "acts"
    sets = [word for text in TINY_DEMO for word in ("--set", text)]
    arguments = ("demo", *sets, "--workers", "1", "--json", "--out", str(place))
    command = [sys.executable, "-m", "entropic.cli", *arguments]
    made = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert made.returncode == 0, made.stderr
    return Demo(place, arguments, json.loads(made.stdout), made.stderr)
