"""Fixtures of the chaos suite: a sample of it runs with all other tests, the whole by ``make test-chaos``."""

from __future__ import annotations

import pytest

from chaos.recording import Injected, Recorder, write


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
