"""Fixtures of the chaos suite: a sample of it runs with all other tests, the whole by ``make test-chaos``."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.recording import Injected, Recorder, write


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Many faults in one test take longer than the others' limit; every wait in them has its own."""
    seconds = 3600 if config.getoption("--full") else 900
    for item in items:  # of the whole session
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(seconds))


@pytest.fixture
def injected(request: pytest.FixtureRequest) -> Recorder:
    """Call it once a fault has had its outcome."""

    def record(entry: Injected) -> None:
        request.node.user_properties.append(write(entry))

    return record


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether to inject every fault of the suite, not the sample."""
    return bool(request.config.getoption("--full"))
