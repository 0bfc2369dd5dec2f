"""The claims table: its figures against the stores, by other means; and every verdict in both directions."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import xarray as xr
import zarr
from numpy.typing import NDArray

from conftest import Demo
from entropic.claims import (
    MACHINES,
    QUESTIONS,
    ActFigures,
    CircuitTrial,
    Claim,
    Engines,
    Routed,
    SortTrial,
    judge,
)
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.demo import ACTS as DEMO_ACTS
from entropic.demo import measure
from entropic.demo.trials import DIGITS, GEAR, WORDS
from entropic.machines.circuits import naive_adder
from entropic.store import RunStore
from reference_circuits import twin_gate
from reference_machines import gear_swap, sort_runs

Array = NDArray[Any]
REGION_SITES, SITES = 144, 2304
CLOSE = 1e-11  # relative, of sums of floats that were evaluated by another route

# --- the figures, once more -------------------------------------------------------------------------------------


def books(store: Path, *names: str) -> dict[str, Array]:
    group = zarr.open_group(store / "books.zarr", mode="r")
    return {name: np.asarray(group[name][:]) for name in names or group.array_keys()}  # type: ignore[index]


def opening(store: Path) -> dict[str, Array]:
    return {name: np.asarray(array[:]) for name, array in zarr.open_group(store / "opening.zarr", mode="r").arrays()}


def ln_states(sites: int, quanta: int) -> float:
    """ln C(Q + N − 1, Q), by integers."""
    return float(mpmath.log(math.comb(quanta + sites - 1, quanta)))


def warmth(sites: int, quanta: float) -> float:
    return 1 / math.log((quanta + sites) / (quanta + 1))


def least(holds: Callable[[int], bool]) -> int:
    """Least integer for which something that stays true is true."""
    high = 1
    while not holds(high):
        high *= 2
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def exergy(quanta: Array) -> int:
    start = sum(ln_states(REGION_SITES, int(q)) for q in quanta)
    return int(quanta.sum()) - least(lambda q: ln_states(SITES, q) >= start)


def figures(demo: Demo, number: int) -> tuple[dict[str, Any], Path]:
    act = demo.answer["acts"][number - 1]
    assert act["figures"]["number"] == number
    return act["figures"], Path(act["store"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_energies(demo: Demo, number: int) -> None:
    found, store = figures(demo, number)
    series = xr.open_zarr(store / "series.zarr").load()
    entries, start = books(store), opening(store)
    assert found["cycles"] == series.sizes["cycle"] == 60
    assert (found["sites"], found["regions"]) == (SITES, 16)
    assert found["gross"] == int(series["gross"].sum())
    assert found["lifted"] == int(entries["lift"].sum())
    assert found["paid"] == int(series["erasure"].sum())
    assert found["harvesters"] == int((series["gross"].sum("cycle") > 0).sum())
    out = int(entries["delivered_out"].sum()) if "delivered_out" in entries else 0
    field = np.asarray(xr.open_zarr(store / "field.zarr")["quanta"])
    battery = series["battery"][-1]
    assert found["energy"] == [
        int(start["quanta"].sum() + start["battery"].sum()),
        int(field.sum() + battery.sum()) + out,
    ]
    assert found["energy"][0] == found["energy"][1]
    assert found["battery"] == [int(start["battery"].sum()), int(battery.sum())]
    held = series["battery"].sum("region").values
    assert found["drain"] == (held[-7] - held[-1]) / 6
    busy = np.flatnonzero(series["gross"].any("region"))
    assert found["idle_from"] == (busy[-1] + 2 if busy[-1] < 59 else 0)
    speed = demo.answer["acts"][number - 1]["performance"]
    assert found["cycles_per_second"] == pytest.approx(60 / speed["seconds"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_entropies(demo: Demo, number: int) -> None:
    found, store = figures(demo, number)
    entries, start = books(store, "quanta", "tape"), opening(store)
    rows = np.concatenate([start["quanta"][None], entries["quanta"]])
    field = [sum(ln_states(REGION_SITES, int(q)) for q in row) for row in rows]
    whole = np.array(field) + np.concatenate([[0.0], entries["tape"].sum(axis=1)])
    steps = np.diff(whole)
    assert found["field_nats"] == pytest.approx([field[0], field[-1]], rel=CLOSE)
    assert found["falls"] == int((steps < 0).sum())
    assert found["worst_fall"] == pytest.approx(max(0.0, float(-steps.min())), abs=1e-8)
    assert found["tape"] == pytest.approx(entries["tape"][-1].sum(), rel=CLOSE)
    energy = found["energy"][0]
    chance = float(mpmath.log(math.comb(energy + 16, 16) * 10**9))  # as many macrostates, times 1e9
    assert found["chance_nats"] == pytest.approx(chance, rel=CLOSE)
    assert found["chance"] == pytest.approx(chance * warmth(SITES, rows[-1].sum()), rel=CLOSE)
    assert found["closed"] is True


def test_information_and_its_price(demo: Demo) -> None:
    for number in (1, 2):
        found, store = figures(demo, number)
        entries = books(store)
        energy = (entries["quanta"] + entries["lift"] - entries["erasure"]).sum(axis=1)
        worth = sum(n * warmth(SITES, q) for n, q in zip(entries["record_nats"].sum(axis=1), energy, strict=True))
        assert found["recorded"] == pytest.approx(entries["record_nats"].sum(), rel=CLOSE)
        assert found["information"] == pytest.approx(worth, rel=CLOSE)
        quanta, tape = int(entries["quanta"][-1].sum()), found["tape"]
        assert found["owed_least"] == pytest.approx(tape * warmth(SITES, quanta), rel=CLOSE)
        now = ln_states(SITES, quanta)
        assert found["owed_here"] == least(lambda e, now=now, q=quanta, k=tape: ln_states(SITES, q + e) - now >= k)
        assert found["owed_here"] > found["owed_least"] > found["gross"] - found["paid"]
        assert found["owed"] == found["owed_least"]  # it loses even at the lower price


def test_landauer(demo: Demo) -> None:
    found, store = figures(demo, 2)
    entries = books(store, "quanta", "erasure", "erased_nats")
    limit, under = 0.0, 0
    for quanta, paid, nats in zip(
        *(entries[name].ravel() for name in ("quanta", "erasure", "erased_nats")), strict=True
    ):
        if nats:
            floor = nats * warmth(REGION_SITES, quanta - paid)
            limit, under = limit + floor, under + (paid < floor * (1 - 1e-12))
    assert found["least_paid"] == pytest.approx(limit, rel=CLOSE)
    assert found["erased"] == pytest.approx(entries["erased_nats"].sum(), rel=CLOSE)
    assert found["underpaid"] == under == 0
    owing = (books(store, "tape")["tape"] > 0).all(axis=1)
    assert found["unpaid_from"] > 1
    assert owing[found["unpaid_from"] - 1 :].all()
    assert not owing[found["unpaid_from"] - 2]


def test_the_tape_fills(demo: Demo) -> None:
    found, store = figures(demo, 1)
    entries = books(store, "measured", "stopped")
    measured = entries["measured"].any(axis=1)
    assert found["tape_full"] == int(np.flatnonzero(measured).max()) + 2 == entries["stopped"][-1].max()


def test_engines(demo: Demo) -> None:
    found, store = figures(demo, 3)
    engines, trades = found["engines"], zarr.open_group(store / "trades.zarr", mode="r")
    log = {name: np.asarray(array[:]) for name, array in trades.arrays()}
    entries, start = books(store), opening(store)
    heat = -int(entries["gear_heat"][entries["hot"]].sum())
    assert engines["trades"] == log["work"].size == int(entries["hot"].sum())
    assert engines["work"] == log["work"].sum() == entries["gear"].sum()
    assert engines["heat"] == heat
    assert engines["last_cycle"] == log["cycle"].max()
    carnot = ahlborn = 0.0
    energies = dict(enumerate(np.concatenate([start["quanta"][None], entries["quanta"]])))
    for cycle, hot, cold, q in zip(*(log[n] for n in ("cycle", "hot", "cold", "heat_hot")), strict=True):
        # walls are adiabatic: what a region quotes is what it held at the end of the cycle before
        ratio = warmth(REGION_SITES, energies[cycle - 1][cold]) / warmth(REGION_SITES, energies[cycle - 1][hot])
        carnot, ahlborn = carnot + q * (1 - ratio), ahlborn + q * (1 - math.sqrt(ratio))
    assert engines["carnot"] == pytest.approx(carnot / heat, rel=CLOSE)
    assert engines["curzon_ahlborn"] == pytest.approx(ahlborn / heat, rel=CLOSE)
    assert engines["exergy_start"] == exergy(start["quanta"])
    assert engines["exergy_end"] == exergy(entries["quanta"][-1])


def test_grid(demo: Demo) -> None:
    found, store = figures(demo, 3)
    flows = {name: np.asarray(a[:]) for name, a in zarr.open_group(store / "flows.zarr", mode="r").arrays()}
    entries, start = books(store), opening(store)
    routed = found["routed"]
    assert routed["flows"] == flows["quanta"].size
    assert routed["compute"] == flows["quanta"][flows["demand"] == 0].sum() > 0
    assert routed["exported"] == flows["quanta"][flows["demand"] == 1].sum() > 0
    assert routed["loss"] == flows["loss"].sum()
    assert routed["asked"] == 60 * (math.ceil(SITES * 5e-6) + math.ceil(SITES * 5e-4))
    rise = int(entries["quanta"][-1].sum() - start["quanta"].sum())
    assert routed["heat"] == rise + entries["gear"].sum() - flows["loss"].sum() == routed["compute"]


def regions(field: Array) -> list[Array]:
    """Regions of the first layer, flat, in C order."""
    return [field[:4, y : y + 6, z : z + 6].ravel() for y in (0, 6) for z in (0, 6)]


def test_sort_and_gears(demo: Demo) -> None:
    found, store = figures(demo, 1)
    field = np.asarray(xr.open_zarr(store / "field.zarr")["quanta"])
    sums: Counter[str] = Counter()
    for region in regions(field):
        hot, cold = region[:72].tolist(), region[72:].tolist()
        sums["before"] += sum(hot) - sum(cold)
        hot, cold, bits = sort_runs(hot, cold)
        sums["gradient"] += sum(hot) - sum(cold)
        hot, cold, work = gear_swap(hot, cold, *GEAR, 255)
        ones, quanta = sum(bits), sum(hot) + sum(cold)
        states = math.comb(quanta + 143, 143)
        record = math.comb(72, ones) * 73
        price = least(lambda e, s=states, r=record, q=quanta: math.comb(q + e + 143, 143) >= r * s)
        sums.update(regions=1, pairs=72, work=work, price=price)
    assert found["sort"] == dict(sums)


def test_addition_on_the_tape(demo: Demo) -> None:
    found, store = figures(demo, 1)
    tape: dict[int, Array] = {}
    for part in sorted((store / "tape").glob("*-*/part-*.zarr")):
        group = zarr.open_group(part, mode="r")
        owned, first = np.asarray(group["region"][:]), int(part.parent.name.split("-")[0])  # type: ignore[index]
        for offset, rows in enumerate(np.asarray(group["bits"][:])):  # type: ignore[index]
            tape[first + offset] = rows[np.argsort(owned)][:4]
    written = np.concatenate([tape[cycle].ravel() for cycle in sorted(tape)])[: 2 * DIGITS * WORDS // 8]
    written = np.pad(written, (0, 2 * DIGITS * WORDS // 8 - written.size))
    digits = np.unpackbits(written.reshape(2 * DIGITS, -1), axis=1).T.tolist()
    adder = naive_adder(DIGITS)
    words = [sum(bit << wire for bit, wire in zip(word, (*adder.first, *adder.second), strict=True)) for word in digits]
    kinds, nats = Counter(words), 0.0
    for gate in adder.circuit.gates:  # brute force: H(target, sources) before − after, in nats of all words
        after = {word: twin_gate(gate, word) for word in kinds}
        seen: list[Counter[tuple[int, ...]]] = [Counter(), Counter()]
        for word, count in kinds.items():
            for counts, value in zip(seen, (word, after[word]), strict=True):
                counts[tuple(value >> wire & 1 for wire in gate.wires)] += count
        lost = [sum(c * math.log(WORDS / c) for c in counts.values()) for counts in seen]
        nats += lost[0] - lost[1]
        merged: Counter[int] = Counter()
        for word, count in kinds.items():
            merged[after[word]] += count
        kinds = merged
    circuit = found["circuit"]
    assert circuit["words"] == WORDS
    assert circuit["nats"] == pytest.approx(nats, rel=1e-9)
    assert nats > 1
    quanta = int(opening(store)["quanta"][0])
    states = ln_states(REGION_SITES, quanta)
    assert circuit["price"] == least(lambda e: ln_states(REGION_SITES, quanta + e) - states >= nats)
    assert (circuit["reversible_price"], circuit["agree"], circuit["undone"]) == (0, True, True)


def test_machines_are_those_that_did_something(demo: Demo) -> None:
    acts = [set(act["figures"]["machines"]) for act in demo.answer["acts"]]
    assert acts[0] == {"field", "harvesters", "tape", "batteries", "sorter", "circuits"}
    assert acts[1] == {"field", "harvesters", "tape", "erasure", "batteries"}
    assert acts[2] == {"field", "batteries", "market", "pumps", "grid"}
    assert set().union(*acts) == set(MACHINES)


def test_the_table_is_what_the_figures_say(demo: Demo) -> None:
    """The rows of the energy targets, recomputed; the others have their own figures above."""
    acts = [act["figures"] for act in demo.answer["acts"]]
    cost = [
        act["paid"]
        + act["owed"]
        + (act["engines"]["exergy_start"] - act["engines"]["exergy_end"] if act["engines"] else 0)
        for act in acts
    ]
    rows = {claim["claim"]: claim for claim in demo.answer["claims"]}
    assert len(rows) == len(QUESTIONS)
    gross = max(act["gross"] for act in acts)
    paid = acts[1]
    assert gross == paid["gross"]
    for name, parts in (
        ("week 6: 25,000 units a cycle", 60),
        ("25 units a region and cycle", 960),
        ("more than 25,000 units in all", 1),
        ("1000× more, from 25 units a cycle", 1500),
    ):
        row = rows[name]
        assert (row["act"], row["holds"]) == (2, False)
        assert row["gross"] == pytest.approx(gross / parts)
        assert row["cost"] == pytest.approx(cost[1] / parts)
        assert row["net"] == pytest.approx((gross - cost[1]) / parts)
    watts = rows["1 MW, cities powered"]
    seconds = demo.answer["acts"][1]["performance"]["seconds"]
    assert watts["gross"] == pytest.approx(4e-21 * gross / seconds)
    assert all(row["net"] == row["gross"] - row["cost"] for row in rows.values() if row["holds"] is not None)


# --- the verdicts -----------------------------------------------------------------------------------------------

ENGINES = Engines(
    trades=10, work=300, heat=1000, carnot=0.5, curzon_ahlborn=0.3, last_cycle=90, exergy_start=900, exergy_end=100
)
ROUTED = Routed(flows=9, asked=100, compute=60, exported=30, loss=5, heat=60)
SORT = SortTrial(regions=2, pairs=100, before=1, gradient=500, work=120, price=400)
CIRCUIT = CircuitTrial(words=64, nats=9.0, price=50, reversible_price=0, agree=True, undone=True)
PLAIN = ActFigures(
    number=0, title="", closed=True, cycles=100, sites=10**6, regions=1000, quantum_joule=4e-21, cycles_per_second=10.0,
    gross=300, lifted=300, paid=0, information=1000.0, owed=900.0, chance_nats=0.0, chance=0.0, owed_least=900.0,
    owed_here=1000.0, recorded=200.0, tape=200.0, erased=0.0, least_paid=0.0, underpaid=0, harvesters=1000,
    energy=(5000, 5000), battery=(0, 300), drain=0.0, field_nats=(900.0, 800.0), falls=3, worst_fall=2.5, laws=7,
    laws_held=7, tape_full=90, unpaid_from=0, idle_from=90, machines=("field", "harvesters", "tape", "batteries"),
)  # fmt: skip
ACTS = (
    replace(PLAIN, number=1, sort=SORT, circuit=CIRCUIT, machines=(*PLAIN.machines, "sorter", "circuits")),
    replace(
        PLAIN, number=2, cycles=1000, gross=10**9, lifted=10**9, paid=2 * 10**9, erased=100.0, least_paid=1.9e9,
        battery=(10**9, 10), unpaid_from=50, tape_full=0, idle_from=0, machines=("erasure",),
    ),
    replace(
        PLAIN, number=3, lifted=0, information=0.0, owed=0.0, tape=0.0, recorded=0.0, field_nats=(800.0, 900.0),
        tape_full=0, engines=ENGINES, routed=ROUTED, machines=("market", "pumps", "grid"),
    ),
)  # fmt: skip
Acts = tuple[ActFigures, ...]


def changed(number: int, **figures: Any) -> Acts:
    return tuple(replace(act, **figures) if act.number == number else act for act in ACTS)


def engines(**figures: Any) -> Acts:
    return changed(3, engines=replace(ENGINES, **figures))


def routed(**figures: Any) -> Acts:
    return changed(3, routed=replace(ROUTED, **figures))


RICH = changed(2, gross=3 * 10**12)  # far beyond its cost
# Claim: acts for which it holds, acts for which it does not.
CASES: dict[str, tuple[Acts, Acts]] = {
    "week 3: 25 units a cycle": (changed(1, gross=900 + 2500, owed=900.0), changed(1, gross=900 + 2499, owed=900.0)),
    "week 4: 250 units a cycle": (changed(1, gross=25900), changed(1, gross=25899)),
    "week 4's benchmark: 1,000 units a cycle": (changed(1, gross=100900), changed(1, gross=100899)),
    "week 5: 2,500 units a cycle": (changed(1, gross=250900), changed(1, gross=250899)),
    "week 6: 25,000 units a cycle": (changed(1, gross=2500900), changed(1, gross=2500899)),
    "25 units a region and cycle": (changed(1, gross=2500900), changed(1, gross=2500899)),
    "more than 25,000 units in all": (changed(1, gross=25901), changed(1, gross=25900)),
    "1000× more, from 25 units a cycle": (changed(1, gross=2500900), changed(1, gross=2500899)),
    "week 3: 10 % of the entropy becomes energy": (
        ACTS, tuple(replace(a, gross=99, information=1000.0, engines=None) for a in ACTS),
    ),
    "week 6: 90 % of the entropy becomes energy": (changed(1, gross=900), changed(2, gross=899, information=1000.0)),
    "parallel harvesting multiplies the energy": (RICH, ACTS),
    "energy = Σ ΔS · T · efficiency, from entropy reduced": (changed(1, lifted=1001), changed(1, lifted=1000)),
    "100+ harvesters in parallel": (
        tuple(replace(a, harvesters=100) for a in ACTS), tuple(replace(a, harvesters=99) for a in ACTS),
    ),
    "1000 regions in parallel": (ACTS, tuple(replace(a, harvesters=999) for a in ACTS)),
    "1000 cycles": (ACTS, changed(2, cycles=999)),
    "energy conservation validated": (ACTS, changed(2, energy=(5000, 5001))),
    "entropy always increases globally": (ACTS, changed(1, tape=99.0)),
    "thermodynamic laws validated": (ACTS, changed(3, laws_held=6)),
    "Landauer limit compliance": (ACTS, changed(2, underpaid=1)),
    "reversible computation costs 0": (ACTS, changed(1, circuit=replace(CIRCUIT, reversible_price=1))),
    "Maxwell's demon sorts: a gradient": (ACTS, changed(1, sort=replace(SORT, gradient=1))),
    "the demon's gradient is exploitable": (changed(1, sort=replace(SORT, work=401)), ACTS),
    "the entropy pump makes energy of a gradient": (ACTS, engines(work=0)),
    "thermodynamic compliance: within Carnot": (ACTS, engines(work=501)),
    "entropy trades yield a profit": (engines(exergy_end=700), ACTS),
    "energy grid routing operational": (ACTS, routed(compute=0, exported=0)),
    "full system integration": (ACTS, changed(3, machines=("market", "pumps"))),
    "the field generates energy": (changed(1, energy=(5000, 5001)), ACTS),
    "free energy from thinking": (changed(1, gross=901), ACTS),
    "infinite battery, self-powering": (changed(2, battery=(10**9, 10**9 + 901)), ACTS),
    "energy without end, the ultimate renewable": (RICH, changed(1, gross=901)),
    "1 MW, cities powered": (changed(2, gross=10**30, cycles_per_second=1000.0), RICH),
    "data centres run on the field": (engines(exergy_end=700), ACTS),
    "zero-emission computing": (routed(heat=59), ACTS),
}  # fmt: skip


def row(acts: Sequence[ActFigures], name: str) -> Claim:
    return next(claim for claim in judge(acts) if claim.claim == name)


def test_every_claim_has_its_cases() -> None:
    names = [question.claim for question in QUESTIONS]
    assert len(set(names)) == len(names)
    assert {*CASES, "a field of 100 × 100 × 100 × 1000"} == set(names)


@pytest.mark.parametrize("name", CASES)
def test_verdicts_both_ways(name: str) -> None:
    for acts, holds in zip(CASES[name], (True, False), strict=True):
        claim = row(acts, name)
        assert claim.holds is holds, claim
        assert claim.verdict.startswith("kept" if holds else "refuted")
        assert claim.net == claim.gross - claim.cost  # type: ignore[operator]


@pytest.mark.parametrize("broken", [{"undone": False}, {"agree": False}])
def test_a_reversible_computation_must_compute_and_be_undone(broken: dict[str, bool]) -> None:
    assert row(changed(1, circuit=replace(CIRCUIT, **broken)), "reversible computation costs 0").holds is False


def test_integration_needs_the_laws() -> None:
    assert row(changed(1, laws_held=6), "full system integration").holds is False


def test_a_residual_that_cancels_is_one() -> None:
    acts = tuple(replace(a, energy=(5000, 5000 + d)) for a, d in zip(ACTS, (1, -1, 0), strict=True))
    assert row(acts, "energy conservation validated").holds is False


def test_an_idle_gain_is_not_without_end() -> None:
    assert row(changed(2, gross=3 * 10**12, idle_from=900), "energy without end, the ultimate renewable").holds is False


@pytest.mark.parametrize(
    "name",
    [
        "infinite battery, self-powering",
        *("free energy from thinking", "energy without end, the ultimate renewable", "entropy trades yield a profit"),
        *("the demon's gradient is exploitable", "parallel harvesting multiplies the energy", "1 MW, cities powered"),
        *(
            "week 6: 25,000 units a cycle",
            "week 6: 90 % of the entropy becomes energy",
            "data centres run on the field",
        ),
    ],
)
def test_what_may_be_chance_keeps_no_promise(name: str) -> None:
    lucky = tuple(replace(act, chance=1e40) for act in CASES[name][0])
    assert row(lucky, name).holds is False


def test_a_fluctuation_breaks_no_law() -> None:
    for name in ("entropy always increases globally", "thermodynamic compliance: within Carnot"):
        broken = CASES[name][1]
        assert row(broken, name).holds is False
        assert row([replace(act, chance_nats=999.0, chance=999.0) for act in broken], name).holds is True


def test_a_field_that_baths_feed_proves_nothing() -> None:
    for claim in judge([replace(act, closed=False) for act in RICH]):
        assert claim.holds is None
        assert claim.verdict == "not tried: baths feed the field"


def test_the_full_size() -> None:
    name = "a field of 100 × 100 × 100 × 1000"
    assert row(ACTS, name).holds is None
    assert "--size seed" in row(ACTS, name).verdict
    assert row(changed(2, sites=10**9), name).holds is True


def test_what_was_not_played_is_not_judged() -> None:
    for number in range(3):
        for chosen in itertools.combinations(ACTS, number):
            for claim in judge(chosen):
                if claim.holds is None:
                    assert claim.verdict.startswith("not tried")
                else:
                    assert claim.act is None or claim.act in {act.number for act in chosen}
    assert all(claim.holds is None for claim in judge([]))
    assert all(claim.holds is None for claim in judge([replace(act, cycles=0) for act in ACTS]))
    assert row(ACTS[:2], "energy grid routing operational").holds is None
    assert row([replace(act, cycles_per_second=0.0) for act in ACTS], "1 MW, cities powered").holds is None


def test_claims_are_json(demo: Demo) -> None:
    text = json.dumps([claim.to_dict() for claim in judge(ACTS)], allow_nan=False)
    assert len(json.loads(text)) == len(QUESTIONS)
    json.dumps(demo.answer, allow_nan=False)


def test_a_field_that_cooled_does_not_sell_its_tape_cheap(tmp_path: Path) -> None:
    """Long tapes cool the field: T nats at its last temperature is less than the work, and no bath there is that cold."""
    table = {
        "field": {"shape": [40, 50, 100], "regions": [2, 2, 1]},
        "run": {"cycles": 120, "checkpoint_every": 0},
        "relax": {"layers": 12},
        "demon": {"erase": False, "threshold": 20},
        "battery": {"initial": 0.0},
    }
    summary = EntropicComputer(Config.from_mapping(table), tmp_path / "run").run()
    act = measure(DEMO_ACTS[0], RunStore.open(tmp_path / "run"), summary)
    assert act.owed_least < act.gross < act.owed_here
    assert act.owed == act.owed_here
    assert row([act], "free energy from thinking").holds is False
    assert row([replace(act, owed=act.owed_least)], "free energy from thinking").holds is True  # the trap
