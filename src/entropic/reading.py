"""Reading what may be damaged."""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from entropic.errors import StoreError

__all__ = ["SPOILT", "is_damage", "reading"]

# What damaged metadata, chunks (blosc: RuntimeError, SystemError), archives and values lead to.
SPOILT: tuple[type[Exception], ...] = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError),
    *(SystemError, EOFError, zipfile.BadZipFile, zlib.error),
)


def is_damage(error: OSError) -> bool:
    """Whether a failure comes of what is on the disk (something missing or in the way) and not of the disk's state."""
    return error.errno in (
        None,
        errno.EINVAL,
        errno.ENOENT,
        errno.EEXIST,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.ELOOP,
    )


@contextmanager
def reading(place: Path, remedy: str = "restore it from a copy, or run again") -> Iterator[None]:
    """Whatever zarr, its codecs or JSON raise on a damaged store becomes a `StoreError`."""
    try:
        yield
    except SPOILT as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        raise StoreError(f"{place} cannot be read: {type(error).__name__} {error}.", remedy) from error
