"""Checks of bookkeeping: nothing is lost by any machine, alone or with all others, and what is kept on tape can be undone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.layers import exchange_block
from entropic.lattice import BlockGrid, Lattice, regular_cuts
from entropic.machines.circuits import CNOT, FREDKIN, NOT, TOFFOLI, Circuit
from entropic.machines.demon import MaxwellDemon
from entropic.machines.exchange import EntropyExchange
from entropic.machines.grid import EnergyDemand, EnergyGrid
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine
from entropic.machines.network import Network
from entropic.machines.pump import EntropyPump, GradientHarvester
from entropic.machines.storage import EnergyStorage
from entropic.reversal import reverse
from entropic.store import RunStore
from entropic.verification.check import Check, Finding, Tally
from entropic.verification.samples import seed_of

__all__ = ["CHECKS"]

Sites = NDArray[Any]
Draw = np.random.Generator


def _total(*arrays: Sites) -> int:
    return sum(int(array.sum(dtype=np.int64)) for array in arrays)


def _region(draw: Draw, top: int = 256) -> Sites:
    """Sites of any energy, up to the cap."""
    shape = tuple(int(n) for n in draw.integers(1, 9, 4))
    return draw.integers(0, draw.integers(1, top + 1), shape).astype(np.uint8)


def contact(tally: Tally, draw: Draw) -> None:
    """Layers of every axis, parity, edge and wall; with baths, less what came from them."""
    boxes = tuple(int(n) for n in draw.integers(1, 4, 2))
    extents = tuple(2 * n * int(draw.integers(1, 4)) for n in boxes)
    baths = (5.0, 1.0) if draw.integers(2) else None
    lattice = Lattice(extents, boxes, baths is None and bool(draw.integers(2)), bool(draw.integers(2)))
    (block,) = BlockGrid(lattice, regular_cuts(lattice, boxes)).blocks
    sites = draw.integers(0, 256 if baths is None else 20, lattice.shape).astype(np.uint8)
    start, layers, imported = sites.copy(), range(8), 0
    for layer in layers:
        flows = exchange_block(sites, sites, block, layer, 7, False, None, None, baths).sum(axis=1)
        imported += int(flows[1] - flows[2] + flows[3] - flows[4])
        tally.see(flows[0] == 0, f"walls of {lattice.regions} regions keep {flows[0]} quanta")
    tally.see(_total(sites) == _total(start) + imported, f"exchange on {extents} changed the energy")
    if baths is None:
        for layer in reversed(layers):
            exchange_block(sites, sites, block, layer, 7, True, None, None)
        tally.see(np.array_equal(sites, start), f"exchange on {extents} is not undone")


def lift(tally: Tally, draw: Draw) -> None:
    """Lift, with bits kept."""
    sites, threshold = _region(draw), int(draw.integers(1, 60))
    start, harvester = sites.copy(), EntropyHarvester(threshold)
    bits = harvester.harvest(sites)
    tally.see(_total(sites) + threshold * _total(bits) == _total(start), f"a lift of {threshold} loses energy")
    lifted = start.copy()
    harvester.take(lifted, np.array(start.shape), np.array([True]))
    tally.see(np.array_equal(lifted, sites), "a lift without bits is another")
    harvester.undo(sites, bits)
    tally.see(np.array_equal(sites, start), f"a lift of {threshold} is not undone")


def sort(tally: Tally, draw: Draw) -> None:
    """The demon."""
    sites = _region(draw)
    start, demon = sites.copy(), MaxwellDemon()
    record = demon.sort(sites)
    same = np.array_equal(np.sort(sites, axis=None), np.sort(start, axis=None))
    tally.see(same, "a sort changes quanta")
    demon.undo(sites, record)
    tally.see(np.array_equal(sites, start), "a sort is not undone")


def gears(tally: Tally, draw: Draw) -> None:
    """Pumps over a share of two regions, caps touched."""
    hot = _region(draw)
    cold = draw.integers(0, 256, hot.shape).astype(np.uint8)
    m, n = (int(g) for g in draw.choice(np.arange(1, 9), 2, replace=False))
    starts, before = draw.integers(0, hot.size, 2).tolist(), (hot.copy(), cold.copy())
    pump = GradientHarvester(EntropyPump(m, n, 255), float(draw.uniform(0.01, 1.0)))
    result = pump.harvest(hot, cold, *starts)
    sound = _total(hot, cold) + result.work == _total(*before) and _total(before[0]) - _total(hot) == result.heat_hot
    tally.see(sound, f"gear {m}:{n} loses energy")
    pump.undo(hot, cold, *starts)
    tally.see(np.array_equal(hot, before[0]) and np.array_equal(cold, before[1]), f"gear {m}:{n} is not undone")


def heat(tally: Tally, draw: Draw) -> None:
    """Deposits, and their withdrawal."""
    sites = _region(draw, 100)
    engine = LandauerEngine("compressed", sites.size, int(draw.integers(1 << 30)), 255)
    start, quanta = sites.copy(), int(draw.integers(0, 60 * sites.size))
    counts = np.bincount(sites.ravel(), minlength=256).astype(np.int64)
    engine.deposit(sites, 3, 5, quanta, counts)
    tally.see(_total(sites) == _total(start) + quanta, f"a deposit of {quanta} quanta arrives as another")
    tally.see(np.array_equal(counts, np.bincount(sites.ravel(), minlength=256)), "a deposit spoils its histogram")
    tally.see(engine.withdraw(sites, 3, 5, quanta) and np.array_equal(sites, start), "a deposit is not undone")


def storage(tally: Tally, draw: Draw) -> None:
    """Batteries that lose."""
    capacity = None if draw.integers(2) else int(draw.integers(1, 10_000))
    losses = draw.uniform(0.0, 0.5, 3).tolist()
    battery = EnergyStorage(capacity, *losses)
    top = 10_000 if capacity is None else capacity + 1
    content, amount = draw.integers(0, top, 50), draw.integers(0, 5_000, 50)
    carry = draw.integers(0, 10**9, (3, 50))
    held, lost, overflow, _ = battery.charge(content, amount, carry[0])
    tally.see(np.array_equal(held + lost + overflow, content + amount), "a charge loses energy")
    left, delivered, gone, _ = battery.discharge(held, amount, carry[1])
    tally.see(np.array_equal(left + delivered + gone, held), "a discharge loses energy")
    rested, faded, _ = battery.rest(left, carry[2])
    tally.see(np.array_equal(rested + faded, left), "a rest loses energy")


def grid(tally: Tally, draw: Draw) -> None:
    """Routes with losses."""
    network = Network.nearest_neighbours((3, 4), int(draw.integers(1, 400)), float(draw.uniform(0, 0.2)), False)
    asked = draw.integers(0, (12, 300, 3, 2), (6, 4)).tolist()
    demands = tuple(EnergyDemand(r, q, rank, "export" if out else "compute") for r, q, rank, out in asked)
    supply, erasure = draw.integers(0, 300, 12), draw.integers(0, 40, 12)
    out = EnergyGrid(network, demands).route(supply, erasure, np.zeros(network.line_count, np.int64))
    spent = _total(out.battery, out.erasure_paid, out.delivered, out.loss_heat)
    tally.see(spent == _total(supply), "the grid loses energy")
    tally.see(_total(out.delivered) == _total(out.compute_heat, out.exported), "the grid loses what it delivers")


def market(tally: Tally, draw: Draw) -> None:
    """Shares of the work of a trade."""
    cold, hot = sorted(int(q) for q in draw.integers(0, 10**6, 2))
    work, exchange = int(draw.integers(-(10**6), 10**6)), EntropyExchange(((2, 1),), 0.5)
    shares = exchange.split(work, hot, cold, 10**5)
    tally.see(sum(shares) == work, f"of {work} quanta {sum(shares)} are shared out")
    tally.see(all(share * work >= 0 for share in shares), f"{work} quanta are shared out as {shares}")


def gates(tally: Tally, draw: Draw) -> None:
    """Reversible circuits on tape bits."""
    wires = 5
    made = []
    for _ in range(int(draw.integers(1, 30))):
        a, b, c = draw.choice(wires, 3, replace=False).tolist()
        made.append((NOT(a), CNOT(a, b), TOFFOLI(a, b, c), FREDKIN(a, b, c))[int(draw.integers(4))])
    circuit = Circuit(wires, tuple(made))
    bits = draw.integers(0, 256, (wires, 20)).astype(np.uint8)
    after, cost = LandauerEngine("raw", 10, 1, 255).reversible_computation(circuit, bits)
    tally.see(cost == 0 and np.array_equal(circuit.undo(after), bits), "a reversible circuit is not undone")


MACHINES: tuple[Callable[[Tally, Draw], None], ...] = (contact, lift, sort, gears, heat, storage, grid, market, gates)


def machines(scale: int) -> Finding:
    """Every machine on drawn inputs, caps touched: energy before and after, and every inverse."""
    tally = Tally()
    for machine in MACHINES:
        for case in range(60 * scale):
            machine(tally, np.random.default_rng(seed_of(machine.__name__, case)))
    return tally.finding("identities", "integers before and after, bit for bit; inverses restore")


_FIELD = {"shape": [12, 20, 12], "regions": [4, 5, 2], "mean": 4.5, "initial": "hot-cold", "hot": 7.0, "cold": 2.0}
_ALL: dict[str, Any] = {
    "field": _FIELD,
    "exchange": {"enabled": True, "contact": 0.3, "gears": [[2, 1], [3, 1], [3, 2]]},
    "grid": {"enabled": True, "capacity": 90, "loss": 0.01},
    "battery": {"initial": 0.5, "capacity": 2.0, "charge_loss": 0.01, "discharge_loss": 0.02, "self_discharge": 0.01},
    "demon": {"sort": True, "threshold": 12},
}
_COMPUTE = {"region": 3, "quanta": 300, "priority": 1, "kind": "compute"}
_EXPORT = {"region": 9, "quanta": 40, "priority": 1, "kind": "export"}


def _run(place: Path, cycles: int, seed: int, demands: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    sections = {**_ALL, "field": {**_FIELD, "seed": seed}, "run": {"cycles": cycles, "checkpoint_every": cycles}}
    sections["grid"] = {**_ALL["grid"], "demands": demands}
    for name, values in more.items():
        sections[name] = {**sections[name], **values}
    computer = EntropicComputer(Config.from_mapping(sections), place, chunks=(2, 5, 2))
    try:
        return computer.run()
    finally:
        computer.store.unlock()


def together(scale: int) -> Finding:
    """Whole runs with every machine on, books audited from the store; every account must have moved."""
    tally = Tally()
    accounts = ("heat", "sort_ones", "gear", "lift", "erasure", "stored_loss", "compute", "delivered_out", "line_loss")
    with tempfile.TemporaryDirectory(prefix="entropic-") as directory:
        for number in range(scale):
            place = Path(directory) / f"run-{number}"
            summary = _run(place, 8, seed_of("together", number), [_COMPUTE, _EXPORT])
            residual = summary["totals"]["first_law_residual"]
            tally.see(residual == 0, f"the first law's residual is {residual}")
            books = RunStore.open(place).books()
            for name in accounts:
                tally.see(books[name].any(), f"nothing was entered as {name}")
            for law in audit(place):
                tally.see(law.holds, f"{law.name}: {law.detail}")
    return tally.finding("laws and accounts", "audit of the store; residual 0")


def reversal(scale: int) -> Finding:
    """Runs with every machine on, backwards on another layout: with the tape kept they come back, with it erased they do not."""
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="entropic-") as directory:
        for number in range(scale):
            for erase in (False, True):
                place = Path(directory) / f"run-{number}-{erase}"
                _run(place, 5, seed_of("reversal", number), [_COMPUTE], demon={"erase": erase})
                outcome = reverse(place, chunks=(4, 5, 1))
                said = f"with the tape {'erased' if erase else 'kept'}: {outcome.reason}"
                tally.see(outcome.restored != erase, said)
    return tally.finding("runs", "every site compared with the start")


CHECKS = (
    Check(
        "conservation: every machine",
        "energy before and after each machine's moves, and their inverses",
        "Σ field + Σ batteries + exported − imported is constant",
        "every move is a bijection",
        "exact",
        machines,
        20,
    ),
    Check(
        "conservation: all together",
        "a run with all machines on, audited from its store",
        "residual 0; all laws hold",
        "every move is a bijection",
        "exact",
        together,
        4,
    ),
    Check(
        "reversal: bit for bit",
        "runs with all machines on, played backwards",
        "the start, with the tape kept; not with it erased",
        "every move is a bijection",
        "exact",
        reversal,
        4,
    ),
)
