"""All machines on the engine: one outcome for every cut, executor and restart; residual 0; back to the start."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from entropic import entropy
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import Where, connect
from entropic.engine.rules import Contact
from entropic.errors import EntropicError, UsageError
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid
from entropic.observer import Observer
from entropic.reversal import reverse
from entropic.store import RunStore

HOT = {"initial": "hot-cold", "hot": 7.0, "cold": 2.0}
MARKET = {"enabled": True, "contact": 0.3, "gears": [[2, 1], [3, 1], [3, 2], [1, 2]]}
DEMANDS = [
    {"region": 3, "quanta": 300, "priority": 1, "kind": "compute"},
    {"region": 30, "quanta": 200, "priority": 2, "kind": "export"},
    {"region": 9, "quanta": 40, "priority": 1, "kind": "export"},
]
GRID = {"enabled": True, "capacity": 90, "loss": 0.01, "demands": DEMANDS}
LOSSY = {"initial": 0.5, "capacity": 2.0, "charge_loss": 0.01, "discharge_loss": 0.02, "self_discharge": 0.01}
FIELD = {"shape": [12, 20, 12], "regions": [4, 5, 2], "mean": 5.0}

RUNS: dict[str, dict[str, Any]] = {
    "sort": {"demon": {"sort": True, "threshold": 12}},
    "partners": {"demon": {"sort": True, "pairs": "partners", "contact": 0.4, "threshold": 12}},
    "partners that trade, tape kept": {
        "field": {"regions": [3, 5, 3]},  # one of the 45 stays alone
        "exchange": MARKET,
        "demon": {"sort": True, "pairs": "partners", "threshold": 12, "erase": False, "tape_nats": 18000.0},
    },
    "market": {"field": HOT, "exchange": MARKET, "demon": {"lift": False}, "battery": {"initial": 0.1}},
    "market by Carnot": {
        "field": HOT,
        "exchange": {**MARKET, "carnot_share": 0.5},
        "demon": {"lift": False},
        "battery": {"initial": 0.1},
    },
    "grid": {"grid": GRID, "demon": {"threshold": 12}, "battery": {"initial": 0.4}},
    "storage": {"battery": LOSSY, "demon": {"threshold": 12}},
    "baths": {"field": {"edges": "baths", "bath_left": 8.0, "bath_right": 1.0}, "demon": {"threshold": 12}},
    "baths on uint16": {
        "field": {"edges": "baths", "bath_left": 80.0, "bath_right": 0.0, "dtype": "uint16", "walls": "adiabatic"},
        "demon": {"threshold": 12, "record": "raw"},
    },
    "all": {
        "field": HOT,
        "exchange": MARKET,
        "grid": GRID,
        "battery": LOSSY,
        "demon": {"sort": True, "threshold": 12},
    },
    "all, with the tape kept": {
        "field": HOT,
        "exchange": MARKET,
        "grid": {**GRID, "demands": [DEMANDS[0]]},
        "battery": LOSSY,
        "demon": {"sort": True, "threshold": 12, "erase": False},
    },
}
REVERSIBLE = ("market", "market by Carnot", "partners that trade, tape kept", "all, with the tape kept")
CUTS = ((1, 5, 2), (2, 2, 1), (1, 1, 1))


def made_of(name: str, cycles: int = 9) -> Config:
    sections = {key: dict(values) for key, values in RUNS[name].items()}
    field = {**FIELD, **sections.pop("field", {})}
    return Config.from_mapping({"field": field, "run": {"cycles": cycles, "checkpoint_every": 4}, **sections})


def outcome(path: Path) -> dict[str, str]:
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    assert summary["totals"]["first_law_residual"] == 0
    return {
        **summary["digest"],
        **{name: records(path / name) for name in ("orders.zarr", "trades.zarr", "flows.zarr")},
    }


def records(path: Path) -> str:
    """Trades or flows as text."""
    if not path.exists():
        return ""
    return str({name: np.asarray(array[...]).tolist() for name, array in sorted(zarr.open_group(path).arrays())})


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Outcome of every run in one block."""
    found = {}
    for name in RUNS:
        path = tmp_path_factory.mktemp("whole") / "run"
        EntropicComputer(made_of(name), path).run()
        found[name] = outcome(path)
    return found


