"""Checkpoints: generation directories that are whole or not there.

A generation is written under a name that no other attempt uses, with a manifest of size and SHA-256 of every
file, flushed to disk and renamed into place.  Checkpoint and lineage cut are one operation: after it the engine
goes on from `load_block`.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import shutil
import uuid
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.errors import ZarrUserWarning
from zarr.storage import LocalStore, WrapperStore

from entropic.durable import flush
from entropic.engine.manifest import MANIFEST, holds, read_manifest, sealed, sha256_of
from entropic.engine.state import BlockState, block_digest, region_totals
from entropic.errors import StoreError
from entropic.inventory import sealed_lines
from entropic.lattice import Block, BlockGrid, Box
from entropic.reading import SPOILT, reading

__all__ = [
    "Generation",
    "begin",
    "commit",
    "consolidate",
    "discard",
    "generations",
    "load_block",
    "load_carried",
    "newest_sound",
    "prune",
    "read_sites",
    "reload_block",
    "set_aside",
    "verify",
    "write_block",
]

FIELD = "field.zarr"
_UNFINISHED = ".partial"  # how zarr calls a file until it is whole
_ATTEMPT_LETTERS = 8
_CHUNK_BYTES = 1 << 22  # small enough for codecs to work side by side in little memory, large enough for few files
_STATE = {"battery": np.int64, "tape": np.float64, "stopped": np.int64}


@final
@dataclass(frozen=True)
class Generation:
    """A checkpoint that is in place; ``inventory``: seal of the line of the run's log that it goes with."""

    path: Path
    cycle: int
    digest: str
    inventory: str = ""

    @property
    def field(self) -> Path:
        return self.path / FIELD


def _chunks(grid: BlockGrid) -> tuple[int, ...]:
    """Extents, in sites, of boxes that every block is made of, none too large for a codec."""
    lattice = grid.lattice
    size = [int(np.gcd.reduce(np.diff(cuts))) * r for cuts, r in zip(grid.cuts, lattice.region_shape, strict=True)]
    if all(len(set(np.diff(cuts)[:-1])) <= 1 and np.diff(cuts)[-1] <= np.diff(cuts)[0] for cuts in grid.cuts):
        size = [int(np.diff(cuts)[0]) * r for cuts, r in zip(grid.cuts, lattice.region_shape, strict=True)]
    for axis in range(4):
        while np.prod(size) * lattice.dtype.itemsize > _CHUNK_BYTES and size[axis] > 1:
            factor = next(n for n in range(2, size[axis] + 1) if size[axis] % n == 0)
            size[axis] //= factor
    return tuple(size[4 - lattice.axes :])


def consolidate(place: Path | Store) -> None:
    """Copy the metadata of a group's arrays into the group's own, where `xarray.open_zarr` looks first.

    Without the copy every reader is warned.  zarr warns the writer instead: the copy is no part of the zarr 3
    specification yet.  A reader that does not know it finds the arrays' own metadata, which stay what counts, so
    that warning says nothing that a user could act on.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        zarr.consolidate_metadata(place)


def begin(directory: Path, cycle: int, grid: BlockGrid) -> Path:
    """Lay out an empty generation and return its temporary path."""
    lattice = grid.lattice
    path = directory / f".tmp-{cycle:09d}-{uuid.uuid4().hex[:_ATTEMPT_LETTERS]}"
    path.mkdir(parents=True)
    group = zarr.open_group(path / FIELD, mode="w")
    array = group.create_array(
        "quanta",
        shape=lattice.extents,
        chunks=_chunks(grid),
        dtype=lattice.dtype,
        # A third of zstd's time, for a seventh more bytes: thermal sites are mostly noise to any codec.
        compressors=[BloscCodec(cname="lz4", clevel=1, shuffle=BloscShuffle.bitshuffle), Crc32cCodec()],
        dimension_names=lattice.names,
    )
    array.attrs.update({"units": "quanta", "long_name": "energy of a site", "cycle": cycle})
    for name, extent in zip(lattice.names, lattice.extents, strict=True):
        place = group.create_array(name, shape=(extent,), dtype="int64", chunks=(extent,), dimension_names=(name,))
        place[:] = np.arange(extent)
        place.attrs.update({"units": "site", "long_name": f"position along {name}"})
    consolidate(path / FIELD)
    return path


def _user_slices(block: Block) -> tuple[slice, ...]:
    return block.sites.slices[4 - block.lattice.axes :]


@final
class _Noting(WrapperStore[Store]):
    """Notes size and SHA-256 of all that is written, from memory, and has each file on disk before it goes on."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.root = store.root
        self.files: dict[str, dict[str, Any]] = {}

    async def set(self, key: str, value: Buffer) -> None:
        await super().set(key, value)
        self.files[key] = await asyncio.to_thread(self._settle, key, value)

    def _settle(self, key: str, value: Buffer) -> dict[str, Any]:
        flush(self.root / key)
        return {"bytes": len(value), "sha256": hashlib.sha256(value.as_buffer_like()).hexdigest()}


