"""Disks that fail at a write, once or from there on: a typed error with a remedy, nothing lost, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from chaos.recording import Injected, Recorder
from chaos.runs import environment
from chaos.shim import ERRORS, Fault, Outcome
from chaos.test_writes import Disturbed, disturbed
from entropic.computer import EntropicComputer
from entropic.engine.checkpoint import generations
from entropic.errors import StoreError, UsageError

__all__ = ["disturbed"]

WORDS = {
    "ENOSPC": "No space left on device",
    "EDQUOT": "Disk quota exceeded",
    "EIO": "Input/output error",
    "EROFS": "Read-only file system",
}
TYPED = "typed error, previous generation intact, digest of the undisturbed run by resume once the disk works"
NOT_BEGUN = "typed error, no generation yet"
HARMLESS = "digest of the undisturbed run: nothing hung on it"
_REMOVALS = ("unlink", "remove", "rmdir")


def require_typed(fault: Fault, outcome: Outcome, run: Path) -> None:
    """A resource that failed, the disk's own words, a remedy that fits them."""
    said = outcome.said
    assert (outcome.status, said["type"]) == (4, "ResourceError"), (fault, outcome.operations[-1], said)
    assert WORDS[fault.what] in said["message"], said
    assert ("make room" in said["remedy"]) == (fault.what in ("ENOSPC", "EDQUOT")), said
    if outcome.committed:
        assert f"entropic resume {run}" in said["remedy"], said


def left(run: Path) -> list[Path]:
    """Checkpoints that were not finished: they would keep a disk full."""
    return list((run / "checkpoints").glob(".tmp-*"))


def failed(disturbed: Disturbed, fault: Fault) -> str:
    """One case from its beginning to its right end; returns what came of the fault."""
    run = disturbed.fresh()
    outcome = disturbed.warm(run, fault)
    if not outcome.status:
        assert outcome.said["digest"] == disturbed.digest
        # A directory that is there already, or what an attempt left and the next one removes.
        assert outcome.operations[fault.number - 1][0] in (*_REMOVALS, "mkdir"), (
            fault,
            outcome.operations[fault.number - 1],
        )
        disturbed.drop(run)
        return HARMLESS
    require_typed(fault, outcome, run)
    name, place = outcome.operations[fault.number - 1]
    can_remove = not fault.lasting or fault.what in ("ENOSPC", "EDQUOT")
    if can_remove and name not in _REMOVALS:
        assert not left(run), (fault, name, place, left(run))
    disturbed.require_whole(run, outcome.committed[-1] if outcome.committed else None)
    disturbed.drop(run)
    return TYPED if outcome.committed else NOT_BEGUN


def note(injected: Recorder, fault: Fault, outcomes: Sequence[str]) -> None:
    words = f"disk fails at a write{', and from there on' if fault.lasting else ', once'}: {fault.what}"
    for outcome in sorted(set(outcomes)):
        injected(Injected(words, outcome, outcomes.count(outcome)))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("what", ERRORS)
def test_a_disk_fails_at_a_write(
    what: str, lasting: bool, full: bool, disturbed: Disturbed, injected: Recorder
) -> None:
    """Drawn from all of a run's operations; ENOSPC and EDQUOT come of none that removes."""
    if not full and (disturbed.name != "tape and all machines" or lasting == (what in ("ENOSPC", "EIO"))):
        pytest.skip("the sample has others")
    rng = np.random.default_rng([9, ERRORS.index(what), lasting])
    possible = [
        number
        for number, (name, _) in enumerate(disturbed.operations, 1)
        if what in ("EIO", "EROFS") or name not in _REMOVALS
    ]
    numbers = [int(n) for n in rng.choice(possible, 25 if full else 2, replace=False)]
    note(injected, Fault(0, what, lasting), [failed(disturbed, Fault(n, what, lasting)) for n in numbers])


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ERRORS)
def test_a_disk_fails_in_a_resume(what: str, full: bool, disturbed: Disturbed, injected: Recorder) -> None:
    """Books are ahead of the checkpoint; the disk fails while they are cut, and after."""
    if not full and what != "EIO":
        pytest.skip("the sample has one")
    base = disturbed.fresh()
    broken_off = disturbed.warm(base, Fault(disturbed.committed(4), "kill"))
    begun = len(disturbed.warm(disturbed.fresh(base), resume=True).operations)
    rng = np.random.default_rng([10, ERRORS.index(what)])
    outcomes = []
    for number in np.exp(rng.uniform(0, np.log(begun), 20 if full else 3)).astype(int).tolist():
        run, fault = disturbed.fresh(base), Fault(number, what, bool(number % 2))
        outcome = disturbed.warm(run, fault, resume=True)
        if outcome.status:
            assert (outcome.status, outcome.said["type"]) == (4, "ResourceError"), (fault, outcome)
            assert WORDS[what] in outcome.said["message"] and f"entropic resume {run}" in outcome.said["remedy"]
        else:
            assert outcome.said["digest"] == disturbed.digest
        disturbed.require_whole(run, (*broken_off.committed, *outcome.committed)[-1])
        outcomes.append(TYPED if outcome.status else HARMLESS)
        disturbed.drop(run)
    for outcome in sorted(set(outcomes)):
        injected(Injected(f"disk fails at a write of a resume: {what}", outcome, outcomes.count(outcome)))


@pytest.mark.parametrize("what", ERRORS)
def test_from_the_command_line(what: str, full: bool, disturbed: Disturbed, injected: Recorder) -> None:
    """One sentence on stderr, exit code 4."""
    if not full and (what != "EDQUOT" or disturbed.name != "erasing"):
        pytest.skip("the sample has one")
    run = disturbed.fresh()
    for number, where in ((disturbed.committed(2), "a checkpoint"), (20, "the run directory")):
        shim = str(Path(__file__).parent / "shim.py")
        command = [sys.executable, shim, str(number), f"{what}+", str(run), "--", "run"]
        command += [str(disturbed.place / "c.toml"), "--out", str(run), "--workers", "1", "--threads", "1"]
        found = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=200, check=False)
        assert found.returncode == 4, found.stderr
        assert "Traceback" not in found.stderr
        said = [line for line in found.stderr.splitlines() if line.startswith("entropic:")]
        assert len(said) == 1 and WORDS[what] in said[0] and " Remedy: " in said[0], found.stderr
        kept = generations(run / "checkpoints")
        if where == "a checkpoint":
            disturbed.require_whole(run, kept[0].name)
        else:
            with pytest.raises((StoreError, UsageError)):
                EntropicComputer.resume(run)
        disturbed.drop(run)
    injected(Injected(f"disk of a driver with workers fails at a write, and from there on: {what}", TYPED, 2))
