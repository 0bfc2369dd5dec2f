"""Where the acts' stores are, and how far each has come: what to go on with, what to leave alone."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from pathlib import Path
from typing import Any, final

from entropic.config import Config
from entropic.demo.acts import ACTS
from entropic.durable import write_text
from entropic.engine.checkpoint import generations, newest_sound
from entropic.errors import StoreError, UsageError
from entropic.store import RunStore

__all__ = ["DemoPlaceError", "Standing", "go_on", "keep", "ready", "standing"]

SUMMARY = "demo.json"


@final
class DemoPlaceError(UsageError):
    """A directory that holds something else, or another demonstration."""


class Standing(Enum):
    """How far an act has come."""

    NEW = auto()
    UNFINISHED = auto()
    FINISHED = auto()


def go_on(place: Path, size: str, overrides: Iterable[str]) -> str:
    """The command that goes on with the acts in ``place``."""
    words = ["entropic", "demo", "--size", size, *(word for text in overrides for word in ("--set", text))]
    return shlex.join([*words, "--out", str(place)])


def ready(place: Path) -> None:
    """Refuse a place that is no directory, or holds things but no act.

    Raises
    ------
    DemoPlaceError
    """
    if not place.exists():
        return
    remedy = "give another --out, or one that 'entropic demo' has begun"
    if not place.is_dir():
        raise DemoPlaceError(f"{place} exists and is no directory.", remedy)
    names = {path.name for path in place.iterdir()}
    if names and not names & {act.directory for act in ACTS}:
        raise DemoPlaceError(f"{place} exists already and holds no act of a demonstration.", remedy)


def keep(place: Path, outcome: Mapping[str, Any]) -> None:
    """Write what the acts amount to, the object of ``--json``, beside them, unless just that is there."""
    target, text = place / SUMMARY, json.dumps(outcome, indent=1) + "\n"
    if target.exists() and target.read_text() == text:
        return
    write_text(target, text)


def standing(path: Path, config: Config) -> Standing:
    """How far the act in ``path`` has come; what broke off before its first checkpoint is removed, and is new.

    Raises
    ------
    DemoPlaceError
        It ran with another configuration.
    StoreError
        It is damaged.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return Standing.NEW
    unborn = RunStore.unborn(path)
    store = RunStore(path) if unborn else RunStore.open(path)
    if not unborn:
        _same(path, store.config(), config)
    if unborn or not generations(store.checkpoints):
        store.lock()  # unless another process is just writing the first one
        shutil.rmtree(path)
        store.unlock()
        return Standing.NEW
    if not (path / "summary.json").exists():
        return Standing.UNFINISHED
    summary = store.read_json("summary.json")
    generation = newest_sound(store.checkpoints)
    try:
        whole = summary["totals"]["cycles"] == config.run.cycles and summary["digest"]["field"] == generation.digest
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path}/summary.json is no summary of a run.", f"run: entropic resume {path}") from error
    return Standing.FINISHED if whole else Standing.UNFINISHED


def _same(path: Path, found: Config, asked: Config) -> None:
    ours, theirs = asked.to_dict(), found.to_dict()
    for section, table in ours.items():
        for key in sorted({*table, *theirs[section]}):
            if table.get(key) != theirs[section].get(key):
                raise DemoPlaceError(
                    f"{path} was run with {section}.{key} = {theirs[section].get(key)}, asked for is {table.get(key)}.",
                    "give the same --size and --set as then, or another --out",
                )
