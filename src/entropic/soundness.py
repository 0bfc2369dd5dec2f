"""Whether all that a run's directory holds is as it was written: not only what its newest checkpoint needs."""

from __future__ import annotations

from pathlib import Path

from entropic.drivers import is_locked
from entropic.engine.checkpoint import Generation, discard, generations, newest_sound, set_aside, verify
from entropic.errors import StoreError
from entropic.inventory import Inventory
from entropic.store import RunStore

__all__ = ["drop_damaged", "require_sound"]


def require_sound(store: RunStore) -> None:
    """Every file, every checkpoint and what it would put back must be as written; of a run that is being driven none is looked at.

    Raises
    ------
    StoreError
        Something is not.
    """
    if is_locked(store.path):
        return
    newest = newest_sound(store.checkpoints)
    store.inventory.require(newest.cycle)
    remedy = f"the checkpoint of cycle {newest.cycle} is sound; put the others in order: entropic resume {store.path}"
    link = store.path / newest.field.name
    if link.resolve() != newest.field.resolve():
        raise StoreError(f"{link} does not lead to {newest.field}.", remedy)
    lacking = Inventory(store.path, newest.cycle).lacking_aside()
    for path in generations(store.checkpoints):
        if path != newest.path:
            _require(store, path, lacking, remedy)
    if spoilt := store.inventory.spoilt_aside():
        raise StoreError(f"{spoilt[0]} is not as it was written.", remedy)


def _require(store: RunStore, path: Path, lacking: list[Path], remedy: str) -> None:
    """A checkpoint, and all that is needed to go on from it."""
    try:
        cycle = verify(path).cycle
    except StoreError as error:
        raise StoreError(error.message, remedy) from error
    if lost := store.inventory.survey(cycle, tape=False).lost:
        raise StoreError(f"{path} cannot be gone on from: {store.path / lost[0]} of that time is lost.", remedy)
    if lacking:
        raise StoreError(f"{lacking[0]} is not there.", remedy)


def drop_damaged(store: RunStore, sound: Generation) -> None:
    """Keep those checkpoints only that can be gone on from: damaged ones would count as one of the two that are kept."""
    for path in store.inventory.spoilt_aside():
        path.unlink()
    lacking = store.inventory.lacking_aside()  # it was put back to the sound one
    for path in generations(store.checkpoints):
        try:
            if path != sound.path:
                _require(store, path, lacking, "")
        except StoreError:
            set_aside(path)
    discard(store.checkpoints)
