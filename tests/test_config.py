"""The configuration: every check, all errors at once with their lines, the round trip, and no other exception."""

from __future__ import annotations

import copy
import math
import pickle
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tblib import pickling_support

from entropic.config import BatterySection, Config, ConfigError, DemonSection, FieldSection, RunSection
from entropic.config_locate import key_lines
from entropic.errors import UsageError

SMALL = "[field]\nshape = [4, 6]\nregions = [2, 3]\n"


def problems(text: str, *overrides: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        Config.from_text(text, "f.toml", overrides)
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return {problem.key: (problem.line, str(problem)) for problem in caught.value.problems}


def test_empty_file_is_the_contract() -> None:
    config = Config.from_text("")
    assert config == Config() == Config.from_text(Config.reference()) == Config.from_mapping({})
    assert config.field.shape == (100, 100, 100, 1000)
    assert config.field.regions == (10, 10, 10, 1)
    assert (config.field.mean, config.field.dtype, config.field.seed) == (5.0, "uint8", 1)
    assert (config.field.initial, config.field.edges, config.field.walls) == ("thermal", "closed", "conducting")
    assert (config.run.cycles, config.run.checkpoint_every, config.run.record_every) == (1000, None, 1)
    assert config.run.mtbf_hours == 24.0
    assert config.relax.layers == 2
    assert config.demon == DemonSection(
        sort=False, lift=True, threshold=50, record="compressed", erase=True, tape_nats=math.inf
    )
    assert config.exchange.gears == ((2, 1), (3, 1), (3, 2))
    assert (config.grid.capacity, config.grid.loss, config.grid.demands) == (1_000_000, 0.001, ())
    assert config.battery == BatterySection(initial=3.0, capacity=math.inf, charge_loss=0.0, self_discharge=0.0)


def test_properties() -> None:
    field = Config.from_text("").field
    assert field.axes == 4
    assert field.sites == 10**9
    assert field.region_shape == (10, 10, 10, 1000)
    assert field.region_count == 1000
    assert field.sites_per_region == 10**6
    assert field.q_max == 255
    assert Config.from_text(SMALL + 'dtype = "uint16"').field.q_max == 65535


def test_reference_describes_every_key() -> None:
    text = Config.reference()
    for name, table in Config.model_fields.items():
        assert f"[{name}]" in text
        assert table.description
    for key in ("hot", "cold", "bath_left", "bath_right"):
        assert f"# {key} =" in text
    for section in (FieldSection, RunSection, DemonSection, BatterySection):
        assert all(info.description for info in section.model_fields.values())


WRONG = [
    ("field", "shape", "[]"),
    ("field", "shape", "[2, 2, 2, 2, 2]"),
    ("field", "shape", "[0, 2, 2, 2]"),
    ("field", "shape", "[10.0, 10, 10, 10]"),
    ("field", "shape", "[true, 10, 10, 10]"),
    ("field", "shape", '["100", 100, 100, 1000]'),
    ("field", "shape", "100"),
    ("field", "shape", "[281474976710656, 2]\nregions = [1, 1]"),
    ("field", "regions", "[10, 10, 10]"),
    ("field", "regions", "[10, 10, 10, 0]"),
    ("field", "regions", "[7, 10, 10, 1]"),
    ("field", "regions", "[200, 10, 10, 1]"),
    ("field", "mean", "-0.1"),
    ("field", "mean", "nan"),
    ("field", "mean", "inf"),
    ("field", "mean", "true"),
    ("field", "mean", '"5"'),
    ("field", "mean", "1" + "0" * 400),
    ("field", "initial", '"cold"'),
    ("field", "initial", "1"),
    ("field", "hot", "3"),
    ("field", "cold", "3"),
    ("field", "hot", '-3\ncold = 1\ninitial = "hot-cold"'),
    ("field", "edges", '"open"'),
    ("field", "bath_left", "3"),
    ("field", "bath_right", "3"),
    ("field", "walls", '"thin"'),
    ("field", "dtype", '"uint32"'),
    ("field", "seed", "-1"),
    ("field", "seed", str(2**64)),
    ("field", "seed", "1.0"),
    ("field", "seed", "true"),
    ("field", "seed", "0x" + "f" * 6000),
    ("field", "seed", "1979-05-27"),
    ("field", "quantum_joule", "0"),
    ("field", "quantum_joule", "inf"),
    ("run", "cycles", "-1"),
    ("run", "cycles", "1.0"),
    ("run", "cycles", str(2**31)),
    ("run", "checkpoint_every", "-1"),
    ("run", "mtbf_hours", "0"),
    ("run", "mtbf_hours", "nan"),
    ("run", "record_every", "0"),
    ("relax", "layers", "-1"),
    ("demon", "lift", "1"),
    ("demon", "pairs", '"thirds"'),
    ("demon", "pairs", '"partners"'),
    ("demon", "contact", "0"),
    ("demon", "contact", "0.5"),
    ("demon", "threshold", "0"),
    ("demon", "threshold", "256"),
    ("demon", "record", '"zip"'),
    ("demon", "erase", '"no"'),
    ("demon", "tape_nats", "-1"),
    ("demon", "tape_nats", "nan"),
    ("exchange", "contact", "0"),
    ("exchange", "contact", "1.1"),
    ("exchange", "contact", "nan"),
    ("exchange", "gears", "[[2]]"),
    ("exchange", "gears", "[[2, 0]]"),
    ("exchange", "gears", "[2, 1]"),
    ("grid", "capacity", "-1"),
    ("grid", "capacity", "inf"),
    ("grid", "loss", "1"),
    ("grid", "loss", "-0.1"),
    ("grid", "demands", "3"),
    ("battery", "initial", "-1"),
    ("battery", "initial", "inf"),
    ("battery", "capacity", "-1"),
    ("battery", "discharge_loss", "1.0"),
    ("exchange", "carnot_share", "1.1"),
    ("grid", "network", "3"),
    ("battery", "charge_loss", "1"),
    ("battery", "self_discharge", "nan"),
]


@pytest.mark.parametrize(("section", "key", "value"), WRONG)
def test_wrong_value_is_the_one_problem_and_has_its_line(section: str, key: str, value: str) -> None:
    found = problems(f"# a comment\n\n[{section}]\n{key} = {value}\n")
    assert found.keys() == {f"{section}.{key}"}
    line, text = found[f"{section}.{key}"]
    assert line == 4
    assert text.startswith(f"f.toml:4: [{section}] {key} = ")
    assert ": expected " in text
    assert "; remedy: " in text


@pytest.mark.parametrize(("section", "key", "value"), [row for row in WRONG if "\n" not in row[2]])
def test_wrong_override_names_set(section: str, key: str, value: str) -> None:
    found = problems(f"[{section}]\n", f"{section}.{key}={value}")
    assert found[f"{section}.{key}"][0] is None
    assert found[f"{section}.{key}"][1].startswith(f"--set: [{section}] {key} = ")


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("field", "mean", "0"),
        ("field", "mean", "5"),
        ("field", "seed", str(2**64 - 1)),
        ("field", "edges", '"periodic"'),
        ("field", "initial", '"hot-cold"\nhot = 5\ncold = 0'),
        ("run", "cycles", "0"),
        ("run", "checkpoint_every", "0"),
        ("run", "mtbf_hours", "inf"),
        ("run", "mtbf_hours", "1e-300"),
        ("relax", "layers", "0"),
        ("demon", "threshold", "255"),
        ("demon", "sort", 'true\npairs = "partners"\ncontact = 1e-9'),
        ("demon", "tape_nats", "0"),
        ("demon", "tape_nats", "1e300"),
        ("exchange", "contact", "1"),
        ("exchange", "gears", "[]"),
        ("grid", "loss", "0"),
        ("grid", "demands", '[{region = 999, quanta = 0, priority = 0, kind = "export"}]'),
        ("battery", "initial", "0"),
        ("battery", "capacity", "inf"),
    ],
)
def test_edge_of_what_is_right(section: str, key: str, value: str) -> None:
    config = Config.from_text(f"[{section}]\n{key} = {value}\n")
    assert Config.from_text(config.to_toml()) == config


