"""Runs one cell, through the same engine as any run, and writes down what it came to and what it cost."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

from entropic import entropy
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import Executor
from entropic.engine.plan import Plan, TooLargeError, make_plan
from entropic.engine.spending import Look, look, spent
from entropic.errors import ClusterError, EntropicError, LawError, StoreError
from entropic.initial import lattice_of
from entropic.ledger import EntryError
from entropic.machines.pump import contact_sites
from entropic.observer import Observer
from entropic.scaling.cells import Cell, Layout
from entropic.scaling.laws import Demon
from entropic.scaling.outcome import Outcome, outcome_of
from entropic.scaling.tally import field_tally, region_tally
from entropic.store import RunStore

__all__ = ["demon_of", "measure", "plan_of", "refusal", "warm_up"]

_WARM_CYCLES = 2


def demon_of(config: Config) -> Demon:
    """The lift of a configuration, on a thermal field."""
    return Demon(config.field.mean, config.demon.threshold, config.demon.record)


def plan_of(config: Config, layout: Layout, memory: int, chunks: tuple[int, ...] | None) -> Plan:
    """The planner's choice of blocks and its forecast for a layout."""
    in_process = layout.workers <= 1 and not layout.processes
    workers, shared = max(layout.workers, 1), layout.processes or None
    return make_plan(config, workers, layout.threads, memory, chunks, in_process, shared)


def warm_up(cell: Cell, executor: Executor, memory: int, scratch: Path) -> None:
    """A short run of a cell's kind, for compilers, caches and connections; what it costs is not kept."""
    config = cell.config.with_overrides([f"run.cycles={min(_WARM_CYCLES, cell.config.run.cycles)}"])
    place = scratch / "warm-up"
    shutil.rmtree(place, ignore_errors=True)
    try:
        plan = plan_of(config, cell.layout, memory, cell.chunks)
        computer = EntropicComputer(config, place, executor, plan.chunks, plan.epoch_limit)
        try:
            computer.run()
        finally:
            computer.store.unlock()
    except EntropicError as error:
        if not isinstance(error, TooLargeError) and error.exit_code != LawError.exit_code:
            raise
        # What does not fit, or computes wrongly, will be seen again in the cell that counts.
    finally:
        shutil.rmtree(place, ignore_errors=True)


@final
class _Watch:
    """Reads the clocks as the first cycle begins and when the last one is booked."""

    def __init__(self, executor: Executor, cycles: int, stop: Callable[[], bool]) -> None:
        self.executor, self.cycles, self._stop = executor, cycles, stop
        self.first: Look | None = None
        self.last: Look | None = None
        self.tasks = 0
        self.closing = 0.0
        self._progress = time.perf_counter()
        self.computer: EntropicComputer | None = None

    def observer(self) -> Observer:
        return Observer(progress=self._passed, booked=self._booked, stop=self._asked)

    def _asked(self) -> bool:
        if self.first is None:
            assert self.computer is not None
            self.tasks = -self.computer.tasks
            self.first = look(self.executor)
        return self._stop()

    def _passed(self, cycle: int) -> None:
        self._progress = time.perf_counter()

    def _booked(self, store: RunStore, cycle: int) -> None:
        self.closing += time.perf_counter() - self._progress
        if cycle == self.cycles:
            assert self.computer is not None
            self.tasks += self.computer.tasks
            self.last = look(self.executor)

    @property
    def looking(self) -> float:
        """Seconds that reading the clocks took, and that are no part of the run."""
        return sum(found.ended - found.began for found in (self.first, self.last) if found)


