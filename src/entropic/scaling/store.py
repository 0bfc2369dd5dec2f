"""A study on disk: what was asked for, one file a cell, one a different outcome, and what came of it all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import IO, Any, final

from entropic.config_errors import ConfigError
from entropic.drivers import take_lock
from entropic.durable import write_json, write_text
from entropic.errors import ResourceError, StoreError, UsageError
from entropic.scaling.outcome import Outcome
from entropic.scaling.study import Study
from entropic.store import StoreExistsError

__all__ = ["StudyStore"]

_STUDY = "study.toml"


@final
class StudyStore:
    """A study directory.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @classmethod
    def enter(cls, path: Path, study: Study) -> StudyStore:
        """Make a new directory for a study, or go on with the one that is there.

        Raises
        ------
        StoreExistsError
            Something else is there, another study for one.
        ResourceError
            The directory cannot be made.
        """
        if (path / _STUDY).is_file():
            store = cls(path)
            if store.study() != study:
                raise StoreExistsError(
                    f"{path} holds another study.", f"give another --out, or go on with that one: entropic scale {path}"
                )
            return store
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StoreExistsError(f"{path} exists already and is no study.", "give another --out")
        try:
            for part in ("cells", "outcomes", "scratch"):
                (path / part).mkdir(parents=True, exist_ok=True)
            write_text(path / _STUDY, study.to_toml())
        except OSError as error:
            raise ResourceError(f"cannot write {path}: {error}.", "choose another --out, or make room") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> StudyStore:
        """Open a study directory.

        Raises
        ------
        UsageError
            It is not one.
        """
        if not (path / _STUDY).is_file():
            raise UsageError(f"{path} is not a study directory.", "give STUDY.toml, or what 'entropic scale' wrote")
        return cls(path)

    def lock(self) -> None:
        """Become the one writer, until the process ends or `unlock`."""
        self._lock = take_lock(self.path)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def scratch(self) -> Path:
        """Where runs live while they go on."""
        return self.path / "scratch"

    def study(self) -> Study:
        """The study as run."""
        try:
            return Study.from_toml(self.path / _STUDY)
        except ConfigError as error:
            raise StoreError(f"{self.path}/{_STUDY} is damaged: {error}", "restore it from a copy") from error

    # -- cells --

    def record(self, name: str) -> dict[str, Any] | None:
        """What a cell came to; None if it has not been run."""
        path = self.path / "cells" / f"{name}.json"
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{path} cannot be read: {error}.", "remove it, and run the study again") from error
        if not isinstance(found, dict) or "state" not in found:
            raise StoreError(f"{path} is no cell.", "remove it, and run the study again")
        return found

    def keep(self, record: dict[str, Any], outcome: Outcome | None) -> None:
        """Write a cell down, and its outcome if no cell had that one before."""
        if outcome is not None:
            record["outcome"] = f"{record['physics']}-{_short(outcome)}"
            path = self._outcome(record["outcome"])
            if not path.is_file():
                outcome.save(path)
        write_json(self.path / "cells" / f"{record['name']}.json", record)

    def outcome(self, name: str) -> Outcome:
        """An outcome by the name that a cell's record gives it."""
        return Outcome.load(self._outcome(name))

    def _outcome(self, name: str) -> Path:
        return self.path / "outcomes" / f"{name}.npz"


def _short(outcome: Outcome) -> str:
    return hashlib.sha256(outcome.digest.encode() + outcome.regions.tobytes()).hexdigest()[:12]
