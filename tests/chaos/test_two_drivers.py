"""Two drivers on one run: the second is refused and changes nothing, readers beside it end well, the first ends right."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zarr

from chaos.recording import SAME, Injected, Recorder
from chaos.runs import Run, configuration, running
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.demo.acts import ACTS, act_config
from waiting import until

SERIAL = ("--workers", "1", "--threads", "1")
REFUSED = "the second is refused, nothing changed; the first ends with the digest of the undisturbed run"
READ = "what reads ends well, the run with the digest of the undisturbed run"
# A driver that waits between two cycles for as long as it is told to.
FIRST = """
import json, pathlib, sys, time
from entropic.computer import EntropicComputer
from entropic.config import Config
computer = EntropicComputer(Config.from_toml(sys.argv[1]), sys.argv[2])
for cycle in computer:
    pathlib.Path("at").write_text(str(cycle.number))
    while cycle.number >= 2 and pathlib.Path("hold").exists():
        time.sleep(0.05)
print(json.dumps(computer.run()))
"""


@contextmanager
def held(run: Run, config: Path | str = "c.toml", to: str = "r") -> Iterator[subprocess.Popen[str]]:
    """A driver that has done two cycles, and waits; it goes on in the end."""
    (run.place / "hold").touch()
    process = run.begin(config, to, program=("-c", FIRST))
    at = run.place / "at"
    until(lambda: (at.exists() and at.read_text() == "2") or process.poll() is not None, what=run.words)
    assert process.poll() is None, run.words()
    yield process
    (run.place / "hold").unlink()


def content(run: Path) -> dict[str, str]:
    """Every file of a run, by its path, but for the lock, which is empty."""
    files = sorted(path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(run: Run, process: subprocess.Popen[str], code: int, words: str) -> None:
    """With this exit code, in one sentence with its remedy."""
    assert process.wait(120) == code, run.words()
    text = run.said(run.started.index(process)).read_text()
    said = [line for line in text.splitlines() if line.startswith("entropic:")]
    assert "Traceback" not in text and len(said) == 1, text
    assert words in said[0] and " Remedy: " in said[0], text


def test_a_second_driver_is_refused(tmp_path: Path, injected: Recorder) -> None:
    with running(tmp_path, configuration(6, 2)) as run:
        with held(run) as first:
            before = content(run.path)
            seconds = [(run.resume(*SERIAL), 4, "is being written by another driver") for _ in range(2)]
            seconds.append((run.run(*SERIAL), 2, "exists already"))
            for second in seconds:
                refused(run, *second)
            assert content(run.path) == before
        assert first.wait(120) == 0, run.words()
        run.require_digest(first)
        injected(Injected("a second driver while the first is at work: resume, run", REFUSED, len(seconds)))


@pytest.mark.parametrize("begun", [True, False], ids=["between cycles", "before the first checkpoint"])
def test_a_second_demonstration_is_refused(begun: bool, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """What an act that has no checkpoint yet left is removed by the next, unless its driver is at work."""
    if not full and begun:
        pytest.skip("the sample has the other")
    changes = ["run.cycles=4", "field.shape=[5,5,5,8]", "field.regions=[5,1,1,1]"]
    config = act_config(ACTS[0], "small", changes)
    act = tmp_path / "demo" / ACTS[0].directory
    with running(tmp_path, config) as run:
        with held(run, to=f"demo/{ACTS[0].directory}") as first:
            if not begun:
                (act / "checkpoints").rename(tmp_path / "aside")
                (act / "checkpoints").mkdir()
            before = content(act)
            words = [word for change in changes for word in ("--set", change)]
            second = run.begin("demo", "--act", "1", *words, "--out", "demo", *SERIAL)
            refused(run, second, 4, "is being written by another driver")
            assert content(act) == before
            if not begun:
                (act / "checkpoints").rmdir()
                (tmp_path / "aside").rename(act / "checkpoints")
        assert first.wait(120) == 0, run.words()
        found = json.loads((tmp_path / "out-0").read_text())
        assert found["digest"] == run.expected
        assert all(law.holds for law in audit(act))
    injected(Injected("a second demonstration while the first is at work", REFUSED, 1))


def test_an_audit_amid_the_books(tmp_path: Path, injected: Recorder) -> None:
    """One account is longer than the others, as for an instant it is: no law fails by that while a driver is at work."""
    with running(tmp_path, configuration(6, 2)) as run:
        with held(run) as first:
            counts = zarr.open_group(run.path / "books.zarr", mode="r+")["counts"]
            assert isinstance(counts, zarr.Array)
            rows = counts.shape
            counts.resize((rows[0] + 2, *rows[1:]))
            refused(run, run.begin("audit", "r"), 4, "is being written by a driver")
            counts.resize(rows)
            reader = run.begin("audit", "r")
            assert reader.wait(120) == 0, run.words()
        assert first.wait(120) == 0, run.words()
        run.require_digest(first)
        injected(Injected("an audit amid the writing of the books", READ, 2))


def test_readers_beside_a_driver(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """They look at a run that goes on all the time: what they say is right, or they say that it goes on."""
    if not full:
        pytest.skip("the sample has one reader")
    readers = {"status": ("r",), "audit": ("r",), "report": ("r", "-o", "page.html"), "reverse": ("r", *SERIAL)}
    with running(tmp_path, configuration(400, 2)) as run:
        first = run.run(*SERIAL)
        assert run.await_cycle(4, first), run.words()
        beside = 0
        while first.poll() is None:
            for name, words in readers.items():
                reader = run.begin(name, *words)
                code = reader.wait(120)
                text = run.said(run.started.index(reader)).read_text()
                assert "Traceback" not in text, text
                assert code == 0 or (code == 4 and "being written" in text and " Remedy: " in text), (name, code, text)
                beside += first.poll() is None
        assert beside, "no reader was beside the driver"
        assert first.wait(200) == 0, run.words()
        run.require_digest(first)
        injected(Injected("status, audit, report, reverse while a driver is at work", READ, beside))


def test_the_lock_of_a_killed_driver(tmp_path: Path, injected: Recorder) -> None:
    """It goes with its process: two resumes at once then, one of which drives."""
    with running(tmp_path, configuration(6, 2)) as run:
        with held(run) as first:
            run.strike(first.kill)
            assert first.wait(30) == -signal.SIGKILL
            both = [run.resume(*SERIAL) for _ in range(2)]
            codes = [process.wait(120) for process in both]
        assert 0 in codes and set(codes) <= {0, 4}, run.words()
        for process, code in zip(both, codes, strict=True):
            if code:
                refused(run, process, 4, "is being written by another driver")
            else:
                run.require_digest(process)
        computer = EntropicComputer.resume(run.path)
        assert computer.cycle == 6
        computer.store.unlock()
        injected(Injected("driver: SIGKILL, then two resumes at once", SAME))
