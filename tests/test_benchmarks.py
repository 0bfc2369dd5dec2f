"""The benchmarks run and report; how fast they find anything is no test's matter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_kernels_report_every_rival() -> None:
    """A tiny field through every kernel and every peer; that peers agree on the results is asserted inside."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "kernels", "--sites", "65536", "--json"]
    done = subprocess.run(
        [*command, "--repeats", "1"], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report) == {"header", "kernels"}
    assert {"date", "processor", "cores", "versions"} <= set(report["header"])
    assert set(report["kernels"]) == {
        "exchange layer",
        "seam",
        "histogram",
        "histogram, scattered rows",
        "lift",
        "digest",
        "entropy",
    }
    rows = [row for table in report["kernels"].values() for row in table]
    assert all(row["ns"] > 0 and row["least_ns"] > 0 and row["ratio"] > 0 for row in rows)
    names = {row["name"] for row in report["kernels"]["histogram"]}
    assert names >= {"entropic", "numpy.bincount", "dask.array.histogram", "xhistogram", "flox"}
    assert all(table[0]["ratio"] == 1 for table in report["kernels"].values() if table)


def test_a_figure_needs_the_scaling() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "kernels", "--figure", "x.svg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert "--only scaling" in done.stderr


def test_machines_report_every_rival() -> None:
    """Regions of a hundred sites, two cycles: every machine does its work, and every decision is made."""
    code = (
        "import json; from benchmarks.machines import RIVALS, measure_decisions, measure_machines;"
        "rows = measure_machines(8, 2, 1, (1, 1, 10, 10));"
        "print(json.dumps({'rivals': list(RIVALS), 'rows': rows, 'decisions': measure_decisions(3)}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [row["name"] for row in report["rows"]] == report["rivals"]
    assert report["rows"][0]["ratio"] == 1
    assert all(row["ns"] > 0 and row["ratio"] > 0 for row in report["rows"])
    assert all(row["ms"] > 0 for row in report["decisions"]) and len(report["decisions"]) == 4


def test_bare_kernels_do_all_of_the_engines_work() -> None:
    """They end with the very same field and batteries, so what the engine is compared with leaves nothing out."""
    code = (
        "from benchmarks.engine import Piece, engine_config; from entropic import EntropicComputer;"
        "from entropic.initial import lattice_of; from entropic.lattice import BlockGrid;"
        "config = engine_config(0, 12); lattice = lattice_of(config.field);"
        "(block,) = BlockGrid(lattice, tuple((0, n) for n in lattice.regions)).blocks;"
        "piece = Piece(config, block); [piece.cycle(number) for number in range(1, 13)];"
        "computer = EntropicComputer(config); computer.run();"
        "assert piece.array.reshape(lattice.extents).tobytes() == computer.field.data.values.tobytes();"
        "assert (piece.battery == computer.store.books()['battery'][-1]).all();"
        "assert computer.store.books()['erasure'].any()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