@pytest.mark.parametrize("name", RUNS)
def test_one_outcome_for_every_cut(name: str, expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    rng = np.random.default_rng([1, *name.encode()])
    for number, cut in enumerate(CUTS):
        path = tmp_path / str(number)
        EntropicComputer(made_of(name), path, chunks=cut).run()
        assert outcome(path) == expected[name], cut
    path = tmp_path / "uneven"
    lattice = lattice_of(made_of(name).field)
    cuts = tuple(tuple(sorted({0, regions, *rng.integers(0, regions + 1, 2).tolist()})) for regions in lattice.regions)
    grid = BlockGrid(lattice, cuts)
    EntropicComputer(made_of(name), path, chunks=grid).run()
    assert outcome(path) == expected[name], cuts


@pytest.mark.parametrize("name", RUNS)
def test_lawful_and_resumed_elsewhere(name: str, expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    """Stopped in the middle of an epoch, resumed on another cut: the same, to the last trade and flow."""
    seen: list[int] = []
    stopping = EntropicComputer(
        made_of(name),
        tmp_path / "run",
        chunks=(2, 5, 1),
        observer=Observer(progress=seen.append, stop=lambda: bool(seen) and seen[-1] >= 4),
    )
    with pytest.raises(EntropicError) as caught:
        stopping.run()
    assert caught.value.exit_code == 130
    stopping.store.unlock()
    EntropicComputer.resume(tmp_path / "run", chunks=(1, 3, 2)).run()
    assert outcome(tmp_path / "run") == expected[name]
    for law in audit(tmp_path / "run"):
        assert law.holds, law


def test_on_processes(expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    with connect(Where(2, 1, dashboard=False)) as executor:
        for name in ("all", "all, with the tape kept", "partners that trade, tape kept", "baths"):
            path = tmp_path / name.replace(" ", "-")
            EntropicComputer(made_of(name), path, executor, (2, 3, 1)).run()
            assert outcome(path) == expected[name]
        for name in ("all,-with-the-tape-kept", "partners-that-trade,-tape-kept"):
            assert reverse(tmp_path / name, executor, (1, 2, 2)).restored


@pytest.mark.parametrize("name", RUNS)
def test_back_to_the_start(name: str, tmp_path: Path) -> None:
    computer = EntropicComputer(made_of(name, 9 if "uint16" in name else 30), tmp_path / "run", chunks=(2, 5, 2))
    computer.run()
    assert reverse(tmp_path / "run", chunks=(1, 2, 2)).restored == (name in REVERSIBLE)


def test_every_machine_did_something(tmp_path: Path) -> None:
    EntropicComputer(made_of("all"), tmp_path / "run").run()
    store = RunStore.open(tmp_path / "run")
    books = store.books()
    for name in ("sort_ones", "gear", "gear_heat", "lift", "erasure", "stored_loss", "compute", "line_loss", "drawn"):
        assert books[name].any(), name
    assert (books["gear"] < 0).any() and (books["gear"] > 0).any()
    trades = zarr.open_group(store.path / "trades.zarr", mode="r")
    work, hot, cold = (np.asarray(trades[name][:]) for name in ("work", "heat_hot", "heat_cold"))  # type: ignore[index]
    assert (work == hot - cold).all() and work.sum() == books["gear"].sum()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    totals = summary["totals"]
    assert totals["gross"] == books["lift"].sum() + books["gear"].sum()
    assert totals["delivered"] == books["compute"].sum() + books["delivered_out"].sum()
    assert totals["losses"] == books["stored_loss"].sum() + books["line_loss"].sum()
    assert summary["demon"]["gradient"] == books["gradient"][-1].sum() > 0
    assert summary["efficiency"]["thermal"] == work.sum() / hot.sum()
    assert 0 < summary["efficiency"]["information"] < 1


def test_efficiency_of_a_lift(tmp_path: Path) -> None:
    """W/(T I), each record at its region's temperature before the lift, the slow way."""
    config = made_of("storage")
    summary = EntropicComputer(config, tmp_path / "run").run()
    books = RunStore.open(tmp_path / "run").books()
    worth = 0.0
    for cycle, region in np.ndindex(books["lift"].shape):
        held = int(books["counts"][cycle, region].astype(int) @ np.arange(books["counts"].shape[2]))
        worth += books["record_nats"][cycle, region] * entropy.temperature(config.field.sites_per_region, held)
    assert summary["efficiency"]["information"] == pytest.approx(books["lift"].sum() / worth, rel=1e-12)
    assert summary["efficiency"]["thermal"] is None
    assert summary["demon"]["gradient"] is None


def test_the_example_of_all_machines(tmp_path: Path) -> None:
    file = Path(__file__).parents[1] / "examples" / "machines.toml"
    summary = EntropicComputer(Config.from_toml(file, ["run.cycles=6"]), tmp_path / "run", chunks=(2, 4, 3)).run()
    assert all(law["holds"] for law in summary["laws"])
    assert all(summary["totals"][name] > 0 for name in ("lift", "gears", "erasure", "losses", "delivered", "exported"))


class Watching:
    """Computes in this thread, and keeps what blocks send each other by way of sorts and trades."""

    workers, threads, address = 1, 1, None

    def __init__(self) -> None:
        self.sent: list[dict[int, Contact]] = []

    def hold(self, blocks: int) -> None: ...

    def submit(self, key: str, block: int, function: Callable[..., Any], *arguments: Any) -> Any:
        result = function(*arguments)
        if key.startswith("contact"):
            self.sent.append(result)
        return result

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return list(handles)

    def finish(self, handles: Sequence[Any], poll: Callable[[], None]) -> None:
        poll()

    def release(self, handles: Sequence[Any]) -> None: ...

    def peak_bytes(self) -> int:
        return 0


@pytest.mark.parametrize(("name", "sites"), [("market", 21), ("partners", 28)])
def test_only_contact_sites_travel(name: str, sites: int, expected: dict[str, dict[str, str]], tmp_path: Path) -> None:
    """Of 72 sites a region, ⌊0.3 · 72⌋ trade and ⌊0.4 · 72⌋ are sorted; nothing else of a region goes to another block."""
    watching = Watching()
    EntropicComputer(made_of(name), tmp_path / "run", watching, (1, 1, 1)).run()
    assert outcome(tmp_path / "run") == expected[name]
    contacts = [contact for sent in watching.sent for contact in sent.values()]
    assert contacts and {contact.sites.size for contact in contacts} == {sites}
    trades = records(tmp_path / "run" / "trades.zarr")
    offered = np.asarray(zarr.open_group(tmp_path / "run" / "orders.zarr")["gear_m"][:]) if trades else np.ones((9, 40))
    assert len(contacts) == np.count_nonzero(offered)  # each side of each pair goes to the other, once a cycle


def test_partners_part(tmp_path: Path) -> None:
    """Sorted against each other, one field of one temperature becomes two; what one region gains its partner loses."""
    EntropicComputer(made_of("partners"), tmp_path / "run").run()
    books = RunStore.open(tmp_path / "run").books()
    heat, ones, gradient = books["sort_heat"], books["sort_ones"], books["gradient"]
    assert (heat[:, ::2] == -heat[:, 1::2]).all() and (heat[:, ::2] >= ones[:, ::2]).all() and ones[:, ::2].any()
    assert not books["sorted"][:, 1::2].any() and not books["sort_nats"][:, 1::2].any()
    assert (gradient[-1, ::2] > 0).all() and gradient[-1].sum() > gradient[0].sum()


def test_a_region_without_a_partner_is_left_alone(tmp_path: Path) -> None:
    EntropicComputer(made_of("partners that trade, tape kept"), tmp_path / "run").run()
    books = RunStore.open(tmp_path / "run").books()
    assert books["sorted"][0, :44:2].all() and not books["sorted"][:, 44].any() and not books["sort_heat"][:, 44].any()
    stopped = books["stopped"][-1]
    assert (stopped[:44:2] > 0).any() and not books["sorted"][-1][stopped > 0].any()  # tapes that are full


def test_the_charged_field_gives_work(tmp_path: Path) -> None:
    """Gears alone, no bit measured: net work, and never more than exergy."""
    config = made_of("market", 60)
    computer = EntropicComputer(config, tmp_path / "run")
    summary = computer.run()
    assert summary["totals"]["net"] == summary["totals"]["gross"] > 0
    assert all(law["holds"] for law in summary["laws"])


def test_a_network_from_a_file(tmp_path: Path) -> None:
    """The run keeps its own copy of the lines: it goes on when the file is gone."""
    lines = [{"source": r, "target": r + 1, "capacity": 50, "loss": 0.02} for r in range(39)]
    file = tmp_path / "lines.json"
    file.write_text(json.dumps({"nodes": [{"id": r} for r in range(40)], "edges": lines}))
    table = made_of("grid").to_dict()
    config = Config.from_mapping({**table, "grid": {**table["grid"], "network": str(file)}})
    EntropicComputer(config, tmp_path / "whole").run()
    seen: list[int] = []
    stopping = EntropicComputer(config, tmp_path / "cut", observer=Observer(seen.append, stop=lambda: len(seen) > 3))
    with pytest.raises(EntropicError):
        stopping.run()
    stopping.store.unlock()
    file.unlink()
    EntropicComputer.resume(tmp_path / "cut").run()
    assert outcome(tmp_path / "cut") == outcome(tmp_path / "whole")
    assert all(law.holds for law in audit(tmp_path / "cut"))


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        '{"nodes": []}',
        '{"nodes": [{"id": 0}], "edges": [{"source": 0, "target": 99, "capacity": 1, "loss": 0}]}',
        '{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 1, "capacity": -1, "loss": 0}]}',
    ],
)
def test_a_network_that_is_broken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    file.write_text(text)
    table = made_of("grid").to_dict()
    config = Config.from_mapping({**table, "grid": {**table["grid"], "network": str(file)}})
    with pytest.raises(UsageError) as caught:
        EntropicComputer(config, tmp_path / "run")
    assert str(file) in str(caught.value) and caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_a_demand_that_no_line_reaches(tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    line = {"source": 0, "target": 1, "capacity": 5, "loss": 0}
    file.write_text(json.dumps({"nodes": [{"id": 0}, {"id": 1}], "edges": [line]}))
    table = made_of("grid").to_dict()
    config = Config.from_mapping({**table, "grid": {**table["grid"], "network": str(file)}})
    with pytest.raises(UsageError, match="no line leads to"):
        EntropicComputer(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
