"""Two drivers on one run: the second is refused with a remedy, nothing is lost, the first ends with the right digest."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from chaos.recording import SAME, Injected, Recorder
from chaos.runs import configuration, running

CYCLES = 60
ONE, TWO = ("--workers", "1", "--threads", "1"), ("--workers", "2", "--threads", "1")
# command, exit code beside a driver, word of the sentence
BESIDE: dict[str, tuple[tuple[str, ...], int, str]] = {
    "resume": (("resume", "r", *ONE), 4, "another driver"),
    "resume on processes": (("resume", "r", *TWO, "--chunks", "2,2"), 4, "another driver"),
    "run": (("run", "c.toml", "--out", "r", *ONE), 2, "exists already"),
    "audit": (("audit", "r"), 4, "being written"),
    "reverse": (("reverse", "r", *ONE), 4, "being written"),
    "status": (("status", "r"), 0, ""),
    "report": (("report", "r", "-o", "page.html"), 0, ""),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", [ONE, TWO], ids=["in one process", "on processes"])
def test_the_second_is_refused(place: tuple[str, ...], full: bool, tmp_path: Path, injected: Recorder) -> None:
    if place == TWO and not full:
        pytest.skip("the sample has a run in one process")
    beside = BESIDE if full else {name: BESIDE[name] for name in ("resume", "audit")}
    with running(tmp_path, configuration(CYCLES, every=4)) as run:
        first = run.run(*place)
        assert run.await_cycle(4, first), run.words()
        first.send_signal(signal.SIGSTOP)  # holds the lock, and does not end before all have been there
        took: dict[str, float] = {}
        for name, (arguments, code, word) in beside.items():
            started = time.monotonic()
            second = run.begin(*arguments)
            assert second.wait(100) == code, (name, run.words())
            took[name] = time.monotonic() - started
            text = run.said(run.started.index(second)).read_text()
            assert word in text.replace("\n", " ") and "Traceback" not in text, text
            assert not code or " Remedy: " in text, text
        first.send_signal(signal.SIGCONT)
        assert first.wait(200) == 0, run.words()
        run.require_digest(first)
        for name, seconds in took.items():
            refused = f"refused, exit code {BESIDE[name][1]}" if BESIDE[name][1] else "answered"
            injected(Injected(f"'{name}' beside a driver", f"{refused}; the driver reaches the {SAME}", 1, seconds))


def test_both_at_once(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """Two resumes begin together: one goes on, the other is refused or comes when all is done; the digest is right."""
    if not full:
        pytest.skip("the sample has one beside a driver that is stopped")
    with running(tmp_path, configuration(40, every=4)) as run:
        first = run.run(*ONE)
        assert run.await_cycle(8, first), run.words()
        first.kill()
        first.wait(30)
        both = [run.resume(*ONE), run.resume(*ONE)]
        codes = sorted(process.wait(150) for process in both)
        assert codes in ([0, 0], [0, 4]), run.words()
        for process in both:
            if process.returncode == 0:
                run.require_digest(process)
            else:
                run.require_typed(process)
        injected(Injected("two resumes begin together", f"one refused, or both done; {SAME}", 1))
