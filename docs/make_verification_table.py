"""Put the figures of a run into docs/verification.md: entropic verify --json > FILE; python docs/make_verification_table.py FILE"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("verification.md")


def between(text: str, name: str, rows: list[str]) -> str:
    """The text with the rows between the marks of a name."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    head, rest = text.split(begin)
    return head + begin + "\n" + "\n".join(rows) + "\n" + end + rest.split(end)[1]


def laws(checks: list[dict[str, Any]]) -> list[str]:
    """What is checked."""
    rows = ["| check | what is measured | exact value | source |", "|---|---|---|---|"]
    return rows + [f"| {c['name']} | {c['measures']} | {c['exact']} | {c['source']} |" for c in checks]


def figures(checks: list[dict[str, Any]]) -> list[str]:
    """What was found."""
    rows = ["| check | sample | statistic | quantity | exact | found | p |", "|---|---|---|---|---|---|---|"]
    for check in checks:
        p = f"{check['misfits']} misfits" if check["p_value"] is None else f"{check['p_value']:.2g}"
        head = f"| {check['name']} | {check['samples']:,} {check['unit']} | {check['statistic']} |"
        for number, value in enumerate(check["values"] or [None]):
            shown = f" {value['name']} | {value['exact']:.6g} | {value['found']:.6g} |" if value else " | | |"
            rows.append(f"{head}{shown} {p} |" if number == 0 else f"| | | |{shown} |")
    return rows


def main(file: str) -> None:
    """Rewrite the page."""
    checks = json.loads(Path(file).read_text("utf-8"))["checks"]
    text = between(PAGE.read_text("utf-8"), "checks", laws(checks))
    PAGE.write_text(between(text, "figures", figures(checks)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
