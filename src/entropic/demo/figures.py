"""Measures an act: the figures that claims are judged by, from the act's store and nothing else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.audit.exact import LEVEL
from entropic.claims import ActFigures, CircuitTrial, Engines, Routed, SortTrial
from entropic.config import Config
from entropic.demo.acts import Act
from entropic.demo.books import Books, information, read_books, read_columns, total, waste
from entropic.demo.trials import add_on_tape, sort_and_pump
from entropic.initial import lattice_of
from entropic.lattice import Lattice
from entropic.series import flow
from entropic.settle import least
from entropic.store import RunStore

__all__ = ["measure"]


def measure(act: Act, store: RunStore, summary: dict[str, Any]) -> ActFigures:
    """Figures of a finished act; of its ``summary``, only the laws' verdicts and the speed are used.

    The price of the tape.  Erasing k nats takes T k quanta at least, in any bath as warm as the field is now; in the
    field itself, the finite bath that is there, it takes more (Reeb & Wolf 2014).  Where the act loses even at the
    lower price, that is what it is charged; else only the price that can really be had will do.
    """
    config, opening, books = store.config(), store.opening(), read_books(store)
    lattice = lattice_of(config.field)
    speed = summary["performance"]["site_cycles_per_second"] / lattice.sites
    laws = summary["laws"]
    common: dict[str, Any] = {
        "number": act.number,
        "closed": config.field.edges != "baths",
        "title": act.title,
        "cycles": len(books["cycle"]) if books else 0,
        "sites": lattice.sites,
        "regions": lattice.region_count,
        "quantum_joule": config.field.quantum_joule,
        "cycles_per_second": speed,
        "laws": len(laws),
        "laws_held": sum(law["holds"] for law in laws),
    }
    engines, routed = _engines(store, config, lattice, opening, books), _routed(store, config, opening, books)
    sort, circuit = (sort_and_pump(store), add_on_tape(store)) if act.number == 1 and books else (None, None)
    facts = {
        **_work(books, lattice),
        **_tape(books, lattice),
        **_accounts(books, opening),
        **_entropies(books, opening, lattice),
        **_chance(books, opening, lattice),
        **_times(books, config.demon.erase),
    }
    parts = _machines(books, engines, routed, sort, circuit)
    return ActFigures(**common, **facts, machines=parts, engines=engines, routed=routed, sort=sort, circuit=circuit)


def _work(books: Books, lattice: Lattice) -> dict[str, Any]:
    work = flow(books, "gross") if books else np.zeros((0, lattice.region_count), np.int64)
    recorded, worth = information(books, lattice.sites) if books else (0.0, 0.0)
    return {
        "gross": int(work.sum()),
        "lifted": total(books, "lift"),
        "paid": total(books, "erasure"),
        "recorded": recorded,
        "information": worth,
        "harvesters": int((work.sum(axis=0) > 0).sum()),
    }


def _tape(books: Books, lattice: Lattice) -> dict[str, Any]:
    """What the tape holds, what erasing it would take, and Landauer's limit for what was erased."""
    held = math.fsum(books["tape"][-1]) if books else 0.0
    floor = here = 0.0
    if held:
        quanta = int(books["quanta"][-1].sum())
        floor = entropy.landauer_quanta(entropy.temperature(lattice.sites, quanta), held)
        try:
            here = float(entropy.erasure_quanta_for_nats(lattice.sites, quanta, held) or 0.0)
        except entropy.EntropyDomainError:
            here = 0.0  # beyond any price that can be counted
    gained = total(books, "lift", "gear") - total(books, "erasure")
    erased, limit, underpaid = _limit(books, lattice) if books else (0.0, 0.0, 0)
    return {
        "tape": held,
        "owed": floor if gained < floor else max(here, floor),
        "owed_least": floor,
        "owed_here": here,
        "erased": erased,
        "least_paid": limit,
        "underpaid": underpaid,
    }


def _limit(books: Books, lattice: Lattice) -> tuple[float, float, int]:
    """Nats erased; Σ T nats at each region's temperature before its erasure; how many of these sums are undercut."""
    nats, paid = books["erased_nats"], books["erasure"]
    at = np.nonzero(nats)
    before = (books["quanta"] - paid - waste(books))[at]
    limit = special.temperatures(lattice.region_sites, before) * nats[at]
    under = paid[at] < limit * (1 - 1e-12)  # the slack of a product and a sum of floats
    return math.fsum(nats[at]), math.fsum(limit), int(under.sum())


def _accounts(books: Books, opening: Books) -> dict[str, Any]:
    """Energy of all accounts, and of the batteries, at start and end."""
    last = {name: (books or opening_as_books(opening))[name][-1] for name in ("quanta", "battery")}
    came, went = total(books, "left_in", "right_in"), total(books, "left_out", "right_out", "delivered_out")
    start, end = (int((state["quanta"] + state["battery"]).sum()) for state in (opening, last))
    return {
        "energy": (start + came, end + went),
        "battery": (int(opening["battery"].sum()), int(last["battery"].sum())),
        "drain": _drain(books) if books else 0.0,
    }


