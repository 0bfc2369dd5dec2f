"""A program that makes one mistake while it runs: one quantum or one nat too many, too few or in the wrong place, once.

Each mistake is made in the engine itself, between two stages of one cycle, and the run goes on to its end; what it then
says of itself and what `audit` (for moves inside a region: `reverse`) finds must give it away, every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import entropic.engine.block as engine_block
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.state import BlockState
from entropic.reversal import reverse
from test_audit import made_of

CYCLES = 12  # of the runs of test_audit
DRAWS = {"erased": 2, "machines": 1}  # of cycle, region and site, for each mistake

Mistake = Callable[[BlockState, int, np.random.Generator], BlockState]


@dataclass
class Once:
    """Makes a mistake before or after a stage of one cycle, in the first block of that cycle that has what it needs."""

    mistake: Mistake
    cycle: int
    rng: np.random.Generator
    made: bool = False

    def __call__(self, state: BlockState, cycle: int) -> BlockState:
        if self.made or cycle < self.cycle:
            return state
        regions = self.rng.permutation(state.battery.size)
        for region in regions:
            found = self.mistake(state, int(region), self.rng)
            if found is not state:
                self.made = True
                return found
        return state


def box(state: BlockState, region: int) -> NDArray[Any]:
    """Sites of a region; blocks are 1 × 2 or 1 × 1 regions of 4 × 4 sites."""
    return state.array[:, :, :, 4 * region : 4 * region + 4]


def site(amount: int) -> Mistake:
    def change(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
        sites = box(state, region)
        places = np.argwhere(sites > 0) if amount < 0 else np.argwhere(sites < 200)
        if not places.size:
            return state
        place = tuple(rng.choice(places))
        sites[place] = int(sites[place]) + amount
        return replace(state)

    return change


def moved_out(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    """To the block's other region."""
    if state.battery.size < 2 or not (box(state, region) > 0).any():
        return state
    site(-1)(state, region, rng)
    site(1)(state, 1 - region, rng)
    return replace(state)


