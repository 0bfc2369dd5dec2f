"""The store as outsiders see it: xarray opens it without a warning, and at every moment rightly."""

from __future__ import annotations

import errno
import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from chaos.operations import Failing, Operations
from chaos.stores import copied
from entropic.audit import audit
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.checkpoint import generations, newest_sound
from entropic.errors import StoreError
from entropic.observer import Observer
from entropic.store import SERIES, RunStore


def configure(**run: int) -> Config:
    return Config.from_mapping(
        {
            "field": {"shape": [6, 8, 4], "regions": [3, 2, 1], "mean": 2.0, "seed": 4},
            "run": {"cycles": 9, "checkpoint_every": 2, **run},
            "demon": {"threshold": 3},
        }
    )


def opened(path: Path) -> xr.Dataset:
    """As the contract promises it to any reader: no argument, no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xr.open_zarr(path).load()


def finish(computer: EntropicComputer) -> dict[str, Any]:
    try:
        return computer.run()
    finally:
        computer.store.unlock()


def test_opens_without_a_warning(tmp_path: Path) -> None:
    summary = finish(EntropicComputer(configure(), tmp_path / "run", chunks=(1, 2, 1)))
    series, field = opened(tmp_path / "run" / "series.zarr"), opened(tmp_path / "run" / "field.zarr")
    assert series.sizes == {"cycle": 9, "region": 6}
    assert set(series.data_vars) == set(SERIES)
    assert series["cycle"].values.tolist() == list(range(1, 10))
    assert field["quanta"].dims == ("x", "y", "z") and field["quanta"].shape == (6, 8, 4)
    assert int(field["quanta"].sum()) == int(series["quanta"][-1].sum())
    assert field["quanta"].attrs["cycle"] == summary["totals"]["cycles"]
    opening = opened(tmp_path / "run" / "opening.zarr")
    assert opening.sizes == {"region": 6} and "battery" in opening
    for variable in (*series.variables.values(), *field.variables.values(), *opening.variables.values()):
        assert variable.attrs["units"] and variable.attrs["long_name"]


def test_writing_warns_of_nothing_either(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        finish(EntropicComputer(configure(), tmp_path / "run"))
        finish(EntropicComputer.resume(tmp_path / "run"))


@pytest.mark.parametrize("record_every", [1, 4])
def test_as_long_as_the_run_is(record_every: int, tmp_path: Path) -> None:
    """After every checkpoint outsiders see as many entries as there are, and so after a truncation."""
    seen = []

    def booked(store: RunStore, cycle: int) -> None:
        if (store.path / "series.zarr").exists():
            series = opened(store.path / "series.zarr")
            assert series["quanta"].shape == (series.sizes["cycle"], 6)
            assert np.array_equal(series["quanta"], store.series()["quanta"])
            assert np.array_equal(opened(store.path / "field.zarr")["quanta"].attrs["cycle"], cycle)
            seen.append(series["cycle"].values.tolist())

    config = configure(record_every=record_every)
    finish(EntropicComputer(config, tmp_path / "run", observer=Observer(booked=booked)))
    assert seen[-1] == [c for c in range(1, 10) if c % record_every == 0 or c == 9]
    assert sorted(seen, key=len) == seen
    shutil.rmtree(generations(tmp_path / "run" / "checkpoints")[0])
    store = RunStore.open(tmp_path / "run")
    store.restore(newest_sound(store.checkpoints))
    kept = [c for c in seen[-1] if c <= 8 and c % record_every == 0]
    assert opened(tmp_path / "run" / "series.zarr")["cycle"].values.tolist() == kept
    assert store.series()["quanta"].shape == (len(kept), 6)


def test_put_back_half_way(tmp_path: Path) -> None:
    """Cut short at any operation, what is put back shows no row that is gone as zeros; and once more, it is whole."""
    finish(EntropicComputer(configure(), tmp_path / "run"))
    shutil.rmtree(generations(tmp_path / "run" / "checkpoints")[0])
    whole = opened(tmp_path / "run" / "series.zarr")
    copied(tmp_path / "run", tmp_path / "copy")
    with Operations(tmp_path / "copy") as operations:
        store = RunStore.open(tmp_path / "copy")
        store.restore(newest_sound(store.checkpoints))
    assert len(operations.seen) > 100
    for number in range(0, len(operations.seen), 7):
        store = RunStore.open(copied(tmp_path / "run", tmp_path / "copy"))
        with (
            Operations(tmp_path / "copy", number, Failing(errno.EIO), lasting=True),
            pytest.raises(OSError, match="error"),
        ):
            store.restore(newest_sound(store.checkpoints))
        seen = opened(tmp_path / "copy" / "series.zarr")
        assert seen.equals(whole.isel(cycle=slice(None, seen.sizes["cycle"]))), operations.seen[number]
        store = RunStore.open(tmp_path / "copy")
        store.restore(newest_sound(store.checkpoints))
        store.require_files()
        assert opened(tmp_path / "copy" / "series.zarr").sizes["cycle"] == 8


def test_the_audit_reads_what_outsiders_read(tmp_path: Path) -> None:
    """A copy of the metadata that says less, or other, than the arrays is not lawful."""
    finish(EntropicComputer(configure(), tmp_path / "run"))
    place = tmp_path / "run" / "series.zarr" / "zarr.json"
    sound = place.read_text()
    assert all(law.holds for law in audit(tmp_path / "run"))
    for name, key, value in (("quanta", "shape", [8, 6]), ("gross", "data_type", "float64")):
        spoilt = json.loads(sound)
        spoilt["consolidated_metadata"]["metadata"][name][key] = value
        place.write_text(json.dumps(spoilt))
        assert not all(law.holds for law in audit(tmp_path / "run")), name
    spoilt = json.loads(sound)
    del spoilt["consolidated_metadata"]["metadata"]["ones"]
    place.write_text(json.dumps(spoilt))
    assert not all(law.holds for law in audit(tmp_path / "run"))


def test_a_series_that_was_half_made_is_made_anew(tmp_path: Path) -> None:
    """Its first writing cut short at any of its files: the books have it all."""
    whole = finish(EntropicComputer(configure(), tmp_path / "run"))
    shutil.rmtree(generations(tmp_path / "run" / "checkpoints")[0])
    for gone in ("zarr.json", "cycle/zarr.json", "cycle/c/0"):
        run = Path(shutil.copytree(tmp_path / "run", tmp_path / gone.replace("/", "-"), symlinks=True))
        (run / "series.zarr" / gone).unlink()
        assert finish(EntropicComputer.resume(run))["digest"] == whole["digest"], gone
        assert all(law.holds for law in audit(run)), gone


def test_books_that_are_gone(tmp_path: Path) -> None:
    """Nothing can make them anew, so the resume is refused, typed, and lets the lock go."""
    finish(EntropicComputer(configure(), tmp_path / "run"))
    (tmp_path / "run" / "books.zarr" / "zarr.json").unlink()
    for _ in range(2):
        with pytest.raises(StoreError, match=r"books\.zarr"):
            EntropicComputer.resume(tmp_path / "run")