def _drain(books: Books) -> float:
    held = books["battery"].sum(axis=1)
    cycles = min(max(1, held.size // 10), held.size - 1)
    return float(held[-1 - cycles] - held[-1]) / cycles if cycles else 0.0


def opening_as_books(opening: Books) -> Books:
    """The state before the first cycle in the form of books of one row."""
    return {name: values[np.newaxis] for name, values in opening.items()}


def _entropies(books: Books, opening: Books, lattice: Lattice) -> dict[str, Any]:
    """Entropy of the field's regions at start and end, and the falls of that of field and tape together."""
    field = [math.fsum(opening["entropy_start"])]
    field += [
        math.fsum(special.ln_multiplicities(lattice.region_sites, row)) for row in (books["quanta"] if books else ())
    ]
    tape = [0.0, *(math.fsum(row) for row in books["tape"])] if books else [0.0]
    steps = np.diff([f + t for f, t in zip(field, tape, strict=True)])
    return {
        "field_nats": (field[0], field[-1]),
        "falls": int((steps < 0).sum()),
        "worst_fall": float((-steps).max(initial=0.0)),
    }


def _chance(books: Books, opening: Books, lattice: Lattice) -> dict[str, Any]:
    """A fall of entropy by z nats has a probability of K e^(−z) at most (law 3): z for `LEVEL`, in nats and quanta.

    K, the macrostates that there are: ways to share out all the energy, or less, among the regions.
    """
    energy, regions = int((opening["quanta"] + opening["battery"]).sum()), lattice.region_count
    nats = special.ln_multiplicity(regions + 1, energy) - math.log(LEVEL)
    quanta = int((books or opening_as_books(opening))["quanta"][-1].sum())
    warmth = entropy.temperature(lattice.sites, quanta)
    return {"chance_nats": nats, "chance": entropy.landauer_quanta(warmth, nats) if math.isfinite(warmth) else 0.0}


def _times(books: Books, erase: bool) -> dict[str, Any]:
    """From which cycle on tapes are full, erasure is owed, nothing is gained."""
    if not books:
        return {"tape_full": 0, "unpaid_from": 0, "idle_from": 0}
    stopped, cycles = books["stopped"][-1], len(books["cycle"])
    busy = flow(books, "gross").any(axis=1)
    idle = int(np.flatnonzero(busy).max(initial=-1)) + 2
    return {
        "tape_full": int(stopped.max()) if stopped.all() else 0,
        "unpaid_from": _ever_since(np.all(books["tape"] > 0, axis=1)) if erase else 0,
        "idle_from": idle if idle <= cycles else 0,
    }


def _ever_since(holds: NDArray[Any]) -> int:
    """First cycle from which on something holds to the end; 0: it does not at the end."""
    if not holds[-1]:
        return 0
    return int(np.flatnonzero(~holds).max(initial=-1)) + 2


def _engines(store: RunStore, config: Config, lattice: Lattice, opening: Books, books: Books) -> Engines | None:
    if not config.exchange.enabled or not books:
        return None
    names = ("cycle", "work", "heat_hot", "temperature_hot", "temperature_cold")
    log = read_columns(store, "trades.zarr", names)
    heat = log["heat_hot"] if log else np.zeros(0, np.int64)
    ratio = log["temperature_cold"] / log["temperature_hot"] if log else np.zeros(0)
    whole = int(heat.sum())
    return Engines(
        trades=heat.size,
        work=total(books, "gear"),
        heat=whole,
        carnot=math.fsum(heat * (1 - ratio)) / whole if whole > 0 else 0.0,
        curzon_ahlborn=math.fsum(heat * (1 - np.sqrt(ratio))) / whole if whole > 0 else 0.0,
        last_cycle=int(log["cycle"].max()) if heat.size else 0,
        exergy_start=_first_exergy(opening, lattice),
        exergy_end=entropy.exergy(lattice.region_sites, books["quanta"][-1]),
    )


def _first_exergy(opening: Books, lattice: Lattice) -> int:
    """Exergy of the macrostate that the field was drawn from; it knows more than the regions' energies where halves meet."""
    quanta, start = int(opening["quanta"].sum()), math.fsum(opening["entropy_start"])
    return quanta - least(lambda q: special.ln_multiplicity(lattice.sites, q) >= start, quanta)


def _routed(store: RunStore, config: Config, opening: Books, books: Books) -> Routed | None:
    if not config.grid.enabled or not books:
        return None
    gained = int(books["quanta"][-1].sum() - opening["quanta"].sum())
    came = total(books, "erasure", "stored_loss", "line_loss", "left_in", "right_in")
    went = total(books, "lift", "gear", "left_out", "right_out")
    return Routed(
        flows=len(read_columns(store, "flows.zarr", ("cycle",)).get("cycle", ())),
        asked=len(books["cycle"]) * sum(demand.quanta for demand in config.grid.demands),
        compute=total(books, "compute"),
        exported=total(books, "delivered_out"),
        loss=total(books, "line_loss"),
        heat=gained + went - came,
    )


def _machines(
    books: Books,
    engines: Engines | None,
    routed: Routed | None,
    sort: SortTrial | None,
    circuit: CircuitTrial | None,
) -> tuple[str, ...]:
    """Parts of the computer that did something."""
    worked = {
        "field": bool(books) and bool(np.diff(books["entropy_hist"], axis=0).any()),
        "harvesters": total(books, "lift") > 0,
        "tape": total(books, "ones") > 0,
        "erasure": total(books, "erasure") > 0,
        "batteries": bool(books) and bool(books["battery"].any()),
        "sorter": sort is not None and sort.gradient > sort.before,
        "circuits": circuit is not None and circuit.undone,
        "market": engines is not None and engines.trades > 0,
        "pumps": engines is not None and engines.work > 0,
        "grid": routed is not None and routed.flows > 0,
    }
    return tuple(name for name, did in worked.items() if did)
