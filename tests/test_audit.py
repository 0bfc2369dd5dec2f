"""The audit: a clean run passes; every change of the stored books, states and fields is noticed.

Changes go through zarr, as a careless or clever hand would make them.  Each is made on its own copy of a tiny run.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import digest_text, generations, newest_sound
from entropic.engine.manifest import sealed
from entropic.errors import StoreError
from entropic.inventory import Inventory
from entropic.ledger import ACCOUNTS, accounts
from entropic.store import SERIES, RunStore

LAWS = ["first law", "information", "lift", "second law", "exergy", "carnot", "demon", "reversal"]
LOSSES = {"capacity": 1.5, "charge_loss": 0.05, "discharge_loss": 0.02, "self_discharge": 0.05}
DEMANDS = [
    {"region": 1, "quanta": 9, "priority": 1, "kind": "compute"},
    {"region": 5, "quanta": 7, "priority": 2, "kind": "export"},
]
MACHINES: dict[str, dict[str, Any]] = {
    "field": {"edges": "baths", "bath_left": 4.0, "bath_right": 0.5},
    "exchange": {"enabled": True, "contact": 0.5},
    "grid": {"enabled": True, "capacity": 8, "loss": 0.1, "demands": DEMANDS},
}
RUNS: dict[str, dict[str, Any]] = {
    # batteries that cannot pay every erasure at once: records wait
    "erased": {"demon": {"threshold": 3}, "battery": {"initial": 0.5}},
    # tapes that fill
    "kept": {"demon": {"threshold": 3, "erase": False, "tape_nats": 300.0}},
    # every machine there is; erasure is paid through the grid, too
    "machines": {"demon": {"threshold": 3, "sort": True}, "battery": {"initial": 0.7, **LOSSES}, **MACHINES},
    # partner regions sorted against each other, before they trade
    "partners": {
        "demon": {"threshold": 3, "sort": True, "pairs": "partners", "contact": 0.6},
        "battery": {"initial": 0.7},
        "exchange": {"enabled": True, "contact": 0.5},
    },
    # every machine, with tapes that fill
    "machines kept": {
        "demon": {"threshold": 3, "sort": True, "erase": False, "tape_nats": 700.0},
        "battery": {"initial": 0.5, **LOSSES},
        **MACHINES,
    },
}


def made_of(name: str) -> Config:
    sections = {key: dict(values) for key, values in RUNS[name].items()}
    field = {"shape": [8, 12], "regions": [2, 3], "mean": 2.0, "seed": 9, **sections.pop("field", {})}
    table = {"field": field, "run": {"cycles": 12, "checkpoint_every": 6}, "relax": {"layers": 4}, **sections}
    return Config.from_mapping(table)


def accounts_of(kind: str) -> list[tuple[str, str]]:
    """(run, account) for every account of a kind that the run has."""
    return [(run, name) for run in RUNS for name in accounts(made_of(run)) if ACCOUNTS[name][0] == kind]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for name in RUNS:
        computer = EntropicComputer(made_of(name), tmp_path_factory.mktemp("runs") / name, chunks=(1, 2))
        computer.run()
        computer.store.unlock()
        made[name] = computer.store.path
    return made


@pytest.fixture
def copy(originals: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A fresh copy of a run, in the place of the one before."""

    def make(name: str) -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return Path(shutil.copytree(originals[name], tmp_path / "run", symlinks=True))

    return make


Edit = Callable[[NDArray[Any]], Any]


def edit(store: Path, name: str, change: Edit) -> None:
    """Rewrite one array; ``change`` works in place or returns another array."""
    array = zarr.open_group(store, mode="r+")[name]
    assert isinstance(array, zarr.Array)
    values = np.asarray(array[...]).copy()
    before = values.copy()
    changed = change(values)
    after = values if changed is None else changed
    assert after.shape != before.shape or (after != before).any(), "nothing was changed"
    if after.shape != before.shape:
        array.resize(after.shape)
    array[...] = after


def caught(run: Path) -> bool:
    try:
        return not all(law.holds for law in audit(run))
    except StoreError:
        return True


def bump(at: tuple[int, ...], amount: Any) -> Edit:
    def change(values: NDArray[Any]) -> None:
        values[at] = not values[at] if values.dtype == bool else values[at] + amount

    return change


