"""When checkpoints are written: the law, its place in a run, and that no result knows of it."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations
from entropic.engine.interval import Spent, seconds_between, young_daly
from entropic.observer import Observer

FIELD = {"shape": [12, 16, 8], "regions": [2, 4, 2], "mean": 3.0}


def configure(cycles: int, **run: float) -> Config:
    return Config.from_mapping({"field": FIELD, "run": {"cycles": cycles, **run}, "demon": {"threshold": 5}})


def test_the_law_in_figures() -> None:
    assert young_daly(5000, 16) == 400
    assert young_daly(math.inf, 1) == math.inf
    assert young_daly(1, 0) == 0


@pytest.mark.parametrize(("mtbf", "cost"), [(3600, 0.1), (86400, 5), (1e7, 60)])
def test_no_other_interval_loses_less(mtbf: float, cost: float) -> None:
    def lost(seconds: float) -> float:
        return cost / seconds + seconds / (2 * mtbf)

    best = young_daly(mtbf, cost)
    assert all(lost(best) < lost(best * factor) for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_many_workers_fail_sooner() -> None:
    run = configure(1).run
    assert run.checkpoint_every is None
    assert run.mtbf_hours == 24
    assert seconds_between(run, 1, 0.5) == young_daly(86400, 0.5)
    assert seconds_between(run, 6, 0.5) == 120
    assert seconds_between(configure(1, mtbf_hours=math.inf).run, 6, 0.5) == math.inf


@pytest.mark.parametrize("every", [0, 7])
def test_what_is_given_counts(every: int) -> None:
    assert seconds_between(configure(1, checkpoint_every=every, mtbf_hours=1e-9).run, 10, 1) == math.inf


def test_who_looks_on_sees_books_sooner() -> None:
    run = configure(1).run
    assert seconds_between(run, 6, 0.5, patience=30) == 30
    assert seconds_between(run, 6, 0.5, patience=10) == 25  # two parts in a hundred, and no more
    assert seconds_between(run, 6, 0.5, patience=500) == 120
    assert seconds_between(configure(1, checkpoint_every=5).run, 6, 0.5, patience=1) == math.inf


def test_cost_is_what_was_measured() -> None:
    assert Spent().each(3.0) == 3.0
    assert Spent().and_one(1.0).and_one(2.0).each(3.0) == 1.5


def test_no_result_knows_of_it(tmp_path: Path) -> None:
    """Many checkpoints, few, as many as are asked for: one outcome, and from each it is reached again."""
    runs = {"often": {"mtbf_hours": 1e-12}, "seldom": {"mtbf_hours": 1e6}, "given": {"checkpoint_every": 4}}
    found = {name: EntropicComputer(configure(9, **run), tmp_path / name).run() for name, run in runs.items()}
    assert {name: summary["performance"]["checkpoints"] for name, summary in found.items()} == {
        "often": 10,
        "seldom": 2,
        "given": 4,
    }
    unlike = ("performance", "store")
    plain = [{key: value for key, value in summary.items() if key not in unlike} for summary in found.values()]
    assert plain[0] == plain[1] == plain[2]


def test_from_every_checkpoint(tmp_path: Path) -> None:
    whole = EntropicComputer(configure(6), tmp_path / "whole").run()["digest"]
    for cycle in range(1, 6):
        place = tmp_path / str(cycle)
        cycles = iter(computer := EntropicComputer(configure(6, mtbf_hours=1e-12), place))
        for _ in range(cycle):
            next(cycles)
        computer.store.unlock()
        assert EntropicComputer.resume(place).run()["digest"] == whole


def test_due_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second a segment, which is eight cycles here, and by 8 s a checkpoint.

    An MTBF of 100 s makes it every 40 s: 39 segments and, as the 40th begins, one cycle more.
    """
    now, written = 0.0, []

    def stop() -> bool:
        nonlocal now
        now += 1
        return False

    write = EntropicComputer._write_generation

    def slow(self: EntropicComputer, cycle: int) -> None:
        nonlocal now
        now += 8
        written.append(cycle)
        write(self, cycle)

    monkeypatch.setattr("entropic.computer.time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(EntropicComputer, "_write_generation", slow)
    config = configure(700, mtbf_hours=100 / 3600)
    performance = EntropicComputer(config, tmp_path / "run", observer=Observer(stop=stop)).run()["performance"]
    assert written == [0, 313, 626, 700]
    assert (performance["checkpoints"], performance["checkpoint_seconds"]) == (4, 32)


@pytest.mark.parametrize(("run", "at"), [({}, 30), ({"checkpoint_every": 50}, 30), ({"checkpoint_every": 20}, 20)])
def test_never_more_cycles_than_the_limit(run: dict[str, Any], at: int, tmp_path: Path) -> None:
    seen: list[int] = []
    watch = Observer(booked=lambda store, cycle: seen.append(cycle))
    EntropicComputer(configure(70, **run), tmp_path / "run", epoch=30, observer=watch).run()
    assert seen == [*range(at, 70, at), 70]
    assert len(generations(tmp_path / "run" / "checkpoints")) == 2
