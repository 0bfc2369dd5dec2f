"""Settings that all tests share, and the demonstration that several of them look at."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from chaos.recording import keep, read
from chromium import BLIND
from demos import Demo, played

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30  # bytes

# A shell that runs the suite in the background has it ignore Ctrl-C, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("entropic", deadline=None, derandomize=True)
settings.load_profile("entropic")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="every fault of the chaos suite, not a sample")
    parser.addoption("--reliability", type=Path, metavar="FILE", help="write down what the chaos suite saw")


def pytest_configure(config: pytest.Config) -> None:
    """Temporary directories are in memory where there is room: the tests flush many thousands of files to disk."""
    if config.option.basetemp is None and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Pages that no browser has looked at are not passed over in silence; the chaos suite's page is written."""
    blind = [report for report in terminalreporter.stats.get("skipped", []) if BLIND in str(report.longrepr)]
    if blind:
        words = f"{len(blind)} TESTS LOOKED AT NO PAGE: {BLIND}"
        terminalreporter.write_sep("!", words, red=True, bold=True)
    reports = (report for found in terminalreporter.stats.values() for report in found)
    entries = read(report for report in reports if getattr(report, "when", "") == "call")
    if entries:
        terminalreporter.write_sep("-", f"{sum(entry.count for entry in entries):,} faults injected")
    if page := terminalreporter.config.option.reliability:
        keep(page, entries, "make test-chaos")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """All three acts, small enough for a test."""
    return played(tmp_path_factory.mktemp("demo") / "acts")
