"""Damage: every file of a run, spoilt in every way, is noticed by whatever reads it.

What can be made anew, or put back, is; the newest sound checkpoint is used; and where there is none, exit code 5.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from chaos.damages import DAMAGES, Source, changed, spoil
from chaos.recording import Injected, Recorder
from chaos.stores import copied, every_machine, finished, run_until
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.engine.checkpoint import generations, newest_sound
from entropic.errors import StoreError
from entropic.field import open_run
from entropic.inventory import CONFIG, DRIVERS, file_facts
from entropic.soundness import require_sound
from entropic.status import status_of
from entropic.store import RunStore
from test_cli_fuzz import entropic_

ROOT = Path(__file__).resolve().parents[2]
CYCLES, EVERY = 6, 2
NETWORK = {
    "nodes": [{"id": n} for n in range(6)],
    "edges": [{"source": n, "target": n + 1, "capacity": 9, "loss": 0.1} for n in range(5)],
}


class Made(NamedTuple):
    """A run of all files, and where its spoilt ones come from."""

    source: Source
    digest: dict[str, str]
    names: list[Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("damage")
    (place / "lines.json").write_text(json.dumps(NETWORK))
    config = every_machine(CYCLES, EVERY, protocol=str(ROOT / "examples" / "protocol.py"), sort=False)
    config = config.with_overrides([f"grid.network={place / 'lines.json'}"])
    (place / "c.toml").write_text(config.to_toml())
    arguments = ("run", str(place / "c.toml"), "--workers", "1", "--chunks", "1,3", "--json", "--timeline")
    outcome = entropic_(*arguments, "--out", str(place / "sound"))
    assert outcome.code == 0, outcome
    run_until(config, place / "earlier", EVERY)
    finished(EntropicComputer(config.with_overrides(["field.seed=10"]), place / "other", chunks=(1, 3)))
    names = sorted(p.relative_to(place / "sound") for p in (place / "sound").rglob("*") if p.is_file())
    names = [name for name in names if name.parts[0] != "field.zarr"]
    source = Source(place / "run", place / "sound", place / "earlier", place / "other", np.random.default_rng(3))
    return Made(source, json.loads(outcome.output)["digest"], names)


def kind(name: Path) -> str:
    """Of a file, in words."""
    part = name.parts[0]
    if part == "checkpoints":
        return f"checkpoint: {'/'.join(name.parts[2:3])}"
    return part if len(name.parts) == 1 else f"{part}: {'metadata' if name.suffix == '.json' else 'chunk'}"


def of_the_newest(name: Path, run: Path) -> bool:
    return name.parts[0] == "checkpoints" and name.parts[1] == generations(run / "checkpoints")[0].name


def by_audit(run: Path, place: Path) -> str:
    code = entropic_("audit", str(run), "--json").code
    return {0: "", 3: "a law is broken, exit code 3", 5: "typed error, exit code 5"}[code]


def by_reverse(run: Path, place: Path) -> str:
    code = entropic_("reverse", str(run), "--json", "--workers", "1").code
    return {0: "", 5: "typed error, exit code 5"}[code]


def by_report(run: Path, place: Path) -> str:
    code = entropic_("report", str(run), "-o", str(place / "page.html")).code
    return {0: "", 5: "typed error, exit code 5"}[code]


def by_status(run: Path, place: Path) -> str:
    try:
        found = status_of(run)
    except StoreError:
        return "typed error, exit code 5"
    return "told as damage" if found.damage else ""


def by_open_run(run: Path, place: Path) -> str:
    try:
        opened = open_run(run)
        assert opened.summary and opened.series.sizes["cycle"] == CYCLES
        opened.field.data.load()
    except StoreError:
        return "typed error"
    return ""


READERS: dict[str, Callable[[Path, Path], str]] = {
    "audit": by_audit,
    "reverse": by_reverse,
    "report": by_report,
    "status": by_status,
    "open_run": by_open_run,
}


def reads(reader: str, name: Path, sound: Path) -> bool:
    """Whether it looks at a file at all."""
    part = name.parts[0]
    if reader == "audit":
        return True
    if part == "before":
        return False
    if part == "checkpoints":  # whoever goes by the older one will look at it
        newest = of_the_newest(name, sound)
        return newest and (reader != "open_run" or "quanta/c" in str(name) or name.name == "manifest.json")
    if reader == "open_run":
        return part in ("config.toml", "series.zarr", "summary.json")
    if part == "tape":  # of which only the size is looked at
        return reader == "reverse"
    return reader != "status" or refused(name, sound)  # status is content with what a resume puts in order


def refused(name: Path, sound: Path) -> bool:
    """Whether a resume cannot do without a file of a finished run: the last cycles changed it, and nothing can make it anew."""
    if (sound / "before" / hashlib.sha256((sound / name).read_bytes()).hexdigest()).exists():
        return False
    derived = ("checkpoints", "series.zarr", "summary.json", "timeline.json", "before", "tape", "inventory.jsonl")
    return name.parts[0] not in (*derived, *DRIVERS)


def resume(run: Path, made: Made, name: Path) -> str:
    try:
        digest = finished(EntropicComputer.resume(run))["digest"]
    except StoreError as error:
        assert error.exit_code == 5 and not of_the_newest(name, made.source.sound), (name, error)
        return "typed error, exit code 5"
    assert digest == made.digest, name
    assert not refused(name, made.source.sound), name
    if name.parts[0] != "tape":
        assert all(law.holds for law in audit(run)), name
        require_sound(RunStore.open(run))
    return "that digest by resume, and every law holds"


def victims(made: Made, how: str, full: bool) -> list[Path]:
    """Every file; or one, by lot, of every third kind, others for the next damage."""
    every = [name for name in made.names if name.name != "lock" or how == "deleted"]  # it is empty
    if full:
        return every
    number = list(DAMAGES).index(how)
    rng = np.random.default_rng([8, number])
    kinds = sorted({kind(name) for name in every})[number % 3 :: 3]
    return [rng.choice(np.array([str(name) for name in every if kind(name) == k])) for k in kinds]


def test_every_file_is_there(made: Made) -> None:
    parts = {name.parts[0] for name in made.names}
    zarr = {f"{name}.zarr" for name in ("books", "series", "opening", "orders", "trades", "flows")}
    texts = {"config.toml", "provenance.json", "summary.json", "network.json", "protocol.json", "protocol.py"}
    assert parts == {*zarr, *texts, *DRIVERS, "timeline.json", "inventory.jsonl", "tape", "before", "checkpoints"}
    assert all(law.holds for law in audit(made.source.sound))


@pytest.mark.parametrize("how", DAMAGES)
def test_every_file_every_damage(how: str, made: Made, full: bool, tmp_path: Path, injected: Recorder) -> None:
    outcomes: Counter[tuple[str, str, str]] = Counter()
    slowest: dict[tuple[str, str, str], float] = {}
    source, run = made.source, made.source.run
    readers = [*READERS, "resume"]
    for number, name in enumerate(map(Path, victims(made, how, full)), list(DAMAGES).index(how)):
        spoil(how, name, source)
        if not changed(name, source) or only_cycles(name, source):
            continue
        for reader in {readers[number % 6], readers[(number // 12 + number) % 6]}:
            started = time.monotonic()
            if reader == "resume":
                outcome = resume(run, made, name)
                spoil(how, name, source)
            else:
                outcome = READERS[reader](run, tmp_path)
                assert outcome or not reads(reader, name, source.sound), (reader, str(name), how)
            if outcome or reader == "resume":
                key = (kind(name), outcome, reader)
                outcomes[key] += 1
                slowest[key] = max(slowest.get(key, 0), time.monotonic() - started)
    for key, count in sorted(outcomes.items()):
        injected(Injected(f"{how}: any file of a run", key[1], count, slowest[key]))
    assert len(outcomes) > (60 if full else 3)


def only_cycles(name: Path, source: Source) -> bool:
    """Whether the change is one that the configuration's owner may make."""
    file = source.run / name
    if name.name != CONFIG or not file.is_file() or file.is_symlink():
        return False
    return file_facts(file) == file_facts(source.sound / name)


