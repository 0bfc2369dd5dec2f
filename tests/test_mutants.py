"""Every machine, broken in one place, on the engine: a law must notice.

The books that a broken machine writes are consistent with what it did, so this is another matter than a changed store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine import block, stages, trade
from entropic.errors import EntropicError
from entropic.machines import demon, grid
from entropic.machines.exchange import EntropyExchange, OrderBook
from entropic.machines.grid import EnergyGrid, EnergyScheduler
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine
from entropic.machines.storage import EnergyStorage
from entropic.machines.transfer import Transfers
from entropic.reversal import reverse
from test_audit import made_of

Array = NDArray[Any]
Break = Callable[[pytest.MonkeyPatch], None]


def laws_broken(config: Config, out: Path) -> list[str]:
    """Laws that the audit finds broken; how the run ended, if a machine noticed by itself."""
    try:
        EntropicComputer(config, out).run()
    except (EntropicError, AssertionError) as error:
        return [type(error).__name__]
    return [law.name for law in audit(out) if not law.holds]


def around(owner: Any, name: str, change: Callable[[Any, tuple[Any, ...]], Any]) -> Break:
    """Replace a function by one whose result is changed: ``change(result, arguments)``."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)

        def broken(*arguments: Any, **named: Any) -> Any:
            return change(original(*arguments, **named), arguments)

        monkeypatch.setattr(owner, name, broken)

    return patch


def instead(owner: Any, name: str, function: Any) -> Break:
    return lambda monkeypatch: monkeypatch.setattr(owner, name, function)


# --- sort --------------------------------------------------------------------------------------------------------


def one_more(result: Any, arguments: tuple[Any, ...]) -> Any:
    """A quantum out of nothing, on the first side."""
    arguments[0].flat[0] += 1
    return result


