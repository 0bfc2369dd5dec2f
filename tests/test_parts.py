"""README's table of every part of the original document: what it names is there, and so is what proves it."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import entropic
from entropic.claims import QUESTIONS
from entropic.demo import ACTS, act_config
from entropic.verification import CHECKS
from test_audit import LAWS

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text("utf-8")
TABLE = README.split("## Every part of the original")[1].split("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("|")][
    2:
]

# The original's types, methods and functions, one by one.
ORIGINAL = re.findall(
    r"\w+",
    """
    ConsciousField FieldRegion partition calculate_entropy analyze_entropy_distribution EntropicComputer harvest_cycle
    efficiency EntropyHarvester region extraction_rate entropy_pump harvest_parallel extract_energy EntropyPump
    pump_entropy calculate_gradient conversion_factor decrease_entropy increase_entropy MaxwellDemon EntropySorter
    sort_entropy create_gradient EntropyGradient ConservationLaw validate_conservation global_entropy_change complexity
    information_to_energy LandauerEngine information_erasure_energy field_temperature reversible_computation Operation
    execute_reversibly EnergyGrid EnergyRouter EnergyScheduler prioritize FlowMonitor record route_energy
    find_optimal_path transfer_energy EnergySource EnergyDemand EntropyExchange trade_entropy calculate_entropy_price
    execute_trade EnergyStorage energy_batteries run_entropic_computer_demo
    """,
)
MACHINES = (
    *("EntropyHarvester", "GradientHarvester", "EntropyPump", "MaxwellDemon", "LandauerEngine", "EntropyExchange"),
    *("EnergyGrid", "EnergyRouter", "EnergyScheduler", "FlowMonitor", "EnergyDemand", "EnergyStorage", "Network"),
)


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def resolve(name: str) -> object:
    """The object of a dotted name: the longest module, then attributes or fields of a dataclass."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if is_dataclass(found) and part in {field.name for field in fields(found)}:
                return part
            found = getattr(found, part)
        return found
    raise AssertionError(f"{name} cannot be imported")


def names_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / f"{file}.py").read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_part_has_its_row() -> None:
    named = {name for there, *_ in ROWS for name in quoted(there)}
    assert set(ORIGINAL) - named == set()
    assert named - set(ORIGINAL) == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row(row: list[str]) -> None:
    there, here, does, proved = row
    assert there and does
    places = quoted(here)
    assert places
    for place in places:
        assert place.startswith("entropic.")
        assert resolve(place) is not None
    checks = quoted(proved)
    laws, verified = (re.findall(rf"{kind} `([^`]+)`", proved) for kind in ("law", "check"))
    assert set(laws) <= set(LAWS)
    assert set(verified) <= {check.name for check in CHECKS}
    proofs = [check for check in checks if check not in (*laws, *verified)]
    assert proofs
    for proof in proofs:
        file, name = proof.split("::")
        assert name in names_in(file), proof


def test_what_is_not_there_is_noticed() -> None:
    with pytest.raises(AttributeError):
        resolve("entropic.EntropyPump.pump_entropie")
    with pytest.raises(AttributeError):
        resolve("entropic.nothing")
    assert "test_nothing" not in names_in("test_parts")


def test_the_machines_by_their_names() -> None:
    for name in (*MACHINES, "Field", "EntropicComputer", "Config", "open_run", "entropy"):
        assert hasattr(entropic, name)
        assert name in entropic.__all__
    assert sorted(entropic.__all__) == entropic.__all__
    assert all(hasattr(entropic, name) for name in entropic.__all__)


def test_nothing_runs_on_import(tmp_path: Path) -> None:
    """No thread, no process, no file, and none of what only plots, commands or the demonstration need."""
    code = (
        "import pathlib, sys, threading, entropic; print(threading.active_count(), list(pathlib.Path().iterdir()), "
        "[name for name in ('matplotlib', 'rich', 'entropic.cli', 'entropic.demo') if name in sys.modules])"
    )
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert made.stdout == "1 [] []\n", made.stdout + made.stderr


def test_the_readme_counts_claims_and_cycles() -> None:
    assert f"each of the document's {len(QUESTIONS)} claims" in README
    assert f"{len(QUESTIONS)} rows: gross, cost, net, verdict" in TABLE
    whole = sum(act_config(act, "seed").run.cycles * act_config(act, "seed").field.sites for act in ACTS)
    assert round(whole / 1e12, 1) == 1.3  # as the help of `entropic demo` says


# --- the field, whose rows had no test of their own --------------------------------------------------------------


def test_the_field_is_an_xarray_of_dask_chunks() -> None:
    section = {"shape": [8, 6, 4], "regions": [4, 3, 2], "seed": 3}
    field, cut = entropic.Field.initial(section), entropic.Field.initial(section, chunks=(1, 3, 1))
    for made, blocks in ((field, (1, 1, 1)), (cut, (4, 1, 2))):
        assert isinstance(made.data, xr.DataArray)
        assert isinstance(made.data.data, da.Array)
        assert made.data.data.numblocks == blocks
        assert made.data.dims == ("x", "y", "z")
        assert made.data.attrs["units"] == "quanta"
    assert np.array_equal(field.data, cut.data)
    assert field.digest() == cut.digest()


def test_the_distribution_of_entropy() -> None:
    """Against counts by hand, region by region."""
    field = entropic.Field.initial({"shape": [8, 6], "regions": [4, 3], "seed": 3, "mean": 2.0})
    found, sites = field.analyze_entropy_distribution(), np.asarray(field.data)
    assert dict(found.sizes) == {"region_x": 4, "region_y": 3}
    for x in range(4):
        for y in range(3):
            region = sites[2 * x : 2 * x + 2, 2 * y : 2 * y + 2]
            at = found.isel(region_x=x, region_y=y)
            quanta, counts = int(region.sum()), np.bincount(region.ravel())
            assert int(at["quanta"]) == quanta
            assert float(at["entropy_hist"]) == pytest.approx(entropic.entropy.histogram_nats(counts), rel=1e-13)
            states = np.log(float(np.prod([(quanta + k) / k for k in (1, 2, 3)])))
            assert float(at["entropy_region"]) == pytest.approx(states, rel=1e-12, abs=1e-12)
            assert float(at["temperature"]) == pytest.approx(1 / np.log((quanta + 4) / (quanta + 1)), rel=1e-13)
