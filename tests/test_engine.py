"""The engine: no cut, restart or interruption changes a bit; backwards undoes forwards."""

from __future__ import annotations

import io
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import reference
from entropic import entropy
from entropic.audit import audit
from entropic.cli import show
from entropic.computer import EntropicComputer, _books
from entropic.config import Config
from entropic.engine.checkpoint import digest_text, generations
from entropic.engine.cluster import SerialExecutor
from entropic.engine.drive import Drive
from entropic.engine.state import first_state
from entropic.errors import StoreError, UsageError
from entropic.initial import draw_block, lattice_of
from entropic.lattice import BlockGrid, Lattice, LayoutError, regular_cuts
from entropic.ledger import Ledger
from entropic.machines.landauer import LandauerEngine
from entropic.observer import Interrupted, Observer
from entropic.reversal import _digest, reverse
from entropic.store import RunStore, StoreBusyError, StoreExistsError
from test_audit import forge
from test_lattice import draw_grid

CYCLES = 9
DRAWN = 30  # cuts a field, besides the whole field, the thinnest cut and one slab a region along each axis

FIELDS: dict[str, dict[str, Any]] = {
    "line": {"shape": [48], "regions": [8], "mean": 2.0},
    "odd line": {"shape": [45], "regions": [9], "mean": 2.0, "walls": "adiabatic"},
    "periodic line": {"shape": [44], "regions": [4], "mean": 2.0, "edges": "periodic"},
    "periodic plane": {"shape": [16, 18], "regions": [4, 6], "mean": 2.0, "edges": "periodic"},
    "odd plane": {"shape": [15, 21], "regions": [5, 3], "initial": "hot-cold", "hot": 4.0, "cold": 1.0},
    "uint16 plane": {"shape": [12, 10], "regions": [3, 2], "mean": 40.0, "dtype": "uint16"},
    "thin plane": {"shape": [6, 4], "regions": [6, 4], "mean": 2.0, "edges": "periodic"},
    "cube": {"shape": [9, 6, 10], "regions": [3, 3, 2], "mean": 2.0, "initial": "microcanonical"},
    "adiabatic cube": {
        "shape": [6, 6, 10],
        "regions": [2, 3, 5],
        "mean": 2.0,
        "walls": "adiabatic",
        "edges": "periodic",
        "initial": "uniform",
    },
    "odd tesseract": {"shape": [3, 6, 5, 9], "regions": [1, 2, 5, 3], "mean": 2.0},
    "periodic tesseract": {"shape": [6, 4, 6, 8], "regions": [3, 2, 1, 4], "mean": 2.0, "edges": "periodic"},
}


def configure(field: dict[str, Any], **sections: dict[str, Any]) -> Config:
    """A busy little run: many lifts, some erasures that the batteries cannot pay at once."""
    given: dict[str, Any] = {
        "field": {"seed": 5, **field},
        "run": {"cycles": CYCLES, "checkpoint_every": 4},
        "relax": {"layers": 3},
        "demon": {"threshold": 40 if field.get("dtype") == "uint16" else 3},
        "battery": {"initial": 0.5},
    }
    for name, section in sections.items():
        given[name] = {**given.get(name, {}), **section}
    return Config.from_mapping(given)


def special_grids(lattice: Lattice) -> Iterator[BlockGrid]:
    """The whole field; every region a block; slabs one region thin."""
    whole: tuple[tuple[int, ...], ...] = tuple((0, n) for n in lattice.regions)
    finest: tuple[tuple[int, ...], ...] = tuple(tuple(range(n + 1)) for n in lattice.regions)
    yield BlockGrid(lattice, whole)
    yield BlockGrid(lattice, finest)
    for axis in range(4):
        yield BlockGrid(lattice, (*whole[:axis], finest[axis], *whole[axis + 1 :]))


def outcome(config: Config, grid: BlockGrid) -> tuple[str, dict[str, np.ndarray]]:
    """Digest and all books of a run that touches no disk."""
    drive = Drive(grid, SerialExecutor(), config, Observer().progress, Observer().stop)
    drive.states = [first_state(config, block) for block in grid.blocks]
    cycles = config.run.cycles
    assert drive.go(1, cycles) == cycles
    ledger = Ledger(1, cycles, grid.lattice.region_count, drive.rules.accounts)
    for block, rows in zip(grid.blocks, drive.each("books", _books), strict=True):
        for row in rows:
            ledger.enter(row, block.region_ids)
    assert ledger.complete
    shares = np.array(drive.blocked("digest", _digest), np.uint64)
    digest = digest_text(np.sum(shares, axis=0, dtype=np.uint64))
    return digest, {**ledger.entries, "counts": ledger.counts.astype(np.int64)}


