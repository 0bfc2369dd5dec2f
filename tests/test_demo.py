"""The demonstration as a user has it: three acts, each a run of its own, their lines, going on, the object of --json."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Demo
from entropic.audit import audit
from entropic.config import Config
from entropic.config_errors import ConfigError
from entropic.demo import ACTS, DemoPlaceError, Standing, act_config, ready, standing
from entropic.reversal import reverse
from entropic.store import RunStore, StoreBusyError

# Pinned, as in `test_same_bits`: the three acts of the small size, cut after some cycles.
GOLDEN = {
    1: {"field": "b4452c34ff5e48bad4e7d78e30f24f00", "series": "4a9f785132c2668f64a7e60ef04a1f64"},
    2: {"field": "9bb25f75bf6521c25457e28b2ca05b90", "series": "951483ca22d7828744ef13fd3c78a9df"},
    3: {"field": "366affcbc80e173c980dc91da03fbe27", "series": "3c6ec09d5cf75464e8990e4f91d2563f"},
}
CYCLES = 12
CONTRACT = {"digest", "totals", "entropy", "laws", "performance", "store"}
TOTALS = {
    *("cycles", "sites", "regions", "gross", "erasure", "net", "losses", "delivered", "imported", "exported"),
    *("battery", "record_nats", "first_law_residual"),
}
LINE = re.compile(
    r"Cycle (\d+): (-?[\d,]+) units generated \| Total: ([\d,]+) units \| Efficiency \((W/\w+)\): ([\d.]+)% \| "
    r"information cost: ([\d,]+) \| net: (-?[\d,]+) \| battery: ([\d,]+) \| entropy: [\d,]+ nat, tape [\d,]+ \| "
    r"first-law residual: (-?\d+)"
)


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=280, check=False)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def sets(*overrides: str) -> list[str]:
    return [word for text in overrides for word in ("--set", text)]


# --- what the acts are ------------------------------------------------------------------------------------------


def test_the_paying_act_is_the_demonstration_that_it_was() -> None:
    for size, shape, regions in (
        ("small", [25, 25, 25, 64], [5, 5, 5, 8]),
        ("seed", [100, 100, 100, 1000], [10, 10, 10, 1]),
    ):
        table = {"field": {"shape": shape, "regions": regions}, "run": {"cycles": 1000, "checkpoint_every": 100}}
        assert act_config(ACTS[1], size) == Config.from_mapping(table)


@pytest.mark.parametrize("size", ["small", "seed"])
def test_what_each_act_is_about(size: str) -> None:
    kept, paid, charged = (act_config(act, size) for act in ACTS)
    assert {c.field.region_count for c in (kept, paid, charged)} == {1000}
    assert not kept.demon.erase
    assert kept.demon.tape_nats < float("inf")
    assert kept.battery.initial == 0
    assert paid.demon.erase
    assert paid.battery.initial > 0
    assert not charged.demon.lift
    assert not charged.demon.sort
    assert charged.exchange.enabled
    assert charged.grid.enabled
    assert charged.field.hot > charged.field.cold  # type: ignore[operator]


def test_acts_follow_the_field_that_they_are_given() -> None:
    given = ["field.shape=[8,6]", "field.regions=[2,3]"]
    assert act_config(ACTS[0], "small", given).demon.tape_nats == pytest.approx(0.7 * 48)
    charged = act_config(ACTS[2], "small", given)
    assert [demand.region for demand in charged.grid.demands] == [0, 5]
    more = act_config(ACTS[2], "small", ["field.shape=[50,50,50,64]", "field.regions=[10,10,10,8]"])
    assert more.grid.demands[1].region == 7999
    asked = act_config(ACTS[0], "small", [*given, "demon.tape_nats=5.0"])
    assert asked.demon.tape_nats == 5.0
    with pytest.raises(ConfigError, match="regions"):
        act_config(ACTS[0], "small", ["field.regions=[3,3,3,3]"])


def test_golden_digests(tmp_path: Path) -> None:
    made = entropic("demo", *sets(f"run.cycles={CYCLES}"), "--workers", "1", "--json", "--out", "d", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert {act["act"]["number"]: act["digest"] for act in answer["acts"]} == GOLDEN


# --- what is shown ----------------------------------------------------------------------------------------------


def test_the_object_of_json(demo: Demo) -> None:
    answer = demo.answer
    assert set(answer) >= CONTRACT
    assert set(answer["totals"]) >= TOTALS
    assert [act["act"]["number"] for act in answer["acts"]] == [1, 2, 3]
    paid = answer["acts"][1]
    assert all(answer[key] == paid[key] for key in CONTRACT)
    assert Path(answer["store"]) == demo.place / "2-erasure-paid"
    for act in answer["acts"]:
        assert set(act) >= CONTRACT
        assert act["totals"]["first_law_residual"] == 0
        assert all(law["holds"] for law in act["laws"])
        assert json.loads((Path(act["store"]) / "summary.json").read_text())["digest"] == act["digest"]
    assert all(set(c) == {"claim", "unit", "act", "gross", "cost", "net", "verdict", "holds"} for c in answer["claims"])


def test_the_acts_are_runs_of_their_own(demo: Demo) -> None:
    for act in ACTS:
        assert all(law.holds for law in audit(demo.place / act.directory)), act
    assert reverse(demo.place / ACTS[0].directory, chunks=(1, 2, 1)).restored
    assert not reverse(demo.place / ACTS[1].directory).restored


def test_the_lines(demo: Demo) -> None:
    lines = [match.groups() for match in map(LINE.match, demo.shown.splitlines()) if match]
    assert len(lines) == 3
    for (cycle, last, gross, means, share, cost, net, battery, residual), act in zip(
        lines, demo.answer["acts"], strict=True
    ):
        figures = act["figures"]
        bought = figures["engines"]["heat"] if figures["engines"] else figures["information"]
        assert means == ("W/Qh" if figures["engines"] else "W/TI")
        assert share == f"{100 * figures['gross'] / bought:.1f}"
        totals, books = act["totals"], RunStore.open(Path(act["store"])).books()
        work = books["lift"] + books.get("gear", 0)
        assert number(cycle) == totals["cycles"]
        assert number(last) == work[-1].sum()
        assert (number(gross), number(cost), number(net)) == (totals["gross"], totals["erasure"], totals["net"])
        assert number(battery) == totals["battery"]
        assert number(residual) == 0
    for claim in demo.answer["claims"]:
        assert claim["verdict"].split(":")[0] in ("kept", "refuted", "not tried")


def test_a_line_every_hundred_cycles_whatever_the_checkpoints(tmp_path: Path) -> None:
    given = sets("field.shape=[8,8]", "field.regions=[2,2]", "run.cycles=230", "run.checkpoint_every=30")
    made = entropic("demo", "--act", "2", *given, "--workers", "1", "--out", "d", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert [number(line[1]) for line in map(LINE.match, made.stdout.splitlines()) if line] == [100, 200, 230]


def test_one_act_only(tmp_path: Path) -> None:
    given = [*sets("field.shape=[16,12,12]", "field.regions=[4,2,2]", "run.cycles=5"), "--workers", "1", "--json"]
    made = entropic("demo", "--act", "3", *given, "--out", "d", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    answer = json.loads(made.stdout)
    assert [act["act"]["number"] for act in answer["acts"]] == [3]
    assert answer["store"] == "d/3-charged-field"
    assert json.loads((tmp_path / "d" / "demo.json").read_text()) == answer
    assert answer["totals"]["gears"] > 0
    tried = {claim["claim"]: claim["holds"] for claim in answer["claims"]}
    assert tried["free energy from thinking"] is None
    assert tried["energy grid routing operational"] is True
    whole = entropic("demo", *given, "--out", "d", cwd=tmp_path)  # goes on with what is missing
    assert whole.returncode == 0, whole.stderr
    answer = json.loads(whole.stdout)
    assert whole.stderr.count("done already") == 1
    assert answer["store"] == "d/2-erasure-paid"
    assert all(claim["holds"] is not None for claim in answer["claims"] if "100 × 100" not in claim["claim"])


# --- going on ---------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(demo: Demo) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.place.rglob("*") if path.is_file()}
    again = entropic(*demo.arguments, cwd=demo.place)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done already") == 3
    assert json.loads(again.stdout) == demo.answer
    assert {path: path.stat().st_mtime_ns for path in demo.place.rglob("*") if path.is_file()} == before


def copied(demo: Demo, tmp_path: Path) -> tuple[Path, Config]:
    """A copy of the paying act alone, and its configuration."""
    path = tmp_path / ACTS[1].directory
    shutil.copytree(demo.place / ACTS[1].directory, path, symlinks=True)
    return path, RunStore.open(path).config()


def test_how_far_an_act_has_come(demo: Demo, tmp_path: Path) -> None:
    path, config = copied(demo, tmp_path)
    assert standing(path, config) is Standing.FINISHED
    assert standing(tmp_path / "nothing", config) is Standing.NEW
    with pytest.raises(DemoPlaceError, match=r"demon\.threshold"):
        standing(path, config.with_overrides(["demon.threshold=26"]))
    with pytest.raises(DemoPlaceError, match=r"run\.cycles"):
        standing(path, config.with_overrides(["run.cycles=61"]))
    summary = path / "summary.json"
    said = json.loads(summary.read_text())
    summary.write_text(json.dumps({**said, "digest": {**said["digest"], "field": 32 * "0"}}))
    assert standing(path, config) is Standing.UNFINISHED  # the summary is of another field
    summary.unlink()
    assert standing(path, config) is Standing.UNFINISHED


def test_what_broke_off_before_its_first_checkpoint_is_begun_anew(tmp_path: Path) -> None:
    config = act_config(ACTS[1], "small")
    store = RunStore.create(tmp_path / "run", config)
    with pytest.raises(StoreBusyError):
        standing(tmp_path / "run", config)  # it is not broken off: someone is at it
    assert (tmp_path / "run" / "config.toml").exists()
    store.unlock()
    assert standing(tmp_path / "run", config) is Standing.NEW
    assert not (tmp_path / "run").exists()


def test_places_that_are_something_else(tmp_path: Path) -> None:
    ready(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    ready(tmp_path / "empty")
    (tmp_path / "file").write_text("precious")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    for name in ("file", "full"):
        made = entropic("demo", "--out", name, "--workers", "1", cwd=tmp_path)
        assert made.returncode == 2, made.stderr
        assert "Remedy: give another --out" in made.stderr
    assert (tmp_path / "full" / "thesis.txt").read_text() == "precious"


def test_interrupted_and_gone_on_with(tmp_path: Path) -> None:
    """Ctrl-C in the second act; the command that the message gives finishes it, to the digests of an undisturbed one."""
    long = ("run.cycles=240", "run.checkpoint_every=40")
    quiet = ("exchange.enabled=false", "grid.enabled=false")  # the third act need not be slow for this
    given = sets("field.shape=[16,8]", "field.regions=[4,2]", "demon.threshold=9", *long, *quiet)
    command = [sys.executable, "-m", "entropic.cli", "demo", "--out", "d", "--workers", "1", *given]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not list((tmp_path / "d" / "2-erasure-paid" / "checkpoints").glob("cycle-0000000[4-9]*")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "act 2 was interrupted after cycle" in errors
    going_on = shlex.split(errors.split("go on with: entropic ")[1].splitlines()[0])
    assert going_on[0] == "demo"
    finished = entropic(*going_on, "--workers", "1", "--json", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    whole = entropic("demo", *given, "--workers", "1", "--json", "--out", "w", cwd=tmp_path)
    gone_on, undisturbed = json.loads(finished.stdout), json.loads(whole.stdout)
    assert [act["digest"] for act in gone_on["acts"]] == [act["digest"] for act in undisturbed["acts"]]
    assert claims_but_power(gone_on) == claims_but_power(undisturbed)


def claims_but_power(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Claims without the one that rests on a clock."""
    return [claim for claim in answer["claims"] if claim["unit"] != "W"]


def test_an_act_that_cannot_fit_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    given = sets("field.shape=[4000,4500,500,600]", "field.regions=[10,10,10,10]")
    made = entropic("demo", "--out", "d", "--workers", "1", *given, cwd=tmp_path)
    assert made.returncode == 4, made.stderr
    assert "GiB" in made.stderr
    assert not (tmp_path / "d").exists()
    assert not os.listdir(tmp_path)
