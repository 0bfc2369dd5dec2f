"""A real Grid Engine, one host: workers as jobs, and one job that is longer than its time limit."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import ENDLESS, Place, cluster_file, lawful, reached, shorten, until
from virtual_sge import alone_on_the_network, virtual_sge

from entropic.drivers import is_locked

pytestmark = pytest.mark.skipif(
    not alone_on_the_network(), reason="Grid Engine listens on every address: see tests/hpc/run"
)


@pytest.fixture(scope="module")
def sge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with virtual_sge(tmp_path_factory.mktemp("sge") / "s") as environment:
        yield environment


def queue(place: Place) -> str:
    command = ["qstat"]
    return subprocess.run(command, env=place.environment, capture_output=True, text=True, check=True).stdout.strip()


def test_workers_as_jobs(sge: dict[str, str], tmp_path: Path) -> None:
    place = Place(tmp_path, sge)
    place.write(10, cluster_file("sge", sge={"memory": ""}, wait={"allocation": 120}))
    place.entropic("run", "c.toml", "--cluster", "cluster.toml", "--out", "r")
    assert lawful(tmp_path / "r") == 10
    assert len(place.workers_on()) >= 1
    until(lambda: not queue(place), 60, lambda: queue(place))


def test_one_job_longer_than_its_time_limit(sge: dict[str, str], tmp_path: Path) -> None:
    """Exit code 99 makes Grid Engine start the job anew."""
    place, run = Place(tmp_path, sge), tmp_path / "r"
    limits = {"walltime": "00:04:00", "warning": 215}
    place.write(ENDLESS, cluster_file("sge", sge={"memory": ""}, job=limits))
    said = place.entropic("submit", "c.toml", "--cluster", "cluster.toml", "--out", "r")
    job = re.search(r"Your job (\d+)", said)
    assert job
    until(lambda: reached(run) > 0 and not is_locked(run), what=place.logs)  # the next has not begun
    end = shorten(run, 10)
    until(lambda: not queue(place), 240, place.logs)
    assert lawful(run) == end
    assert [(driver[0], driver[2]) for driver in place.drivers()] == [(job[1], 0), (job[1], end - 10)]
    assert place.status("r")["state"] == "finished"
