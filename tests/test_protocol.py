"""Protocols of one's own: lawful ones run anywhere and go back; unlawful ones are caught, each in more than one way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from entropic import EntropicComputer, EntropyHarvester, judge, reverse
from entropic.audit import audit
from entropic.cli.commands import cli
from entropic.config import Config, ConfigError
from entropic.engine.cluster import Where, connect
from entropic.errors import EntropicError, LawError, StoreError, UsageError
from entropic.machines.protocol import NotReversibleError, OwnProtocol, ProtocolError
from entropic.store import RunStore

EXAMPLES = Path(__file__).parents[1] / "examples"
TWO_BIT, THIEVES = EXAMPLES / "protocol.py", EXAMPLES / "thieves.py"
SMALL = {"shape": [8, 12], "regions": [2, 3], "mean": 5.0, "seed": 9}
Bits = NDArray[np.uint8]


class Parity:
    """Takes one quantum from every site that holds an odd number: lawful, one bit a site."""

    def bits(self, sites: int) -> int:
        return sites

    def harvest(self, region: NDArray[Any]) -> Bits:
        odd = region % 2
        region -= odd
        return odd.ravel().astype(np.uint8)

    def undo(self, region: NDArray[Any], bits: Bits) -> None:
        region += bits.reshape(region.shape).astype(region.dtype)


class Both:
    """Takes 2 from both sites of a pair if both hold 2: lawful, one bit a pair, and blank bits are not always nothing."""

    def bits(self, sites: int) -> int:
        return sites // 2

    def harvest(self, region: NDArray[Any]) -> Bits:
        pairs = region.reshape(-1, 2)
        rich = (pairs >= 2).all(axis=1)
        pairs -= (2 * rich[:, None]).astype(region.dtype)
        return (~rich).astype(np.uint8)

    def undo(self, region: NDArray[Any], bits: Bits) -> None:
        region.reshape(-1, 2)[...] += (2 * (bits == 0)[:, None]).astype(region.dtype)


def made_of(protocol: Path | str | None = None, name: str | None = None, **sections: dict[str, Any]) -> Config:
    spec = None if protocol is None else f"{protocol}:{name}" if name else str(protocol)
    demon = {"protocol": spec, "erase": False, **sections.pop("demon", {})}
    table = {
        "field": {**SMALL, **sections.pop("field", {})},
        "run": {"cycles": 8, "checkpoint_every": 5},
        "relax": {"layers": 4},
        "demon": {key: value for key, value in demon.items() if value is not None},
        **sections,
    }
    return Config.from_mapping(table)


def finished(config: Config, out: Path, **how: Any) -> dict[str, Any]:
    computer = EntropicComputer(config, out, **how)
    summary = computer.run()
    computer.store.unlock()
    return summary


def verdicts(path: Path) -> dict[str, tuple[bool, float]]:
    return {law.name: (law.holds, law.margin) for law in audit(path)}


def broken(path: Path) -> set[str]:
    return {name for name, (holds, _) in verdicts(path).items() if not holds}


def entropic(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "entropic.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


# --- lawful -----------------------------------------------------------------------------------------------------


def test_the_example_anywhere_and_back(tmp_path: Path) -> None:
    """Two bits a site, from a file that is gone when the run goes on, on other cuts and on two processes."""
    source = Path(shutil.copy(TWO_BIT, tmp_path / "mine.py"))
    config = made_of(source)
    whole = finished(config, tmp_path / "whole")
    cut = finished(config, tmp_path / "cut", chunks=(1, 2))
    begun = EntropicComputer(config, tmp_path / "begun", chunks=(2, 1))
    cycles = iter(begun)
    for _ in range(3):
        next(cycles)
    begun.store.unlock()
    source.unlink()
    with connect(Where(workers=2, threads=1, dashboard=False)) as executor:
        resumed = EntropicComputer.resume(tmp_path / "begun", executor, (1, 1))
        digest = resumed.run()["digest"]
        resumed.store.unlock()
        assert reverse(tmp_path / "begun", executor, (1, 3), epoch=3).restored
    assert whole["digest"] == cut["digest"] == digest
    assert whole["totals"]["lift"] > 0 and whole["totals"]["first_law_residual"] == 0
    for name in ("whole", "cut", "begun"):
        assert not broken(tmp_path / name)
    books = RunStore.open(tmp_path / "whole").books()
    assert books["sitewise"].all() and books["counts_lifted"].shape[:2] == (8, 6)
    low, high = 6, 18  # the quanta that the example takes: both kinds of sites were there
    assert (books["lift"] > low * books["ones"]).any() and (books["lift"] < (high - low) * books["ones"]).any()


@pytest.mark.parametrize("record", ["compressed", "raw"])
def test_erased_records_are_paid(record: str, tmp_path: Path) -> None:
    """Batteries that cannot pay at once, a sort beside the protocol: queues hold records of two lengths."""
    config = made_of(
        TWO_BIT, demon={"erase": True, "sort": True, "record": record}, battery={"initial": 0.5, "charge_loss": 0.1}
    )
    totals = finished(config, tmp_path / "run", chunks=(1, 1))["totals"]
    assert totals["erasure"] > 0 and not broken(tmp_path / "run")
    books = RunStore.open(tmp_path / "run").books()
    assert (books["tape"] > 0).any() and (books["erased_nats"] > 0).any()
    back = reverse(tmp_path / "run")
    assert not back.restored and not back.tape_kept


@pytest.mark.parametrize("erase", [True, False])
def test_the_lift_as_a_protocol_is_the_lift(erase: bool, tmp_path: Path) -> None:
    """The general route and the built-in kernels agree in every bit of field and books."""
    section = {"erase": erase, "protocol": None, "threshold": 4}
    built_in = finished(made_of(demon=section), tmp_path / "a")
    own = finished(made_of(demon=section), tmp_path / "b", chunks=(1, 2), harvester=EntropyHarvester(4))
    assert own["digest"] == built_in["digest"]
    a, b = (RunStore.open(tmp_path / name).books() for name in "ab")
    assert set(b) - set(a) == {"sitewise", "counts_lifted"} and b["sitewise"].all()
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert not broken(tmp_path / "b")


@pytest.mark.parametrize("kind", [Parity, Both])
def test_objects(kind: Callable[[], Any], tmp_path: Path) -> None:
    """An object runs without a file; to go on or back, it has to be passed again.  The tapes fill."""
    config = made_of(demon={"tape_nats": 150.0})
    computer = EntropicComputer(config, tmp_path / "run", chunks=(2, 1), harvester=kind())
    next(iter(computer))
    computer.store.unlock()
    with pytest.raises(ProtocolError, match="Python object"):
        EntropicComputer.resume(tmp_path / "run")
    with pytest.raises(ProtocolError, match="not this run's protocol"):
        EntropicComputer.resume(tmp_path / "run", harvester=EntropyHarvester(3))
    again = EntropicComputer.resume(tmp_path / "run", harvester=kind())
    again.run()
    again.store.unlock()
    assert not broken(tmp_path / "run")
    books = RunStore.open(tmp_path / "run").books()
    assert (books["stopped"] > 0).any() and books["lift"].any()
    assert books["sitewise"][books["measured"]].all() == (kind is Parity)
    with pytest.raises(ProtocolError, match="Python object"):
        reverse(tmp_path / "run")
    assert reverse(tmp_path / "run", harvester=kind()).restored


def test_lawful_protocols_are_judged_lawful() -> None:
    two_bit = OwnProtocol.from_file(str(TWO_BIT), 1)
    given = two_bit._fresh(0)
    assert judge(given, q_max=60, sites=1).lawful
    for protocol in (Parity(), Both(), EntropyHarvester(5)):
        verdict = judge(protocol, q_max=11)
        assert verdict.lawful and verdict.states == 144 and str(verdict).startswith("lawful")


def test_the_guide_shows_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Word for word, in one file of less than 60 lines each; and the configuration beside them runs."""
    guide = (EXAMPLES.parent / "docs" / "integration.md").read_text("utf-8")
    for file in (TWO_BIT, THIEVES):
        text = file.read_text("utf-8")
        assert text in guide and len(text.splitlines()) < 60
    monkeypatch.chdir(EXAMPLES.parent)
    config = Config.from_toml("examples/protocol.toml", ["run.cycles=2", "field.shape=[20, 20, 20]"])
    finished(config, tmp_path / "run")
    assert not broken(tmp_path / "run") and reverse(tmp_path / "run").restored


