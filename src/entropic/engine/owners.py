"""Which worker a block lives on, as workers come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["share_out"]


def share_out(owners: Sequence[str], workers: Sequence[str]) -> list[str]:
    """Owners anew: as even as can be, with as few blocks moved as that takes.

    Parameters
    ----------
    owners : sequence of str
        Worker of each block so far.
    workers : sequence of str
        Those that are there now, at least one.

    Returns
    -------
    list of str
        Numbers of blocks differ by one at most between workers.
    """
    least, rest = divmod(len(owners), len(workers))
    held = Counter(owner for owner in owners if owner in set(workers))
    fullest = sorted(workers, key=lambda worker: -held[worker])  # those that hold most may keep one more
    room = {worker: least + (number < rest) for number, worker in enumerate(fullest)}
    kept: list[str | None] = []
    for owner in owners:
        stays = room.get(owner, 0) > 0
        kept.append(owner if stays else None)
        if stays:
            room[owner] -= 1
    free = iter([worker for worker in workers for _ in range(room[worker])])
    return [next(free) if owner is None else owner for owner in kept]