def test_remedies_name_what_would_do() -> None:
    assert "take 5 or 10" in problems("[field]\nregions = [7, 10, 10, 1]")["field.regions"][1]
    assert "take 100" in problems("[field]\nregions = [200, 10, 10, 1]")["field.regions"][1]
    assert "write cycles = 3" in problems("[run]\ncycles = 3.0")["run.cycles"][1]
    assert "remove the quotes" in problems('[run]\ncycles = "3"')["run.cycles"][1]
    assert 'write initial = "thermal"' in problems('[field]\ninitial = "termal"')["field.initial"][1]
    assert "write erase = false" in problems('[demon]\nerase = "no"')["demon.erase"][1]


@pytest.mark.parametrize(
    "text", ["[field]\nshape = [4, 5]\nregions = [2, 1]", "[field]\nshape = [4, 1]\nregions = [2, 1]"]
)
def test_periodic_needs_even_extents(text: str) -> None:
    assert "axis 1" in problems(text + '\nedges = "periodic"')["field.shape"][1]
    assert Config.from_text(text).field.edges == "closed"


def test_companions_are_needed() -> None:
    found = problems('[field]\ninitial = "hot-cold"\nhot = 1\nedges = "baths"')
    assert found.keys() == {"field.cold", "field.bath_left", "field.bath_right"}
    assert found["field.cold"][0] == 1


