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
from entropic.columns import grow, largest, opened, written
from entropic.config import Config, ConfigError
from entropic.drivers import StoreBusyError, is_locked, note_driver, take_lock
from entropic.durable import flush, json_text, mending, whole, write_json, write_text
from entropic.engine.checkpoint import Generation, consolidate, newest_sound
from entropic.errors import ResourceError, StoreError, UsageError
from entropic.inventory import DRIVERS, Inventory, sealed_lines
from entropic.ledger import ACCOUNTS, Ledger, accounts
from entropic.machines.network import Network
from entropic.machines.protocol import OwnProtocol, ProtocolError
from entropic.provenance import provenance
from entropic.reading import reading
from entropic.series import FLOWS, SERIES, flow

__all__ = [
    "FLOWS",
    "SERIES",
    "RunStore",
    "StoreBusyError",
    "StoreExistsError",
    "flow",
]

_SERIES = (*SERIES, "cycle")
_OWN_FILES = ("config.toml", "network.json", "protocol.json", "protocol.py", "provenance.json", *DRIVERS)


@final
class StoreExistsError(UsageError):
    """The run directory is there already."""


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise TypeError(f"{name} is not an array")
    return array


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
        self._inventory: Inventory | None = None

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
                write_json(path / "protocol.json", facts)
                if protocol.source is not None:
                    write_text(path / "protocol.py", protocol.source)
            write_json(path / "provenance.json", provenance())
            note_driver(path, 0)
            for name in _OWN_FILES:
                if (path / name).exists():
                    store.inventory.note(path / name)
            store.inventory.write(0)
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

    @property
    def inventory(self) -> Inventory:
        """What the run's files must be."""
        if self._inventory is None:
            self._inventory = Inventory(self.path)
        return self._inventory

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
        if not path.is_file():
            return None
        self._require_own("network.json")
        return path

    def lift_bits(self, sites: int) -> int:
        """Length of a record of the lift: one bit a site, or what the run's protocol writes.  Runs no protocol."""
        if self.config().demon.protocol is None:
            return sites
        self._require_own("protocol.json")
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
        self._require_own("protocol.json")
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
        """The configuration as run.

        Raises
        ------
        StoreError
            It was changed since.
        """
        self._require_own("config.toml")
        try:
            return Config.from_toml(self.path / "config.toml")
        except ConfigError as error:
            raise StoreError(f"{self.path}/config.toml is damaged: {error}", "restore it from a copy") from error

    def _require_own(self, name: str) -> None:
        """A file that is there from the beginning must be as it was."""
        path = self.path / name
        first = next(iter(sealed_lines(self.path)), None)
        if first is not None and (name not in first.files or not self.inventory.holds(name, first.files[name])):
            raise StoreError(f"{path} is not as it was written.", "restore it from a copy, or run again")

    def write_json(self, name: str, content: Mapping[str, Any], indent: int | None = 1) -> None:
        """Write a JSON file beside the newest checkpoint, whole or not at all."""
        text = json_text(content, indent)
        self.inventory.amend(name, text.encode())
        write_text(self.path / name, text)

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
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
        with written(self.path / "opening.zarr", "w", self.inventory) as group:
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
        with reading(self.path / "books.zarr"), written(self.path / "books.zarr", inventory=self.inventory) as group:
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
        books = opened(self.path / "books.zarr", largest(self.config()))
        place = self.path / "series.zarr"
        # The arrays' own metadata: the group's copy of them may be older, after a crash.
        known = opened(place, largest(self.config())).get("cycle") if place.exists() else None
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
        with written(place, inventory=self.inventory) as group:
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

    def restore(self, generation: Generation) -> None:
        """Make books, series, records and tape what they were when a checkpoint was written.

        A series that is damaged goes as a whole: it can be made anew from the books.

        Raises
        ------
        StoreError
            Something that cannot be made anew is not as it was written.  Nothing was changed.
        """
        self.inventory.restore(generation.cycle)

    def require_files(self, *within: str, tape: bool = True) -> None:
        """Files (whose names begin so) must be as they were written; of a run that is being driven none is looked at.

        Raises
        ------
        StoreError
            One is not.
        """
        if not is_locked(self.path):
            cycle = newest_sound(self.checkpoints).cycle
            for part in within or ("",):
                self.inventory.require(cycle, tape, part)

    def _read(self, name: str, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        with reading(self.path / name):
            group = opened(self.path / name, largest(self.config()))
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
