"""Zarr arrays that grow along their first dimension, and are on disk."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, WrapperStore

from entropic.config import Config
from entropic.durable import flush, whole
from entropic.errors import StoreError
from entropic.inventory import Facts, Inventory, facts_of

__all__ = ["grow", "largest", "opened", "written"]

_ROWS = 256  # of a chunk, at most
_WRITERS = 4


@final
class _Flushing(WrapperStore[Store]):
    """Has each file on disk before it takes the place of an older one."""

    def __init__(self, store: LocalStore, inventory: Inventory | None = None) -> None:
        super().__init__(store)
        self.root = store.root
        self.inventory = inventory
        self.touched: set[Path] = set()
        self.files: dict[str, Facts] = {}
        self._pool = ThreadPoolExecutor(_WRITERS, "entropic-columns")

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._set, self.root / key, value)

    def _set(self, path: Path, value: Buffer) -> None:
        content, name = value.as_buffer_like(), str(path.relative_to(self.root))
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            temporary.write_bytes(content)
            if self.inventory is not None and name not in self.files:  # else it is of our own making
                self.inventory.keep(path)
        self.touched.add(path.parent)
        self.files[name] = facts_of(content)

    def finish(self) -> None:
        """Wait for all who write: zarr does not where one of them fails."""
        self._pool.shutdown(cancel_futures=True)

    def settle(self) -> None:
        """Have the names of all that was written on disk, too, up to the store's own."""
        for directory in list(self.touched):
            while directory != self.root:
                directory = directory.parent
                self.touched.add(directory)
        if self.touched:
            for directory in (*self.touched, self.root.parent):
                flush(directory)
        if self.inventory is not None:
            for name, facts in self.files.items():
                self.inventory.note(self.root / name, facts)


@contextmanager
def written(
    place: Path,
    mode: Literal["a", "r+", "w"] = "a",
    inventory: Inventory | None = None,
    files: dict[str, Facts] | None = None,
) -> Iterator[zarr.Group]:
    """A group to write to; in the end all of it is on disk, and withstands a loss of power.

    What is written is noted in the ``inventory``, or in ``files``, by names relative to the group's.
    """
    store = _Flushing(LocalStore(place), inventory)
    try:
        yield zarr.open_group(store, mode=mode, use_consolidated=False)
    finally:
        store.finish()
    store.settle()
    if files is not None:
        files.update(store.files)


def largest(config: Config) -> int:
    """Bytes that no array of a run's books and records exceeds: one of histograms, or the paths of all flows."""
    regions, demands = math.prod(config.field.regions), len(config.grid.demands)
    wide = max(np.iinfo(config.field.dtype).max + 1, (demands + 1) * regions)
    return 8 * max(config.run.cycles, _ROWS) * regions * wide


def opened(place: Path, most: int) -> zarr.Group:
    """A group to read.

    Raises
    ------
    StoreError
        Its metadata say that an array, or a chunk of one, holds more than ``most`` bytes: reading it would exhaust memory.
    """
    group = zarr.open_group(place, mode="r", use_consolidated=False)
    for name, array in group.arrays():
        size = max(math.prod(array.shape), math.prod(array.chunks)) * max(array.dtype.itemsize, 1)
        if size > most:
            found = f"{place / name} claims {size} bytes, more than the {most} that it can have"
            raise StoreError(f"{found}.", "restore it from a copy, or run again")
    return group


def grow(group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...], attrs: Mapping[str, Any]) -> None:
    """Append along the first dimension (and widen the last one of a histogram)."""
    array = group.get(name)
    rows = 0
    if array is None:
        chunk = (max(1, min(_ROWS, (1 << 22) // max(int(np.prod(values.shape[1:])), 1))), *values.shape[1:])
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=tuple(max(n, 1) for n in chunk),
            dtype=values.dtype,
            dimension_names=dims,
            attributes=dict(attrs),
            # The sum is looked at first: blosc's decoder reads beyond its memory where a chunk's header lies.
            compressors=[BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.bitshuffle), Crc32cCodec()],
        )
    else:
        assert isinstance(array, zarr.Array)
        rows = array.shape[0]
        wide = (max(a, b) for a, b in zip(array.shape[1:], values.shape[1:], strict=True))
        array.resize((rows + values.shape[0], *wide))
    array[(slice(rows, None), *(slice(0, n) for n in values.shape[1:]))] = values
