"""A client of a cluster that somebody else started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, final

import dask
from dask.utils import parse_timedelta
from distributed import Client

from entropic.errors import ClusterError

__all__ = ["client_of"]

_CONNECT_SECONDS = 20.0
_CLOSE_SECONDS = 0.25  # of a client that has no connection to close


@final
class _Client(Client):  # type: ignore[misc]
    """A client that closes when it cannot connect.

    Else the garbage collector would see to that, perhaps while the next one starts, which holds a lock that closing waits
    for (distributed 2026.8, ``LoopRunner``).
    """

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options)
        except BaseException:
            with suppress(Exception):
                self.close(timeout=_CLOSE_SECONDS)
            self.status = "closed"
            raise


@contextmanager
def client_of(scheduler: str) -> Iterator[Client]:
    """A client of a scheduler given by address or by scheduler file."""
    remedy = "start one with 'dask scheduler --scheduler-file FILE' and workers, or leave --scheduler out"
    place: dict[str, Any] = {"address": scheduler}
    if "://" not in scheduler:
        if not Path(scheduler).is_file():
            raise ClusterError(f"there is no scheduler file {scheduler}.", remedy)
        place = {"scheduler_file": scheduler}
    patience = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    try:
        client = _Client(**place, timeout=min(patience, _CONNECT_SECONDS), set_as_default=False)
    except Exception as error:  # distributed raises OSError, TimeoutError, ValueError and others here
        raise ClusterError(f"no scheduler answers at {scheduler}: {type(error).__name__} {error}.", remedy) from error
    try:
        yield client
    finally:
        client.close(timeout=10)
