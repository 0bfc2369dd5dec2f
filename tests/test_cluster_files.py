"""Cluster files: the ready ones are whole and commented; a wrong one is refused with every problem at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic.batch.file import ClusterFile
from entropic.batch.sections import SYSTEMS, bytes_of, sections_of
from entropic.config_errors import ConfigError
from entropic.errors import UsageError

FILES = Path(__file__).parents[1] / "cluster"
GOOD = """\
[cluster]
system = "slurm"
[workers]
count = 4
[network]
interface = "ib0"
"""


def problems(text: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        ClusterFile.from_text(text, "f.toml")
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    assert isinstance(caught.value, UsageError) and caught.value.exit_code == 2
    return {problem.key: (problem.line, str(problem)) for problem in caught.value.problems}


def test_a_ready_file_for_every_system() -> None:
    assert {path.stem for path in FILES.glob("*.toml")} == set(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_ready_files_have_every_option_with_a_comment(system: str) -> None:
    text = (FILES / f"{system}.toml").read_text("utf-8")
    assert ClusterFile.from_text(text).system == system
    tables = dict(re.findall(r"^\[(\w+)\]\n((?:.+\n?)*)", text, re.M))
    models = sections_of(system)
    assert list(tables) == list(models)
    for name, model in models.items():
        written = re.findall(r"^(\w+) = .*?  ?# \S.+$", tables[name], re.M)
        assert written == list(model.model_fields), name


def test_defaults_stand_in_for_what_is_left_out() -> None:
    cluster = ClusterFile.from_text(GOOD)
    assert (cluster.system, cluster.workers.count, cluster.workers.threads) == ("slurm", 4, 1)
    assert (cluster.job.walltime, cluster.job.seconds, cluster.job.warning) == ("01:00:00", 3600, 120)
    assert cluster.network.scheduler == "ib0"
    assert cluster.text == GOOD


WRONG = [
    ("workers", "count", "0"),
    ("workers", "count", "4.0"),
    ("workers", "threads", '"8"'),
    ("workers", "memory", "4"),
    ("workers", "memory", '"4"'),
    ("workers", "memory", '"4 GiBytes"'),
    ("workers", "memory", '"1 kB"'),
    ("workers", "at_least", "9"),
    ("job", "name", '"two words"'),
    ("job", "queue", '"a\\nb"'),
    ("job", "walltime", '"1h"'),
    ("job", "walltime", '"00:61:00"'),
    ("job", "warning", "3600"),
    ("job", "warning", "0"),
    ("job", "nodes", "9"),
    ("job", "directives", '"--qos=high"'),
    ("job", "directives", '["a\\nb"]'),
    ("environment", "python", '""'),
    ("environment", "prologue", '"module load python"'),
    ("network", "scheduler_port", "65536"),
    ("network", "worker_ports", '"40000"'),
    ("network", "worker_ports", '"40100:40000"'),
    ("network", "worker_ports", '"40000:99999"'),
    ("network", "dashboard", '"yes"'),
    ("wait", "allocation", "0"),
    ("slurm", "launcher", '"srun \'"'),
    ("slurm", "launcher", '""'),
    ("slurm", "requeue", "1"),
]


@pytest.mark.parametrize(("section", "key", "value"), WRONG)
def test_a_wrong_value_is_the_one_problem_and_has_its_line(section: str, key: str, value: str) -> None:
    base = '[cluster]\nsystem = "slurm"\n' + ('[network]\ninterface = "lo"\n' if section != "network" else "")
    text = f"{base}[{section}]\n{key} = {value}\n" + ('interface = "lo"\n' if section == "network" else "")
    found = problems(text)
    assert found.keys() == {f"{section}.{key}"}
    line, said = found[f"{section}.{key}"]
    assert line == text[: text.index(f"{key} = ")].count("\n") + 1
    assert said.startswith(f"f.toml:{line}: [{section}] {key} = ")
    assert ": expected " in said and "; remedy: " in said


@pytest.mark.parametrize(
    ("system", "section", "line"),
    [
        ("ssh", "ssh", "hosts = []"),
        ("ssh", "ssh", 'hosts = ["-oProxyCommand=x"]'),
        ("ssh", "ssh", 'hosts = ["a;b"]'),
        ("mpi", "mpi", 'launcher = "mpirun -n 4"'),
        ("mpi", "mpi", 'launcher = "mpirun -n {workers} {x}"'),
        ("kubernetes", "kubernetes", 'mount = "runs"'),
        ("pbs", "pbs", 'dialect = "torq"'),
        ("sge", "job", "nodes = 2"),
        ("htcondor", "job", "nodes = 2"),
    ],
)
def test_what_a_system_asks_for_itself(system: str, section: str, line: str) -> None:
    network = "" if system == "kubernetes" else '[network]\ninterface = "lo"\n'
    hosts = '[ssh]\nhosts = ["a"]\n' if system == "ssh" and section != "ssh" else ""
    found = problems(f'[cluster]\nsystem = "{system}"\n{network}{hosts}[{section}]\n{line}\n')
    assert found.keys() == {f"{section}.{line.split()[0]}"}


def test_all_at_once_with_the_nearest_names() -> None:
    found = problems(
        '[cluster]\nsystem = "slurm"\n[wrokers]\n[workers]\ncuont = 3\n[job]\nwalltime = "1h"\n[pbs]\nremote = "x"\n'
    )
    assert found.keys() == {"wrokers", "workers.cuont", "job.walltime", "pbs", "network.interface"}
    assert "did you mean [workers]?" in found["wrokers"][1]
    assert "did you mean count?" in found["workers.cuont"][1]
    assert "no section of pbs in a file for slurm" in found["pbs"][1]
    assert found["job.walltime"][0] == 7


@pytest.mark.parametrize("text", ["", "[cluster]\n", '[cluster]\nsystm = "slurm"\n', 'system = "slurm"\n'])
def test_a_file_that_does_not_say_its_system(text: str) -> None:
    assert "cluster.system" in problems(text)


def test_a_system_that_is_nearly_right() -> None:
    assert 'write system = "slurm"' in problems('[cluster]\nsystem = "slum"\n')["cluster.system"][1]


@pytest.mark.parametrize(
    ("text", "number"), [("1 B", 1), ("2kB", 2000), ("1.5 GiB", 3 * 2**29), ("3 MB", 3 * 10**6), ("1TiB", 2**40)]
)
def test_bytes(text: str, number: int) -> None:
    assert bytes_of(text) == number


@given(st.text(max_size=300), st.sampled_from(["", *(f'[cluster]\nsystem = "{s}"\n' for s in SYSTEMS)]))
def test_whatever_is_written_there_is_no_other_error(text: str, head: str) -> None:
    try:
        ClusterFile.from_text(head + text)
    except ConfigError as error:
        assert error.problems


KEYS = st.sampled_from(sorted({key for s in SYSTEMS for m in sections_of(s).values() for key in m.model_fields}))
VALUES = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats().map(lambda x: float(x)),
    st.sampled_from(
        ['""', '"{"', '"{workers}"', '"1 GiB"', "[]", '["x"]', "{}", "1979-05-27", '"00:00:01"', '"\\u0000"']
    ),
)


@given(
    st.sampled_from(SYSTEMS),
    st.dictionaries(
        st.sampled_from(sorted({name for s in SYSTEMS for name in sections_of(s)} - {"cluster"})),
        st.dictionaries(KEYS, VALUES, max_size=4),
        max_size=4,
    ),
)
def test_whatever_keys_have_whatever_values(system: str, tables: dict[str, dict[str, object]]) -> None:
    lines = ["[cluster]", f'system = "{system}"']
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {str(value).lower()}" for key, value in table.items())]
    try:
        assert ClusterFile.from_text("\n".join(lines)).system == system
    except ConfigError as error:
        assert all(problem.remedy for problem in error.problems)
