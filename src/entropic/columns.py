"""Zarr arrays that grow along their first dimension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BloscShuffle

__all__ = ["grow"]


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
