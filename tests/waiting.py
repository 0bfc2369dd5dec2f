"""Waiting for something that another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 150, what: str | Callable[[], str] = "waited in vain") -> None:
    """Come back when it holds; fail, saying ``what``, if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)
