"""A long run, hurt three times: the original's whole field, 1e9 sites for 1000 cycles."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from chaos.recording import SAME, Injected, Recorder
from chaos.runs import running, signals, workers_of
from entropic.audit import audit
from entropic.config import Config
from entropic.demo import SIZES

_LONGEST_SECONDS = 3600
_LOCAL = ("--workers", "2", "--threads", "1")
_ELSEWHERE = ("--workers", "1", "--threads", "2")


@pytest.mark.timeout(3 * _LONGEST_SECONDS)
def test_three_faults(full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A worker is killed, one breaks, then the driver is killed and another goes on elsewhere; checkpoints as by default."""
    if not full:
        pytest.skip("takes twenty minutes")
    cycles = 1000
    config = Config.from_mapping({"field": SIZES["seed"], "run": {"cycles": cycles}, "demon": {"threshold": 50}})
    with running(tmp_path, config) as run:
        whole = run.begin("run", "c.toml", "--out", "whole", "--json", *_LOCAL)
        assert whole.wait(_LONGEST_SECONDS) == 0, run.words()
        seconds = time.monotonic() - run.began
        process = run.run(*_LOCAL)

        def at(share: float) -> None:
            time.sleep(max(0.0, run.began + share * seconds - time.monotonic()))  # checkpoints are few
            assert process.poll() is None, run.words()

        at(0.4)
        run.strike(lambda: signals(workers_of(process.pid)[:1], signal.SIGKILL))
        at(0.6)
        run.strike(lambda: signals(workers_of(process.pid)[:1], signal.SIGSEGV))
        at(0.8)
        run.strike(process.kill)
        process.wait(60)
        again = run.resume(*_ELSEWHERE)
        assert again.wait(_LONGEST_SECONDS) == 0, run.words()
        undisturbed, hurt = (json.loads((tmp_path / f"out-{n}").read_text()) for n in (0, 2))
        assert hurt["digest"] == undisturbed["digest"]
        assert all(law.holds for law in audit(run.path))
        sites = f"{undisturbed['totals']['sites']:,} sites, {cycles:,} cycles"
        injected(Injected(f"{sites}: two workers and the driver", SAME, run.faults, time.monotonic() - run.struck))