def test_how_far_to_go_may_be_changed(made: Made) -> None:
    """Of the configuration nothing else: a run goes on as it began."""
    run = copied(made.source.sound, made.source.run)
    text = (run / "config.toml").read_text()
    assert f"cycles = {CYCLES}\n" in text
    (run / "config.toml").write_text(text.replace(f"cycles = {CYCLES}\n", f"cycles = {CYCLES + 1}\n"))
    assert finished(EntropicComputer.resume(run))["totals"]["cycles"] == CYCLES + 1
    require_sound(RunStore.open(run))
    assert all(law.holds for law in audit(run))


def test_nothing_is_written_where_a_link_leads(made: Made, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A resume puts a file in its place, or says that there is a link; what lies at its other end stays as it is."""
    source = made.source
    elsewhere = tmp_path / "elsewhere"
    outcomes: Counter[str] = Counter()
    for name in made.names if full else [name for name in made.names if len(name.parts) == 1]:
        run = copied(source.sound, source.run)
        elsewhere.write_bytes((run / name).read_bytes())
        (run / name).unlink()
        (run / name).symlink_to(elsewhere)
        try:
            outcome = resume(run, made, name)
        except StoreError as error:
            assert name.name == "lock" and "is a link" in error.message, (name, error)
            outcome = "typed error, exit code 5"
        assert elsewhere.read_bytes() == (source.sound / name).read_bytes(), name
        outcomes[outcome] += 1
    for outcome, count in outcomes.items():
        injected(Injected("a link in place of a file", f"{outcome}; nothing is written where it leads", count))


@pytest.mark.parametrize("how", DAMAGES)
def test_no_checkpoint_is_sound(how: str, made: Made, full: bool, injected: Recorder) -> None:
    """A file of each is damaged: nothing is left to go on from, and that is said."""
    source = made.source
    newest, older = generations(source.sound / "checkpoints")
    count = 0
    below = [name for name in made.names if name.parts[:2] == ("checkpoints", older.name)]
    for number in range(len(below) if full else 1):
        one = below[number]
        spoil(how, one, source)
        if not changed(one, source):
            continue
        manifest = source.run / "checkpoints" / newest.name / "manifest.json"
        manifest.write_text(manifest.read_text().replace("1", "2", 1))
        with pytest.raises(StoreError, match="no sound checkpoint") as caught:
            EntropicComputer.resume(source.run)
        assert caught.value.exit_code == 5
        assert status_of(source.run).state == "damaged"
        count += 1
    if count:
        injected(Injected(f"{how}: both checkpoints", "typed error, exit code 5", count))


def test_what_was_kept_aside(made: Made, full: bool, injected: Recorder) -> None:
    """The newest checkpoint is damaged, and so is what the older one would put back: never a wrong answer."""
    source = made.source
    newest = generations(source.sound / "checkpoints")[0].name
    kept = [name for name in made.names if name.parts[0] == "before"]
    outcomes: Counter[str] = Counter()
    for number, name in enumerate(kept if full else kept[:12]):
        how = list(DAMAGES)[number % len(DAMAGES)]
        spoil(how, name, source)
        shutil.rmtree(source.run / "checkpoints" / newest)
        try:
            assert finished(EntropicComputer.resume(source.run))["digest"] == made.digest, (name, how)
            outcomes["that digest by resume, and every law holds"] += 1
        except StoreError:
            outcomes["typed error, exit code 5"] += 1
    assert outcomes["typed error, exit code 5"]
    for outcome, count in outcomes.items():
        injected(Injected("newest checkpoint deleted, and a file kept aside damaged", outcome, count))


def test_a_checkpoint_of_another_run(made: Made, injected: Recorder) -> None:
    """Sound in itself, but not one that this run's inventory knows."""
    source = made.source
    copied(source.sound, source.run)
    for place in generations(source.run / "checkpoints"):
        shutil.rmtree(place)
    foreign = generations(source.other / "checkpoints")[0]
    shutil.copytree(foreign, source.run / "checkpoints" / foreign.name)
    with pytest.raises(StoreError, match="does not know it"):
        newest_sound(source.run / "checkpoints")
    assert entropic_("resume", str(source.run), "--workers", "1").code == 5
    injected(Injected("checkpoint of another run in place", "typed error, exit code 5"))