# --- unlawful ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TakesAll", "TwoOscillators"])
def test_a_thief_cannot_be_undone(name: str, tmp_path: Path) -> None:
    """Law 7, at run time, on the command line: exit code 3, and one sentence that names region, cycle and site."""
    (tmp_path / "c.toml").write_text(
        f'[field]\nshape = [8, 12]\nregions = [2, 3]\n[run]\ncycles = 5\n[demon]\nprotocol = "{THIEVES}:{name}"\n'
    )
    made = entropic("run", "c.toml", "--out", "r", "--workers", "1", cwd=tmp_path)
    assert made.returncode == 3 and made.stdout == ""
    line = made.stderr.strip().splitlines()[-1]
    assert line.startswith(f"entropic: law 7: {name} cannot be undone (region ") and "cycle 1): site " in line


# Regions of 1000 sites at mean 5, θ = 10, one cycle: about 222 nats a region too few for the one, 240 for the other.
@pytest.mark.parametrize(
    ("name", "laws"),
    [("TakesAll", {"lift", "second law", "exergy"}), ("TwoOscillators", {"second law", "exergy", "demon"})],
)
def test_the_audit_alone_catches_a_thief(name: str, laws: set[str], tmp_path: Path) -> None:
    """With the round trip off, and the tape gone: from stored integers."""
    field = {"shape": [10, 10, 40], "regions": [1, 1, 4], "mean": 5.0, "walls": "adiabatic"}
    config = made_of(THIEVES, name, field=field, demon={"erase": True, "round_trip": False})
    finished(config, tmp_path / "run")
    assert broken(tmp_path / "run") == laws
    with pytest.raises(LawError) as caught:
        cli.main(["audit", str(tmp_path / "run"), "--json"], standalone_mode=False)
    assert caught.value.exit_code == 3 and all(f"{law}: " in caught.value.message for law in laws)


