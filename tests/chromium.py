"""A real headless Chromium, driven through its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--remote-debugging-port=0", "--force-color-profile=srgb"),
)
_LONG = 150.0  # seconds, on a busy machine
BLIND = "chromium is not installed (apt-get install chromium)"


def chromium_binary() -> str:
    """Path of Chromium; without it the test is skipped, and `conftest` says so at the end."""
    found = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(BLIND)
    return found


class Browser:
    """One page of a browser with a profile of its own; ``events`` are those of console, log, exceptions and network."""

    def __init__(self, profile: Path) -> None:
        self._loop = asyncio.new_event_loop()
        command = [chromium_binary(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self._number = 0
        self.events: list[dict[str, Any]] = []
        try:
            self._socket = self._run(self._connect(profile / "DevToolsActivePort"))
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def _run(self, task: Any) -> Any:
        return self._loop.run_until_complete(asyncio.wait_for(task, _LONG))

    async def _connect(self, port_file: Path) -> Any:
        while not port_file.exists() or not port_file.read_text().strip():
            assert self._process.poll() is None, "chromium ended at once"
            await asyncio.sleep(0.05)
        port = port_file.read_text().split()[0]
        found = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
        page = next(target for target in json.loads(found.body) if target["type"] == "page")
        return await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=1 << 28)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; returns its result."""
        return self._run(self._call(method, parameters))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(await self._socket.read_message())
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.events.append(message)

    def look(self, width: int, height: int, dark: bool = False, media: str = "") -> None:
        """Size of the window in CSS pixels, and what the reader prefers."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def open(self, url: str, ready: str = "document.readyState === 'complete'") -> float:
        """Go to a page and wait until it is ready; returns seconds."""
        self.events.clear()
        began = time.perf_counter()
        self.call("Page.navigate", url=url)
        self.until(ready)
        return time.perf_counter() - began

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + _LONG
        while not self.value(condition):
            assert time.monotonic() < deadline, (condition, self.troubles())
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """Value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, target: Path, whole: bool = True) -> None:
        """A screenshot, of the whole page or of what is in view."""
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        else:
            shot = self.call("Page.captureScreenshot")
        target.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def troubles(self) -> list[str]:
        """What console, log and exceptions complained of."""
        kinds = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
        quiet = ("log", "debug", "info", "verbose")
        return [
            json.dumps(event["params"])[:2000]
            for event in self.events
            if event["method"] in kinds
            and event["params"].get("type") not in quiet
            and event["params"].get("entry", {}).get("level") not in quiet
        ]

    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def processor_seconds(self) -> float:
        """What all of its processes have used so far."""
        first = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in (first, *first.children(recursive=True))]
        return sum(spent.user + spent.system for spent in times)

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._loop.close()
