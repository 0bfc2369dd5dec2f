"""Files that are on disk: whole or not at all, and still there after a loss of power."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["flush", "json_text", "mending", "whole", "write_json", "write_text"]

_MENDING = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
}


def mending(error: OSError) -> str:
    """What to do about a disk that does not take what is written, before it is tried again."""
    return _MENDING.get(error.errno or 0, "see to the disk")


def flush(path: Path) -> None:
    """Have a file's content, or a directory's entries, on disk.

    Raises
    ------
    OSError
        The disk says that it could not.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that shall be at ``path`` whole or not at all: flushed to disk and renamed in the end.

    Flushed before it is renamed: some file systems (XFS) keep the new name and lose the content otherwise, and the
    older file with it.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        flush(temporary)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a disk that is full shall not be kept full by it
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json_text(content, indent))


def json_text(content: Mapping[str, Any], indent: int | None) -> str:
    """A JSON file's text."""
    return json.dumps(content, indent=indent) + "\n"
