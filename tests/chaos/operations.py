"""A shim over file operations: each that changes something below a directory is counted, and one of them goes wrong.

Opening to write, writing, flushing, renaming, linking, truncating, making and removing: as Python code calls them, in any
thread.  A write that goes wrong has half of its bytes written.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, final

__all__ = ["Failing", "Operations", "killed"]

_TWO = ("rename", "replace", "link", "symlink")
_ONE = ("mkdir", "unlink", "remove", "rmdir", "truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed(name: str) -> None:
    """As by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


@final
class Failing:
    """Fails with an errno, once or from then on."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, name: str) -> None:
        raise OSError(self.number, os.strerror(self.number), name)


@final
class _File:
    """A file open to be written."""

    def __init__(self, file: Any, operations: Operations, name: str) -> None:
        self._file, self._operations, self._name = file, operations, name

    def write(self, content: Any) -> Any:
        if self._operations.due():
            self._file.write(content[: len(content) // 2])
            self._file.flush()
        self._operations.come(f"write {self._name}")
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


@final
class Operations:
    """Counts operations below ``root`` while it is entered; at the number ``at`` (from 0) ``act`` is called.

    Parameters
    ----------
    lasting : bool
        From then on at every operation.
    """

    def __init__(
        self, root: Path, at: int = -1, act: Callable[[str], None] = lambda name: None, lasting: bool = False
    ) -> None:
        self.root = os.path.realpath(root)
        self.at, self.act, self.lasting = at, act, lasting
        self.seen: list[str] = []
        self._plain: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def struck(self) -> str | None:
        """The operation that went wrong."""
        return self.seen[self.at] if 0 <= self.at < len(self.seen) else None

    def due(self) -> bool:
        """Whether the next operation goes wrong."""
        return len(self.seen) == self.at

    def come(self, name: str) -> None:
        with self._lock:
            number = len(self.seen)
            self.seen.append(name)
        if number == self.at or (self.lasting and 0 <= self.at < number):
            self.act(name)

    def _below(self, path: Any, handle: int | None = None) -> str | None:
        """Name below the root, if it is there."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        elif handle is not None:
            path = os.path.join(os.readlink(f"/proc/self/fd/{handle}"), os.fsdecode(path))
        path = os.path.abspath(os.fsdecode(path))
        if path == self.root:
            return "."
        return path.removeprefix(self.root + "/") if path.startswith(self.root + "/") else None

    def _told(self, function: str, place: int) -> Callable[..., Any]:
        plain = self._plain[function]

        def told(*arguments: Any, **named: Any) -> Any:
            if (name := self._below(arguments[place], named.get("dir_fd"))) is not None:
                self.come(f"{function} {name}")
            return plain(*arguments, **named)

        return told

    def _os_open(self, path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & _WRITING and (name := self._below(path, named.get("dir_fd"))) is not None:
            self.come(f"open {name}")
        return int(self._plain["os_open"](path, flags, *arguments, **named))

    def _open(self, file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        name = None if isinstance(file, int) or not set(mode) & set("wax+") else self._below(file)
        if name is None:
            return self._plain["open"](file, mode, *arguments, **named)
        self.come(f"open {name}")
        return _File(self._plain["open"](file, mode, *arguments, **named), self, name)

    def __enter__(self) -> Operations:
        self._plain = {name: getattr(os, name) for name in (*_ONE, *_TWO, "fsync")}
        self._plain |= {"open": io.open, "os_open": os.open}
        for name in (*_ONE, "fsync"):
            setattr(os, name, self._told(name, 0))
        for name in _TWO:
            setattr(os, name, self._told(name, 1))
        os.open = self._os_open
        io.open = builtins.open = self._open
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in (*_ONE, *_TWO, "fsync"):
            setattr(os, name, self._plain[name])
        os.open = self._plain["os_open"]
        io.open = builtins.open = self._plain["open"]
