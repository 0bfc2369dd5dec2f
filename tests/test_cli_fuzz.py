"""Whatever is typed, configured or damaged: an exit code that the contract names, one sentence, never a traceback.

The command line runs in this process through its entry point, `main`, with the streams that a terminal would have.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import entropic.cli
from entropic.engine import cluster_client

CODES = {0, 2, 3, 4, 5}
TINY = """
[field]
shape = [4, 6]
regions = [2, 3]
mean = 2.0
[run]
cycles = 2
checkpoint_every = 1
[demon]
threshold = 3
erase = false
"""
# Given last, so that whatever was drawn before stays small enough to be run.
SMALL = [
    *("--set", "field.shape=[4,6]", "--set", "field.regions=[2,3]", "--set", "field.mean=2.0"),
    *("--set", "run.cycles=1", "--set", "relax.layers=1", "--set", "field.dtype=uint8"),
]


def fuzzed(examples: int) -> settings:
    """Hypothesis in directories that all examples share."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    output: str
    errors: str


@contextmanager
def stream(errors: str) -> Iterator[io.TextIOWrapper]:
    made = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)
    yield made
    made.flush()


def entropic_(*arguments: str) -> Outcome:
    """Run the entry point; check what must hold of every outcome."""
    with (
        stream("strict") as output,
        stream("backslashreplace") as errors,
        patch.object(sys, "argv", ["entropic", *arguments]),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        try:
            entropic.cli.main()
            code: Any = 0
        except SystemExit as end:
            code = end.code
    texts = [file.buffer.getvalue().decode("utf-8") for file in (output, errors)]  # type: ignore[attr-defined]
    outcome = Outcome(code, *texts)
    assert outcome.code in CODES, (arguments, outcome)
    assert "Traceback" not in outcome.output + outcome.errors, (arguments, outcome)
    assert "entropic: unexpected" not in outcome.errors, (
        arguments,
        outcome,
    )  # the last net: no failure ought to reach it
    if outcome.code:
        assert outcome.errors.strip(), arguments
    elif "--json" in arguments and not {"--help", "-h", "--version"} & set(arguments):
        assert isinstance(json.loads(outcome.output), dict), (arguments, outcome)
    return outcome


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a directory of its own; schedulers that are not there are given up soon."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_client, "_CONNECT_SECONDS", 0.1)
    (tmp_path / "c.toml").write_text(TINY)
    return tmp_path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two cycles."""
    place = tmp_path_factory.mktemp("original")
    (place / "c.toml").write_text(TINY)
    assert entropic_("run", str(place / "c.toml"), "--out", str(place / "run"), "--workers", "1").code == 0
    return place / "run"


# --- what may be typed ------------------------------------------------------------------------------------------

# No NUL: no operating system passes one.  Surrogates: that is how bytes that are no UTF-8 arrive.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=12)
numbers = st.sampled_from(["0", "-1", "1", "1.5", "1e3", "", " 1 ", "१", "99999999999999999999", "nan", "0x1", "1_0"])
SECTIONS = {
    "field": ("shape", "regions", "mean", "initial", "edges", "walls", "seed"),
    "run": ("cycles", "record_every", "checkpoint_every"),
    "demon": ("threshold", "record", "tape_nats", "sort", "erase"),
    "exchange": ("gears",),
    "grid": ("demands", "enabled"),
    "battery": ("initial",),
    "nonsense": ("x", ""),
}
keys = st.sampled_from(
    [f"{section}.{key}" for section, names in SECTIONS.items() for key in names] + ["field", "run..x"]
)
texts = ("true", "periodic", "hot-cold", "microcanonical", "uniform", "raw", "'", '"', "2026-01-01", "{}")
reals = ("inf", "-inf", "1e308", "5e-324")
lists = ("[]", "[4,", "[4,6]", "[[2,1]]", "[1,1,1,1,1]", "[1000000000,1000]", "[281474976710656]")
values = st.one_of(words, numbers, st.sampled_from([*texts, *reals, *lists]))
overrides = st.one_of(st.tuples(keys, values).map("=".join), words)
sets = st.lists(overrides, max_size=3).map(lambda given: [part for text in given for part in ("--set", text)])
blocks = st.one_of(
    st.lists(numbers, max_size=5).map(",".join),
    words,
    st.sampled_from(["1,1", "2,3", "1,3", "9,9", "1,1,1", "0,1", "-1,1"]),
)


def starts_no_process(text: str) -> bool:
    """Whole numbers of workers above 1 would start so many processes."""
    try:
        return not 1 < int(text) <= 4096
    except ValueError:
        return True


junk = st.one_of(numbers, words).filter(starts_no_process)
schedulers = st.one_of(
    words.filter(lambda text: "://" not in text),
    st.sampled_from(
        ["tcp://127.0.0.1:9", "tls://127.0.0.1:9", "tcp://", "tcp://127.0.0.1", "udp://x", "inproc://1/2/3"]
    )
    | st.sampled_from(["c.toml", ".", "://", "tcp://127.0.0.1:99999", "tcp://[::1", "ws://127.0.0.1:9", "empty.json"]),
)
where = st.lists(
    st.one_of(
        st.tuples(st.just("--chunks"), blocks),
        st.tuples(st.just("--threads"), numbers),
        st.tuples(st.just("--workers"), junk),
        st.tuples(st.just("--scheduler"), schedulers),
    ),
    max_size=2,
).map(lambda given: [part for pair in given for part in pair])
flags = st.lists(st.one_of(st.sampled_from(["--json", "--help", "--debugg", "--out", "-x", "--"]), words), max_size=2)
commands = st.sampled_from(["run", "plan", "resume", "audit", "reverse", "demo", "nonsense", "", "--version", "-h"])


def only_threads_of_this_process(arguments: list[str]) -> list[str]:
    return [*arguments, "--workers", "1"]


@fuzzed(150)
@given(commands, st.lists(st.one_of(words, st.sampled_from(["c.toml", "nowhere.toml", "."])), max_size=2), flags)
@example("demo", ["small"], ["--size", "seed"])
@example("run", [], [])
@example("run", ["\udcff.toml"], [])
def test_any_words(command: str, arguments: list[str], options: list[str]) -> None:
    """Commands with words and flags in any number; what would run is made small."""
    given = [command, *arguments, *options]
    if command in ("run", "plan", "demo"):
        given = only_threads_of_this_process(
            [*given, *SMALL, "--size", "small"] if command == "demo" else [*given, *SMALL]
        )
    entropic_(*given)
    for made in Path().iterdir():
        shutil.rmtree(made) if made.is_dir() and not made.is_symlink() else None


@fuzzed(70)
@given(sets, where)
@example(["--set", "demon.erase=true"], ["--chunks", "1,3"])
@example([], ["--scheduler", "empty.json"])
def test_any_options_of_a_run(given_sets: list[str], places: list[str]) -> None:
    Path("empty.json").write_text("{}")
    shutil.rmtree("r", ignore_errors=True)
    outcome = entropic_("run", "c.toml", "--workers", "1", *places, *given_sets, *SMALL, "--out", "r", "--json")
    assert outcome.code in {0, 2, 4}
    assert outcome.code == 0 or not Path("r").exists(), "a run that was refused leaves nothing behind"


@fuzzed(150)
@given(sets, where)
@example(["--set", "field.shape=[1000000000]", "--set", "field.regions=[1000000000]"], [])
@example(["--set", "relax.layers=2147483647"], ["--chunks", "1,1"])
def test_any_options_of_a_plan(given_sets: list[str], places: list[str]) -> None:
    """Nothing is run, so nothing needs to be small."""
    outcome = entropic_("plan", "c.toml", "--workers", "1", *places, *given_sets, "--json")
    assert outcome.code in {0, 2, 4}


@fuzzed(40)
@given(where, st.sampled_from(["resume", "reverse"]))
def test_any_options_of_a_resume(original: Path, places: list[str], command: str) -> None:
    outcome = entropic_(command, str(original), "--workers", "1", *places, "--json")
    assert outcome.code in {0, 2, 4}


# --- configurations ---------------------------------------------------------------------------------------------


@st.composite
def configurations(draw: st.DrawFn) -> bytes:
    """TOML that is right, cut short, changed in a few bytes, or no TOML at all."""
    text = TINY.encode()
    how = draw(st.sampled_from(["cut", "bytes", "binary", "words", "lines"]))
    if how == "cut":
        return text[: draw(st.integers(0, len(text)))]
    if how == "bytes":
        spoilt = bytearray(text)
        for _ in range(draw(st.integers(1, 4))):
            spoilt[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
        return bytes(spoilt)
    if how == "binary":
        return draw(st.binary(max_size=200))
    if how == "words":
        return draw(words).encode("utf-8", "replace")
    lines = draw(st.lists(st.tuples(keys, values), max_size=5))
    return "\n".join(f"{key} = {value}" for key, value in lines).encode("utf-8", "replace")


@fuzzed(100)
@given(configurations(), st.sampled_from(["run", "plan"]))
def test_any_configuration(content: bytes, command: str) -> None:
    Path("d.toml").write_bytes(content)
    shutil.rmtree("r", ignore_errors=True)
    out = ["--out", "r"] if command == "run" else []
    small = SMALL if command == "run" else []
    assert entropic_(command, "d.toml", "--workers", "1", *small, *out, "--json").code in {0, 2, 4}


@pytest.mark.parametrize("place", ["a directory", "a fifo", "a loop", "unreadable"])
def test_configurations_that_are_no_files(place: str, apart: Path) -> None:
    path = apart / "d.toml"
    if place == "a directory":
        path.mkdir()
    elif place == "a fifo":
        path.symlink_to("/dev/null")
    elif place == "a loop":
        path.symlink_to("d.toml")
    else:
        path.symlink_to("/proc/self/mem")
    outcome = entropic_("plan", "d.toml", "--workers", "1", "--json")
    assert outcome.code == (0 if place == "a fifo" else 2)  # an empty file is a configuration


# --- damaged runs -----------------------------------------------------------------------------------------------


def damage(path: Path, how: str, content: bytes, share: float) -> None:
    """Spoil one file, or take it away."""
    whole = path.read_bytes()
    path.unlink()
    if how == "directory":
        path.mkdir()
    elif how == "cut":
        path.write_bytes(whole[: int(share * len(whole))])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "random":
        path.write_bytes(content)
    elif how == "changed":
        spoilt = bytearray(whole or b"\0")
        spoilt[int(share * (len(spoilt) - 1))] ^= 1 + (content[0] % 255 if content else 0)
        path.write_bytes(spoilt)
    elif how == "dangling":
        path.symlink_to("nowhere")
    else:
        assert how == "gone"


@fuzzed(100)
@given(
    st.integers(0, 10**6),
    st.sampled_from(["gone", "cut", "empty", "random", "directory", "changed", "dangling"]),
    st.binary(max_size=60),
    st.floats(0, 0.999),
    st.sampled_from(["audit", "resume", "reverse", "run"]),
)
def test_any_damage_to_a_run(original: Path, number: int, how: str, content: bytes, share: float, command: str) -> None:
    """One file of a run is deleted, cut short, replaced or changed; then every command that reads runs is tried."""
    with tempfile.TemporaryDirectory(dir=original.parent) as place:
        run = Path(shutil.copytree(original, Path(place) / "run", symlinks=True))
        files = sorted(p for p in run.rglob("*") if p.is_file() and not p.is_symlink())
        target = files[number % len(files)]
        damage(target, how, content, share)
        arguments = [command, str(run), "--json"]
        if command == "run":
            arguments = ["run", "c.toml", "--out", str(run), "--json"]
        if command != "audit":
            arguments = only_threads_of_this_process(arguments)
        outcome = entropic_(*arguments)
        assert outcome.code in ({2} if command == "run" else {0, 3, 5}), (target.relative_to(run), how, outcome)


def test_damage_at_large(original: Path, tmp_path: Path) -> None:
    """Whole directories gone, or files in their place."""
    for number, name in enumerate(["checkpoints", "books.zarr", "series.zarr", "opening.zarr", "tape", "field.zarr"]):
        for how in ("gone", "file"):
            run = Path(shutil.copytree(original, tmp_path / f"{number}-{how}", symlinks=True))
            (run / name).unlink() if (run / name).is_symlink() else shutil.rmtree(run / name)
            if how == "file":
                (run / name).write_text("x")
            for command in ("audit", "reverse", "resume"):
                places = [] if command == "audit" else ["--workers", "1"]
                assert entropic_(command, str(run), "--json", *places).code in {0, 3, 5}, (name, how, command)


# --- real processes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "arguments", [[b"audit", b"\xc3\x28"], [b"plan", b"c.toml", b"--set", b"field.walls=\xff\xe2\x80\xae"]], ids=repr
)
def test_bytes_that_are_no_text(arguments: list[bytes], encoding: str, apart: Path) -> None:
    command = [sys.executable.encode(), b"-m", b"entropic.cli", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    made = subprocess.run(command, cwd=apart, env=environment, capture_output=True, timeout=100, check=False)
    assert made.returncode == 2, made.stderr
    assert made.stderr and b"Traceback" not in made.stderr and b"unexpected" not in made.stderr
