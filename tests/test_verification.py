"""`entropic verify`: every check holds, no check can hold with what it tests broken, and the command says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import entropic.cli
from entropic.errors import ResourceError
from entropic.verification import CHECKS, FALSE_ALARM, Check, Finding, verify
from entropic.verification import suite as suite_module
from entropic.verification.check import Tally
from entropic.verification.suite import judged, measured
from mutations import MUTATIONS, Mutation

pytestmark = pytest.mark.timeout(600)  # with nothing compiled yet, on a busy machine
STATISTICAL = sum(check.kind == "statistical" for check in CHECKS)


def holds(check: Check, finding: Finding) -> bool:
    """Whether a check passes if all others have p-values of 1: then it is compared with the strictest level."""
    others = [(c, Finding(1, "", "", p_value=1.0), 0.0) for c in CHECKS if c.kind == "statistical" and c is not check]
    return judged([(check, finding, 0.0), *others])[0].holds


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """The object that the command prints, in a process of its own, and the lines of its progress."""
    place = tmp_path_factory.mktemp("verify")
    arguments = [sys.executable, "-m", "entropic.cli", "verify", "--quick", "--json"]
    ran = subprocess.run(arguments, cwd=place, capture_output=True, text=True, timeout=580, env=os.environ, check=False)
    assert ran.returncode == 0, ran.stderr
    assert list(place.iterdir()) == []
    return json.loads(ran.stdout), ran.stderr.splitlines()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_program_is_sound(check: Check, quick: tuple[dict[str, Any], list[str]]) -> None:
    (found,) = [entry for entry in quick[0]["checks"] if entry["name"] == check.name]
    assert found["holds"] and found["misfits"] == 0, found["first_misfit"]
    assert found["samples"] > 0 and found["unit"] and found["statistic"]
    assert found["exact"] and found["source"] and found["measures"]
    if check.kind == "exact":
        assert found["p_value"] is None and found["p_adjusted"] is None
    else:
        assert FALSE_ALARM < found["p_value"] <= found["p_adjusted"] <= 1


def test_the_command_prints_one_object(quick: tuple[dict[str, Any], list[str]]) -> None:
    report, progress = quick
    assert report["holds"] and report["quick"] and report["false_alarm"] == FALSE_ALARM
    assert report["statistical"] == STATISTICAL
    assert [check["name"] for check in report["checks"]] == [check.name for check in CHECKS]
    assert [line[:45].strip() for line in progress] == [check.name for check in CHECKS]


def cases() -> Iterator[Any]:
    by_name = {check.name: check for check in CHECKS}
    for name, mutations in MUTATIONS.items():
        for mutation in mutations:
            yield pytest.param(by_name[name], mutation, id=f"{name}-{mutation.__name__}")


@pytest.mark.parametrize(("check", "mutation"), list(cases()))
def test_a_broken_program_is_not(check: Check, mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert not holds(check, measured(check, 1))


def test_every_check_has_a_mutation() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert set(MUTATIONS) == set(names)
    assert all(check.measures and check.exact and check.source and check.full >= 1 for check in CHECKS)


# --- verdicts ----------------------------------------------------------------------------------------------------


def made(kind: Any, **found: Any) -> tuple[Check, Finding, float]:
    finding = Finding(1, "", "", **found)
    return Check("made", "", "", "", kind, lambda scale: finding), finding, 0.0


def test_verdicts() -> None:
    assert judged([made("exact")])[0].holds
    assert not judged([made("exact", misfits=1)])[0].holds
    sound = [made("statistical", p_value=0.5) for _ in range(9)]
    assert all(outcome.holds for outcome in judged(sound))
    # Ten tests: the smallest p-value must be above a tenth of the level; the next, once that one has failed, a ninth.
    assert not judged([*sound, made("statistical", p_value=0.99 * FALSE_ALARM / 10)])[-1].holds
    assert judged([*sound, made("statistical", p_value=1.01 * FALSE_ALARM / 10)])[-1].holds
    two = judged([*sound[:8], made("statistical", p_value=0.0), made("statistical", p_value=0.99 * FALSE_ALARM / 9)])
    assert [outcome.holds for outcome in two] == [True] * 8 + [False] * 2
    # Exact checks take no share of the level, and a side condition without chance is one.
    assert judged([*[made("exact")] * 50, made("statistical", p_value=1.01 * FALSE_ALARM)])[-1].holds
    assert not judged([made("statistical", p_value=0.5, misfits=1)])[0].holds


def test_what_cannot_be_evaluated_does_not_hold() -> None:
    def fails(scale: int) -> Finding:
        raise ValueError("negative counts")

    def full(scale: int) -> Finding:
        raise ResourceError("the disk is full.")

    for kind in ("exact", "statistical"):
        check = Check("made", "", "", "", kind, fails)  # type: ignore[arg-type]
        assert not judged([(check, measured(check, 1), 0.0)])[0].holds
        assert "negative counts" in measured(check, 1).first
    with pytest.raises(ResourceError):  # says nothing about physics
        measured(Check("made", "", "", "", "exact", full), 1)


def test_a_tally_remembers_the_first_misfit() -> None:
    tally = Tally()
    tally.see(True, "a", 5)
    tally.see(False, "b")
    tally.see(False, "c")
    finding = tally.finding("cases", "")
    assert (finding.samples, finding.misfits, finding.first, finding.p) == (7, 2, "b", None)


# --- the command -------------------------------------------------------------------------------------------------


def command(*arguments: str) -> tuple[int, str]:
    """Run the entry point in this process: its exit code, and what it printed on stdout."""
    output = StringIO()
    with (
        patch.object(sys, "argv", ["entropic", *arguments]),
        redirect_stdout(output),
        redirect_stderr(StringIO()),
        pytest.raises(SystemExit) as left,
    ):
        entropic.cli.main()
    return int(str(left.value.code or 0)), output.getvalue()


def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three quick checks of three kinds of values."""
    names = ("demon: bound on the lift", "sort: bits", "exchange: decay of a mode")
    monkeypatch.setattr(suite_module, "CHECKS", tuple(check for check in CHECKS if check.name in names))


