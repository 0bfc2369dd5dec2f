"""`kill -9`, and disks that fail, at every operation on a run's files: what was acknowledged is there, the digest reached.

Every open, write, flush, rename, link, truncation and removal that a resume makes, over books, records, tape, series, the
inventory and the checkpoint, until the summary is written: at each of them a process of its own is killed, or the disk
begins to fail.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from chaos.operations import Failing, Operations, killed
from chaos.recording import Injected, Recorder
from chaos.stores import copied, every_machine, finished, in_child, run_until
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.engine.checkpoint import generations, newest_sound, verify
from entropic.errors import EntropicError, ResourceError, StoreError
from entropic.soundness import require_sound
from entropic.store import RunStore

CYCLES, EVERY = 4, 2
PARTS = 4
NUMBERS = ("ENOSPC", "EIO", "EDQUOT", "EROFS")
REMEDIES = {"ENOSPC": "make room", "EDQUOT": "make room", "EIO": "see to the disk", "EROFS": "make it writable"}


class Half(NamedTuple):
    """A run stopped in the middle, the outcome of one that was not, and what operations it takes to finish it."""

    run: Path
    digest: dict[str, str]
    operations: list[str]
    beginning: list[str]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Half:
    place, config = tmp_path_factory.mktemp("writes"), every_machine(CYCLES, EVERY)
    with Operations(place / "whole") as beginning:
        digest = finished(EntropicComputer(config, place / "whole"))["digest"]
    run_until(config, place / "half", EVERY)
    copied(place / "half", place / "copy")
    with Operations(place / "copy") as operations:
        finished(EntropicComputer.resume(place / "copy"))
    first = next(i for i, name in enumerate(beginning.seen) if "books.zarr" in name)
    return Half(place / "half", digest, operations.seen, beginning.seen[:first])


def chosen(points: Sequence[int], full: bool, sample: int, seed: int) -> list[int]:
    """All of them, or a few by lot."""
    if full:
        return list(points)
    return sorted(np.random.default_rng(seed).choice(points, min(sample, len(points)), replace=False).tolist())


def resumed(run: Path) -> dict[str, Any]:
    return finished(EntropicComputer.resume(run))


def require_whole(run: Path, half: Half, why: object) -> None:
    """A resume reaches the digest, every law holds, and every file is what the inventory says."""
    assert resumed(run)["digest"] == half.digest, why
    assert all(law.holds for law in audit(run)), why
    require_sound(RunStore.open(run))


def test_the_shim_sees_every_file(half: Half) -> None:
    """Of every part of a store, so that it is at all of them that a process is killed."""
    hit = {name.split(" ")[1].split("/")[0] for name in half.operations}
    parts = (
        "books.zarr",
        "series.zarr",
        "orders.zarr",
        "trades.zarr",
        "flows.zarr",
        "tape",
        "inventory.jsonl",
        "checkpoints",
    )
    assert {*parts, "drivers.jsonl", "before"} <= hit
    assert {name.split(" ")[0] for name in half.operations} >= {
        "open",
        "write",
        "fsync",
        "mkdir",
        "link",
        "rmdir",
        "unlink",
    }


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_every_write(part: int, half: Half, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """But not both before and after a flush: to those who are killed there, it is the same."""
    run, slowest = tmp_path / "run", 0.0
    points = [n for n in range(len(half.operations)) if n == 0 or not half.operations[n - 1].startswith("fsync")]
    struck = chosen(points[part::PARTS], full, 3, part)
    for number in struck:
        copied(half.run, run)

        def child(number: int = number) -> dict[str, Any]:
            with Operations(run, number, killed):
                return resumed(run)

        code, _ = in_child(child)
        assert code == -9 or number > 0.95 * len(half.operations), (number, code)  # threads: not every run has as many
        started = time.monotonic()
        assert newest_sound(run / "checkpoints").cycle >= EVERY, number
        require_whole(run, half, half.operations[number])
        slowest = max(slowest, time.monotonic() - started)
    injected(
        Injected(
            "kill -9 at a file operation of a resume, its cycles and checkpoint",
            "that digest by resume",
            len(struck),
            slowest,
        )
    )


def test_killed_before_the_first_cycle(half: Half, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A run that has no checkpoint yet has nothing to lose: a resume goes on from its start, or says so."""
    struck, went_on = chosen(range(len(half.beginning)), full, 6, 6), 0
    for number in struck:
        run = tmp_path / str(number)

        def child(number: int = number, place: Path = run) -> dict[str, Any]:
            with Operations(place, number, killed):
                return finished(EntropicComputer(every_machine(CYCLES, EVERY), place))

        code, _ = in_child(child)
        assert code == -9, number
        try:
            require_whole(run, half, half.beginning[number])
            went_on += 1
        except (StoreError, ResourceError) as error:
            assert not generations(run / "checkpoints"), error
        except EntropicError as error:
            assert not run.exists(), error
    for outcome, count in (("that digest by resume", went_on), ("said; run again", len(struck) - went_on)):
        injected(Injected("kill -9 at a file operation before the first cycle", outcome, count))


@pytest.mark.parametrize("lasting", [True, False], ids=["for good", "once"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_disk_that_fails(
    name: str, lasting: bool, half: Half, full: bool, tmp_path: Path, injected: Recorder
) -> None:
    """A typed error, exit code 4; the checkpoint before it stands; and once the disk is well again the digest is reached."""
    run = tmp_path / "run"
    seed = NUMBERS.index(name) * 2 + lasting
    everywhere = full and lasting and name == "ENOSPC"  # one number stands for the others
    drawn = (300 if lasting else 100) if full else 2
    struck = chosen(range(len(half.operations)), everywhere, drawn, seed)
    errors, slowest = 0, 0.0
    for number in struck:
        copied(half.run, run)
        started = time.monotonic()
        with Operations(run, number, Failing(getattr(errno, name)), lasting) as operations:
            error = failure(lambda: resumed(run))
        slowest = max(slowest, time.monotonic() - started)
        if error is None:  # what failed was the removal of something, which the next resume makes good
            assert not lasting or number > 0.9 * len(half.operations) or "unlink" in str(operations.struck), (
                operations.struck
            )
        else:
            assert isinstance(error, ResourceError) and error.exit_code == 4, (operations.struck, repr(error))
            assert os.strerror(getattr(errno, name)) in error.message and REMEDIES[name] in error.remedy, repr(error)
            errors += 1
        kept = [verify(path).cycle for path in generations(run / "checkpoints")]
        assert max(kept) >= EVERY, operations.struck
        require_whole(run, half, operations.struck)
    how = "from a file operation on" if lasting else "at a file operation"
    injected(Injected(f"{name} {how}", "typed error, then that digest by resume", errors, slowest))
    if errors < len(struck):
        injected(Injected(f"{name} {how}", "digest of the undisturbed run", len(struck) - errors))


def failure(action: Callable[[], object]) -> EntropicError | None:
    """The error in which it ends."""
    try:
        action()
    except EntropicError as error:
        return error
    return None