@pytest.mark.parametrize("name", ["TakesAll", "TwoOscillators"])
def test_reversal_shows_a_thief(name: str, tmp_path: Path) -> None:
    config = made_of(THIEVES, name, demon={"round_trip": False})
    finished(config, tmp_path / "run")
    back = reverse(tmp_path / "run")
    assert back.tape_kept and not back.restored


@pytest.mark.parametrize(("name", "sites", "q_max"), [("TakesAll", 1, 12), ("TwoOscillators", 2, 12)])
def test_the_judge_names_two_states(name: str, sites: int, q_max: int) -> None:
    thief = OwnProtocol.from_file(f"{THIEVES}:{name}", sites)._fresh(0)
    verdict = judge(thief, q_max, sites)
    assert not verdict.lawful and verdict.collision is not None
    ends = []
    for state in verdict.collision:
        region = np.array(state, np.uint8).reshape(1, 1, 1, sites)
        bits = thief.harvest(region)
        ends.append((region.tobytes(), bits.tobytes()))
    assert ends[0] == ends[1] and verdict.collision[0] != verdict.collision[1]
    assert all(str(list(state)) in verdict.reason for state in verdict.collision)


LIARS = """
import numpy as np
from dataclasses import dataclass, field
kept = []

class Base:
    def bits(self, sites):
        return sites

class ByModule(Base):
    "Remembers in its module what it took."
    def harvest(self, region):
        kept.append(region.copy())
        region[...] = 0
        return np.zeros(region.size, np.uint8)
    def undo(self, region, bits):
        region[...] = kept.pop(0)

@dataclass
class BySelf(Base):
    "Remembers in itself."
    seen: list = field(default_factory=list)
    def harvest(self, region):
        self.seen.append(region.copy())
        region[...] = 0
        return np.zeros(region.size, np.uint8)
    def undo(self, region, bits):
        region[...] = self.seen[-1] if self.seen else 0

class Luggage(np.ndarray):
    pass

class ByBits(Base):
    "Hangs what it took on the bits."
    def harvest(self, region):
        bits = np.zeros(region.size, np.uint8).view(Luggage)
        bits.taken = region.copy()
        region[...] = 0
        return bits
    def undo(self, region, bits):
        region[...] = getattr(bits, "taken", 0)

class ByNeighbour(Base):
    "Would hide what it took in the field beside the region, if it could reach it."
    def harvest(self, region):
        assert region.base is None
        region[...] = 0
        return np.zeros(region.size, np.uint8)
    def undo(self, region, bits):
        pass

class AtRandom(Base):
    "Takes one or two quanta at random, and never says which."
    def harvest(self, region):
        taken = np.random.default_rng().integers(1, 3, region.shape).astype(region.dtype)
        rich = region > 0
        region -= np.minimum(region, taken)
        return rich.ravel().astype(np.uint8)
    def undo(self, region, bits):
        pass  # whatever it gave back would be wrong at times; this is wrong always, and so no test of chance
"""