def reseal(run: Path, digest: bool = False) -> None:
    """Bring the newest manifest's sums (and digest) up to date, so that only the physics can tell."""
    newest = generations(run / "checkpoints")[0]
    manifest = json.loads((newest / "manifest.json").read_text())
    for file in newest.rglob("*"):
        if file.is_file() and file.name != "manifest.json":
            content = file.read_bytes()
            facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            manifest["files"][str(file.relative_to(newest))] = facts
    if digest:
        manifest["digest"] = whole_digest(run)
    forge(run, manifest)
    assert newest_sound(run / "checkpoints").path == newest


def forge(run: Path, manifest: dict[str, Any] | None = None) -> None:
    """Seal anew all that is there, so that only the physics can tell; ``manifest``: of the newest checkpoint."""
    newest = generations(run / "checkpoints")[0]
    content = manifest or json.loads((newest / "manifest.json").read_text())
    (run / "inventory.jsonl").unlink()
    inventory = Inventory(run)
    for file in sorted(run.rglob("*")):
        part = file.relative_to(run).parts[0]
        apart = ("checkpoints", "before", "field.zarr", "lock", "drivers.jsonl", "inventory.jsonl")
        if file.is_file() and part not in apart:
            inventory.note(file)
    content = {**content, "inventory": inventory.write(content["cycle"])}
    del content["seal"]
    (newest / "manifest.json").write_text(sealed(content))


def whole_digest(run: Path) -> str:
    from entropic.engine.state import block_digest
    from entropic.initial import lattice_of
    from entropic.lattice import BlockGrid, regular_cuts

    lattice = lattice_of(RunStore.open(run).config().field)
    (block,) = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks
    sites = np.asarray(zarr.open_group(newest_field(run), mode="r")["quanta"][...])  # type: ignore[index]
    return digest_text(block_digest(np.ascontiguousarray(sites.reshape(block.sites.shape)), block))


def newest_field(run: Path) -> Path:
    return generations(run / "checkpoints")[0] / "field.zarr"


# --- clean runs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_a_clean_run_is_lawful(name: str, originals: dict[str, Path]) -> None:
    laws = audit(originals[name])
    assert [law.name for law in laws] == LAWS
    for law in laws:
        assert law.holds and law.margin >= 0 and law.detail, law
        assert set(law.to_dict()) == {"name", "holds", "margin", "detail"}


def test_the_runs_are_worth_changing(originals: dict[str, Path]) -> None:
    """Records wait, tapes fill, heat flows: no account is idle."""
    books = {name: RunStore.open(path).books() for name, path in originals.items()}
    for name in set(ACCOUNTS) - {"sitewise"}:  # of protocols: test_protocol.py
        assert any(entries[name].any() for entries in books.values() if name in entries), name
    erased, kept = books["erased"], books["kept"]
    assert (books["machines"]["partner"] >= 0).any() and (books["machines kept"]["stopped"] > 0).any()
    flows = zarr.open_group(originals["machines"] / "flows.zarr", mode="r")
    assert {-1, 0, 1} == set(np.asarray(flows["demand"][:]).tolist())  # type: ignore[index]
    assert (erased["tape"] > 0).any() and (erased["erasure"] > 0).any()
    assert (kept["stopped"] > 0).any()


@pytest.mark.parametrize("record_every", [1, 5])
def test_other_clean_runs(record_every: int, tmp_path: Path) -> None:
    for i, walls in enumerate(("conducting", "adiabatic")):
        config = Config.from_mapping(
            {
                "field": {"shape": [6, 4, 4], "regions": [3, 2, 1], "mean": 3.0, "walls": walls, "edges": "periodic"},
                "run": {"cycles": 70, "checkpoint_every": 30, "record_every": record_every},
                "demon": {"threshold": 4, "record": "raw"},
            }
        )
        EntropicComputer(config, tmp_path / str(i)).run()
        assert all(law.holds for law in audit(tmp_path / str(i)))


