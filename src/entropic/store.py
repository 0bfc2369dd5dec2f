"""What is on disk: configuration, provenance, books, series, tape, summary.  JSON, TOML and zarr only."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, final

import numpy as np
import zarr
from numpy.typing import NDArray

from entropic import special
from entropic.columns import grow, written
from entropic.config import Config, ConfigError
from entropic.drivers import StoreBusyError, note_driver, take_lock
from entropic.durable import flush, mending, whole
from entropic.engine.checkpoint import consolidate, reading
from entropic.errors import ResourceError, StoreError, UsageError
from entropic.ledger import ACCOUNTS, Ledger, accounts
from entropic.machines.network import Network
from entropic.machines.protocol import OwnProtocol, ProtocolError
from entropic.provenance import provenance
from entropic.records import cut_records
from entropic.series import FLOWS, SERIES, flow

__all__ = [
    "FLOWS",
    "SERIES",
    "RunStore",
    "StoreBusyError",
    "StoreExistsError",
    "flow",
    "whole",
    "write_json",
    "write_text",
]

_SERIES = (*SERIES, "cycle")


@final
class StoreExistsError(UsageError):
    """The run directory is there already."""


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


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, "utf-8")


def write_json(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=indent) + "\n")


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
    def create(cls, path: Path, config: Config, protocol: OwnProtocol | None = None) -> RunStore:
        """Make a new run directory, with its own copies of the network and the protocol, and lock it.

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
            path.mkdir(mode=0o700, parents=True, exist_ok=True)  # no one else reads it, unless its owner says so
            (path / "checkpoints").mkdir()
            store = cls(path)
            store.lock()
            write_text(path / "config.toml", config.to_toml())
            if config.grid.enabled and config.grid.network is not None:
                Network.from_file(config.grid.network, config.field.region_count)  # raises if it is broken
                with whole(path / "network.json") as temporary:
                    shutil.copyfile(config.grid.network, temporary)
            if protocol is not None:
                facts = {
                    "class": protocol.name,
                    "bits": protocol.bits,
                    "file": protocol.path,
                    "sha256": protocol.sha256,
                }
                store.write_json("protocol.json", facts)
                if protocol.source is not None:
                    write_text(path / "protocol.py", protocol.source)
            store.write_json("provenance.json", provenance())
            note_driver(path, 0)
            for directory in (path, path.parent):
                flush(directory)
        except OSError as error:
            raise ResourceError(
                f"cannot write {path}: {error}.", f"choose another --out, or {mending(error)}"
            ) from error
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

    @classmethod
    def unborn(cls, path: Path) -> bool:
        """Whether whoever made the directory broke off (or is at it) before the configuration was in it."""
        return path.is_dir() and {place.name for place in path.iterdir()} <= {"checkpoints", "lock", ".config.toml.tmp"}

    def lock(self) -> None:
        """Become the one writer, until the process ends or `unlock`."""
        self._lock = take_lock(self.path)

    def unlock(self) -> None:
        if self._lock is not None:
            with suppress(OSError):  # of a disk that fails has been told already; the lock is free all the same
                self._lock.close()
            self._lock = None

    @property
    def network_file(self) -> Path | None:
        """The run's own copy of the lines that were configured."""
        path = self.path / "network.json"
        return path if path.is_file() else None

    def lift_bits(self, sites: int) -> int:
        """Length of a record of the lift: one bit a site, or what the run's protocol writes.  Runs no protocol."""
        if self.config().demon.protocol is None:
            return sites
        bits = self.read_json("protocol.json").get("bits")
        if type(bits) is not int or bits < 1:
            raise StoreError(f"{self.path}/protocol.json: bits is {bits!r}, not a number.", "restore it from a copy")
        return bits

    def protocol(self, sites: int, given: Any = None) -> OwnProtocol | None:
        """The run's protocol: from the run's own copy of its file (this runs it), or the object ``given``.

        Raises
        ------
        ProtocolError
            An object is needed and not given, or given and not needed, or it is not the one of this run.
        StoreError
            The run's copy was changed.
        """
        if self.config().demon.protocol is None:
            if given is not None:
                raise ProtocolError(f"{self.path} ran without a protocol.", "leave harvester out")
            return None
        facts = self.read_json("protocol.json")
        name, file = str(facts.get("class")), self.path / "protocol.py"
        if facts.get("file") is not None:
            if given is not None:
                raise ProtocolError(f"{self.path} has its protocol in {file}.", "leave harvester out")
            try:
                source = file.read_text("utf-8")
            except (OSError, ValueError) as error:
                raise StoreError(f"{file} cannot be read: {error}.", "restore it from a copy, or run again") from error
            if hashlib.sha256(source.encode()).hexdigest() != facts.get("sha256"):
                raise StoreError(f"{file} was changed since the run began.", "restore it from a copy, or run again")
            own = OwnProtocol.from_source(source, str(file), name, sites)
        elif given is None:
            raise ProtocolError(
                f"the protocol {name} of {self.path} is a Python object.", "from Python, pass harvester=…"
            )
        else:
            own = OwnProtocol.from_object(given, sites)
        if (own.name, own.bits) != (name, facts.get("bits")):
            found, wanted = f"{own.name} with {own.bits} bits", f"{name} with {facts.get('bits')}"
            raise ProtocolError(
                f"{found} is not this run's protocol, {wanted}.", "pass the one that the run began with"
            )
        return own

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def config(self) -> Config:
        """The configuration as run."""
        try:
            return Config.from_toml(self.path / "config.toml")
        except ConfigError as error:
            raise StoreError(f"{self.path}/config.toml is damaged: {error}", "restore it from a copy") from error

    def write_json(self, name: str, content: Mapping[str, Any], indent: int | None = 1) -> None:
        """Write a JSON file whole or not at all."""
        write_json(self.path / name, content, indent)

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
        with written(self.path / "opening.zarr", "w") as group:
            for name, values in entries.items():
                array = group.create_array(
                    name, shape=values.shape, dtype=values.dtype, chunks=values.shape, dimension_names=("region",)
                )
                array[:] = values
                _, units, about = ACCOUNTS.get(name, ("", "nat", "entropy of the region"))
                array.attrs.update({"units": units, "long_name": about.replace("cycle's end", "start")})
            consolidate(group.store)

    def opening(self) -> dict[str, NDArray[Any]]:
        return self._read("opening.zarr", ("quanta", "battery", "entropy_hist", "entropy_start"))

    def append_books(self, ledger: Ledger) -> None:
        """Add complete cycles to the books."""
        with reading(self.path / "books.zarr"), written(self.path / "books.zarr") as group:
            self._append_books(group, ledger)

    def _append_books(self, group: zarr.Group, ledger: Ledger) -> None:
        cycles = np.arange(ledger.first, ledger.first + ledger.cycles, dtype=np.int64)
        grow(group, "cycle", cycles, ("cycle",), {"units": "1", "long_name": "cycles done"})
        for name in ledger.names:
            _, units, about = ACCOUNTS[name]
            grow(group, name, ledger.entries[name], ("cycle", "region"), {"units": units, "long_name": about})
        tables = {"counts": (ledger.counts, "sites that hold q quanta after relaxation, before the lift")}
        if ledger.lifted is not None:
            tables["counts_lifted"] = (ledger.lifted, "sites that hold q quanta right after the protocol")
        for name, (table, about) in tables.items():
            counts = table.astype(np.uint32) if table.dtype.itemsize < 4 else table
            grow(group, name, counts, ("cycle", "region", "q"), {"units": "1", "long_name": about})

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
        names = accounts(self.config())
        take = {name: np.asarray(books[name][done : ends[-1]]) for name in names}  # type: ignore[index]
        at = np.array(ends) - done
        starts = np.concatenate([[0], at[:-1]])
        rows: dict[str, NDArray[Any]] = {name: np.add.reduceat(flow(take, name), starts, axis=0) for name in FLOWS}
        for name in ("quanta", "battery", "entropy_hist"):
            rows[name] = take[name][at - 1]
        quanta = rows["quanta"]
        rows["entropy_region"] = special.ln_multiplicities(sites, quanta.ravel()).reshape(quanta.shape)
        rows["temperature"] = special.temperatures(sites, quanta.ravel()).reshape(quanta.shape)
        with written(place) as group:
            grow(group, "cycle", np.array(ends, np.int64), ("cycle",), {"units": "1", "long_name": "cycles done"})
            for name, (kind, units, about) in SERIES.items():
                values = np.ascontiguousarray(rows[name].astype(kind))
                grow(group, name, values, ("cycle", "region"), {"units": units, "long_name": about})
            if group.get("region") is None:
                numbers = np.arange(rows["quanta"].shape[1], dtype=np.int64)
                array = group.create_array("region", shape=numbers.shape, dtype="int64", dimension_names=("region",))
                array[:] = numbers
                array.attrs.update({"units": "1", "long_name": "number of the region, C order"})
            consolidate(group.store)

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
            self._cut("books.zarr", self._book_names(), cycle, cycle)
        else:
            _remove(self.path / "books.zarr")
        series = self.path / "series.zarr"
        try:
            kept = self._cut("series.zarr", _SERIES, cycle, 0)
            with reading(series), written(series, "r+") as group:
                consolidate(group.store)
        except StoreError:
            kept = 0
        if not kept:
            _remove(series)
        cut_records(self.path, cycle)
        for part in (self.path / "tape").glob("*"):
            if int(part.name.split("-")[1]) > cycle:
                for piece in sorted(part.rglob("*"), reverse=True):
                    piece.rmdir() if piece.is_dir() else piece.unlink()
                part.rmdir()

    def _cut(self, name: str, names: Iterable[str], cycle: int, least: int) -> int:
        """Cut the arrays of a store after a cycle; returns how many rows are left, at least ``least``."""
        place = self.path / name
        with reading(place), written(place, "r+") as group:
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

    def _book_names(self) -> tuple[str, ...]:
        names = accounts(self.config())
        return (*names, "counts", *(("counts_lifted",) if "sitewise" in names else ()), "cycle")

    def books(self) -> dict[str, NDArray[Any]]:
        """All books: account → [cycle, region]; ``counts`` [cycle, region, q]; ``cycle``."""
        return self._read("books.zarr", self._book_names())

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
