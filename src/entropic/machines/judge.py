"""Judges a protocol before it runs: every state of a small cell, two that end alike, and what undo makes of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import final

import numpy as np

from entropic.errors import UsageError
from entropic.machines.harvester import Harvester
from entropic.machines.protocol import NotReversibleError, OwnProtocol

__all__ = ["Verdict", "judge"]

_MOST_STATES = 1 << 20


@final
@dataclass(frozen=True)
class Verdict:
    """What `judge` found.

    Attributes
    ----------
    lawful : bool
    states : int
        States that were tried.
    collision : tuple of two tuples of int, or None
        Two states that end in the same sites with the same bits.
    reason : str
    """

    lawful: bool
    states: int
    collision: tuple[tuple[int, ...], tuple[int, ...]] | None
    reason: str

    def __str__(self) -> str:
        return f"{'lawful' if self.lawful else 'unlawful'}: {self.reason}"


def judge(protocol: Harvester, q_max: int = 12, sites: int = 2) -> Verdict:
    """Harvest every state of ``sites`` sites with up to ``q_max`` quanta each.

    Lawful here means lawful for cells of this size and these energies; take ``q_max`` well above any threshold.

    Raises
    ------
    UsageError
        There are more than 2^20 states.
    ProtocolError
        The protocol does not keep to what `Harvester` says.
    """
    total = (q_max + 1) ** sites
    if sites < 1 or not 0 <= q_max <= 255 or total > _MOST_STATES:
        raise UsageError(
            f"{sites} sites of up to {q_max} quanta are not 1 to 2^20 states.", "take fewer sites, or a smaller q_max"
        )
    own = OwnProtocol.from_object(protocol, sites)
    seen: dict[tuple[bytes, bytes], tuple[int, ...]] = {}
    for state in itertools.product(range(q_max + 1), repeat=sites):
        region = np.array(state, np.uint8).reshape(1, 1, 1, sites)
        move = own.harvest(region, 0, 0, round_trip=False)
        other = seen.setdefault((move.after.tobytes(), move.packed.tobytes()), state)
        if other != state:
            after, bits = move.after.ravel().tolist(), np.unpackbits(move.packed, count=own.bits).tolist()
            reason = f"the sites {list(other)} and {list(state)} both end as {after} with the bits {bits}"
            return Verdict(False, total, (other, state), reason)
    for state in itertools.product(range(q_max + 1), repeat=sites):
        try:
            own.harvest(np.array(state, np.uint8).reshape(1, 1, 1, sites), 0, 0)
        except NotReversibleError as error:
            return Verdict(False, total, None, error.message)
    return Verdict(True, total, None, f"{total:,} states of {sites} sites, all told apart and undone")
