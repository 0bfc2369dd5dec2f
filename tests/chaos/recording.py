"""What the chaos suite did and what came of it: each injected fault is recorded, docs/reliability.md made of the records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, final

import jinja2

__all__ = ["SAME", "Injected", "Recorder", "keep", "read", "render"]

PROPERTY = "injected fault"
SAME = "digest of the undisturbed run"


@final
@dataclass(frozen=True)
class Injected:
    """One kind of fault in one test.

    Attributes
    ----------
    fault, outcome : str
        In words, the same for all of a kind.
    count : int
        How often it was injected.
    seconds : float
        From the fault to the end of what it hit, the longest; 0: not taken.
    test : str
        Where: node id of the test, without its parameters.
    """

    fault: str
    outcome: str
    count: int = 1
    seconds: float = 0.0
    test: str = ""


HOSTILE = "hostile file: "
Recorder = Callable[[Injected], None]


def read(reports: Iterable[Any]) -> list[Injected]:
    """The faults recorded in pytest's reports; those of a test that failed have failed."""
    found = []
    for report in reports:
        for name, value in report.user_properties:
            if name == PROPERTY:
                entry = {**value, "test": report.nodeid.split("[")[0]}
                found.append(Injected(**(entry | {"outcome": "TEST FAILED"} if report.failed else entry)))
    return found


def write(entry: Injected) -> tuple[str, dict[str, Any]]:
    """As pytest carries it from the process that ran the test."""
    return PROPERTY, asdict(entry)


def keep(page: Path, entries: Iterable[Injected], command: str) -> None:
    """Renew the page: rows of tests that ran are replaced, those of others stay as they are.

    What it is made of is beside it, in a JSON file: entries by test.
    """
    kept = page.with_suffix(".json")
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    fresh: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        fresh.setdefault(entry.test, []).append(asdict(entry))
    today = datetime.now(UTC).date().isoformat()
    known |= {test: {"ran": today, "entries": found} for test, found in fresh.items()}
    kept.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    page.write_text(render((Injected(**entry) for test in known.values() for entry in test["entries"]), command))


def render(entries: Iterable[Injected], command: str) -> str:
    """The page: a row for each fault, outcome and test."""
    rows: dict[tuple[str, str, str], list[Injected]] = {}
    for entry in entries:
        rows.setdefault((entry.test, entry.fault, entry.outcome), []).append(entry)
    table = [
        {
            "test": test,
            "fault": fault,
            "outcome": outcome,
            "count": sum(e.count for e in group),
            "seconds": max(e.seconds for e in group),
        }
        for (test, fault, outcome), group in sorted(rows.items())
    ]
    outcomes: Counter[str] = Counter()
    files = 0  # hostile ones are so many that they are counted apart
    for row in table:
        if str(row["fault"]).startswith(HOSTILE):
            files += int(str(row["count"]))
        else:
            outcomes[str(row["outcome"])] += int(str(row["count"]))
    template = jinja2.Template((Path(__file__).parent / "reliability.md.j2").read_text(), trim_blocks=True)
    counts = {"outcomes": outcomes.most_common(), "total": outcomes.total(), "files": files}
    return template.render(rows=table, **counts, command=command) + "\n"
