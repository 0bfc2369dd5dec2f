"""How often to write a checkpoint: as its price, and what a failure would cost, make best.  Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from entropic.config import RunSection

__all__ = ["Spent", "seconds_between", "young_daly"]

_HOUR_SECONDS = 3600.0
_WATCHED_SHARE = 0.02  # of the time, at most, for checkpoints that are written only because somebody looks on


@final
@dataclass(frozen=True)
class Spent:
    """What some checkpoints took."""

    checkpoints: int = 0
    seconds: float = 0.0

    def and_one(self, seconds: float) -> Spent:
        """With one more."""
        return Spent(self.checkpoints + 1, self.seconds + seconds)

    def each(self, otherwise: float) -> float:
        """Seconds of one, on average; ``otherwise``, if there was none yet."""
        return self.seconds / self.checkpoints if self.checkpoints else otherwise


def young_daly(mtbf_seconds: float, cost_seconds: float) -> float:
    """Seconds between checkpoints that lose the least: √(2 · MTBF · cost).

    A run that writes every T seconds pays cost / T for it, and T / (2 · MTBF) for doing again what failures undo.

    Source: Young, CACM 17 (1974) 530; Daly, FGCS 22 (2006) 303, to first order in cost / MTBF.
    """
    return math.sqrt(2 * mtbf_seconds * cost_seconds)


def seconds_between(run: RunSection, workers: int, cost_seconds: float, patience: float = math.inf) -> float:
    """Seconds after which the next checkpoint is due: infinite where ``run.checkpoint_every`` says when.

    ``run.mtbf_hours`` is that of one worker; of ``workers`` the first one fails so many times sooner.  Who looks on with
    ``patience`` for so many seconds sees books sooner where that costs little.
    """
    if run.checkpoint_every is not None:
        return math.inf
    best = young_daly(run.mtbf_hours * _HOUR_SECONDS / max(workers, 1), cost_seconds)
    return min(best, max(patience, cost_seconds / _WATCHED_SHARE))