def a_bit_less(result: tuple[int, ...], arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """A pair was swapped, and the bit is blank."""
    ones, *others = result
    arguments[-1][np.flatnonzero(arguments[-1])[:1]] = 0
    return max(ones - 1, 0), *others


def more_moved(result: tuple[int, int, int], arguments: tuple[Any, ...]) -> tuple[int, int, int]:
    ones, gradient, moved = result
    return ones, gradient, moved + 1


# --- market ------------------------------------------------------------------------------------------------------


def least_work(self: EntropyExchange, work: Array, error: Array) -> Array:
    """Takes the gear with the least work that is still positive."""
    found: Array = np.where((work > 0).any(axis=0), np.argmin(np.where(work > 0, work, np.inf), axis=0), -1)
    return found


def any_work(self: EntropyExchange, work: Array, error: Array) -> Array:
    """Trades with the last gear, whatever is expected."""
    return np.full(work.shape[1], work.shape[0] - 1)


def hottest_with_next(quanta: Array, sites: int) -> OrderBook:
    rank = np.argsort(-quanta, kind="stable")
    mixed = np.concatenate([rank[::2], rank[1::2][::-1]])
    return OrderBook(mixed.astype(np.int64), quanta[mixed], sites)


def half_and_half(self: EntropyExchange, work: int, hot: int, cold: int, sites: int) -> tuple[int, int]:
    return work // 4, work - work // 4


def a_turn_too_many(result: int, arguments: tuple[Any, ...]) -> int:
    """Work of a turn that was not made."""
    return result + int(arguments[2]) - int(arguments[3])


# --- grid and storage --------------------------------------------------------------------------------------------


class Lossless(Transfers):
    """Lines that lose nothing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._loss = [0] * len(self._loss)


class Boundless(Transfers):
    """Lines that carry what they like."""

    def send(self, demand: int, route: Any, quanta: int) -> None:
        super().send(demand, route, quanta)
        self.room[:] = 2**40

    def __post_init__(self) -> None:
        super().__post_init__()
        self.room[:] = 2**40


def forgets(result: tuple[Array, ...], arguments: tuple[Any, ...]) -> tuple[Array, ...]:
    """What is less than a quantum is rounded away."""
    return (*result[:-1], np.zeros_like(result[-1]))


def last_first(result: tuple[tuple[int, ...], ...], arguments: tuple[Any, ...]) -> tuple[tuple[int, ...], ...]:
    return result[::-1]


def heat_elsewhere(result: Any, arguments: tuple[Any, ...]) -> Any:
    """Losses of lines become heat in another region."""
    return replace(result, loss_heat=np.roll(result.loss_heat, 1))


def more_than_paid(result: Any, arguments: tuple[Any, ...]) -> Any:
    delivered = result.compute_heat.copy()
    delivered[1] += 1
    return replace(result, compute_heat=delivered)


def drops_overflow(result: tuple[Array, ...], arguments: tuple[Any, ...]) -> tuple[Array, ...]:
    content, lost, overflow, carry = result
    return content, lost, np.zeros_like(overflow), carry


# --- edges -------------------------------------------------------------------------------------------------------


def imported(flows: Array, arguments: tuple[Any, ...]) -> Array:
    more = flows.copy()
    more[1, 0] += 1
    return more


MUTANTS: dict[str, tuple[str, Break]] = {
    "sort: a quantum too many": ("machines", around(demon, "sort_pairs", one_more)),
    "sort of partners: a quantum too many": ("partners", around(demon, "sort_contact", one_more)),
    "sort of partners: more booked than moved": ("partners", around(demon, "sort_contact", more_moved)),
    "sort: cheaper records": ("machines", around(LandauerEngine, "sort_code", lambda code, _: np.maximum(code - 1, 9))),
    "gears: work of a turn not made": ("partners", around(trade, "gear_swap", a_turn_too_many)),
    "gears: a quantum too many": ("partners", around(trade, "gear_swap", one_more)),
    "gears: not put back": ("partners", instead(trade, "put_run", lambda region, start, run: 0)),
    "market: the least work": ("partners", instead(EntropyExchange, "_most_work", least_work)),
    "market: any gear": ("machines", instead(EntropyExchange, "_most_work", any_work)),
    "market: the wrong partner": ("machines", instead(OrderBook, "open", hottest_with_next)),
    "market: another price": ("partners", instead(EntropyExchange, "split", half_and_half)),
    "lift: a quantum less": (
        "erased",
        around(EntropyHarvester, "take", lambda result, given: one_more(result, given[1:])),
    ),
    "lift: ones not counted": ("erased", around(EntropyHarvester, "ones", lambda ones, _: np.maximum(ones - 1, 0))),
    "erasure: a quantum cheaper": (
        "machines",
        around(LandauerEngine, "price_of", lambda price, _: price and price - 1),
    ),
    "erasure: heat that is lost": ("machines", instead(LandauerEngine, "deposit", lambda *_: None)),
    "grid: lines that lose nothing": ("machines", instead(grid, "Transfers", Lossless)),
    "grid: lines without a limit": ("machines", instead(grid, "Transfers", Boundless)),
    "grid: the last class first": ("machines", around(EnergyScheduler, "prioritize", last_first)),
    "grid: losses that warm another region": ("machines", around(EnergyGrid, "route", heat_elsewhere)),
    "grid: more than was paid": ("machines", around(EnergyGrid, "route", more_than_paid)),
    "storage: charges rounded": ("machines", around(EnergyStorage, "charge", forgets)),
    "storage: draws rounded": ("machines", around(EnergyStorage, "discharge", forgets)),
    "storage: rest rounded": ("machines", around(EnergyStorage, "rest", forgets)),
    "storage: overflow that vanishes": ("machines", around(EnergyStorage, "charge", drops_overflow)),
    "storage: waste heat that vanishes": ("machines", around(stages, "waste_heat", lambda heat, _: 0 * heat)),
    "baths: more booked than came": ("machines", around(block, "exchange_block", imported)),
    "walls: heat that is not booked": ("erased", around(block, "exchange_block", lambda flows, _: 0 * flows)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_law_notices(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, patch = MUTANTS[name]
    patch(monkeypatch)
    assert laws_broken(made_of(run), tmp_path / "run")


@pytest.mark.parametrize("name", ["machines", "partners", "erased"])
def test_sound_machines_break_none(name: str, tmp_path: Path) -> None:
    assert laws_broken(made_of(name), tmp_path / "run") == []


# --- what only playing it backwards can tell ---------------------------------------------------------------------


def kept(pairs: str) -> Config:
    """Reversible: the tape is kept, and nothing leaves."""
    table = made_of("partners").to_dict()
    contact = 0.6 if pairs == "partners" else 1.0
    table["demon"] = {**table["demon"], "pairs": pairs, "contact": contact, "erase": False}
    return Config.from_mapping(table)


BITS: dict[str, tuple[str, Break]] = {
    "a pair swapped without its bit": ("halves", around(demon, "sort_pairs", a_bit_less)),
    "partners swapped without their bit": ("partners", around(demon, "sort_contact", a_bit_less)),
    "a site lifted without its bit": ("halves", around(EntropyHarvester, "record", lambda bits, _: np.roll(bits, 1))),
}


@pytest.mark.parametrize("name", BITS)
def test_reversal_notices(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, patch = BITS[name]
    patch(monkeypatch)
    EntropicComputer(kept(pairs), tmp_path / "run").run()
    monkeypatch.undo()
    assert not reverse(tmp_path / "run").restored


@pytest.mark.parametrize("pairs", ["halves", "partners"])
def test_reversal_of_sound_machines(pairs: str, tmp_path: Path) -> None:
    EntropicComputer(kept(pairs), tmp_path / "run", chunks=(1, 2)).run()
    assert reverse(tmp_path / "run", chunks=(2, 1)).restored