@pytest.mark.parametrize(
    ("mean", "dtype", "wanted"),
    [
        ("5.73", "uint8", None),
        ("5.74", "uint8", "uint16"),
        ("2367", "uint16", None),
        ("2369", "uint16", "lower"),
        ("2369", "uint8", "lower"),
        ("1e308", "uint16", "lower"),
    ],
)
@pytest.mark.parametrize("initial", ["thermal", "uniform", "microcanonical", "hot-cold"])
def test_dtype_holds_the_largest_mean(mean: str, dtype: str, wanted: str | None, initial: str) -> None:
    lines = f"hot = 0\ncold = {mean}\nmean = 1e300" if initial == "hot-cold" else f"mean = {mean}"
    text = f'[field]\ndtype = "{dtype}"\ninitial = "{initial}"\n{lines}\n'
    if wanted is None:
        Config.from_text(text)
    else:
        line, message = problems(text)["field.dtype"]
        assert line == 2
        assert wanted in message.partition("remedy")[2]


def test_dtype_rule_is_the_physics() -> None:
    for battery in (0.0, 1.0, 3.7, 3.8, 40.0):
        mean = 5.0 + battery
        x = mean / (1 + mean)
        if x**255 > 1e-12:
            assert "field.dtype" in problems(f"[battery]\ninitial = {battery}")
        else:
            Config.from_text(f"[battery]\ninitial = {battery}")


def test_gears_and_demands_are_located() -> None:
    text = """
[exchange]
gears = [
  [2, 1],
  [3, 3],
]
[[grid.demands]]
region = 5
quanta = 1
priority = 1
kind = "compute"
[[grid.demands]]
region = 1000
quanta = -1
kind = "x"
bla = 2
"""
    found = problems(text)
    assert found["exchange.gears[1]"][0] == 3
    assert found["grid.demands[1].quanta"][0] == 14
    assert found["grid.demands[1].kind"][0] == 15
    assert found["grid.demands[1].bla"][0] == 16
    assert found["grid.demands[1].priority"][0] == 12
    assert len(found) == 5  # the region of a wrong table is checked once the table is right
    good = text.replace("-1", "1").replace('"x"', '"export"').replace("bla = 2", "priority = 2").replace("3, 3", "3, 1")
    assert problems(good).keys() == {"grid.demands[1].region"}
    assert problems("[grid]\ndemands = [3]").keys() == {"grid.demands[0]"}


def test_unknown_names_their_nearest() -> None:
    text = '[feild]\nmean = 900\n[run]\ncicles = 3\n"odd key\\n" = 1\n'
    found = problems("walls = 3\n" + text)
    assert found["walls"] == (1, found["walls"][1])
    assert "move it below [field]" in found["walls"][1]
    assert found["feild"][0] == 2
    assert "did you mean [field]?" in found["feild"][1]
    assert found["run.cicles"][0] == 5
    assert "did you mean cycles?" in found["run.cicles"][1]
    assert found['run."odd key\\n"'][0] is not None
    assert len(found) == 4


