"""Fixtures of the tests on real batch systems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from runs import Place, until
from virtual_slurm import VirtualSlurm, missing, virtual_slurm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # of the whole session
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.hpc)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualSlurm]:
    assert not missing(), "start these tests by tests/hpc/run, which installs what they need"
    with virtual_slurm(tmp_path_factory.mktemp("slurm") / "s") as served:
        yield served


@pytest.fixture
def place(slurm: VirtualSlurm, tmp_path: Path) -> Iterator[Place]:
    """A user's directory on the virtual Slurm, which is whole and empty before and after."""
    here = Place(tmp_path, slurm.environment)
    yield here
    slurm.run("scancel", "--user", str(os.geteuid()), check=False)
    for node in ("n1", "n2", "n3"):
        slurm.set_node(node, "resume", check=False)  # those that are up need not be
    until(lambda: not slurm.run("squeue", "--noheader").strip(), 60, lambda: slurm.run("squeue"))
