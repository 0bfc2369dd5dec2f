"""`kill -9` at the writes of a run, counted one by one: the last acknowledged generation is intact, and is gone on from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from chaos.recording import Injected, Recorder
from chaos.runs import environment
from chaos.shim import KILLS, Fault, Outcome, Warm, warm
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import newest_sound
from entropic.errors import StoreError, UsageError
from entropic.store import StoreExistsError

KEPT = {
    "field": {"shape": [8, 12], "regions": [2, 2], "mean": 3.0},
    "run": {"cycles": 6, "checkpoint_every": 2},
    "demon": {"erase": False, "threshold": 4, "sort": True},
    "exchange": {"enabled": True, "contact": 0.4},
    "grid": {"enabled": True, "demands": [{"region": 0, "quanta": 5, "priority": 1, "kind": "compute"}]},
}
RUNS = {
    "tape and all machines": Config.from_mapping(KEPT),
    "erasing": Config.from_mapping({"field": KEPT["field"], "run": KEPT["run"], "demon": {"threshold": 4}}),
}
GENERATIONS = range(0, 7, 2)
_BESIDE = ("checkpoints", ".field.tmp", "field.zarr")
BY_RESUME = "last acknowledged generation intact, digest of the undisturbed run by resume"
NOTHING_YET = "no generation yet: typed error, the same run in an empty place works"


class Disturbed:
    """Runs of one configuration whose writes are hurt."""

    def __init__(self, name: str, place: Path, made: Warm) -> None:
        self.name, self.config, self.place, self.warm = name, RUNS[name], place, made
        whole = made(place / "whole")
        assert whole.status == 0, whole.said
        self.operations, self.digest = whole.operations, whole.said["digest"]
        self._made = 0

    def fresh(self, base: Path | None = None) -> Path:
        """Where the next run goes; a copy of a run that was broken off, if one is given."""
        self._made += 1
        run = self.place / f"run-{self._made}"
        if base is not None:
            shutil.copytree(base, run, symlinks=True)
        return run

    def committed(self, cycle: int) -> int:
        """Number of the operation that renames a generation into place."""
        name = f"checkpoints/cycle-{cycle:09d}-"
        return 1 + next(
            n for n, (kind, place) in enumerate(self.operations) if kind == "rename" and place.startswith(name)
        )

    def of_checkpoint(self, cycle: int) -> list[int]:
        """Numbers of the operations that write a generation and remove what it makes superfluous."""
        before = self.committed(cycle - 2) if cycle else 0
        mine = self.committed(cycle)
        last = self.committed(cycle + 2) - 1 if cycle < max(GENERATIONS) else len(self.operations)
        own = f"checkpoints/.tmp-{cycle:09d}"
        return [
            n
            for n, (_, place) in enumerate(self.operations[:last], 1)
            if n > before and (place.startswith(own) or (n >= mine and place.split("/")[0] in _BESIDE))
            if n < mine or not place.startswith(f"checkpoints/.tmp-{cycle + 2:09d}")
        ]

    def require_whole(self, run: Path, acknowledged: str | None) -> None:
        """That generation is sound and the newest, and the run goes on from it to its right end."""
        if acknowledged is None:
            with pytest.raises((StoreError, UsageError)) as caught:
                EntropicComputer.resume(run)
            assert caught.value.remedy
            if run.exists() and any(run.iterdir()):
                with pytest.raises(StoreExistsError):
                    EntropicComputer(self.config, run)
                shutil.rmtree(run)
                run.mkdir()
            return
        generation = newest_sound(run / "checkpoints")
        assert generation.path.name == acknowledged
        computer = EntropicComputer.resume(run)
        try:
            assert computer.cycle == generation.cycle
            assert computer.run()["digest"] == self.digest
        finally:
            computer.store.unlock()
        laws = audit(run)
        assert all(law.holds for law in laws), [law for law in laws if not law.holds]
        assert not list((run / "checkpoints").glob(".tmp-*"))

    def drop(self, run: Path) -> None:
        """Remove what a case that went well leaves."""
        shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="module", params=RUNS)
def disturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    place = tmp_path_factory.mktemp("writes")
    (place / "c.toml").write_text(RUNS[request.param].to_toml())
    with warm(place / "c.toml", environment()) as made:
        yield Disturbed(request.param, place, made)


def drawn(seed: Sequence[int], numbers: Sequence[int], count: int) -> list[int]:
    """Some of them, by lot, in their order."""
    chosen = np.random.default_rng(seed).choice(numbers, min(count, len(numbers)), replace=False)
    return sorted(int(number) for number in chosen)


def killed(disturbed: Disturbed, fault: Fault) -> Outcome:
    """One case from its beginning to its right end."""
    run = disturbed.fresh()
    outcome = disturbed.warm(run, fault)
    assert outcome.status == -9 and len(outcome.operations) == fault.number, (fault, outcome.status, outcome.said)
    disturbed.require_whole(run, outcome.committed[-1] if outcome.committed else None)
    disturbed.drop(run)
    return outcome


def note(injected: Recorder, fault: str, outcomes: Sequence[Outcome], seconds: float) -> None:
    """A record for those with a generation to go on from, and one for the others."""
    for text, some in ((BY_RESUME, True), (NOTHING_YET, False)):
        if count := sum(bool(outcome.committed) is some for outcome in outcomes):
            injected(Injected(fault, text, count, seconds))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("cycle", GENERATIONS)
def test_killed_at_every_write_of_a_checkpoint(
    cycle: int, full: bool, disturbed: Disturbed, injected: Recorder
) -> None:
    """Before each operation, and amid each that writes data."""
    if not full and disturbed.name != "erasing":
        pytest.skip("in the sample it has its other writes hurt")
    numbers = disturbed.of_checkpoint(cycle)
    assert len(numbers) > 200
    cases = [Fault(n, "kill") for n in numbers]
    cases += [Fault(n, "torn") for n in numbers if disturbed.operations[n - 1][0] == "write"]
    if not full:
        number = disturbed.committed(cycle)
        cases = [
            Fault(number + (cycle in (2, 6)), "kill"),
            *(cases[n] for n in drawn([7, cycle], range(len(cases)), 1)),
        ]
    longest = 0.0
    outcomes = []
    for fault in cases:
        began = time.monotonic()
        outcomes.append(killed(disturbed, fault))
        longest = max(longest, time.monotonic() - began)
    note(injected, "driver before or amid a write of a checkpoint: SIGKILL", outcomes, longest)


@pytest.mark.timeout(3600)
def test_killed_at_any_other_write(full: bool, disturbed: Disturbed, injected: Recorder) -> None:
    """Books, series, records, tape, summary, the run directory itself."""
    checkpoints = {n for cycle in GENERATIONS for n in disturbed.of_checkpoint(cycle)}
    others = [n for n in range(1, len(disturbed.operations) + 1) if n not in checkpoints]
    numbers = drawn([7], others, 150 if full else 2)
    outcomes = [killed(disturbed, Fault(n, KILLS[i % 2])) for i, n in enumerate(numbers)]
    note(injected, "driver before or amid a write of books, series or tape: SIGKILL", outcomes, 0.0)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(8))
def test_killed_again_and_again(seed: int, full: bool, disturbed: Disturbed, injected: Recorder) -> None:
    """Each resume is killed, too, many while they cut off what is beyond the checkpoint; one in the end is not."""
    if not full and seed:
        pytest.skip("the sample has one")
    rng = np.random.default_rng([8, seed])
    first = int(rng.integers(disturbed.committed(0) + 1, len(disturbed.operations)))
    run = disturbed.fresh()
    outcome = disturbed.warm(run, Fault(first, "kill"))
    acknowledged, kills = outcome.committed[-1], 1
    for _ in range(20 if full else 3):
        fault = Fault(int(np.exp(rng.uniform(0, np.log(1500)))), KILLS[int(rng.integers(2))])
        outcome = disturbed.warm(run, fault, resume=True)
        assert outcome.status in (-9, 0), outcome.said
        acknowledged = (acknowledged, *outcome.committed)[-1]
        kills += outcome.status == -9
        assert newest_sound(run / "checkpoints").path.name == acknowledged
    disturbed.require_whole(run, acknowledged)
    disturbed.drop(run)
    injected(Injected("driver before or amid a write of a resume, again and again: SIGKILL", BY_RESUME, kills))


ARRAYS = ("orders.zarr/cycle", "trades.zarr/cycle", "flows.zarr/routed", "series.zarr/cycle", "books.zarr/cycle")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ARRAYS)
def test_killed_between_room_and_rows(name: str, full: bool, disturbed: Disturbed, injected: Recorder) -> None:
    """An array has been made longer, its new rows are not there: they read as zeros, and are no rows of cycle 0."""
    if disturbed.name == "erasing" or not (full or name.startswith(("orders", "flows"))):
        pytest.skip("has no records" if disturbed.name == "erasing" else "the sample has others")
    lengthened = [n for n, seen in enumerate(disturbed.operations, 1) if seen == ("rename", f"{name}/zarr.json")]
    for cycle in (0, 2)[: 2 if full else 1]:
        number = next(n for n in lengthened if n > disturbed.committed(cycle))
        outcome = killed(disturbed, Fault(number + 1, "kill"))
        assert len(outcome.committed) == 1 + cycle // 2
        note(injected, "driver between making an array longer and filling it: SIGKILL", [outcome], 0.0)
