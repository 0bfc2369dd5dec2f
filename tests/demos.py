"""A small demonstration that several tests look at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A field of 16 regions on which every part of the three acts still does something.
TINY_DEMO = ("field.shape=[16,12,12]", "field.regions=[4,2,2]", "run.cycles=60", "demon.threshold=25")


@dataclass(frozen=True)
class Demo:
    """A demonstration that was played on the command line."""

    place: Path
    arguments: tuple[str, ...]
    answer: dict[str, Any]
    shown: str


def played(place: Path) -> Demo:
    """All three acts, small enough for a test."""
    sets = [word for text in TINY_DEMO for word in ("--set", text)]
    arguments = ("demo", *sets, "--workers", "1", "--json", "--out", str(place))
    command = [sys.executable, "-m", "entropic.cli", *arguments]
    made = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert made.returncode == 0, made.stderr
    return Demo(place, arguments, json.loads(made.stdout), made.stderr)
