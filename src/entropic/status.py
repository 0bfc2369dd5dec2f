"""Where a run stands, told from its files alone: nothing is asked of a cluster, and nothing is changed."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, final

from entropic.config import Config, ConfigError
from entropic.drivers import Driver, drivers, is_locked
from entropic.engine.checkpoint import generations, verify
from entropic.errors import StoreError, UsageError
from entropic.store import RunStore

__all__ = ["Status", "status_of"]


@final
@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes
    ----------
    state : str
        ``queued``: its job has not begun; ``running``: a driver holds the lock; ``stopped``: none does, and cycles
        are left; ``finished``; ``damaged``: no checkpoint is sound.
    cycle, cycles : int
        Done, up to the newest sound checkpoint; and in all.
    checkpoint : str or None
        Name of that checkpoint.
    progressed : str or None
        When it was written; ISO 8601, UTC.
    damage : tuple of str
        What is wrong with newer checkpoints, and with files that no checkpoint can do without.
    driver : Driver or None
        Who holds the lock.
    jobs : tuple of Driver
        All who ever did, at most the last twenty, oldest first.
    advice : str
        How to go on.
    """

    run: str
    state: Literal["queued", "running", "stopped", "finished", "damaged"]
    cycle: int
    cycles: int
    checkpoint: str | None
    progressed: str | None
    damage: tuple[str, ...]
    driver: Driver | None
    jobs: tuple[Driver, ...]
    advice: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _submitted(run: Path) -> tuple[Path, int] | None:
    """The directory of the run's job, if there is one, and the cycles that it will run."""
    directory = run.parent / f"{run.name}.job"
    try:
        return directory, Config.from_toml(directory / "config.toml").run.cycles
    except ConfigError:
        return None


def status_of(run: str | Path) -> Status:
    """Look at a run directory, or at the job of a run that has not begun.

    Raises
    ------
    UsageError
        There is neither.
    StoreError
        The run directory lacks what every run has.
    """
    run = Path(run)
    submitted = _submitted(run)
    if not run.exists() and submitted is not None:
        advice = f"wait for the job; its log will be in {submitted[0]}"
        return Status(str(run), "queued", 0, submitted[1], None, None, (), None, (), advice)
    if not run.exists():
        raise UsageError(f"there is no run {run}.", "give what 'entropic run' or 'entropic submit' was given as --out")
    store = RunStore.open(run)
    cycles, jobs, held = store.config().run.cycles, drivers(run), is_locked(run)
    sound, damage = None, []
    for path in generations(store.checkpoints):
        try:
            sound = verify(path)
            break
        except StoreError as error:
            if path.is_dir():  # else it was pruned while we looked
                damage.append(error.message)
    cycle = sound.cycle if sound else 0
    if sound is not None and not held:
        lost = store.inventory.survey(cycle, tape=False).lost
        damage.extend(f"{run / name} is not as it was written." for name in lost)
        sound = None if lost else sound
    if held:
        state: Any = "running"
    elif sound is None:
        state = "damaged" if damage else "stopped"
    else:
        state = "finished" if cycle >= cycles and (run / "summary.json").is_file() else "stopped"
    written = None if sound is None else _iso(os.stat(sound.path).st_mtime)
    driver = jobs[-1] if held and jobs else None
    name = None if sound is None else sound.path.name
    advice = _advice(run, state, sound is not None, submitted)
    return Status(str(run), state, cycle, cycles, name, written, tuple(damage), driver, jobs, advice)


def _advice(run: Path, state: str, sound: bool, submitted: tuple[Path, int] | None) -> str:
    match state:
        case "running":
            return "wait; a second driver would be refused"
        case "finished":
            return f"entropic audit {run}"
        case "damaged":
            return "run again from its config.toml, under another --out"
    if submitted is not None:
        scripts = [name for name in ("job.sh", "job.sub") if (submitted[0] / name).is_file()]
        script = f"hand {submitted[0] / scripts[0]} over again" if scripts else "submit again"
        return f"if its job is no longer in the queue, {script}, or: entropic resume {run}"
    return f"entropic resume {run}" if sound else f"remove {run} (it holds no cycle yet), then run again"
