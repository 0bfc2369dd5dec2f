"""The claims of the original design document, judged by a run's own figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from entropic import units
from entropic.config import Config

__all__ = ["Claim", "judge"]

_TARGETS = (
    ("week 4: 250 units a cycle", 250),
    ("week 5: 2,500 units a cycle", 2500),
    ("week 6: 25,000 units a cycle", 25000),
)
_EFFICIENCY = 0.9
_EARLIER = 25  # units a cycle that the document starts from
_MEGAWATT = 1e6


@final
@dataclass(frozen=True)
class Claim:
    """One row of the table.

    Attributes
    ----------
    claim : str
        What the document promises.
    gross, cost, net : float
        In ``unit``: what was delivered, what its information costs (paid, or owed for what the tape still holds), and
        the difference.
    verdict : str
    holds : bool
        Whether the promise is kept by the *net* figure.
    """

    claim: str
    unit: str
    gross: float
    cost: float
    net: float
    verdict: str
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def judge(config: Config, summary: dict[str, Any], owed: float) -> list[Claim]:
    """Claims table of a run.

    Parameters
    ----------
    summary : dict
        As `summarise` makes it.
    owed : float
        Quanta, at least, that erasing what is still on the tape would cost.
    """
    totals, time_ = summary["totals"], summary["performance"]["seconds"]
    cycles = max(totals["cycles"], 1)
    gross = totals["gross"]
    cost = totals["erasure"] + owed
    net = gross - cost
    rows = []
    for name, target in _TARGETS:
        g, c, n = gross / cycles, cost / cycles, net / cycles
        word = "kept" if n >= target else "gross only: information costs more" if g >= target else "not reached"
        rows.append(Claim(name, "quanta a cycle", g, c, n, word, n >= target))
    bound = cost if cost else 1.0
    efficiency = gross / bound
    rows.append(
        Claim(
            "90 % efficiency",
            "work / information cost",
            efficiency,
            1.0,
            efficiency - 1.0,
            f"{efficiency:.1%} of what the information costs"
            + (" comes back as work, and below 100 % all of it is spent" if efficiency < 1 else ""),
            efficiency >= _EFFICIENCY and net > 0,
        )
    )
    factor, dear, left = (v / cycles / _EARLIER for v in (gross, cost, net))
    word = "gross only: cost grows as much" if factor >= 1000 > left else "kept" if left >= 1000 else "not reached"
    rows.append(
        Claim("1000× through parallel regions", f"× {_EARLIER} quanta a cycle", factor, dear, left, word, left >= 1000)
    )
    word = "kept" if net > 0 else "each cycle costs more than it brings; the batteries drain"
    rows.append(Claim("energy without end", "quanta in all", gross, cost, net, word, net > 0))
    g, c, n = (units.joules(1, config.field.quantum_joule) * v / time_ if time_ else 0.0 for v in (gross, cost, net))
    word = "kept" if n >= _MEGAWATT else f"{_MEGAWATT / g:.1e} times short even gross" if g > 0 else "no work"
    rows.append(Claim("1 MW", "W", g, c, n, word, n >= _MEGAWATT))
    return rows
