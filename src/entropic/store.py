"""What is on disk: configuration, provenance, books, series, tape, summary.  JSON, TOML and zarr only."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, final

import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BloscShuffle

from entropic import special
from entropic.config import Config, ConfigError
from entropic.engine.block import TapePiece
from entropic.engine.checkpoint import consolidate, reading
from entropic.errors import ResourceError, StoreError, UsageError
from entropic.lattice import Block
from entropic.ledger import ACCOUNTS, Ledger

__all__ = ["SERIES", "RunStore", "StoreBusyError", "StoreExistsError"]

SERIES: dict[str, tuple[str, str, str]] = {
    "quanta": ("int64", "quanta", "energy of the region"),
    "gross": ("int64", "quanta", "work delivered by lifts and gear swaps since the last entry"),
    "ones": ("int64", "1", "bits set in the records since the last entry"),
    "record_nats": ("float64", "nat", "information recorded since the last entry"),
    "erasure": ("int64", "quanta", "battery energy paid for erasure since the last entry"),
    "battery": ("int64", "quanta", "energy of the region's battery"),
    "entropy_hist": ("float64", "nat", "entropy of the region's histogram macrostate"),
    "entropy_region": ("float64", "nat", "entropy of the region's energy macrostate"),
    "temperature": ("float64", "quanta/nat", "temperature of the region"),
}
_FLOWS = {"gross": "lift", "ones": "ones", "record_nats": "record_nats", "erasure": "erasure"}


_BOOKS = (*ACCOUNTS, "counts", "cycle")
_SERIES = (*SERIES, "cycle")


@final
class StoreExistsError(UsageError):
    """The run directory is there already."""


@final
class StoreBusyError(ResourceError):
    """Another driver is writing."""


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is not an array")
    return array


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _grow(group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...], attrs: Mapping[str, Any]) -> None:
    """Append along the first dimension (and widen the last one of a histogram)."""
    array = group.get(name)
    if array is None:
        chunk = (max(1, min(256, (1 << 22) // max(int(np.prod(values.shape[1:])), 1))), *values.shape[1:])
        array = group.create_array(
            name,
            shape=(0, *values.shape[1:]),
            chunks=tuple(max(n, 1) for n in chunk),
            dtype=values.dtype,
            dimension_names=dims,
            attributes=dict(attrs),
            compressors=[BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle)],
        )
    assert isinstance(array, zarr.Array)
    rows = array.shape[0]
    array.resize((rows + values.shape[0], *(max(a, b) for a, b in zip(array.shape[1:], values.shape[1:], strict=True))))
    array[(slice(rows, None), *(slice(0, n) for n in values.shape[1:]))] = values


@final
class RunStore:
    """A run directory.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    # -- coming and going --

    @classmethod
    def create(cls, path: Path, config: Config) -> RunStore:
        """Make a new run directory and lock it.

        Raises
        ------
        StoreExistsError
            There is something at ``path`` already.
        ResourceError
            The directory cannot be made.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise StoreExistsError(
                f"{path} exists already.", "give another --out, remove it, or go on with 'entropic resume'"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "checkpoints").mkdir()
            store = cls(path)
            store.lock()
            (path / "config.toml").write_text(config.to_toml())
            store.write_json("provenance.json", provenance())
        except OSError as error:
            raise ResourceError(f"cannot write {path}: {error}.", "choose another --out, or make room") from error
        return store

    @classmethod
    def open(cls, path: Path) -> RunStore:
        """Open a run directory.

        Raises
        ------
        StoreError
            It is not one.
        """
        if not path.is_dir():
            raise UsageError(f"{path} is not a run directory.", "give the directory that 'entropic run --out' wrote")
        if not (path / "config.toml").is_file() or not (path / "checkpoints").is_dir():
            raise StoreError(f"{path} lacks config.toml or checkpoints.", "give a directory that 'entropic run' wrote")
        return cls(path)

    def lock(self) -> None:
        """Become the one writer, until the process ends or `unlock`."""
        self._lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreBusyError(
                f"{self.path} is being written by another driver.", "wait for it, or stop it first"
            ) from error

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def config(self) -> Config:
        """The configuration as run."""
        try:
            return Config.from_toml(self.path / "config.toml")
        except ConfigError as error:
            raise StoreError(f"{self.path}/config.toml is damaged: {error}", "restore it from a copy") from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file whole or not at all."""
        temporary = self.path / f".{name}.tmp"
        with temporary.open("w") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path / name)

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.path / name} cannot be read: {error}.", "finish the run, or run again") from error
        if not isinstance(content, dict):
            raise StoreError(f"{self.path / name} is not a JSON object.", "run again")
        return content

    def link_field(self, generation: Path) -> None:
        """Let ``field.zarr`` point to a generation's field."""
        temporary = self.path / ".field.tmp"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("checkpoints") / generation.name / "field.zarr")
        temporary.rename(self.path / "field.zarr")

    # -- books and series --

    def write_opening(self, entries: Mapping[str, NDArray[Any]]) -> None:
        """State of every region before the first cycle."""
        group = zarr.open_group(self.path / "opening.zarr", mode="w")
        for name, values in entries.items():
            array = group.create_array(
                name, shape=values.shape, dtype=values.dtype, chunks=values.shape, dimension_names=("region",)
            )
            array[:] = values

    def opening(self) -> dict[str, NDArray[Any]]:
        return self._read("opening.zarr", ("quanta", "battery", "entropy_hist"))

    def append_books(self, ledger: Ledger) -> None:
        """Add complete cycles to the books."""
        with reading(self.path / "books.zarr"):
            self._append_books(ledger)

    def _append_books(self, ledger: Ledger) -> None:
        group = zarr.open_group(self.path / "books.zarr", mode="a")
        cycles = np.arange(ledger.first, ledger.first + ledger.cycles, dtype=np.int64)
        _grow(group, "cycle", cycles, ("cycle",), {"units": "1", "long_name": "cycles done"})
        for name, (_, units, about) in ACCOUNTS.items():
            _grow(group, name, ledger.entries[name], ("cycle", "region"), {"units": units, "long_name": about})
        about = "sites that hold q quanta after relaxation, before the lift"
        counts = ledger.counts.astype(np.uint32) if ledger.counts.dtype.itemsize < 4 else ledger.counts
        _grow(group, "counts", counts, ("cycle", "region", "q"), {"units": "1", "long_name": about})

    def append_series(self, sites: int, every: int, last: int) -> None:
        """Bring the series up to date with the books; ``last`` is the run's last cycle."""
        with reading(self.path / "series.zarr"):
            self._append_series(sites, every, last)

    def _append_series(self, sites: int, every: int, last: int) -> None:
        books = zarr.open_group(self.path / "books.zarr", mode="r")
        place = self.path / "series.zarr"
        # The arrays' own metadata: the group's copy of them may be older, after a crash.
        known = zarr.open_group(place, mode="r", use_consolidated=False).get("cycle") if place.exists() else None
        done = int(known[-1]) if isinstance(known, zarr.Array) and known.shape[0] else 0  # type: ignore[arg-type]
        reached = int(books["cycle"].shape[0])  # type: ignore[union-attr]
        ends = [c for c in range(done + 1, reached + 1) if c % every == 0 or c == last]
        if not ends:
            return
        group = zarr.open_group(place, mode="a", use_consolidated=False)
        take = {name: np.asarray(books[name][done : ends[-1]]) for name in ACCOUNTS}  # type: ignore[index]
        at = np.array(ends) - done
        starts = np.concatenate([[0], at[:-1]])
        rows: dict[str, NDArray[Any]] = {n: np.add.reduceat(take[a], starts, axis=0) for n, a in _FLOWS.items()}
        for name in ("quanta", "battery", "entropy_hist"):
            rows[name] = take[name][at - 1]
        quanta = rows["quanta"].ravel()
        region, warmth = np.empty(quanta.size), np.empty(quanta.size)
        for i, q in enumerate(quanta):
            region[i] = special.ln_multiplicity(sites, int(q))
            warmth[i] = special.temperature(sites, int(q))
        rows["entropy_region"] = region.reshape(rows["quanta"].shape)
        rows["temperature"] = warmth.reshape(rows["quanta"].shape)
        _grow(group, "cycle", np.array(ends, np.int64), ("cycle",), {"units": "1", "long_name": "cycles done"})
        for name, (kind, units, about) in SERIES.items():
            values = np.ascontiguousarray(rows[name].astype(kind))
            _grow(group, name, values, ("cycle", "region"), {"units": units, "long_name": about})
        if group.get("region") is None:
            numbers = np.arange(rows["quanta"].shape[1], dtype=np.int64)
            array = group.create_array("region", shape=numbers.shape, dtype="int64", dimension_names=("region",))
            array[:] = numbers
            array.attrs.update({"units": "1", "long_name": "number of the region, C order"})
        consolidate(place)

    def truncate(self, cycle: int) -> None:
        """Forget books, series and tape beyond a cycle.

        What is half there because its first writing was cut short goes as a whole; the series is made anew from the
        books where need be.

        Raises
        ------
        StoreError
            The books up to the cycle are not there.
        """
        if cycle:
            self._cut("books.zarr", _BOOKS, cycle, cycle)
        else:
            _remove(self.path / "books.zarr")
        series = self.path / "series.zarr"
        try:
            kept = self._cut("series.zarr", _SERIES, cycle, 0)
            with reading(series):
                consolidate(series)
        except StoreError:
            kept = 0
        if not kept:
            _remove(series)
        for part in (self.path / "tape").glob("*"):
            if int(part.name.split("-")[1]) > cycle:
                for piece in sorted(part.rglob("*"), reverse=True):
                    piece.rmdir() if piece.is_dir() else piece.unlink()
                part.rmdir()

    def _cut(self, name: str, names: Iterable[str], cycle: int, least: int) -> int:
        """Cut the arrays of a store after a cycle; returns how many rows are left, at least ``least``."""
        place = self.path / name
        with reading(place):
            group = zarr.open_group(place, mode="r+", use_consolidated=False)
            arrays = [_array(group, key) for key in names]
            ends = np.asarray(_array(group, "cycle")[:])
            keep = int(((ends > 0) & (ends <= cycle)).sum())  # rows that were made room for, and no more, are zeros
            if keep < least or any(array.shape[0] < keep for array in arrays):
                found = f"{place} holds fewer than the {max(keep, least)} cycles that the checkpoint has"
                raise StoreError(f"{found}.", "restore it from a copy, or run again")
            # Drops the copy of the arrays' metadata: were we to die half-way, it would show rows that are gone as zeros.
            group.update_attributes({})
            for array in arrays:
                array.resize((keep, *array.shape[1:]))
        return keep

    def _read(self, name: str, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        with reading(self.path / name):
            group = zarr.open_group(self.path / name, mode="r", use_consolidated=False)
            for key in names:
                _array(group, key)  # raises if it is not there
            return {key: np.asarray(array[:]) for key, array in group.arrays()}

    def books(self) -> dict[str, NDArray[Any]]:
        """All books: account → [cycle, region]; ``counts`` [cycle, region, q]; ``cycle``."""
        return self._read("books.zarr", _BOOKS)

    def series(self) -> dict[str, NDArray[Any]]:
        """The recorded series: name → [entry, region]; ``cycle``; ``region``."""
        return self._read("series.zarr", (*_SERIES, "region"))

    def series_digest(self) -> str:
        """First 128 bits of SHA-256 over name, dtype, shape and little-endian bytes of every array, by name."""
        total = hashlib.sha256()
        for name, values in sorted(self.series().items()):
            plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
            total.update(f"{name} {plain.dtype.str} {plain.shape}\n".encode())
            total.update(plain.tobytes())
        return total.hexdigest()[:32]

    # -- tape --

    def tape_cycles(self) -> set[int]:
        """Cycles of which the tape is on disk."""
        kept: set[int] = set()
        for part in (self.path / "tape").glob("*-*"):
            first, last = (int(n) for n in part.name.split("-"))
            kept.update(range(first, last + 1))
        return kept


def write_tape(pieces: Iterable[TapePiece], block: Block, path: str, first: int, last: int) -> int:
    """Write a block's bits of the cycles first … last; returns how many cycles had any."""
    pieces = tuple(pieces)
    if not pieces:
        return 0
    width = -(-block.lattice.region_sites // 8)
    place = Path(path) / "tape" / f"{first:09d}-{last:09d}" / f"part-{block.number:06d}.zarr"
    group = zarr.open_group(place, mode="w")
    ids = group.create_array("region", shape=(block.region_count,), dtype="int64")
    ids[:] = block.region_ids
    bits = group.create_array(
        "bits",
        shape=(last - first + 1, block.region_count, width),
        chunks=(1, max(1, min(block.region_count, (1 << 24) // width)), width),
        dtype="uint8",
        dimension_names=("cycle", "region", "byte"),
        compressors=[BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.noshuffle)],
    )
    for piece in pieces:
        raw = np.frombuffer(blosc.decompress(piece.packed), np.uint8)
        bits[piece.cycle - first] = raw.reshape(block.region_count, width)
    return len(pieces)


def read_tape(path: str, block: Block, cycles: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
    """Bits of a block's regions in some cycles, whatever blocks wrote them: cycle → uint8[regions, ⌈N / 8⌉]."""
    width = -(-block.lattice.region_sites // 8)
    ids = block.region_ids
    order = np.argsort(ids)
    found: dict[int, NDArray[np.uint8]] = {}
    wanted = set(cycles)
    for part in sorted((Path(path) / "tape").glob("*-*")):
        first, last = (int(n) for n in part.name.split("-"))
        here = sorted(wanted & set(range(first, last + 1)))
        if not here:
            continue
        for piece in sorted(part.glob("part-*.zarr")):
            with reading(piece):
                group = zarr.open_group(piece, mode="r")
                owned = np.asarray(group["region"][:])  # type: ignore[index]
                common = np.isin(owned, ids)
                if not common.any():
                    continue
                target = order[np.searchsorted(ids[order], owned[common])]
                for cycle in here:
                    rows = found.setdefault(cycle, np.zeros((ids.size, width), np.uint8))
                    rows[target] = np.asarray(group["bits"][cycle - first])[common]  # type: ignore[index]
    return found


def provenance() -> dict[str, Any]:
    """Versions, host and command."""
    names = ("entropic", "numpy", "numba", "dask", "distributed", "zarr", "xarray", "scipy")
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in names},
    }