def moved_inside(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    sites = box(state, region)
    places = np.argwhere(sites > 0)
    if not places.size:
        return state
    here = tuple(rng.choice(places))
    there = tuple(rng.choice([place for place in np.argwhere(sites < 200) if tuple(place) != here]))
    sites[here] -= 1
    sites[there] += 1
    return replace(state)


def battery(amount: int) -> Mistake:
    def change(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
        if state.battery[region] + amount < 0:
            return state
        content = state.battery.copy()
        content[region] += amount
        return replace(state, battery=content)

    return change


def battery_moved(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    if state.battery.size < 2 or state.battery[region] < 1:
        return state
    return battery(1)(battery(-1)(state, region, rng), 1 - region, rng)


def from_field_to_battery(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    """Work that nothing lifted."""
    if not (box(state, region) > 0).any():
        return state
    return battery(1)(site(-1)(state, region, rng), region, rng)


def tape(nats: float) -> Mistake:
    def change(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
        if state.tape[region] + nats < 0:
            return state
        held = state.tape.copy()
        held[region] += nats
        return replace(state, tape=held)

    return change


def entry(name: str, change: Callable[[Any], Any]) -> Mistake:
    """An entry of the open cycle's books."""

    def spoil(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
        assert state.open is not None
        row = state.open.row.copy()
        if change(row[name][region]) == row[name][region]:
            return state
        row[name][region] = change(row[name][region])
        return replace(state, open=replace(state.open, row=row))

    return spoil


def heat(amount: int) -> Mistake:
    """Through the walls, as counted by the layers."""

    def change(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
        state.heat[region] += amount
        return replace(state)

    return change


def heat_moved(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    if state.battery.size < 2:
        return state
    return heat(-1)(heat(1)(state, region, rng), 1 - region, rng)


def forgotten(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    """A record that was made, and neither booked nor kept."""
    assert state.open is not None
    nats = float(state.open.row["record_nats"][region])
    if not nats:
        return state
    return tape(-min(nats, state.tape[region]))(entry("record_nats", lambda _: 0.0)(state, region, rng), region, rng)


def queued_twice(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    """A record that waits for erasure waits twice."""
    if not state.unpaid.size or state.unpaid[region, 0] < 0:
        return state
    grown = np.concatenate([state.unpaid, np.full((len(state.unpaid), 1), -1)], axis=1)
    grown[region, 1:] = state.unpaid[region]
    return replace(state, unpaid=grown)


def record_lost(state: BlockState, region: int, rng: np.random.Generator) -> BlockState:
    """A record that waits for erasure is not asked for any more."""
    if not state.unpaid.size or state.unpaid[region, 0] < 0:
        return state
    shrunk = state.unpaid.copy()
    shrunk[region] = [*state.unpaid[region, 1:], -1]
    return replace(state, unpaid=shrunk)


BEFORE_THE_LIFT = {
    "a quantum added": site(1),
    "a quantum lost": site(-1),
    "a quantum moved to another region": moved_out,
    "a quantum added to a battery": battery(1),
    "a quantum lost from a battery": battery(-1),
    "heat counted that did not flow": heat(1),
    "heat not counted": heat(-1),
    "heat counted in another region": heat_moved,
}
AFTER_THE_LIFT = {
    "a quantum added": site(1),
    "a quantum lost": site(-1),
    "a quantum moved to another region": moved_out,
    "a quantum moved from the field to a battery": from_field_to_battery,
    "a quantum added to a battery": battery(1),
    "a quantum lost from a battery": battery(-1),
    "a quantum moved to another battery": battery_moved,
    "a nat forgotten": tape(-1.0),
    "a nat invented": tape(1.0),
    "a record forgotten": forgotten,
    "a record queued twice": queued_twice,
    "a record lost from the queue": record_lost,
    "the lift booked twice": entry("lift", lambda quanta: 2 * quanta),
    "the lift not booked": entry("lift", lambda quanta: 0),
    "a quantum of the lift not booked": entry("lift", lambda quanta: max(quanta - 1, 0)),
    "erasure booked twice": entry("erasure", lambda quanta: 2 * quanta),
    "erasure not booked": entry("erasure", lambda quanta: 0),
    "a bit booked twice": entry("ones", lambda ones: ones + bool(ones)),
    "nats booked twice": entry("record_nats", lambda nats: 2 * nats),
    "erased nats not booked": entry("erased_nats", lambda nats: 0.0),
    "a quantum of the region's energy": entry("quanta", lambda quanta: quanta + 1),
}


def with_a_mistake(
    config: Config, out: Path, stage: str, once: Once, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Run with a mistake made before a stage; returns the summary."""
    stages = {name: getattr(engine_block, name) for name in ("harvest", "close")}

    def spoilt(state: BlockState, block: Any, rules: Any, cycle: int) -> BlockState:
        return stages[stage](once(state, cycle), block, rules, cycle)

    with monkeypatch.context() as patched:
        patched.setattr(engine_block, stage, spoilt)
        computer = EntropicComputer(config, out, chunks=(1, 2))
        summary = computer.run()
        computer.store.unlock()
    assert once.made, "there was nothing to spoil"
    return summary


@pytest.mark.parametrize("run", ["erased", "machines"])
@pytest.mark.parametrize(
    ("stage", "name"), [*(("harvest", name) for name in BEFORE_THE_LIFT), *(("close", name) for name in AFTER_THE_LIFT)]
)
def test_one_mistake(stage: str, name: str, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake = (BEFORE_THE_LIFT if stage == "harvest" else AFTER_THE_LIFT)[name]
    rng = np.random.default_rng([21, *name.encode()])
    for number in range(DRAWS[run]):
        once = Once(mistake, int(rng.integers(1, CYCLES)), rng)
        with_a_mistake(made_of(run), tmp_path / str(number), stage, once, monkeypatch)
        assert not all(law.holds for law in audit(tmp_path / str(number))), (once.cycle, number)


@pytest.mark.parametrize("stage", ["harvest", "close"])
def test_a_quantum_moved_inside_a_region(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Energies and books cannot tell; the way back can."""
    config = Config.from_mapping({**made_of("kept").to_dict(), "demon": {"threshold": 3, "erase": False}})
    rng = np.random.default_rng(22)
    for number in range(3):
        once = Once(moved_inside, int(rng.integers(1, CYCLES)), rng)
        with_a_mistake(config, tmp_path / str(number), stage, once, monkeypatch)
        assert not reverse(tmp_path / str(number), chunks=(2, 1)).restored, (once.cycle, number)
    EntropicComputer(config, tmp_path / "sound").run()
    assert reverse(tmp_path / "sound", chunks=(2, 1)).restored