def test_misspelt_key_is_not_checked_by_its_default() -> None:
    assert problems("[field]\nshap = [4]\nregions = [2]").keys() == {"field.shap"}
    assert problems("[feild]\nshape = [4]").keys() == {"feild"}
    both = problems("[feild]\n[field]\nshap = 1\nshape = [4]\nregions = [3]")
    assert both.keys() == {"feild", "field.shap", "field.regions"}


def test_everything_at_once() -> None:
    text = """[field]
shape = [3, 4]
regions = [2, 2]
edges = "periodic"
seed = "x"
[run]
cycles = -1
what = 1
[demon]
sort = 3
threshold = 1000
[battery]
initial = 900
[nothing]
"""
    found = problems(text, "relax.layers=-1", "bad", "relax.layer=1")
    assert {key: line for key, (line, _) in found.items() if line} == {
        "field.shape": 2,
        "field.regions": 3,
        "field.seed": 5,
        "field.dtype": 1,
        "run.cycles": 7,
        "run.what": 8,
        "demon.sort": 10,
        "demon.threshold": 11,
        "nothing": 14,
    }
    assert {key for key, (line, _) in found.items() if not line} == {"", "relax.layers", "relax.layer"}


def test_error_is_typed_and_travels() -> None:
    pickling_support.install()  # as distributed does: it asks an exception for `__reduce__`, not `__reduce_ex__`
    with pytest.raises(UsageError) as caught:
        Config.from_text("a = 1\nb = 2", "f.toml")
    error = caught.value
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(twin, ConfigError)
        assert twin.problems == error.problems
        assert str(twin) == str(error)


@pytest.mark.parametrize(
    "text",
    [
        "field.shape = [3]",
        "field = {shape = [3]}",
        "[field]\nshape = [3]",
        '["field"]\n"shape" = [3]',
        "[ field ]\n  shape=[\n3,\n]",
    ],
)
def test_every_way_to_write_a_key_has_a_line(text: str) -> None:
    text = f'#\n"un[known" = """\n[field]\nshape = 1\n"""\nlist = [ # ]\n"[", \'{{\', ]\n{text}'
    line, _ = problems(text)["field.regions"]
    assert line == 8


def test_key_lines() -> None:
    text = "a.b = 1\n[c]\nd = '''\nx = 1'''\n'e' = [\n1]\n[[f.g]]\nh = 1\n[[f.g]]\nh = 2"
    lines = key_lines(text)
    assert lines["a", "b"] == 1
    assert lines["c", "d"] == 3
    assert lines["c", "e"] == 5
    assert (lines["f", "g", 0, "h"], lines["f", "g", 1, "h"]) == (8, 10)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[field\n", 1),
        ("[field]\nmean = \n", 2),
        ("\nx = '", 2),
        ("a = " + "[" * 10_000, None),
        ("\na = " + "9" * 5000, 2),
    ],
)
def test_syntax_errors(text: str, line: int | None) -> None:
    assert problems(text)[""][0] == line


@pytest.mark.parametrize(
    ("text", "key", "line", "first"),
    [
        ("[field]\nmean = 1\nseed = 1\nmean = 2\n", "field.mean", 4, 2),
        ("[field]\nmean = 1\nmean = 2", "field.mean", 3, 2),
        ("[field]\nmean = 1\n[run]\n[field]\nseed = 1\n", "field", 4, 1),
        ("field = 3\n[field]\nmean = 1\n", "field", 2, 1),
        ("field.mean = 1\n[field]\nseed = 1\n", "field", 2, None),
        ("[[grid.demands]]\nregion = 1\n[[grid.demands]]\nregion = 1\nregion = 2\n", "grid.demands.region", 5, 4),
    ],
)
def test_keys_that_are_written_twice(text: str, key: str, line: int, first: int | None) -> None:
    found = problems(text)
    assert found.keys() == {key}
    assert found[key][0] == line
    section, _, name = key.partition(".")
    assert found[key][1].startswith(f"f.toml:{line}: [{section}]{' ' * bool(name)}{name}: ")
    assert ("remove one of the two" if first is None else f"or in line {first}") in found[key][1]


