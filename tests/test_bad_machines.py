"""Machines that cannot be, as a user meets them: one sentence with a remedy, exit code 2, nothing started, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from entropic.cli import main
from entropic.cli.commands import cli

TOML = """
[field]
shape = [8, 12]
regions = [2, 3]
mean = 2.0
[run]
cycles = 2
"""
MARKET = "[exchange]\nenabled = true\n"
GRID = "[grid]\nenabled = true\n"
LINES = GRID + 'network = "lines.json"\n'
DEMAND = 'demands = [{{region = {}, quanta = {}, priority = {}, kind = "{}"}}]\n'


def lines(*edges: tuple[object, object, object, object]) -> str:
    keys = ("source", "target", "capacity", "loss")
    made = [dict(zip(keys, edge, strict=True)) for edge in edges]
    return json.dumps({"nodes": [{"id": n} for n in range(6)], "edges": made})


BAD: dict[str, tuple[str, str, str]] = {  # configuration, network file, what the sentence names
    "a gear of two equal sides": (MARKET + "gears = [[2, 1], [3, 3]]", "", "gears[1]"),
    "a gear of nothing": (MARKET + "gears = [[2, 0]]", "", "at least 1"),
    "a gear that turns backwards": (MARKET + "gears = [[2, -1]]", "", "at least 1"),
    "half a quantum a turn": (MARKET + "gears = [[2, 1.5]]", "", "whole numbers"),
    "a gear of one side": (MARKET + "gears = [[2]]", "", "pairs [m, n]"),
    "a gear larger than a site": (MARKET + "gears = [[256, 1]]", "", "at most 255"),
    "a market without gears": (MARKET + "gears = []", "", "a gear at least"),
    "a market without contact": (MARKET + "contact = 0.0", "", "contact"),
    "a market of one region": ("[field]\nregions = [1, 1]\n" + MARKET, "", "2 regions at least"),
    "a market of single sites": ("[field]\nregions = [8, 12]\n" + MARKET, "", "2 sites at least"),
    "beyond Carnot": (MARKET + "carnot_share = 1.5", "", "carnot_share"),
    "a sort of single sites": ("[field]\nregions = [8, 12]\n[demon]\nsort = true", "", "demon] sort"),
    "partners that nobody sorts": ('[demon]\npairs = "partners"', "", "no partners without sort"),
    "partners of one region": ('[field]\nregions = [1, 1]\n[demon]\nsort = true\npairs = "partners"', "", "2 regions"),
    "a contact of halves": ("[demon]\nsort = true\ncontact = 0.5", "", 'no contact without pairs = "partners"'),
    "a protocol that does not lift": ('[demon]\nlift = false\nprotocol = "x.py"', "", "no protocol without lift"),
    "a battery of negative capacity": ("[battery]\ncapacity = -1", "", "[battery] capacity"),
    "a battery fuller than it can be": ("[battery]\ninitial = 3.0\ncapacity = 2.0", "", "battery.capacity"),
    "a charge that is all lost": ("[battery]\ncharge_loss = 1.0", "", "charge_loss"),
    "a battery that loses more than it holds": ("[battery]\nself_discharge = 1.5", "", "self_discharge"),
    "a line of negative capacity": (GRID + "capacity = -1", "", "[grid] capacity"),
    "a line that loses all": (GRID + "loss = 1.0", "", "[grid] loss"),
    "a demand elsewhere": (GRID + DEMAND.format(6, 1, 1, "compute"), "", "a region from 0 to 5"),
    "a demand of less than nothing": (GRID + DEMAND.format(0, -1, 1, "compute"), "", "demands[0].quanta"),
    "a demand of no kind": (GRID + DEMAND.format(0, 1, 1, "heat"), "", 'one of "compute", "export"'),
    "a demand that no line reaches": (
        LINES + DEMAND.format(3, 1, 1, "compute"),
        lines((0, 1, 5, 0.0)),
        "region 3, which no line leads to",
    ),
    "a demand behind a line that is shut": (
        LINES + DEMAND.format(1, 1, 1, "compute"),
        lines((0, 1, 0, 0.0)),
        "region 1, which no line leads to",
    ),
    "a network that is not there": (GRID + 'network = "nowhere.json"', "", "nowhere.json: the network cannot be read"),
    "a network that is no JSON": (LINES, "{", "lines.json: not a network"),
    "a network of nothing": (LINES, "{}", "no lists 'nodes' and 'edges'"),
    "a network that is nested too deeply": (LINES, "[" * 100_000, "nested too deeply"),
    "a network of one-way lines": (LINES, '{"directed": true, "nodes": [], "edges": []}', "directed"),
    "a line to a region elsewhere": (LINES, lines((0, 6, 5, 0.0)), "region 6, expected 0 to 5"),
    "a line to itself": (LINES, lines((2, 2, 5, 0.0)), "joins a region to itself"),
    "a line given twice": (LINES, lines((0, 1, 5, 0.0), (1, 0, 5, 0.0)), "given twice"),
    "a line of a negative capacity": (LINES, lines((0, 1, -5, 0.0)), "capacity of -5"),
    "a line of half a quantum": (LINES, lines((0, 1, 2.5, 0.0)), "no whole number 'capacity'"),
    "a line that loses more than it carries": (LINES, lines((0, 1, 5, 1.5)), "loss"),
    "a line that gains": (LINES, lines((0, 1, 5, -0.1)), "loss"),
    "a line without a loss": (LINES, lines((0, 1, 5, None)), "no number 'loss'"),
}


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("name", BAD)
def test_one_sentence(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extra, network, said = BAD[name]
    monkeypatch.chdir(tmp_path)
    base = TOML
    if extra.startswith("[field]"):
        regions, extra = extra.removeprefix("[field]\n").split("\n", 1)
        base = TOML.replace("regions = [2, 3]", regions)
    Path("bad.toml").write_text(base + extra)
    if network:
        Path("lines.json").write_text(network)
    arguments = [command, "bad.toml", "--workers", "1", "--threads", "1"]
    monkeypatch.setattr("sys.argv", ["entropic", *arguments, *(["--out", "out"] if command == "run" else [])])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert ended.value.code == 2, output.err
    assert said in output.err and "emedy: " in output.err
    assert len(output.err.strip().splitlines()) == 1 and not output.out, output.err  # no cluster was started for this
    assert not Path("out").exists()


def test_the_sound_ones_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sentences above ask for is enough."""
    monkeypatch.chdir(tmp_path)
    Path("lines.json").write_text(lines((0, 1, 5, 0.01), (1, 3, 5, 0.0)))
    sections = (
        '[demon]\nthreshold = 3\nsort = true\npairs = "partners"\ncontact = 0.5\n',
        MARKET + "gears = [[2, 1], [1, 2]]\ncarnot_share = 1.0\n",
        LINES + DEMAND.format(3, 1, 1, "compute"),
        "[battery]\ninitial = 2.0\ncapacity = 2.0\ncharge_loss = 0.999\n",
    )
    Path("sound.toml").write_text(TOML + "".join(sections))
    done = CliRunner().invoke(cli, ["run", "sound.toml", "--workers", "1", "--threads", "1", "--out", "out"])
    assert done.exit_code == 0, done.output