# --- books ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("run", "account"), accounts_of("int64"))
def test_one_quantum_more_or_less(account: str, run: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([1, *account.encode()])
    for amount in (1, -1, 1, -1):
        path = copy(run)
        edit(path / "books.zarr", account, bump((rng.integers(12), rng.integers(6)), amount))
        assert caught(path), (account, amount)


def test_every_single_entry(tmp_path: Path) -> None:
    """Of a run so small that each entry of books, histograms, series and opening can be changed in turn, both ways."""
    field = {"shape": [4, 8], "regions": [1, 2], "mean": 2.0, "seed": 9}
    config = Config.from_mapping(
        {"field": field, "run": {"cycles": 2}, "demon": {"threshold": 3}, "battery": {"initial": 0.5}}
    )
    computer = EntropicComputer(config, tmp_path / "run")
    computer.run()
    computer.store.unlock()
    run, changes = computer.store.path, 0
    assert not caught(run)
    for store in ("books.zarr", "series.zarr", "opening.zarr"):
        for name, array in sorted(zarr.open_group(run / store, mode="r+", use_consolidated=False).arrays()):
            sound = np.asarray(array[...])
            for place in np.ndindex(*sound.shape):
                for amount in (1,) if sound.dtype == bool else (1, -1):
                    if sound.dtype.kind == "u" and not sound[place] and amount < 0:
                        continue
                    spoilt = sound.copy()
                    spoilt[place] = not sound[place] if sound.dtype == bool else sound[place].item() + amount
                    array[...] = spoilt
                    assert caught(run), (store, name, place, amount)
                    changes += 1
            array[...] = sound
    assert not caught(run)
    assert changes > 200


@pytest.mark.parametrize(("run", "account"), accounts_of("float64"))
def test_one_nat_more_or_less(account: str, run: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([2, *account.encode()])
    for amount in (1.0, -1.0, 1e-9):
        path = copy(run)
        edit(path / "books.zarr", account, bump((rng.integers(12), rng.integers(6)), amount))
        assert caught(path), (account, amount)


@pytest.mark.parametrize(("run", "account"), accounts_of("bool"))
def test_a_fact_denied(run: str, account: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([3, *account.encode()])
    for _ in range(3):
        path = copy(run)
        edit(path / "books.zarr", account, bump((rng.integers(12), rng.integers(6)), 1))
        assert caught(path)


@pytest.mark.parametrize("account", ["heat", "lift", "erasure", "quanta", "battery", "ones"])
def test_a_quantum_moved_between_regions(account: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([4, *account.encode()])
    for _ in range(3):
        path = copy("erased")
        cycle, (a, b) = rng.integers(12), rng.permutation(6)[:2]
        edit(path / "books.zarr", account, bump((cycle, a), 1))
        edit(path / "books.zarr", account, bump((cycle, b), -1))
        assert caught(path)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("quanta", "battery"),
        ("lift", "erasure"),
        ("lift", "heat"),
        ("heat", "quanta"),
        ("lift", "battery"),
        ("heat", "erasure"),
    ],
)
def test_a_quantum_moved_between_accounts(one: str, other: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([5, *one.encode(), *other.encode()])
    for signs in ((1, -1), (-1, 1), (1, 1)):
        path = copy("erased")
        at = (rng.integers(12), rng.integers(6))
        edit(path / "books.zarr", one, bump(at, signs[0]))
        edit(path / "books.zarr", other, bump(at, signs[1]))
        assert caught(path)


def test_a_quantum_moved_for_good(copy: Callable[[str], Path]) -> None:
    """From field to battery in one cycle and in all later ones, as if it had been lifted."""
    rng = np.random.default_rng(6)
    for account in ("quanta", "battery", "quanta", "battery"):
        path = copy("erased")
        cycle, region = rng.integers(12), rng.integers(6)
        edit(path / "books.zarr", account, bump((slice(cycle, None), region), 1))
        other = {"quanta": "battery", "battery": "quanta"}[account]
        edit(path / "books.zarr", other, bump((slice(cycle, None), region), -1))
        edit(path / "books.zarr", "lift", bump((cycle, region), 1 if account == "battery" else -1))
        assert caught(path)


@pytest.mark.parametrize("account", ["heat", "lift", "erasure", "ones", "record_nats", "erased_nats"])
def test_an_entry_booked_twice(account: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([7, *account.encode()])
    for _ in range(3):
        path = copy("erased")

        def double(values: NDArray[Any]) -> None:
            at = tuple(rng.choice(np.argwhere(values != 0)))
            values[at] *= 2

        edit(path / "books.zarr", account, double)
        assert caught(path)


def test_more_lifted_than_there_is(copy: Callable[[str], Path]) -> None:
    """Prices of records in regions that, by their books, hold less than nothing: the audit ends, and says so."""
    path = copy("erased")

    def much(values: NDArray[Any]) -> None:
        values[2] += 10**6

    edit(path / "books.zarr", "lift", much)
    assert "first law" in {law.name for law in audit(path) if not law.holds}


def test_a_row_booked_twice(copy: Callable[[str], Path]) -> None:
    """One account alone, or all of them; at the end, or in the middle; its cycle repeated, or numbered on."""
    rng = np.random.default_rng(8)
    every = [*accounts(made_of("erased")), "counts", "cycle"]
    for names in (*([name] for name in every), every, every, every):
        path, row = copy("erased"), int(rng.integers(12))
        for name in names:
            edit(path / "books.zarr", name, lambda values, row=row: np.insert(values, row, values[row], axis=0))
        if names is every and row % 2:
            edit(path / "books.zarr", "cycle", lambda values: np.arange(1, 14))
        assert caught(path), (names, row)


def test_a_row_too_many_on_a_page_end(tmp_path: Path) -> None:
    """64 cycles are a page of the audit: a row behind them must not slip by."""
    config = Config.from_mapping(
        {"field": {"shape": [6], "regions": [2], "mean": 2.0}, "run": {"cycles": 64}, "demon": {"threshold": 3}}
    )
    computer = EntropicComputer(config, tmp_path / "clean")
    computer.run()
    assert all(law.holds for law in audit(tmp_path / "clean"))
    for name in (*accounts(config), "counts", "cycle"):
        path = Path(shutil.copytree(tmp_path / "clean", tmp_path / name, symlinks=True))
        edit(path / "books.zarr", name, lambda values: np.concatenate([values, values[-1:]]))
        assert caught(path), name


def test_a_row_lost(copy: Callable[[str], Path]) -> None:
    for row in (0, 5, 11):
        path = copy("erased")
        for name in (*accounts(made_of("erased")), "counts", "cycle"):
            edit(path / "books.zarr", name, lambda values, row=row: np.delete(values, row, axis=0))
        edit(path / "books.zarr", "cycle", lambda values: np.arange(1, 12)) if row < 11 else None
        assert caught(path), row


def test_histograms(copy: Callable[[str], Path]) -> None:
    """A site more, less, moved a level, moved a region, and a move that keeps sites and energy."""
    rng = np.random.default_rng(10)
    for what in ("more", "less", "level", "region", "spread", "spread", "spread"):
        path, cycle, region = copy("kept"), int(rng.integers(12)), int(rng.integers(6))

        def change(values: NDArray[Any], what: str = what, at: tuple[int, int] = (cycle, region)) -> None:
            row = values[at]
            level = int(np.flatnonzero(row).max())
            if what == "more":
                row[0] += 1
            elif what == "less":
                row[level] -= 1
            elif what == "level":
                row[level] -= 1
                row[level - 1] += 1
            elif what == "region":
                row[0] -= 1
                values[at[0], (at[1] + 1) % 6, 0] += 1
            else:
                # two sites of equal energy become one lower and one higher, or the other way round
                where = np.argwhere(values[:, :, 1:-1] >= 2)
                c, r, k = (int(i) for i in rng.choice(where))
                values[c, r, k : k + 3] += np.array([1, -2, 1]).astype(values.dtype)

        edit(path / "books.zarr", "counts", change)
        assert caught(path), what


# --- opening and series -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["quanta", "battery", "entropy_hist"])
def test_the_opening_balance(name: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([11, *name.encode()])
    for amount in (1, -1):
        path = copy("erased")
        edit(path / "opening.zarr", name, bump((rng.integers(6),), amount))
        assert caught(path)
    path = copy("erased")
    a, b = rng.permutation(6)[:2]
    edit(path / "opening.zarr", name, bump((a,), 1))
    edit(path / "opening.zarr", name, bump((b,), -1))
    assert caught(path)


@pytest.mark.parametrize("name", [*SERIES, "cycle", "region"])
def test_the_series(name: str, copy: Callable[[str], Path]) -> None:
    rng = np.random.default_rng([12, *name.encode()])
    for amount in (1, -1):
        path = copy("erased")
        place = {"cycle": (int(rng.integers(12)),), "region": (int(rng.integers(6)),)}
        at = place.get(name, (int(rng.integers(12)), int(rng.integers(6))))
        edit(path / "series.zarr", name, bump(at, amount))
        assert caught(path)
    path = copy("erased")
    edit(path / "series.zarr", name, lambda values: np.concatenate([values, values[-1:]]))
    assert caught(path)


# --- field and regions ------------------------------------------------------------------------------------------


def field_change(what: str, rng: np.random.Generator) -> Edit:
    """Regions are boxes of 4 × 4 sites."""

    def change(values: NDArray[Any]) -> None:
        a = tuple(rng.choice(np.argwhere(values > 0)))
        if what == "added":
            values[a] += 1
        elif what == "lost":
            values[a] -= 1
        else:
            same = np.indices(values.shape) // 4 == np.array([a[0] // 4, a[1] // 4])[:, None, None]
            inside = same.all(axis=0)
            allowed = inside if what == "moved inside a region" else ~inside
            if what == "swapped inside a region":
                allowed = inside & (values != values[a])
                b = tuple(rng.choice(np.argwhere(allowed)))
                values[a], values[b] = values[b], values[a]
                return
            allowed[a] = False
            b = tuple(rng.choice(np.argwhere(allowed)))
            values[a] -= 1
            values[b] += 1

    return change


MOVES = ["added", "lost", "moved inside a region", "moved to another region", "swapped inside a region"]


@pytest.mark.parametrize("sealed", ["", "sums", "sums and digest"])
@pytest.mark.parametrize("what", MOVES)
def test_a_quantum_of_the_field(what: str, sealed: str, copy: Callable[[str], Path]) -> None:
    """With sums made to fit, books or digest tell; with the digest made to fit too, the books or the summary."""
    rng = np.random.default_rng([13, len(what), len(sealed)])
    for run in ("erased", "kept", "erased"):
        path = copy(run)
        edit(newest_field(path), "quanta", field_change(what, rng))
        if sealed:
            reseal(path, digest=sealed != "sums")
        assert caught(path)


@pytest.mark.parametrize("what", [move for move in MOVES if "inside" not in move])
def test_a_quantum_that_only_the_books_can_miss(what: str, copy: Callable[[str], Path]) -> None:
    """Sums, digest and summary all made to fit."""
    rng = np.random.default_rng([14, len(what)])
    for run in ("erased", "kept"):
        path = copy(run)
        edit(newest_field(path), "quanta", field_change(what, rng))
        reseal(path, digest=True)
        summary = json.loads((path / "summary.json").read_text())
        summary["digest"]["field"] = whole_digest(path)
        (path / "summary.json").write_text(json.dumps(summary))
        failed = [law.name for law in audit(path) if not law.holds]
        assert failed == ["first law"]


@pytest.mark.parametrize("name", ["battery", "tape", "stopped", "unpaid"])
def test_the_state_of_the_regions(name: str, copy: Callable[[str], Path]) -> None:
    """What a restart would go on from, sums made to fit."""
    rng = np.random.default_rng([15, *name.encode()])
    for run in RUNS:
        for amount in (1, -1):
            path = copy(run)
            state = generations(path / "checkpoints")[0] / "regions.zarr"
            shape = zarr.open_group(state, mode="r")[name].shape  # type: ignore[union-attr]
            if 0 in shape:
                continue
            region = int(rng.integers(6))
            edit(state, name, bump((region, 0) if name == "unpaid" else (region,), amount))
            reseal(path)
            assert caught(path), (run, amount)


def test_missing_parts(copy: Callable[[str], Path]) -> None:
    for part in ("books.zarr", "series.zarr", "opening.zarr", "checkpoints", "config.toml", "books.zarr/lift"):
        path = copy("erased")
        shutil.rmtree(path / part) if (path / part).is_dir() else (path / part).unlink()
        assert caught(path), part


def test_spoilt_chunks(copy: Callable[[str], Path]) -> None:
    """A byte changed on disk, anywhere in the stores: noticed, or without any effect on a value."""
    rng = np.random.default_rng(16)
    for _ in range(25):
        path = copy("erased")
        stores = [path / name for name in ("books.zarr", "series.zarr", "opening.zarr")]
        files = [p for store in stores for p in sorted(store.rglob("c/**/*")) if p.is_file()]
        file = files[rng.integers(len(files))]
        before = RunStore.open(path).books(), RunStore.open(path).series(), RunStore.open(path).opening()
        content = bytearray(file.read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        file.write_bytes(content)
        if not caught(path):
            after = RunStore.open(path).books(), RunStore.open(path).series(), RunStore.open(path).opening()
            for a, b in zip(before, after, strict=True):
                assert all(np.array_equal(a[key], b[key]) for key in a), file


def test_another_configuration(copy: Callable[[str], Path]) -> None:
    """A run is judged by the rules that it claims to have followed."""
    for old, new in (("threshold = 3", "threshold = 2"), ("seed = 9", "seed = 8"), ('"compressed"', '"raw"')):
        path = copy("erased")
        text = (path / "config.toml").read_text()
        assert old in text
        (path / "config.toml").write_text(text.replace(old, new))
        assert caught(path), new
        forge(path)
        assert not all(law.holds for law in audit(path)), new
