"""Hostile files: whatever is in them, what reads them comes to an end, with nothing but typed errors.

In the full suite more than a million files, most of them nearly right; the seed is fixed.  The cheap readers have the mass.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaos.mutations import mutated
from chaos.recording import HOSTILE, Injected, Recorder
from chaos.stores import copied, every_machine, finished
from entropic.audit import audit
from entropic.batch.file import ClusterFile
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.drivers import drivers
from entropic.engine import cluster as engine_cluster
from entropic.engine import cluster_client
from entropic.engine.checkpoint import generations, read_sites, verify
from entropic.errors import EntropicError
from entropic.field import open_run
from entropic.inventory import Inventory, sealed_lines
from entropic.machines.network import Network
from entropic.report.runs import run_page
from entropic.report.study import study_page
from entropic.report.timeline import timeline_figure
from entropic.scaling.outcome import Outcome, outcome_of
from entropic.scaling.study import Study
from entropic.status import status_of
from entropic.store import RunStore
from test_cli_fuzz import entropic_

ROOT = Path(__file__).resolve().parents[2]
SHARE = 500  # in the sample one of so many
LEAST = 1_000_000


@dataclass(frozen=True)
class Target:
    """What files are spoilt, which function reads them, and how many in the full suite."""

    name: str
    count: int
    seeds: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]


def within(*patterns: str) -> Callable[[Path], list[Path]]:
    return lambda run: sorted(p for pattern in patterns for p in run.glob(pattern) if p.is_file())


def files(*patterns: str) -> Callable[[Path], list[Path]]:
    return lambda run: [p for pattern in patterns for p in sorted(ROOT.glob(pattern))]


def beside(name: str) -> Callable[[Path], list[Path]]:
    return lambda run: [run.parent / name]


NEWEST = "checkpoints/cycle-000000004-*"
ZARR = ("books", "series", "opening", "orders", "trades", "flows")
METADATA = tuple(f"{name}.zarr/**/zarr.json" for name in ZARR)
CHUNKS = tuple(f"{name}.zarr/*/c/**/*" for name in ZARR)


def read_all(run: Path, file: Path) -> None:
    """The arrays of the store that the file belongs to."""
    store = RunStore(run)
    match file.relative_to(run).parts[0]:
        case "opening.zarr":
            store.opening()
        case "series.zarr":
            store.series_digest()
        case "books.zarr":
            store.books()
        case _:
            audit(run, initial=False, files=False)


def sites_of(run: Path, file: Path) -> None:
    read_sites(generations(run / "checkpoints")[0], (slice(0, 4), slice(0, 6)))


def scheduler_file(run: Path, file: Path) -> None:
    with engine_cluster.connect(engine_cluster.Where(1, 1, str(file))):
        pass


def whole_commands(run: Path, file: Path) -> None:
    arguments = random.Random(file.read_bytes()).choice(
        (
            ("audit",),
            ("status",),
            ("resume", "--workers", "1"),
            ("reverse", "--workers", "1"),
            ("report", "-o", f"{run}.html"),
        )
    )
    assert entropic_(arguments[0], str(run), *arguments[1:]).code in (0, 2, 3, 4, 5)


TARGETS = [
    Target("configuration", 60_000, beside("c.toml"), lambda run, f: Config.from_toml(f)),
    Target("cluster file", 40_000, files("cluster/*.toml"), lambda run, f: ClusterFile.from_toml(f)),
    Target("study", 30_000, files("studies/*.toml"), lambda run, f: Study.from_toml(f)),
    Target("graph file of the grid", 250_000, beside("lines.json"), lambda run, f: Network.from_file(f, 6)),
    Target("manifest", 120_000, within(f"{NEWEST}/manifest.json"), lambda run, f: verify(f.parent)),
    Target("inventory", 100_000, within("inventory.jsonl"), lambda run, f: (list(sealed_lines(run)), Inventory(run))),
    Target("list of drivers", 300_000, within("drivers.jsonl"), lambda run, f: drivers(run)),
    Target(
        "summary, provenance, protocol",
        60_000,
        within("summary.json", "provenance.json", "protocol.json"),
        lambda run, f: (RunStore(run).read_json(f.name), RunStore(run).lift_bits(4)),
    ),
    Target("timeline", 40_000, within("timeline.json"), lambda run, f: timeline_figure(RunStore(run))),
    Target("zarr metadata of books and records", 1_500, within(*METADATA), read_all),
    Target("zarr chunks of books and records", 1_500, within(*CHUNKS), read_all),
    Target("zarr metadata of a field that is shown", 1_500, within(f"{NEWEST}/field.zarr/**/zarr.json"), sites_of),
    Target("zarr metadata and chunks of a checkpoint", 6_000, within(f"{NEWEST}/*.zarr/**/*"),
           lambda run, f: verify(generations(run / "checkpoints")[0])),
    Target("tape", 300, within("tape/**/zarr.json", "tape/**/c/**/*"),
           lambda run, f: audit(run, initial=False)),
    Target("outcome of a study's cell", 6_000, beside("outcome.npz"), lambda run, f: Outcome.load(f)),
    Target("results of a study", 2_000, beside("study/study.json"), lambda run, f: study_page(f.parent)),
    Target("a page's sources", 150, within("summary.json", "provenance.json", "timeline.json"),
           lambda run, f: run_page(run)),
    Target("status", 300, within("config.toml", "inventory.jsonl", f"{NEWEST}/manifest.json"),
           lambda run, f: status_of(run)),
    Target("open_run", 300, within("series.zarr/**/zarr.json", f"{NEWEST}/field.zarr/**/zarr.json"),
           lambda run, f: (open_run(run).field.data.load(), open_run(run).series)),
    Target("scheduler file", 200, beside("scheduler.json"), scheduler_file),
    Target("any file of a run, whole commands", 300,
           within("*.json", "*.toml", "*.jsonl", "*.zarr/**/*", "checkpoints/**/*", "tape/**/*"), whole_commands),
]  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, and beside it what else is read."""
    place = tmp_path_factory.mktemp("fuzz")
    edges = [{"source": n, "target": n + 1, "capacity": 9, "loss": 0.1} for n in range(5)]
    (place / "lines.json").write_text(json.dumps({"nodes": [{"id": n} for n in range(6)], "edges": edges}))
    config = every_machine(4, 2, protocol=str(ROOT / "examples" / "protocol.py"), sort=False)
    config = config.with_overrides([f"grid.network={place / 'lines.json'}"])
    (place / "c.toml").write_text(every_machine(4, 2).to_toml())
    computer = EntropicComputer(config, place / "run", chunks=(1, 3))
    finished(computer)
    spans = {"worker": [0, 0], "thread": [0, 0], "task": ["block", "face"], "what": ["compute", "transfer"]}
    columns = {"workers": 1, "threads": 1, **spans, "start": [0.0, 0.5], "stop": [0.4, 1.0]}
    computer.store.write_json("timeline.json", columns)
    outcome_of(computer.store).save(place / "outcome.npz")
    (place / "study").mkdir()
    (place / "study" / "study.json").write_text(json.dumps({"schema": 1, "study": {"name": "x"}, "cells": []}))
    (place / "scheduler.json").write_text(
        json.dumps({"address": "tls://127.0.0.1:9", "workers": {}, "type": "Scheduler"})
    )
    return place / "run"


