"""The field as users see it: an xarray.DataArray of Dask chunks at any moment, the same whatever its chunks are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import entropy
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations, newest_sound
from entropic.engine.cluster import Executor, SerialExecutor, Where, connect
from entropic.errors import StoreError, UsageError
from entropic.field import Field, open_run
from entropic.initial import lattice_of
from entropic.lattice import BlockGrid, regular_cuts
from entropic.store import RunStore
from test_lattice import draw_grid

NAMES = ("x", "y", "z", "w")
CONFIG = Config.from_mapping(
    {
        "field": {"shape": [8, 6, 5], "regions": [4, 3, 1], "mean": 2.0, "seed": 19},
        "run": {"cycles": 6, "checkpoint_every": 2},
        "demon": {"threshold": 3},
    }
)


def check(data: xr.DataArray, config: Config) -> None:
    """What every DataArray of a field promises."""
    lattice = lattice_of(config.field)
    names = NAMES[: lattice.axes]
    assert isinstance(data, xr.DataArray) and isinstance(data.data, da.Array)
    assert data.name == "quanta" and data.dims == names and data.shape == config.field.shape
    assert data.dtype == config.field.dtype
    for name, extent in zip(names, config.field.shape, strict=True):
        assert data[name].values.tolist() == list(range(extent))
        assert data[name].attrs["units"] and data[name].attrs["long_name"]
    assert data.attrs["units"] == "quanta" and data.attrs["long_name"]
    assert data.attrs["regions"] == list(config.field.regions)
    assert data.compute().dtype == data.dtype and data.compute().shape == data.shape


# --- initial states -----------------------------------------------------------------------------------------------


@st.composite
def configurations(draw: st.DrawFn) -> Config:
    """Every initial state, dtype and number of axes; regions of any shape, down to one site."""
    axes = draw(st.integers(1, 4))
    regions = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    boxes = draw(st.lists(st.integers(1, 4), min_size=axes, max_size=axes))
    field: dict[str, Any] = {
        "shape": [a * b for a, b in zip(regions, boxes, strict=True)],
        "regions": regions,
        "initial": draw(st.sampled_from(["thermal", "microcanonical", "uniform", "hot-cold"])),
        "dtype": draw(st.sampled_from(["uint8", "uint16"])),
        "seed": draw(st.integers(0, 2**64 - 1)),
    }
    means = st.floats(0, 5 if field["dtype"] == "uint8" else 300)
    field |= {"hot": draw(means), "cold": draw(means)} if field["initial"] == "hot-cold" else {"mean": draw(means)}
    return Config.from_mapping({"field": field, "battery": {"initial": 0.0}})


@settings(max_examples=80)
@given(configurations(), st.integers(0, 2**32 - 1))
def test_initial_fields(config: Config, number: int) -> None:
    """The same sites in any chunks; chunks are blocks of whole regions."""
    whole = Field.initial(config.field)
    check(whole.data, config)
    lattice = lattice_of(config.field)
    grid = draw_grid(lattice, np.random.default_rng(number))
    cut = Field.initial(config.field, grid)
    check(cut.data, config)
    sizes = [np.diff(cuts) * n for cuts, n in zip(grid.cuts, lattice.region_shape, strict=True)][4 - lattice.axes :]
    assert cut.data.chunks == tuple(tuple(size.tolist()) for size in sizes)
    xr.testing.assert_identical(whole.data.compute(), cut.data.compute())
    assert whole.digest() == cut.digest()


@settings(max_examples=40)
@given(configurations())
def test_distribution(config: Config) -> None:
    """Energies, entropies and temperatures of the regions, against NumPy and `entropic.entropy`."""
    field = Field.initial(config.field)
    found = field.analyze_entropy_distribution()
    boxes, size = config.field.regions, config.field.region_shape
    sites = field.data.values
    n = config.field.sites_per_region
    for place in np.ndindex(*boxes):
        region = sites[tuple(slice(i * m, (i + 1) * m) for i, m in zip(place, size, strict=True))]
        quanta = int(region.sum(dtype=np.int64))
        assert int(found["quanta"][place]) == quanta
        assert float(found["entropy_hist"][place]) == entropy.histogram_nats(np.bincount(region.ravel()))
        assert float(found["entropy_region"][place]) == entropy.multiplicity_nats(n, quanta)
        assert float(found["temperature"][place]) == entropy.temperature(n, quanta)
    assert all(found[name].attrs["units"] and found[name].attrs["long_name"] for name in found.data_vars)


# --- at any moment of a run ---------------------------------------------------------------------------------------


@pytest.fixture(params=["this thread", "two threads"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "this thread":
        yield SerialExecutor()
        return
    with connect(Where(workers=1, threads=2, dashboard=False)) as made:
        yield made


def test_between_cycles(executor: Executor, tmp_path: Path) -> None:
    """Before the first cycle, after each, and in the end: the field as it stands, which the books know."""
    computer = EntropicComputer(CONFIG, tmp_path / "run", executor, (2, 1, 1))
    check(computer.field.data, CONFIG)
    assert computer.field.digest() == Field.initial(CONFIG.field).digest()
    digests = [computer.field.digest()]
    for cycle in computer:
        field = computer.field
        check(field.data, CONFIG)
        assert field.data.attrs["cycle"] == cycle.number == computer.cycle
        found = field.analyze_entropy_distribution()
        assert found["quanta"].values.ravel().tolist() == cycle.entries["quanta"].tolist()
        assert found["entropy_hist"].values.ravel().tolist() == cycle.entries["entropy_hist"].tolist()
        assert field.digest() == newest_sound(computer.store.checkpoints).digest
        digests.append(field.digest())
    assert len(set(digests)) == CONFIG.run.cycles + 1
    computer.store.unlock()
    opened = open_run(tmp_path / "run")
    check(opened.field.data, CONFIG)
    assert opened.field.digest() == digests[-1]
    outsiders = xr.open_zarr(tmp_path / "run" / "field.zarr")["quanta"]
    assert np.array_equal(opened.field.data, outsiders)
    assert opened.series.sizes == {"cycle": 6, "region": 12}


def test_a_field_that_the_run_has_dropped(tmp_path: Path) -> None:
    """Whoever keeps one for longer than two checkpoints gets an error, never zeros."""
    computer = EntropicComputer(CONFIG, tmp_path / "run", chunks=(2, 1, 1))
    kept: dict[int, tuple[Field, np.ndarray]] = {}
    for cycle in computer:
        kept[cycle.number] = (computer.field, computer.field.data.values)
    for number, (field, values) in kept.items():
        if number > CONFIG.run.cycles - 2:
            assert np.array_equal(field.data, values)
        else:
            with pytest.raises(StoreError, match="anew") as caught:
                field.data.compute()
            assert caught.value.exit_code == 5


def test_a_field_that_is_dropped_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """zarr takes a chunk that has just gone for zeros."""
    EntropicComputer(CONFIG, tmp_path / "run").run()
    field = open_run(tmp_path / "run").field
    (generation,) = generations(tmp_path / "run" / "checkpoints")[:1]
    open_group = zarr.open_group

    def late(*arguments: Any, **options: Any) -> Any:
        group = open_group(*arguments, **options)
        shutil.rmtree(generation)
        return group

    monkeypatch.setattr(zarr, "open_group", late)
    with pytest.raises(StoreError, match="is gone"):
        field.data.compute()


def test_after_a_resume_from_the_older_checkpoint(tmp_path: Path) -> None:
    """`field.zarr` shows what the run goes on from, not the damaged generation that was passed over."""
    computer = EntropicComputer(CONFIG, tmp_path / "run")
    computer.run()
    computer.store.unlock()
    newest, before = generations(tmp_path / "run" / "checkpoints")
    (newest / "manifest.json").write_text("{}")
    resumed = EntropicComputer.resume(tmp_path / "run")
    assert resumed.cycle == 4
    assert resumed.field.data.attrs["cycle"] == 4
    assert (tmp_path / "run" / "field.zarr").resolve().parent == before
    resumed.store.unlock()


def test_no_field(tmp_path: Path) -> None:
    """A run without any checkpoint, or with a damaged one."""
    RunStore.create(tmp_path / "run", CONFIG).unlock()
    with pytest.raises(StoreError):
        _ = open_run(tmp_path / "run").field
    EntropicComputer(CONFIG, tmp_path / "other").run()
    (tmp_path / "other" / "field.zarr" / "zarr.json").write_text("{")
    with pytest.raises(StoreError):
        _ = open_run(tmp_path / "other").field


def test_chunks_that_do_not_fit() -> None:
    lattice = lattice_of(CONFIG.field)
    other = lattice_of(Config.from_mapping({"field": {"shape": [8, 6, 5], "regions": [2, 3, 1]}}).field)
    for chunks in ((1, 1), (0, 1, 1), BlockGrid(other, regular_cuts(other, (1, 1, 1)))):
        with pytest.raises(UsageError):
            Field.initial(CONFIG.field, chunks)
    assert Field.initial(CONFIG.field, lattice.boxes).data.data.npartitions == 1