def test_very_deep_keys() -> None:
    assert problems("a" + ".a" * 3000 + " = 1").keys() == {"a"}
    assert problems("field.mean" + ".a" * 3000 + " = 1").keys() == {"field.mean"}


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(SMALL)
    assert Config.from_toml(path, overrides=["field.seed=7"]).field.seed == 7
    assert Config.from_toml(str(path)).field.shape == (4, 6)
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert Config.from_toml(path).field.shape == (4, 6)
    path.write_bytes(b"[run]\ncycles = 1 # \xff\n")
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        Config.from_toml(path)
    assert caught.value.problems[0].line == 2
    assert caught.value.problems[0].file == str(path)
    for bad in (tmp_path, tmp_path / "none.toml", "a\0b", "/dev/zero"):
        with pytest.raises(ConfigError):
            Config.from_toml(bad)


def test_overrides() -> None:
    config = Config.from_text(SMALL)
    assert config.with_overrides([]) == config
    changed = config.with_overrides(
        ["field.initial=uniform", " field.mean = 2 ", 'field.dtype="uint16"', "run.cycles=3"]
    )
    assert (changed.field.initial, changed.field.mean, changed.field.dtype, changed.run.cycles) == (
        "uniform",
        2,
        "uint16",
        3,
    )
    assert config.with_overrides(
        ["field.shape=[8]", "field.regions=[4]", "demon.tape_nats=inf"]
    ).field.region_shape == (2,)
    assert config.with_overrides(["run.cycles=x", "run.cycles=4"]).run.cycles == 4
    for bad in (
        "",
        "=",
        "run",
        "run=3",
        "run.cycles",
        "run.cycles=",
        ".cycles=1",
        "run.=1",
        "run.cycles.x=1",
        "run.cycles=1\nx=2",
    ):
        with pytest.raises(ConfigError) as caught:
            config.with_overrides([bad])
        assert caught.value.problems[0].file == "--set"
    assert problems("", "feild.mean=3")["feild"][1].startswith("--set: [feild]: ")
    assert problems("field = 3", "field.mean=3").keys() == {"field"}


def test_direct_construction_is_checked_too() -> None:
    assert Config(run=RunSection(cycles=3)).run.cycles == 3
    with pytest.raises(ConfigError):
        Config(field=FieldSection(shape=(4,)))
    with pytest.raises(ConfigError):
        Config.model_validate({"field": {"shape": 3}, "nothing": 1})


def test_frozen_hashable_pickles() -> None:
    config = Config.from_text(SMALL)
    assert hash(config) == hash(Config.from_text(SMALL))
    assert pickle.loads(pickle.dumps(config)) == config
    assert Config.from_mapping(config.to_dict()) == config
    with pytest.raises(ValueError, match="frozen"):
        config.run.cycles = 3


def test_mappings_that_no_toml_gives() -> None:
    loop: dict[str, object] = {}
    loop["field"] = loop
    odds: list[object] = [
        loop,
        {1: 2},
        {"field": {"\ud800": 1}},
        {"field": {"dtype": "\ud800"}},
        {"field": {"mean": 10**400}},
        [],
        None,
    ]
    for odd in odds:
        with pytest.raises(ConfigError):
            Config.from_mapping(odd)  # type: ignore[arg-type]


def finite(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, exclude_max=True)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, dict[str, object]]:
    axes = draw(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=4))
    field: dict[str, object] = {
        "shape": [2 * boxes * extent for boxes, extent in axes],
        "regions": [boxes for boxes, _ in axes],
        "mean": draw(st.integers(0, 5) | finite(0, 5)),
        "initial": draw(st.sampled_from(["thermal", "microcanonical", "uniform", "hot-cold"])),
        "edges": draw(st.sampled_from(["closed", "periodic"])),
        "walls": draw(st.sampled_from(["conducting", "adiabatic"])),
        "dtype": draw(st.sampled_from(["uint8", "uint16"])),
        "seed": draw(st.integers(0, 2**64 - 1)),
        "quantum_joule": draw(st.floats(0, exclude_min=True, allow_infinity=False)),
    }
    if field["initial"] == "hot-cold":
        field |= {"hot": draw(finite(0, 5)), "cold": draw(finite(0, 5))}
    demand = st.fixed_dictionaries(
        {
            "region": st.just(0),
            "quanta": st.integers(0, 2**63 - 1),
            "priority": st.integers(0, 9),
            "kind": st.sampled_from(["compute", "export"]),
        }
    )
    gear = st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda pair: pair[0] != pair[1]).map(list)
    return {
        "field": field,
        "run": {"cycles": draw(st.integers(0, 10**6)), "record_every": draw(st.integers(1, 9))},
        "demon": {
            "erase": draw(st.booleans()),
            "tape_nats": draw(st.floats(0)),
            "threshold": draw(st.integers(1, 255)),
        },
        "exchange": {"contact": draw(st.floats(0, 1, exclude_min=True)), "gears": draw(st.lists(gear))},
        "grid": {"loss": draw(finite(0, 1)), "demands": draw(st.lists(demand, max_size=3))},
        "battery": {"initial": draw(finite(0, 3))},
    }