def test_the_command_fails_with_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    MUTATIONS["sort: bits"][0](monkeypatch)
    code, output = command("verify", "--quick", "--json")
    assert code == 3
    report = json.loads(output)
    assert not report["holds"]
    assert [check["name"] for check in report["checks"] if not check["holds"]] == ["sort: bits"]
    code, output = command("verify", "--quick")
    assert code == 3
    assert "FAILS" in output and "2 of 3 checks hold" in output


def test_the_command_prints_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    code, output = command("verify", "--quick")
    assert code == 0
    assert "sort: bits" in output and "3 of 3 checks hold" in output


def test_the_full_set_is_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch)
    asked: list[int] = []

    def noted(check: Check, scale: int) -> Finding:
        asked.append(scale)
        return Finding(1, "", "", p_value=0.5 if check.kind == "statistical" else None)

    monkeypatch.setattr(suite_module, "measured", noted)
    assert not verify(quick=True).broken
    assert not verify().broken
    scales = [check.full for check in suite_module.CHECKS]
    assert asked == [1] * len(scales) + scales
    assert min(scales) > 1


def test_the_page_lists_the_checks() -> None:
    """Laws and figures of docs/verification.md are of these checks."""
    text = (Path(__file__).parents[1] / "docs" / "verification.md").read_text("utf-8")
    for name in ("checks", "figures"):
        table = text.split(f"<!-- {name} -->")[1].split(f"<!-- end of {name} -->")[0]
        rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
        assert [row for row in rows[2:] if row] == [check.name for check in CHECKS]
    assert all(f"| {check.measures} | {check.exact} | {check.source} |" in text for check in CHECKS)
