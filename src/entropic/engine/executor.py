"""What runs tasks, as the engine sees it; and the plainest: this thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, final

import psutil

__all__ = ["Executor", "SerialExecutor"]


class Executor(Protocol):
    """Runs functions of blocks; a handle stands for a result, and may be an argument of later calls.

    ``workers`` of ``threads`` were there at first, ``present`` of them were when last looked at.
    """

    workers: int
    threads: int
    present: int
    address: str | None

    def hold(self, blocks: int) -> None:
        """Blocks 0 … ``blocks`` − 1 are to come, each beside its neighbours."""

    def submit(self, key: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Start ``function(*arguments)`` where ``block`` lives; returns a handle.  ``key`` begins with the task's name."""

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        """Results, in order."""

    def finish(self, handles: Sequence[Any], poll: Callable[[], None]) -> None:
        """Wait until all are done; ``poll`` is called several times a second and may raise."""

    def release(self, handles: Sequence[Any]) -> None:
        """Give results up at once, without waiting for this process to collect its garbage."""

    def peak_bytes(self) -> int:
        """Largest sum of resident memory, of all processes, seen so far."""


@final
class SerialExecutor:
    """In this thread, at once."""

    workers = 1
    threads = 1
    present = 1
    address: str | None = None

    def __init__(self) -> None:
        self._peak = 0

    def hold(self, blocks: int) -> None:
        pass

    def submit(self, key: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return list(handles)

    def finish(self, handles: Sequence[Any], poll: Callable[[], None]) -> None:
        poll()

    def release(self, handles: Sequence[Any]) -> None:
        pass

    def peak_bytes(self) -> int:
        self._peak = max(self._peak, psutil.Process().memory_info().rss)
        return self._peak