@pytest.mark.parametrize("name", ["ByModule", "BySelf", "ByBits", "ByNeighbour", "AtRandom"])
def test_hiding_places(name: str, tmp_path: Path) -> None:
    """What undo needs is in the sites and the bits, or it is nowhere."""
    (tmp_path / "liars.py").write_text(LIARS)
    with pytest.raises((NotReversibleError, ProtocolError)) as caught:
        finished(made_of(tmp_path / "liars.py", name), tmp_path / "run")
    assert name in str(caught.value)
    if name in ("ByBits", "ByNeighbour", "AtRandom"):
        assert isinstance(caught.value, NotReversibleError)


# --- bad input --------------------------------------------------------------------------------------------------

GOOD = """
import numpy as np
class Good:
    def bits(self, sites): return sites
    def harvest(self, region): return np.zeros(region.size, np.uint8)
    def undo(self, region, bits): pass
"""
BITS, HARVEST, UNDO = "return sites", "return np.zeros(region.size, np.uint8)", "pass"
BAD = {  # what is written in place of what, what the error says
    "syntax": ("class Good:", "class Good", "SyntaxError.*line 3"),
    "import": ("import numpy", "import no_such_module, numpy", "ModuleNotFoundError"),
    "exits": ("import numpy", "raise SystemExit(0)\nimport numpy", "SystemExit"),
    "no undo": ("def undo", "def undone", "not one protocol"),
    "two": ("class Good:", "class Other:\n    bits = harvest = undo = print\nclass Good:", "Other, Good, not one"),
    "constructor": ("    def bits", "    def __init__(self, x): pass\n    def bits", r"Good\(\) failed: TypeError"),
    "no bits": (BITS, "return 0", "returned 0"),
    "real bits": (BITS, "return sites / 2", r"returned 8.0"),
    "too many bits": (BITS, "return 65 * sites", "returned 1040"),
    "bits raise": (BITS, "return 1 // 0", "ZeroDivisionError.*line 4"),
    "nothing": (HARVEST, "return None", "returned NoneType"),
    "list": (HARVEST, "return [0] * region.size", "returned list"),
    "shape": (HARVEST, "return np.zeros(3, np.uint8)", r"returned uint8\[3\]"),
    "grid": (HARVEST, "return np.zeros(region.shape, np.uint8)", r"returned uint8\["),
    "type": (HARVEST, "return np.zeros(region.size)", r"returned float64\[16\]"),
    "twos": (HARVEST, "return np.full(region.size, 2, np.uint8)", "returned 2 as bit 0"),
    "raises": (HARVEST, "raise ValueError('no')", "harvest.*region 0, cycle 1.*ValueError: no, line 5"),
    "reshapes": (HARVEST, "region.shape = (-1,); return np.zeros(region.size, np.uint8)", "left uint8"),
    "adds": (HARVEST, "region += 1; return np.zeros(region.size, np.uint8)", "added 16 quanta"),
    "undo raises": (UNDO, "return [][0]", "undo.*IndexError"),
    "undo reshapes": (UNDO, "region.shape = (-1,)", "undo.*left uint8"),
    "random bits": (HARVEST, "return np.random.default_rng().integers(0, 2, region.size).astype(np.uint8)", "two results"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files(case: str, tmp_path: Path) -> None:
    old, new, says = BAD[case]
    assert old in GOOD
    (tmp_path / "bad.py").write_text(GOOD.replace(old, new))
    with pytest.raises(UsageError, match=f"(?s){says}") as caught:
        finished(made_of(tmp_path / "bad.py"), tmp_path / "run")
    assert isinstance(caught.value, ProtocolError)
    assert caught.value.exit_code == 2 and caught.value.remedy
    if "(region " not in caught.value.message:
        assert not (tmp_path / "run").exists()  # what cannot even be loaded leaves nothing behind


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gone.py", "gone.py: the protocol cannot be read"),
        (".", "cannot be read"),
        ("binary.py", "cannot be read"),
        ("good.py:Absent", "has no class Absent; its protocols: Good"),
        ("good.py:np", "has no class np"),
        ("python:Good", "harvester="),
    ],
)
def test_bad_names(spec: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.py").write_text(GOOD)
    Path("binary.py").write_bytes(b"\xff\xfe")
    with pytest.raises(ProtocolError, match=says):
        finished(made_of(spec), tmp_path / "run")
    finished(made_of("good.py:Good"), tmp_path / "run")


def test_bad_configurations(tmp_path: Path) -> None:
    for demon in ({"protocol": "a.py", "lift": False}, {"protocol": " "}, {"protocol": 3}, {"round_trip": 1}):
        with pytest.raises(ConfigError):
            made_of(demon=demon)
    with pytest.raises(ProtocolError, match="lacks bits, harvest, undo"):
        EntropicComputer(made_of(), tmp_path / "run", harvester=object())  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match=r"beside demon\.protocol"):
        EntropicComputer(made_of(TWO_BIT), tmp_path / "run", harvester=Parity())
    for q_max, sites in ((12, 0), (300, 1), (20, 9)):
        with pytest.raises(UsageError, match="states"):
            judge(Parity(), q_max, sites)
    assert not (tmp_path / "run").exists()


