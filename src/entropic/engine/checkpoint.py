"""Checkpoints: generation directories that are whole or not there.

A generation is written under a name that no other attempt uses, with a manifest of size and SHA-256 of every
file, flushed to disk and renamed into place.  Checkpoint and lineage cut are one operation: after it the engine
goes on from `load_block`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec
from zarr.errors import ZarrUserWarning

from entropic.engine.state import BlockState, block_digest
from entropic.errors import StoreError
from entropic.lattice import Block, BlockGrid

__all__ = [
    "Generation",
    "begin",
    "commit",
    "consolidate",
    "discard",
    "generations",
    "is_damage",
    "load_block",
    "load_carried",
    "newest_sound",
    "prune",
    "read_sites",
    "reading",
    "verify",
    "write_block",
]

MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 22  # small enough for codecs to work side by side in little memory, large enough for few files
# What damaged metadata, chunks (blosc: RuntimeError) and values lead to.
_SPOILT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError)
_STATE = {"battery": np.int64, "tape": np.float64, "stopped": np.int64}


@final
@dataclass(frozen=True)
class Generation:
    """A checkpoint that is in place."""

    path: Path
    cycle: int
    digest: str

    @property
    def field(self) -> Path:
        return self.path / "field.zarr"


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


def is_damage(error: OSError) -> bool:
    """Whether a failure comes of what is on the disk (something missing or in the way) and not of the disk's state."""
    return error.errno in (None, errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.ELOOP)


@contextmanager
def reading(place: Path, remedy: str = "restore it from a copy, or run again") -> Iterator[None]:
    """Whatever zarr, its codecs or JSON raise on a damaged store becomes a `StoreError`."""
    try:
        yield
    except (OSError, *_SPOILT) as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        raise StoreError(f"{place} cannot be read: {type(error).__name__} {error}.", remedy) from error


def consolidate(path: Path) -> None:
    """Copy the metadata of a group's arrays into the group's own, where `xarray.open_zarr` looks first.

    Without the copy every reader is warned.  zarr warns the writer instead: the copy is no part of the zarr 3
    specification yet.  A reader that does not know it finds the arrays' own metadata, which stay what counts, so
    that warning says nothing that a user could act on.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", ZarrUserWarning)
        zarr.consolidate_metadata(path)


def begin(directory: Path, cycle: int, grid: BlockGrid) -> Path:
    """Lay out an empty generation and return its temporary path."""
    lattice = grid.lattice
    path = directory / f".tmp-{cycle:09d}-{uuid.uuid4().hex[:8]}"
    path.mkdir(parents=True)
    group = zarr.open_group(path / "field.zarr", mode="w")
    array = group.create_array(
        "quanta",
        shape=lattice.extents,
        chunks=_chunks(grid),
        dtype=lattice.dtype,
        compressors=[BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.bitshuffle), Crc32cCodec()],
        dimension_names=lattice.names,
    )
    array.attrs.update({"units": "quanta", "long_name": "energy of a site", "cycle": cycle})
    for name, extent in zip(lattice.names, lattice.extents, strict=True):
        place = group.create_array(name, shape=(extent,), dtype="int64", chunks=(extent,), dimension_names=(name,))
        place[:] = np.arange(extent)
        place.attrs.update({"units": "site", "long_name": f"position along {name}"})
    consolidate(path / "field.zarr")
    return path


def _user_slices(block: Block) -> tuple[slice, ...]:
    return block.sites.slices[4 - block.lattice.axes :]


def write_block(state: BlockState, block: Block, path: str) -> dict[str, NDArray[np.generic]]:
    """Write a block's sites; returns its share of the digest and of the regions' state."""
    array = zarr.open_group(Path(path) / "field.zarr", mode="r+")["quanta"]
    assert isinstance(array, zarr.Array)
    array[_user_slices(block)] = state.array.reshape(state.array.shape[4 - block.lattice.axes :])
    return {
        "digest": block_digest(state.array, block),
        "battery": state.battery,
        "tape": state.tape,
        "stopped": state.stopped,
        "carries": state.carries.T,
        "unpaid": state.unpaid,
    }


def load_block(block: Block, path: str) -> BlockState:
    """Read a block's state from a generation."""
    lattice = block.lattice
    ids = block.region_ids
    with reading(Path(path)):
        array = zarr.open_group(Path(path) / "field.zarr", mode="r")["quanta"]
        regions = zarr.open_group(Path(path) / "regions.zarr", mode="r")
        values = {name: np.asarray(regions[name][:])[ids] for name in (*_STATE, "unpaid", "carries")}  # type: ignore[index]
        sites = np.asarray(array[_user_slices(block)]).reshape(block.sites.shape)  # type: ignore[index]
    return BlockState(
        array=np.ascontiguousarray(sites, dtype=lattice.dtype),
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
        The run went on and dropped the generation.
    """
    remedy = "ask for the field anew: a run keeps its two newest checkpoints"
    with reading(path, remedy):
        sites = np.asarray(zarr.open_group(path / "field.zarr", mode="r")["quanta"][where])  # type: ignore[index]
    if not path.is_dir():  # zarr takes chunks that are missing for zeros
        raise StoreError(f"{path} is gone.", remedy)
    return sites


def load_carried(path: Path) -> NDArray[np.int64]:
    """What the grid's lines carried when a generation was written: int64[lines]."""
    with reading(path):
        return np.asarray(zarr.open_group(path / "regions.zarr", mode="r")["carried"][:])  # type: ignore[index]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file() and p.name != MANIFEST)


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def commit(
    path: Path,
    cycle: int,
    grid: BlockGrid,
    parts: list[dict[str, NDArray[np.generic]]],
    carried: NDArray[np.int64] | None = None,
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
    files = {str(p.relative_to(path)): {"bytes": p.stat().st_size, "sha256": _sha256(p)} for p in _files(path)}
    manifest = {"cycle": cycle, "digest": text, "sites": lattice.sites, "files": files}
    (path / MANIFEST).write_text(json.dumps(manifest, indent=1))
    for file in path.rglob("*"):
        _fsync(file)
    _fsync(path)
    final_path = path.parent / f"cycle-{cycle:09d}-{path.name[-8:]}"
    path.rename(final_path)
    _fsync(path.parent)
    return Generation(final_path, cycle, text)


def digest_text(digest: NDArray[np.uint64]) -> str:
    """32 hexadecimal digits: second sum, then first."""
    return f"{int(digest[1]):016x}{int(digest[0]):016x}"


def verify(path: Path) -> Generation:
    """Check every file of a generation against its manifest.

    Raises
    ------
    StoreError
        Something is missing, added or changed.
    """
    remedy = "go on from an older generation (entropic resume does), or run again"
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        cycle, digest, files = int(manifest["cycle"]), str(manifest["digest"]), dict(manifest["files"])
        present = {str(p.relative_to(path)) for p in _files(path)}
        if present != set(files):
            raise StoreError(f"{path}: files differ from the manifest: {sorted(present ^ set(files))[:3]}.", remedy)
        for name, facts in files.items():
            if _sha256(path / name) != facts["sha256"]:
                raise StoreError(f"{path / name}: content differs from the manifest.", remedy)
    except (OSError, *_SPOILT) as error:
        raise StoreError(f"{path}: no sound manifest ({error}).", remedy) from error
    return Generation(path, cycle, digest)


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
        path.rename(path.with_name(f".tmp-{path.name}"))  # so that readers find it whole or not at all
    discard(directory)


def discard(directory: Path) -> None:
    """Remove what unfinished attempts left."""
    for path in directory.glob(".tmp-*"):
        shutil.rmtree(path, ignore_errors=True)