def measure(
    cell: Cell, executor: Executor, memory: int, scratch: Path, stop: Callable[[], bool], demons: tuple[int, ...]
) -> tuple[dict[str, Any], Outcome | None]:
    """Run a cell.

    Returns
    -------
    record : dict
        JSON; its ``state`` says whether the cell is done, computed wrongly, was refused, or failed.
    outcome : Outcome or None
        Books and field, if the cell is done.

    Raises
    ------
    EntropicError
        Whatever no other cell would escape either: a full disk, an interruption.
    """
    record = _facts(cell)
    place = scratch / cell.name
    shutil.rmtree(place, ignore_errors=True)
    try:
        found, outcome = _run(cell, executor, memory, place, stop, demons)
        return {**record, **found}, outcome
    except EntryError as error:
        return refusal(cell, "fault", error.message, cycle=error.cycle, region=error.regions[0]), None
    except TooLargeError as error:
        return refusal(cell, "refused", error.message), None
    except (ClusterError, StoreError) as error:
        broken = isinstance(error.__cause__, AssertionError)  # of a task
        return refusal(cell, "fault" if broken else "failed", error.message), None
    except AssertionError as error:
        return refusal(cell, "fault", f"an invariant of the engine does not hold: {error!r}"), None
    except EntropicError as error:
        if error.exit_code != LawError.exit_code:
            raise
        return refusal(cell, "fault", error.message), None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def refusal(cell: Cell, state: str, detail: str, **place: int) -> dict[str, Any]:
    """Record of a cell that came to nothing."""
    return {**_facts(cell), "state": state, "fault": {"detail": detail, **place}}


def _facts(cell: Cell) -> dict[str, Any]:
    layout = cell.layout
    return {
        "name": cell.name,
        "kind": cell.kind,
        "varied": cell.varied,
        "repeat": cell.repeat,
        "physics": cell.physics,
        "layout": {"name": layout.name, **asdict(layout), "slots": layout.slots},
        "chunks": None if cell.chunks is None else list(cell.chunks),
        "sites": cell.config.field.sites,
        "regions": cell.config.field.region_count,
        "cycles": cell.config.run.cycles,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
    }


def _run(
    cell: Cell, executor: Executor, memory: int, place: Path, stop: Callable[[], bool], demons: tuple[int, ...]
) -> tuple[dict[str, Any], Outcome]:
    config = cell.config
    plan = plan_of(config, cell.layout, memory, cell.chunks)
    watch = _Watch(executor, config.run.cycles, stop)
    computer = EntropicComputer(config, place, executor, plan.chunks, plan.epoch_limit, watch.observer())
    watch.computer = computer
    try:
        summary = computer.run()
        assert watch.first is not None and watch.last is not None
        spending = spent(executor, watch.first, watch.last)
        seconds = computer.seconds - watch.looking
        outcome = outcome_of(computer.store)
        found = {
            "state": "done",
            "digest": {**summary["digest"], "books": outcome.digest},
            "laws": summary["laws"],
            "totals": summary["totals"],
            "seconds": seconds,
            "site_cycles_per_second": config.field.sites * config.run.cycles / seconds,
            "closing_seconds": watch.closing,
            "blocks": plan.blocks,
            "tasks": watch.tasks,
            "peak_bytes": summary["performance"]["peak_bytes"],
            "plan": plan.to_dict(),
            "spending": asdict(spending),
        }
        if cell.kind == "field":
            found["tally"] = field_tally(computer.store, computer.grid, executor, demon_of(config), demons)
        elif cell.kind == "region":
            found["tally"] = region_tally(computer.store, demon_of(config))
        elif cell.kind == "charged":
            found["trades"] = _trades(computer.store, outcome)
        return found, outcome
    finally:
        computer.store.unlock()


def _trades(store: RunStore, outcome: Outcome) -> dict[str, Any]:
    """The work of the gears, cycle by cycle, what it could have been, and with which gears the first cycle was traded."""
    config, books, opening = store.config(), outcome.books, store.opening()["quanta"]
    sites = lattice_of(config.field).region_sites
    first = books["partner"][0] >= 0
    gears = sorted(
        {(int(m), int(n)) for m, n in zip(books["gear_m"][0][first], books["gear_n"][0][first], strict=True)}
    )
    return {
        "work": books["gear"].sum(axis=1).tolist(),
        "exergy": entropy.exergy(sites, opening),
        "pairs": int(first.sum()) // 2 * contact_sites(config.exchange.contact, sites),
        "gears": [list(gear) for gear in gears],
    }