@given(tables())
def test_round_trip(table: dict[str, dict[str, object]]) -> None:
    config = Config.from_mapping(table)
    text = config.to_toml()
    assert Config.from_text(text) == config
    assert Config.from_text(text).to_toml() == text
    assert tomllib.loads(text) == config.to_dict()
    assert config.with_overrides([]) == config


def lawful_or_config_error(text: str, overrides: list[str]) -> None:
    try:
        config = Config.from_text(text, "f.toml", overrides)
    except ConfigError as error:
        assert error.problems
        assert len(str(error).splitlines()) == len(error.problems)
    else:
        assert Config.from_text(config.to_toml()) == config


TOKENS = [
    *"[]{}=.,\n\"'#\\\r\0\u2028-0",
    *("[[", "]]", '"""', "nan", "inf", "1e999", "9" * 30, "0x" + "f" * 5000, "true", "1979-05-27", "07:32:00"),
    *("shape", "regions", "field", "[field]", "[[field]]", "grid.demands", "gears = [[1, 1]]", "hot = 3", '"baths"'),
    "\ud800",
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from([Config.reference(), Config().to_toml(), SMALL]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        text = text[:start] + draw(st.sampled_from(TOKENS) | st.text(max_size=5)) + text[stop:]
    return text


LONG = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@LONG
@given(st.text() | mutated() | st.lists(st.sampled_from(TOKENS)).map("".join))
def test_fuzzed_text(text: str) -> None:
    key_lines(text)
    lawful_or_config_error(text, [])


KEYS = [f"{name}.{key}" for name, table in Config().to_dict().items() for key in table]
VALUES = st.sampled_from(TOKENS) | st.text() | st.integers().map(str) | st.floats().map(repr)


@LONG
@given(st.lists(st.tuples(st.sampled_from(KEYS) | st.text(), VALUES).map("=".join) | st.text(), max_size=4))
def test_fuzzed_overrides(overrides: list[str]) -> None:
    lawful_or_config_error(SMALL, overrides)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=3),
)


@LONG
@given(st.sampled_from(KEYS), ANYTHING)
def test_fuzzed_mappings(name: str, value: object) -> None:
    section, key = name.split(".")
    try:
        Config.from_mapping({section: {key: value}})
    except ConfigError as error:
        assert error.problems


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[battery]\ninitial = 2\ncapacity = 1", "battery.initial", 2),
        ("[exchange]\ngears = [[2, 1], [300, 1]]", "exchange.gears[1]", 2),
        ("[field]\nshape = [4]\nregions = [4]\n[exchange]\nenabled = true", "exchange.enabled", 5),
        ("[field]\nshape = [4]\nregions = [4]\n[demon]\nsort = true", "demon.sort", 5),
        ('[field]\nedges = "baths"\nbath_left = 9\nbath_right = 1', "field.dtype", 1),
    ],
)
def test_machines_that_contradict_the_field(text: str, key: str, line: int) -> None:
    found = problems(text)
    assert found.keys() == {key}
    assert found[key][0] == line


def test_every_machine_can_be_switched_on() -> None:
    text = """[field]
shape = [4, 4]
regions = [2, 2]
edges = "baths"
bath_left = 1
bath_right = 2
[demon]
sort = true
[exchange]
enabled = true
carnot_share = 0.5
[grid]
enabled = true
demands = [{region = 3, quanta = 1, priority = 1, kind = "export"}]
[battery]
capacity = 100
charge_loss = 0.1
discharge_loss = 0.1
self_discharge = 0.5
"""
    config = Config.from_text(text)
    assert config == Config.from_text(config.to_toml())
    assert config.battery.loses
    assert not Config().battery.loses