def test_one_sentence_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[field]\nshape = [8, 8]\nregions = [2, 2]\n[demon]\nprotocol = "gone.py"\n')
    made = entropic("run", "c.toml", "--out", "r", "--workers", "1", cwd=tmp_path)
    assert made.returncode == 2 and "Traceback" not in made.stderr
    assert "gone.py: the protocol cannot be read (No such file or directory)" in made.stderr
    assert not (tmp_path / "r").exists()


# --- the store --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "run"
    finished(made_of(TWO_BIT), path)
    return path


def test_the_audit_runs_no_protocol(original: Path, tmp_path: Path) -> None:
    """A file that would tell on itself is not even opened by the audit; to go back, the run wants its own."""
    path = Path(shutil.copytree(original, tmp_path / "run", symlinks=True))
    (path / "protocol.py").write_text(f"open({str(tmp_path / 'told')!r}, 'w').close()\n")
    assert not broken(path)
    with pytest.raises(StoreError, match="as it was written"):
        cli.main(["audit", str(path)], standalone_mode=False)
    for load in (reverse, EntropicComputer.resume):
        with pytest.raises(StoreError, match=r"was changed|as it was written"):
            load(path)
    (path / "protocol.py").unlink()
    with pytest.raises(StoreError, match="as it was written"):
        reverse(path)
    assert not broken(path) and not (tmp_path / "told").exists()


def edit(group: Path, name: str, at: tuple[int, ...], amount: int) -> None:
    array = zarr.open_group(group, mode="r+")[name]
    assert isinstance(array, zarr.Array)
    values = np.asarray(array[...]).copy()
    values[at] = not values[at] if values.dtype == bool else values[at] + np.array(amount).astype(values.dtype)
    array[...] = values


def caught(path: Path) -> bool:
    try:
        return bool(broken(path))
    except EntropicError:
        return True


@pytest.mark.parametrize("account", ["lift", "ones", "record_nats", "measured", "counts_lifted", "tape", "quanta"])
def test_one_more_or_less_in_the_books(account: str, original: Path, tmp_path: Path) -> None:
    for number, amount in enumerate((1, -1)):
        path = Path(shutil.copytree(original, tmp_path / f"run{number}", symlinks=True))
        at = (3, 2, 0) if account == "counts_lifted" else (3, 2)
        edit(path / "books.zarr", account, at, amount)
        assert caught(path), amount


def test_a_site_moved_between_levels(original: Path, tmp_path: Path) -> None:
    """Sites and energy agree; only the entropy can tell."""
    path = Path(shutil.copytree(original, tmp_path / "run", symlinks=True))
    counts = RunStore.open(path).books()["counts_lifted"][3, 2]
    middle = 1 + int(np.argmax(counts[1:-1]))
    assert counts[middle] >= 2
    for level, amount in ((middle - 1, 1), (middle, -2), (middle + 1, 1)):
        edit(path / "books.zarr", "counts_lifted", (3, 2, level), amount)
    assert broken(path) == {"lift"}


@pytest.mark.parametrize("bits", [31, 33, 0, "32", None])
def test_another_length_of_record(bits: object, original: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(original, tmp_path / "run", symlinks=True))
    facts = json.loads((path / "protocol.json").read_text())
    assert facts["bits"] == 32
    (path / "protocol.json").write_text(json.dumps({**facts, "bits": bits}))
    assert caught(path)