# States that this process has written and not gone on from yet, by attempt of a generation and place of a block (a driver
# that follows a dead one on the same workers may cut the field otherwise).
_written: dict[tuple[str, Box], BlockState] = {}


def _attempt(path: Path) -> str:
    """What the name of a generation keeps when it is renamed into place."""
    return path.name[-_ATTEMPT_LETTERS:]


def write_block(state: BlockState, block: Block, path: str) -> dict[str, Any]:
    """Write a block's sites; returns its share of the digest, of the regions' state and of the manifest."""
    store = _Noting(LocalStore(Path(path) / FIELD))
    array = zarr.open_group(store, mode="r+")["quanta"]
    assert isinstance(array, zarr.Array)
    # A look for chunks that are all zero, and need not be written, would take a third of the time.
    array = array.with_config({"write_empty_chunks": True})
    array[_user_slices(block)] = state.array.reshape(state.array.shape[4 - block.lattice.axes :])
    attempt = _attempt(Path(path))
    for key in list(_written):
        if key[0] != attempt:
            _written.pop(key, None)
    _written[attempt, block.box] = state.flushed()
    return {
        "digest": block_digest(state.array, block),
        "battery": state.battery,
        "tape": state.tape,
        "stopped": state.stopped,
        "carries": state.carries.T,
        "unpaid": state.unpaid,
        "files": {f"{FIELD}/{name}": facts for name, facts in store.files.items()},
    }


def reload_block(block: Block, path: str) -> BlockState:
    """`load_block`, but the state itself if this very process has just written it: the same bits, and no reading."""
    state = _written.pop((_attempt(Path(path)), block.box), None)
    return load_block(block, path) if state is None else state


def load_block(block: Block, path: str) -> BlockState:
    """Read a block's state from a generation."""
    lattice = block.lattice
    ids = block.region_ids
    with reading(Path(path)):
        array = zarr.open_group(Path(path) / FIELD, mode="r")["quanta"]
        regions = zarr.open_group(Path(path) / "regions.zarr", mode="r")
        values = {name: np.asarray(regions[name][:])[ids] for name in (*_STATE, "unpaid", "carries")}  # type: ignore[index]
        sites = np.asarray(array[_user_slices(block)]).reshape(block.sites.shape)  # type: ignore[index]
    sites = np.ascontiguousarray(sites, dtype=lattice.dtype)
    return BlockState(
        array=sites,
        quanta=region_totals(sites, block),
        heat=np.zeros(ids.size, np.int64),
        baths=np.zeros((4, ids.size), np.int64),
        carries=np.ascontiguousarray(values["carries"].T),
        battery=values["battery"],
        tape=values["tape"],
        unpaid=values["unpaid"],
        stopped=values["stopped"],
    )