def count(target: Target, full: bool) -> int:
    return target.count if full else max(6, target.count // SHARE)


def test_there_are_enough() -> None:
    assert sum(target.count for target in TARGETS) >= LEAST


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name.replace(" ", "-"))
def test_hostile(
    target: Target, original: Path, full: bool, tmp_path: Path, injected: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_client, "_CONNECT_SECONDS", 0.05)
    for name in ("c.toml", "lines.json", "outcome.npz", "scheduler.json", "study"):
        source = original.parent / name
        copied(source, tmp_path / name) if source.is_dir() else (tmp_path / name).write_bytes(source.read_bytes())
    run = copied(original, tmp_path / "run")
    seeds = [(path, path.read_bytes()) for path in target.seeds(run)]
    assert seeds, "no such file"
    rng = random.Random(f"{target.name} {full}")
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    changes_the_run = target.read is whole_commands
    for _ in range(count(target, full)):
        path, sound = rng.choice(seeds)
        content = mutated(sound, rng)
        file = path if path.is_relative_to(tmp_path) else tmp_path / path.name
        file.unlink(missing_ok=True)  # it may have a second name
        file.write_bytes(content)
        started = time.process_time()
        try:
            target.read(run, file)
            outcomes["read, or taken for what it is not: no error"] += 1
        except EntropicError as error:
            assert str(error) and error.exit_code in (2, 3, 4, 5), (file, error)
            outcomes["typed error"] += 1
        except Exception as error:
            (tmp_path / "culprit").write_bytes(content)
            raise AssertionError(
                f"{type(error).__name__} {error}: {file.relative_to(tmp_path)}, {content[:3000]!r}"
            ) from error
        slowest = max(slowest, time.process_time() - started)
        if changes_the_run:
            copied(original, run)
        else:
            file.unlink(missing_ok=True)
            file.write_bytes(sound)
    assert slowest < 60  # of work: a machine may stand still
    for outcome, number in outcomes.items():
        injected(Injected(f"{HOSTILE}{target.name}", outcome, number, slowest))


def test_nothing_unpickles() -> None:
    """No module of ours reads pickles, and NumPy is never allowed to."""
    wrong = re.compile(
        r"\bimport (pickle|cloudpickle|shelve|marshal|dill|joblib)|\bfrom (pickle|cloudpickle|shelve|marshal|dill|joblib) "
    )
    loads = re.compile(r"allow_pickle\s*=\s*True|yaml\.(unsafe_)?load|pickle\.load|object_codec|read_pickle")
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text("utf-8")
        assert not wrong.search(text) and not loads.search(text), path


class _Bomb:
    """Makes itself known if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_a_pickle_in_a_store_is_not_read(original: Path, tmp_path: Path, injected: Recorder) -> None:
    """In every chunk, and as an array of objects in an outcome: no reader opens it."""
    import pickle

    mark = tmp_path / "opened"
    bomb = pickle.dumps(_Bomb(mark))
    run = copied(original, tmp_path / "run")
    chunks = [p for p in run.rglob("*") if p.is_file() and "/c/" in str(p)]
    assert len(chunks) > 60
    for path in chunks:
        path.unlink(missing_ok=True)
        path.write_bytes(bomb)
    for arguments in (("audit",), ("status",), ("resume", "--workers", "1"), ("reverse", "--workers", "1")):
        assert entropic_(arguments[0], str(run), *arguments[1:]).code in (3, 5)
    with pytest.raises(EntropicError):
        RunStore(run).books()
    objects = np.empty(1, object)
    objects[0] = _Bomb(mark)
    np.savez(tmp_path / "o.npz", allow_pickle=True, x=objects)
    with pytest.raises(EntropicError):
        Outcome.load(tmp_path / "o.npz")
    assert not mark.exists()
    pickle.loads(bomb)
    assert mark.exists()  # it would have been seen
    injected(Injected("a pickle in place of a chunk", "typed error, never opened", len(chunks) + 1))