def finish(computer: EntropicComputer) -> dict[str, str]:
    """Run to the end, let the lock go, return the digests; no law may have failed."""
    try:
        summary = computer.run()
    finally:
        computer.store.unlock()
    assert all(law["holds"] for law in summary["laws"]), summary["laws"]
    assert summary["totals"]["first_law_residual"] == 0
    return dict(summary["digest"])


def copy_run(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


# --- the layout does not matter ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIELDS)
def test_one_outcome_for_every_cut(name: str) -> None:
    """Digest of the field and every book, for the special cuts and 30 drawn ones."""
    config = configure(FIELDS[name], run={"cycles": 4 if "uint16" in name else CYCLES})
    lattice = lattice_of(config.field)
    rng = np.random.default_rng(21)
    grids = [*special_grids(lattice), *(draw_grid(lattice, rng) for _ in range(DRAWN))]
    digest, books = outcome(config, grids[0])
    assert books["lift"].sum() > 0
    assert books["erasure"].sum() > 0 or lattice.region_sites == 1  # one site has no entropy to pay with
    for grid in grids[1:]:
        found, other = outcome(config, grid)
        assert found == digest, grid.cuts
        for account, values in books.items():
            assert np.array_equal(other[account], values), (account, grid.cuts)


@pytest.mark.parametrize("demon", [{"erase": False}, {"record": "raw"}, {"lift": False}], ids=str)
def test_one_outcome_for_every_cut_and_demon(demon: dict[str, Any]) -> None:
    config = configure(FIELDS["odd plane"], demon=demon, run={"cycles": 15})
    lattice = lattice_of(config.field)
    rng = np.random.default_rng(22)
    digest, books = outcome(config, next(special_grids(lattice)))
    for _ in range(DRAWN):
        found, other = outcome(config, draw_grid(lattice, rng))
        assert found == digest
        assert all(np.array_equal(other[account], values) for account, values in books.items())


def test_one_pair_of_digests_in_the_store(tmp_path: Path) -> None:
    """The same through checkpoints, books and series, epochs of any length."""
    config = configure(FIELDS["periodic plane"], run={"checkpoint_every": 0})
    lattice = lattice_of(config.field)
    rng = np.random.default_rng(23)
    grids = [draw_grid(lattice, rng) for _ in range(DRAWN)]
    found = set()
    for i, grid in enumerate(grids):
        run = EntropicComputer(config, tmp_path / str(i), chunks=grid, epoch=9 if i % 5 else 5)
        found.add(tuple(finish(run).values()))
        shutil.rmtree(tmp_path / str(i))
    assert len(found) == 1


@pytest.mark.parametrize("name", ["odd line", "uint16 plane", "cube", "periodic tesseract"])
def test_one_pair_of_digests_for_regular_chunks(name: str, tmp_path: Path) -> None:
    config = configure(FIELDS[name])
    found = set()
    for i, chunks in enumerate((None, (1,) * len(config.field.shape), (2,) * len(config.field.shape))):
        found.add(tuple(finish(EntropicComputer(config, tmp_path / str(i), chunks=chunks)).values()))
    assert len(found) == 1


def test_ten_repeats() -> None:
    config = configure(FIELDS["cube"])
    grid = BlockGrid(lattice_of(config.field), regular_cuts(lattice_of(config.field), (2, 1, 2)))
    assert len({outcome(config, grid)[0] for _ in range(10)}) == 1
    other = configure({**FIELDS["cube"], "seed": 6})
    assert outcome(other, grid)[0] != outcome(config, grid)[0]


@pytest.mark.parametrize(
    ("name", "field", "series"),
    [
        ("periodic plane", "1f8b93e8dc1be2c996f9dd23857c7110", "771170fe4f02c7e33feb428ee6eb626f"),
        ("uint16 plane", "a00b965877fc1e15b0133fa556c2e103", "0e52544a25bd1d4b3a716a47b80821f8"),
    ],
)
def test_golden_digests(name: str, field: str, series: str, tmp_path: Path) -> None:
    """Pinned: a change here is a change of the physics, of the random words, or of the series."""
    assert finish(EntropicComputer(configure(FIELDS[name]), tmp_path / "run")) == {"field": field, "series": series}


@pytest.mark.parametrize("name", ["odd line", "periodic plane", "uint16 plane", "odd tesseract"])
def test_against_the_readable_twin(name: str) -> None:
    """Whole cycles, site by site, as physics.md says."""
    config = configure(FIELDS[name], run={"cycles": 4})
    lattice = lattice_of(config.field)
    (block,) = next(special_grids(lattice)).blocks
    field, theta = draw_block(config.field, block), config.demon.threshold
    engine = LandauerEngine(config.demon.record, lattice.region_sites, config.field.seed, lattice.q_max)
    battery = first_state(config, block).battery.tolist()
    waiting: list[list[int]] = [[] for _ in battery]
    for cycle in range(1, config.run.cycles + 1):
        for layer in range((cycle - 1) * config.relax.layers, cycle * config.relax.layers):
            field = reference.exchange_layer(
                field,
                lattice.region_shape,
                lattice.layer_axis(layer),
                layer % 2,
                adiabatic=lattice.adiabatic,
                periodic=lattice.periodic,
                q_max=lattice.q_max,
                seed=config.field.seed,
                layer=layer,
            )
        for number, view in enumerate(block.region_views(field)):
            lifted, bits = reference.lift(view, theta)
            battery[number] += theta * int(bits.sum())
            waiting[number].append(int(bits.sum()))
            while waiting[number]:
                price = entropy.erasure_quanta(
                    lattice.region_sites, int(lifted.sum()), waiting[number][0], config.demon.record
                )
                if price is None or price > battery[number]:
                    break
                battery[number] -= price
                warmed = reference.deposit(lifted, price, engine.start(number, cycle), lattice.q_max)
                assert warmed is not None
                lifted = warmed
                del waiting[number][0]
            view[...] = lifted
    first, second = reference.digest(field)
    digest, books = outcome(config, next(special_grids(lattice)))
    assert books["battery"][-1].tolist() == battery
    assert digest == f"{second:016x}{first:016x}"


def test_blocks_of_another_lattice_are_refused() -> None:
    config = configure(FIELDS["periodic plane"])
    closed = Lattice(config.field.shape, config.field.regions)
    with pytest.raises(LayoutError):
        EntropicComputer(config, chunks=BlockGrid(closed, regular_cuts(closed, (2, 2))))
    with pytest.raises(LayoutError):
        EntropicComputer(config, chunks=(1, 1, 1))


# --- iterating --------------------------------------------------------------------------------------------------


def test_iterating_cycles(tmp_path: Path) -> None:
    config = configure(FIELDS["odd plane"])
    whole = finish(EntropicComputer(config, tmp_path / "whole"))
    computer = EntropicComputer(config, tmp_path / "stepwise", chunks=(2, 1))
    cycles = []
    for cycle in computer:
        assert computer.cycle == cycle.number
        cycles.append(cycle)
    assert [cycle.number for cycle in cycles] == list(range(1, CYCLES + 1))
    books = RunStore.open(tmp_path / "whole").books()
    assert [c.gross for c in cycles] == books["lift"].sum(axis=1).tolist()
    assert [c.net for c in cycles] == (books["lift"] - books["erasure"]).sum(axis=1).tolist()
    assert finish(computer) == whole


def test_a_run_without_a_directory() -> None:
    computer = EntropicComputer(configure(FIELDS["line"]))
    place = computer.store.path
    finish(computer)
    assert place.is_dir()
    del computer
    assert not place.exists()


# --- going on ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("erase", [True, False])
def test_resume_from_every_checkpoint(erase: bool, tmp_path: Path) -> None:
    """On another cut, from the newest and from the one before it; books, series and field come out the same."""
    config = configure(
        FIELDS["periodic plane"], run={"cycles": 8, "checkpoint_every": 2, "record_every": 3}, demon={"erase": erase}
    )
    kept: list[Path] = []

    def keep(store: RunStore, cycle: int) -> None:
        kept.append(copy_run(store.path, tmp_path / f"at-{cycle}"))

    whole = finish(EntropicComputer(config, tmp_path / "run", chunks=(2, 2), observer=Observer(booked=keep)))
    books = RunStore.open(tmp_path / "run").books()
    assert len(kept) == 4
    rng = np.random.default_rng(24)
    lattice = lattice_of(config.field)
    for path in kept:
        older = copy_run(path, path.with_name(path.name + "-older"))
        newest, before = generations(older / "checkpoints")
        shutil.rmtree(newest)
        for run, cycle in ((path, newest), (older, before)):
            computer = EntropicComputer.resume(run, chunks=draw_grid(lattice, rng), epoch=3)
            assert computer.cycle == int(cycle.name.split("-")[1])
            assert finish(computer) == whole
            other = RunStore.open(run).books()
            assert all(np.array_equal(other[account], values) for account, values in books.items())
            if not erase and run is older:
                assert reverse(run, chunks=draw_grid(lattice, rng)).restored


def test_resume_of_a_finished_run(tmp_path: Path) -> None:
    whole = finish(EntropicComputer(configure(FIELDS["line"]), tmp_path / "run"))
    assert finish(EntropicComputer.resume(tmp_path / "run")) == whole


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_interruption(after: int, tmp_path: Path) -> None:
    config = configure(FIELDS["odd plane"], run={"checkpoint_every": 0})
    whole = finish(EntropicComputer(config, tmp_path / "whole"))
    seen = [0]
    observer = Observer(progress=lambda cycle: seen.append(cycle), stop=lambda: seen[-1] >= after)
    computer = EntropicComputer(config, tmp_path / "run", chunks=(2, 1), observer=observer)
    with pytest.raises(Interrupted) as caught:
        finish(computer)
    assert caught.value.exit_code == 130
    assert str(tmp_path / "run") in caught.value.remedy
    assert after <= computer.cycle < CYCLES
    assert generations(tmp_path / "run" / "checkpoints")[0].name.startswith(f"cycle-{computer.cycle:09d}-")
    assert all(law.holds for law in audit(tmp_path / "run"))
    assert finish(EntropicComputer.resume(tmp_path / "run", chunks=(1, 3))) == whole


# --- backwards --------------------------------------------------------------------------------------------------


def test_reversal(tmp_path: Path) -> None:
    """300 cycles with the tape kept, undone on another cut; with half of the tape gone it cannot be."""
    field = {"shape": [6, 10], "regions": [2, 5], "mean": 6.0, "edges": "periodic"}
    config = configure(field, run={"cycles": 300, "checkpoint_every": 150}, demon={"erase": False, "threshold": 2})
    finish(EntropicComputer(config, tmp_path / "run", chunks=(1, 2)))
    lattice = lattice_of(config.field)
    grid = BlockGrid(lattice, ((0, 1), (0, 1), (0, 2), (0, 2, 5)))
    back = reverse(tmp_path / "run", chunks=grid, epoch=70)
    assert back.restored and back.tape_kept
    assert back.cycles == 300
    assert back.sites_differing == 0
    assert back.digest_reached == back.digest_start
    for part in (tmp_path / "run" / "tape").glob("000000001-*"):
        shutil.rmtree(part)
    with pytest.raises(StoreError, match="as it was written"):
        reverse(tmp_path / "run")
    forge(tmp_path / "run")
    back = reverse(tmp_path / "run")
    assert not back.restored and not back.tape_kept
    assert back.digest_reached != back.digest_start


def test_no_reversal_of_an_erased_tape(tmp_path: Path) -> None:
    config = configure(FIELDS["odd plane"], run={"cycles": 40})
    finish(EntropicComputer(config, tmp_path / "run"))
    back = reverse(tmp_path / "run", chunks=(2, 2))
    assert not back.restored and not back.tape_kept
    assert back.digest_reached != back.digest_start


def test_reversal_without_a_demon(tmp_path: Path) -> None:
    config = configure(FIELDS["uint16 plane"], demon={"lift": False})
    finish(EntropicComputer(config, tmp_path / "run"))
    assert reverse(tmp_path / "run", chunks=(1, 2)).restored


def test_nothing_to_reverse(tmp_path: Path) -> None:
    finish(EntropicComputer(configure(FIELDS["line"], run={"cycles": 0}), tmp_path / "run"))
    with pytest.raises(UsageError):
        reverse(tmp_path / "run")


# --- the tape ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "demon",
    [{"erase": False}, {"erase": False, "record": "raw"}, {"erase": True, "threshold": 1}],
    ids=str,
)
def test_a_full_tape_stops_the_demon(demon: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each region when its share is full; the summary names the cycle."""
    config = configure(
        FIELDS["odd plane"],
        demon={**demon, "tape_nats": 300.0},
        run={"cycles": 40, "checkpoint_every": 0},
        battery={"initial": 0.0},
    )
    finish(EntropicComputer(config, tmp_path / "run", chunks=(1, 2)))
    books = RunStore.open(tmp_path / "run").books()
    for tape in books["tape"]:
        assert math.fsum(tape) <= 300.0
    assert (books["stopped"][-1] > 0).any()
    for region, cycle in enumerate(books["stopped"][-1]):
        if cycle:
            assert books["measured"][: cycle - 1, region].all()
            for account in ("measured", "ones", "lift", "record_nats"):
                assert not books[account][cycle - 1 :, region].any()
        else:
            assert books["measured"][:, region].all()
    stopped = books["stopped"][-1]
    said = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert said["demon"]["regions_stopped"] == (stopped > 0).sum()
    assert said["demon"]["first_stop_cycle"] == stopped[stopped > 0].min()
    assert said["demon"]["last_stop_cycle"] == (stopped.max() if (stopped > 0).all() else None)
    console = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr(show, "out", console)
    show.print_summary(said)
    assert f"cycle {stopped[stopped > 0].min()}: tape full" in console.file.getvalue()  # type: ignore[attr-defined]
    if not config.demon.erase:
        assert (stopped > 0).all()
        assert reverse(tmp_path / "run", chunks=(3, 1)).restored


# --- the store --------------------------------------------------------------------------------------------------


def test_an_existing_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("full", "file"):
        with pytest.raises(StoreExistsError) as caught:
            EntropicComputer(configure(FIELDS["line"]), tmp_path / name)
        assert caught.value.exit_code == 2
    assert (tmp_path / "full" / "thesis.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    finish(EntropicComputer(configure(FIELDS["line"]), tmp_path / "empty"))


def test_two_drivers(tmp_path: Path) -> None:
    config = configure(FIELDS["line"])
    computer = EntropicComputer(config, tmp_path / "run")
    next(iter(computer))
    with pytest.raises(StoreBusyError) as caught:
        EntropicComputer.resume(tmp_path / "run")
    assert caught.value.exit_code == 4
    assert all(law.holds for law in audit(tmp_path / "run"))  # reading is free
    computer.store.unlock()
    finish(EntropicComputer.resume(tmp_path / "run"))


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        EntropicComputer.resume(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        EntropicComputer.resume(tmp_path)


def damage(generation: Path, rng: np.random.Generator, how: str) -> None:
    """Spoil a generation: a bit of a chunk, a chunk cut short, a file gone or added, a manifest."""
    chunk = rng.choice(sorted(p for p in (generation / "field.zarr" / "quanta" / "c").rglob("*") if p.is_file()))
    if how == "bit":
        content = bytearray(chunk.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        chunk.write_bytes(content)
    elif how == "short":
        chunk.write_bytes(chunk.read_bytes()[:-1])
    elif how == "gone":
        chunk.unlink()
    elif how == "added":
        chunk.with_name("99").write_bytes(b"")
    elif how == "manifest":
        (generation / "manifest.json").write_text("{}")
    else:
        (generation / "manifest.json").unlink()


@pytest.mark.parametrize("how", ["bit", "short", "gone", "added", "manifest", "no manifest"])
def test_a_damaged_checkpoint(how: str, tmp_path: Path) -> None:
    """The engine falls back to the generation before it; with none sound it says so."""
    config = configure(FIELDS["periodic plane"], run={"cycles": 10, "checkpoint_every": 4})
    whole = finish(EntropicComputer(config, tmp_path / "run", chunks=(2, 3)))
    rng = np.random.default_rng(26)
    newest, before = generations(tmp_path / "run" / "checkpoints")
    damage(newest, rng, how)
    none = copy_run(tmp_path / "run", tmp_path / "none")
    computer = EntropicComputer.resume(tmp_path / "run", chunks=(1, 6))
    assert computer.cycle == 8
    assert finish(computer) == whole
    damage(none / "checkpoints" / before.name, rng, how)
    with pytest.raises(StoreError) as caught:
        EntropicComputer.resume(none)
    assert caught.value.exit_code == 5
