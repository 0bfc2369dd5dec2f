"""Zarr arrays that grow along their first dimension, and are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, BloscShuffle
from zarr.core.buffer import Buffer
from zarr.storage import LocalStore, WrapperStore

from entropic.durable import flush, whole

__all__ = ["grow", "written"]


@final
class _Flushing(WrapperStore[Store]):
    """Has each file on disk before it takes the place of an older one."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.root = store.root
        self.touched: set[Path] = set()

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.to_thread(self._set, self.root / key, value)

    def _set(self, path: Path, value: Buffer) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as temporary:
            temporary.write_bytes(value.as_buffer_like())
        self.touched.add(path.parent)

    def settle(self) -> None:
        """Have the names of all that was written on disk, too, up to the store's own."""
        for directory in list(self.touched):
            while directory != self.root:
                directory = directory.parent
                self.touched.add(directory)
        if self.touched:
            for directory in (*self.touched, self.root.parent):
                flush(directory)


@contextmanager
def written(place: Path, mode: Literal["a", "r+", "w"] = "a") -> Iterator[zarr.Group]:
    """A group to write to; in the end all of it is on disk, and withstands a loss of power."""
    store = _Flushing(LocalStore(place))
    yield zarr.open_group(store, mode=mode, use_consolidated=False)
    store.settle()


def grow(group: zarr.Group, name: str, values: NDArray[Any], dims: tuple[str, ...], attrs: Mapping[str, Any]) -> None:
    """Append along the first dimension (and widen the last one of a histogram)."""
    array = group.get(name)
    rows = 0
    if array is None:
        chunk = (max(1, min(256, (1 << 22) // max(int(np.prod(values.shape[1:])), 1))), *values.shape[1:])
        array = group.create_array(
            name,
            shape=values.shape,
            chunks=tuple(max(n, 1) for n in chunk),
            dtype=values.dtype,
            dimension_names=dims,
            attributes=dict(attrs),
            compressors=[BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle)],
        )
    else:
        assert isinstance(array, zarr.Array)
        rows = array.shape[0]
        wide = (max(a, b) for a, b in zip(array.shape[1:], values.shape[1:], strict=True))
        array.resize((rows + values.shape[0], *wide))
    array[(slice(rows, None), *(slice(0, n) for n in values.shape[1:]))] = values
