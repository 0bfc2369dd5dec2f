"""A run while it goes on: sums as books are flushed, the view on a terminal, the page on loopback."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from rich.console import Console

from chromium import Browser
from entropic.cli.progress import view
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations
from entropic.observer import Observer
from entropic.report.live import LiveServer, Reading, Tally, Watch, opened, tallied
from entropic.report.live.field import newest_plane
from test_report import RUNS, made_of

CONFIG = """
[field]
shape = [12, 20, 30]
regions = [3, 2, 3]
mean = 3.0
[run]
cycles = {cycles}
checkpoint_every = 20
[demon]
threshold = 6
"""


def read(url: str, host: str | None = None) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=20) as answer:
        body = answer.read()
        return answer.status, json.loads(body) if body[:1] == b"{" else body.decode()


# -- sums --


@pytest.mark.parametrize("name", RUNS)
def test_tally_carried_on_is_the_tally_of_the_whole(name: str, tmp_path: Path) -> None:
    """Fed by a run's own observer at every checkpoint, it ends where the run's summary does."""
    config = made_of(name)
    watch = Watch(config.run.cycles, config.field.sites, lambda: (1, 1))
    seen: list[Tally] = []

    def booked(store: Any, cycle: int) -> None:
        watch.booked(store, cycle)
        assert watch.reading.tally is not None
        seen.append(watch.reading.tally)

    computer = EntropicComputer(config, tmp_path / "run", epoch=5, observer=Observer(watch.progress, booked))
    summary = computer.run()
    totals, end = summary["totals"], seen[-1]
    assert [tally.cycle for tally in seen] == [5, 10, 12]
    assert (end.gross, end.cost, end.net) == (totals["gross"], totals["erasure"], totals["net"])
    assert (end.battery, end.residual) == (totals["battery"], 0)
    assert end.entropy == summary["entropy"]["final"]
    assert all(tally.residual == 0 for tally in seen)
    assert end == tallied(computer.store, opened(computer.store), 12)
    assert watch.reading.cycle == 12


def test_a_quantum_too_much_is_seen(tmp_path: Path) -> None:
    computer = EntropicComputer(made_of("paid"), tmp_path / "run")
    computer.run()
    zarr.open_group(computer.store.path / "books.zarr", mode="r+")["battery"][-1, 2] += 1
    assert tallied(computer.store, opened(computer.store), 12).residual == 1


def test_a_view_that_cannot_read_does_not_stop_the_run(tmp_path: Path) -> None:
    computer = EntropicComputer(made_of("paid"), tmp_path / "run")
    computer.run()
    watch = Watch(12, 96, lambda: (1, 1))
    watch.booked(computer.store, 99)  # beyond the books
    assert watch.reading.tally is None


def test_rate_is_of_late() -> None:
    """A first call in the middle (a resume), then 1 cycle a second, then 10: after half a minute only the latter counts."""
    clock = [0.0]
    watch = Watch(1000, 100, lambda: (3, 2), lambda: clock[0])
    watch.progress(500)
    assert watch.reading.rate == 0
    assert watch.reading.left is None
    for _ in range(10):
        clock[0] += 1.0
        watch.progress(watch.reading.cycle + 1)
    assert watch.reading.rate == 1
    assert watch.reading.left == 490
    for _ in range(35):
        clock[0] += 1.0
        watch.progress(watch.reading.cycle + 10)
    assert watch.reading.rate == 10
    assert (watch.reading.workers, watch.reading.threads) == (3, 2)
    assert json.loads(json.dumps(watch.reading.to_dict()))["site_cycles_per_second"] == 1000


@pytest.mark.parametrize("shape", [(450,), (7, 450), (4, 6, 9, 8)])
def test_a_plane_of_the_field(shape: tuple[int, ...], tmp_path: Path) -> None:
    """The means of the plane add up to the plane that the checkpoint has."""
    config = Config.from_mapping({"field": {"shape": shape, "regions": [1] * len(shape)}, "run": {"cycles": 2}})
    computer = EntropicComputer(config, tmp_path / "run")
    assert newest_plane(computer.store.checkpoints) is None
    computer.run()
    plane = newest_plane(computer.store.checkpoints)
    assert plane is not None
    assert plane.cycle == 2
    field = np.asarray(zarr.open_group(generations(computer.store.checkpoints)[0] / "field.zarr")["quanta"][:])
    sites = np.atleast_2d(field[tuple(n // 2 for n in shape[:-2])])
    rows, columns = plane.cell
    assert plane.values.shape == (math.ceil(sites.shape[0] / rows), math.ceil(sites.shape[1] / columns))
    assert max(plane.values.shape) <= 200
    for i, j in np.ndindex(plane.values.shape):
        part = sites[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        assert plane.values[i, j] == np.float32(part.mean())


# -- terminal --


def test_the_view_says_what_is_known() -> None:
    entropy = {"hist": 1e6, "region": 2e6, "equilibrium": 3e6, "tape": 7e6}
    tally = Tally(40, {"lift": 86470750, "erasure": 89380420}, 10, 10, 90330, entropy)
    for reading, words in (
        (Reading(0, 100, 50), ["cycle 0/100", "no cycle yet", "not closed yet", "1 × 1 threads"]),
        (
            Reading(41, 100, 50, 2.0, 3, 4, tally),
            [
                *("cycle 41/100", "1.00e+02 site-cycles/s", "0:00:30 left", "to cycle 40", "gross 86,470,750"),
                *("cost 89,380,420", "net -2,909,670", "batteries 90,330", "first-law residual 0"),
                *("3 × 4 threads", "2,000,000 of 3,000,000 in equilibrium", "tape 7,000,000 nat"),
            ],
        ),
        (Reading(100, 100, 50, 2.0), ["cycle 100/100", "audited"]),
    ):
        console = Console(width=100, file=open(os.devnull, "w"), record=True)  # noqa: SIM115
        console.print(view(reading))
        text = console.export_text()
        assert all(word in text for word in words), text
        assert max(map(len, text.splitlines())) <= 80


def test_on_a_terminal_and_elsewhere(tmp_path: Path) -> None:
    """A real terminal gets the view, drawn again and again; a pipe gets neither view nor control codes."""
    (tmp_path / "c.toml").write_text(CONFIG.format(cycles=60))
    command = [sys.executable, "-m", "entropic.cli", "run", "c.toml", "--workers", "1", "--threads", "1", "--json"]
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*command, "--out", "a"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave, env=environment
    )
    os.close(slave)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(_all_of, master)
        out, _ = process.communicate(timeout=200)
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", reader.result().decode())
    assert process.returncode == 0, text
    totals = json.loads(out)["totals"]
    assert "workers" in text
    assert "first-law residual 0" in text
    assert f"to cycle 60  gross {totals['gross']:,}" in re.sub(r" +gross", "  gross", text)
    plain = subprocess.run(
        [*command, "--out", "b"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True
    )
    assert "\x1b" not in plain.stderr
    assert "residual" not in plain.stderr
    assert json.loads(plain.stdout)["digest"] == json.loads(out)["digest"]


def _all_of(descriptor: int) -> bytes:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 1 << 16)
        except OSError:  # the other side was closed
            break
        if not part:
            break
        parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


# -- page --


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run of some length that serves its page, and the page's address."""
    (tmp_path / "c.toml").write_text(CONFIG.format(cycles=100_000))
    command = [sys.executable, "-m", "entropic.cli", "run", "c.toml", "--out", "run", "--live", "--workers", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert process.stderr is not None
        address = next(line.split()[1] for line in process.stderr if line.startswith("live: "))
        yield process, address
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.communicate(timeout=60)


def test_the_page_of_a_run(live: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """In a real browser: the books' own figures, a plane of the field; on loopback only; in the end it says so."""
    process, address = live
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", address)
    port = int(address.split(":")[2].split("/")[0])
    listening = [c for c in psutil.Process(process.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert port in {c.laddr.port for c in listening}
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        read(address + "state.json", host="attacker.example")
    browser = Browser(tmp_path / "profile")
    try:
        browser.look(390, 900, dark=True)
        browser.open(address, "document.getElementById('plane')?.width > 1")
        assert browser.value("document.documentElement.scrollWidth") <= 390
        pixels = browser.value(
            "(() => { const c = document.getElementById('plane'), d = c.getContext('2d');"
            "return new Set(new Uint32Array(d.getImageData(0, 0, c.width, c.height).data.buffer)).size })()"
        )
        assert pixels > 5
        assert [browser.value(f"document.getElementById('plane').{side}") for side in ("width", "height")] == [30, 20]
        assert "plane of y and z at x = 6" in browser.value("document.getElementById('plane-note').textContent")
        state = read(address + "state.json")[1]
        assert state["cycles"] == 100_000
        assert state["workers"] == 2
        assert state["books"]["residual"] == 0
        books = zarr.open_group(tmp_path / "run" / "books.zarr", mode="r", use_consolidated=False)
        assert state["books"]["gross"] == int(np.asarray(books["lift"][: state["books"]["cycle"]]).sum())
        assert "first-law residual" in browser.value("document.getElementById('books').textContent")
        assert browser.troubles() == []
        assert all(url.startswith((address, "data:")) for url in browser.requests())
        process.terminate()  # ends with a checkpoint
        browser.until("document.getElementById('state').textContent.startsWith('The run has ended')")
    finally:
        browser.close()


def test_the_server_comes_and_goes(tmp_path: Path) -> None:
    """No thread and no socket is left; before the first checkpoint there is no field."""
    watch = Watch(10, 10, lambda: (1, 1))
    with LiveServer() as server:
        assert read(server.address)[0] == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(re.sub(r"[\w-]{32}/$", "state.json", server.address))  # who does not know the whole address
        assert read(server.address + "state.json")[0] == 204
        server.show(watch)
        assert read(server.address + "state.json")[1]["books"] is None
        assert read(server.address + "field.json")[0] == 204
        address = server.address
    with pytest.raises(urllib.error.URLError):
        read(address)
    deadline = time.monotonic() + 20
    while any(thread.name == "entropic-live" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
