"""The page of a run that goes on: a small server on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from entropic.errors import EntropicError, ResourceError
from entropic.report.colours import DARK, LIGHT
from entropic.report.live.field import newest_plane
from entropic.report.live.watch import Watch

__all__ = ["LiveServer"]

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 20.0
_SECRET_BYTES = 24
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:"


class _Handler(RequestHandler):
    """Answers to this machine only: a page from elsewhere that had its name pointed here is turned away."""

    def prepare(self) -> None:
        if self.request.host_name not in (_LOOPBACK, "localhost"):
            self.send_error(403)

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")


@final
class _Page(_Handler):
    def get(self) -> None:
        self.write(_page())


@final
class _State(_Handler):
    def initialize(self, watched: Callable[[], Watch | None]) -> None:
        self.watched = watched

    def get(self) -> None:
        watch = self.watched()
        if watch is None:
            self.set_status(204)
            return
        self.write(watch.reading.to_dict())


@final
class _Field(_Handler):
    def initialize(self, watched: Callable[[], Watch | None]) -> None:
        self.watched = watched

    async def get(self) -> None:
        watch = self.watched()
        store = watch.reading.store if watch else ""
        try:
            plane = await asyncio.to_thread(newest_plane, Path(store) / "checkpoints") if store else None
        except (EntropicError, OSError):
            plane = None  # a newer checkpoint is just taking its place
        if plane is None:
            self.set_status(204)
            return
        rows, columns = plane.values.shape
        values = base64.b64encode(plane.values.astype("<f4").tobytes()).decode()
        facts: dict[str, Any] = {"cycle": plane.cycle, "name": plane.name, "cell": plane.cell, "rows": rows}
        self.write({**facts, "columns": columns, "values": values})


def _page() -> str:
    text = (files("entropic.report") / "templates" / "live.html").read_text("utf-8")
    schemes = {"light": LIGHT, "dark": DARK}
    for name, colours in schemes.items():
        text = text.replace(f"/* {name} */", "".join(f"--{role}:{colour};" for role, colour in colours.items()))
    return text


@final
class LiveServer:
    """Serves a page, while the block lasts, of the run that it was last told to `show`.

    Attributes
    ----------
    address : str
        Of the page, once entered; whoever does not know it finds nothing.

    Raises
    ------
    ResourceError
        On entering: it did not start.
    """

    def __init__(self) -> None:
        self._watch: Watch | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="entropic-live", daemon=True)
        self._trouble: OSError | None = None
        self.address = ""

    def show(self, watch: Watch) -> None:
        """Tell of this run from now on."""
        self._watch = watch

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        given = {"watched": lambda: self._watch}
        home = f"/{secrets.token_urlsafe(_SECRET_BYTES)}/"  # loopback is open to all users of this machine
        application = Application(
            [(home, _Page), (home + r"state\.json", _State, given), (home + r"field\.json", _Field, given)],
            log_function=_quiet,
        )
        server = HTTPServer(application)
        try:
            sockets = bind_sockets(0, address=_LOOPBACK)
        except OSError as error:
            self._trouble = error
            self._ready.set()
            return
        server.add_sockets(sockets)
        self.address = f"http://{_LOOPBACK}:{sockets[0].getsockname()[1]}{home}"
        self._ready.set()
        await self._end.wait()
        server.stop()
        await server.close_all_connections()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(_START_SECONDS)
        if not self.address:
            raise ResourceError(f"the live page cannot be served: {self._trouble}.", "leave --live out")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None and self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_START_SECONDS)


def _quiet(handler: RequestHandler) -> None:
    """No line in the log for each request."""
