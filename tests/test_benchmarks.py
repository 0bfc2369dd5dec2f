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