def read_sites(path: Path, where: tuple[slice, ...]) -> NDArray[np.generic]:
    """Some sites of a generation's field, for a reader that does not hold the run's lock.

    Raises
    ------
    StoreError
        The run went on and dropped the generation, or a chunk is not as it was written.
    """
    remedy = "ask for the field anew: a run keeps its two newest checkpoints"
    try:
        with reading(path, remedy):
            _require_chunks(path, ("zarr.json",))
            array = zarr.open_group(path / FIELD, mode="r")["quanta"]
            ranges = [range(s.start // n, -(-s.stop // n)) for s, n in zip(where, array.chunks, strict=True)]  # type: ignore[union-attr]
            _require_chunks(path, ("/".join(["c", *map(str, chunk)]) for chunk in itertools.product(*ranges)))
            sites = np.asarray(array[where])  # type: ignore[index]
    except StoreError:
        if path.is_dir():
            raise
    if not path.is_dir():  # zarr takes chunks that are missing for zeros
        raise StoreError(f"{path} is gone.", remedy)
    return sites


def _require_chunks(generation: Path, names: Iterable[str]) -> None:
    """These files of the field must be as they were written."""
    files = read_manifest(generation)["files"]
    for name in names:
        if not holds(generation, f"{FIELD}/quanta/{name}", files):
            found = f"{generation / FIELD / 'quanta' / name} is not as it was written"
            raise StoreError(f"{found}.", "go on from another checkpoint: entropic resume")


def load_carried(path: Path) -> NDArray[np.int64]:
    """What the grid's lines carried when a generation was written: int64[lines]."""
    with reading(path):
        return np.asarray(zarr.open_group(path / "regions.zarr", mode="r")["carried"][:])  # type: ignore[index]


def _files(path: Path) -> list[Path]:
    """Files that count: not the manifest, and not what a writer that was stopped in mid-file left, or leaves if it wakes."""
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name != MANIFEST and p.suffix != _UNFINISHED)


def commit(
    path: Path,
    cycle: int,
    grid: BlockGrid,
    parts: list[dict[str, Any]],
    carried: NDArray[np.int64] | None = None,
    inventory: str = "",
) -> Generation:
    """Add the regions' state, what the grid's lines carry, and the manifest; flush, and rename into place."""
    lattice = grid.lattice
    depth = max(part["unpaid"].shape[1] for part in parts)
    whole: dict[str, NDArray[np.generic]] = {n: np.zeros(lattice.region_count, kind) for n, kind in _STATE.items()}
    whole["unpaid"] = np.full((lattice.region_count, depth), -1, np.int64)
    whole["carries"] = np.zeros((lattice.region_count, 3), np.int64)
    digest = np.zeros(2, np.uint64)
    for block, part in zip(grid.blocks, parts, strict=True):
        digest += part["digest"].astype(np.uint64)
        for name in _STATE:
            whole[name][block.region_ids] = part[name]
        whole["carries"][block.region_ids] = part["carries"]
        whole["unpaid"][block.region_ids, : part["unpaid"].shape[1]] = part["unpaid"]
    whole["carried"] = np.zeros(0, np.int64) if carried is None else carried
    group = zarr.open_group(path / "regions.zarr", mode="w")
    for name, values in whole.items():
        array = group.create_array(
            name, shape=values.shape, dtype=values.dtype, chunks=tuple(max(n, 1) for n in values.shape)
        )
        if values.size:
            array[:] = values
    text = digest_text(digest)
    files = {name: facts for part in parts for name, facts in part["files"].items()}
    for place in path.rglob("*"):
        if place.suffix != _UNFINISHED and (name := str(place.relative_to(path))) not in files:
            flush(place)
            if place.is_file():
                files[name] = {"bytes": place.stat().st_size, "sha256": sha256_of(place)}
    manifest = {"cycle": cycle, "digest": text, "sites": lattice.sites, "inventory": inventory, "files": files}
    (path / MANIFEST).write_text(sealed(manifest))
    flush(path / MANIFEST)
    flush(path)
    final_path = path.parent / f"cycle-{cycle:09d}-{_attempt(path)}"
    path.rename(final_path)
    flush(path.parent)
    return Generation(final_path, cycle, text, inventory)


def digest_text(digest: NDArray[np.uint64]) -> str:
    """32 hexadecimal digits: second sum, then first."""
    return f"{int(digest[1]):016x}{int(digest[0]):016x}"


def verify(path: Path) -> Generation:
    """Check every file of a generation against its manifest, and the manifest against the run's inventory.

    Raises
    ------
    StoreError
        Something is missing, added or changed.
    """
    remedy = "go on from an older generation (entropic resume does), or run again"
    try:
        manifest = read_manifest(path)
        cycle, digest, files = int(manifest["cycle"]), str(manifest["digest"]), dict(manifest["files"])
        seals = [line.seal for line in sealed_lines(path.parent.parent) if line.cycle == cycle]
        if manifest["inventory"] not in seals:
            raise StoreError(f"{path}: the run's inventory does not know it.", remedy)
        present = {str(p.relative_to(path)) for p in _files(path)}
        if present != set(files):
            raise StoreError(f"{path}: files differ from the manifest: {sorted(present ^ set(files))[:3]}.", remedy)
        for name in files:
            if not holds(path, name, files):
                raise StoreError(f"{path / name}: content differs from the manifest.", remedy)
    except SPOILT as error:
        raise StoreError(f"{path}: no sound manifest ({error}).", remedy) from error
    return Generation(path, cycle, digest, manifest["inventory"])


def generations(directory: Path) -> list[Path]:
    """Generations in place, newest first."""
    return sorted((p for p in directory.glob("cycle-*") if p.is_dir()), reverse=True)


def newest_sound(directory: Path) -> Generation:
    """The newest generation that verifies.

    Raises
    ------
    StoreError
        There is none.
    """
    troubles = []
    for path in generations(directory):
        try:
            return verify(path)
        except StoreError as error:
            troubles.append(error.message)
    raise StoreError(
        f"{directory} holds no sound checkpoint. {' '.join(troubles)}".strip(), "run again from the configuration"
    )


def prune(directory: Path, keep: int = 2) -> None:
    """Remove all but the newest generations, and what unfinished attempts left."""
    for path in generations(directory)[keep:]:
        set_aside(path)
    discard(directory)


def set_aside(path: Path) -> None:
    """Take a generation out of use, so that readers find it whole or not at all; `discard` removes it."""
    path.rename(path.with_name(f".tmp-{path.name}"))


def discard(directory: Path) -> None:
    """Remove what unfinished attempts left."""
    for path in directory.glob(".tmp-*"):
        shutil.rmtree(path, ignore_errors=True)
