"""The demon's tape on disk: bits of every cycle, by block that wrote them, readable for any other blocks."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, BloscShuffle, Crc32cCodec

from entropic.columns import written
from entropic.config import Config
from entropic.durable import flush
from entropic.engine.state import TapePiece
from entropic.inventory import Facts
from entropic.lattice import Block
from entropic.reading import reading

__all__ = ["read_tape", "write_tape", "writes_tape"]


def writes_tape(config: Config) -> bool:
    """Whether the demon writes bits at all."""
    return config.demon.lift or config.demon.sort


def write_tape(pieces: Iterable[TapePiece], block: Block, path: str, first: int, last: int) -> dict[str, Facts]:
    """Write a block's bits of the cycles first … last; returns what files that made of the run at ``path``.

    Under a name of its own, whole or not at all: a worker that was stopped and replaced may wake and write it once more.
    """
    pieces = tuple(pieces)
    if not pieces:
        return {}
    width = _unpacked(pieces[0], block).shape[1]
    place = Path(path) / "tape" / f"{first:09d}-{last:09d}" / f"part-{block.number:06d}-{uuid.uuid4().hex[:8]}.zarr"
    temporary = place.with_name(f".tmp-{place.name}")
    files: dict[str, Facts] = {}
    with written(temporary, "w", files=files) as group:
        ids = group.create_array("region", shape=(block.region_count,), dtype="int64")
        ids[:] = block.region_ids
        bits = group.create_array(
            "bits",
            shape=(last - first + 1, block.region_count, width),
            chunks=(1, max(1, min(block.region_count, (1 << 24) // width)), width),
            dtype="uint8",
            dimension_names=("cycle", "region", "byte"),
            compressors=[BloscCodec(cname="zstd", clevel=1, shuffle=BloscShuffle.noshuffle), Crc32cCodec()],
        )
        for piece in pieces:  # unpacked one at a time: a cycle's bits are as many as sites
            bits[piece.cycle - first] = _unpacked(piece, block)
    temporary.rename(place)
    for directory in list(place.parents)[:3]:
        flush(directory)
    return {f"{place.relative_to(path)}/{name}": facts for name, facts in files.items()}


def _unpacked(piece: TapePiece, block: Block) -> NDArray[np.uint8]:
    return np.frombuffer(blosc.decompress(piece.packed), np.uint8).reshape(block.region_count, -1)


def read_tape(path: str, ids: NDArray[np.int64], cycles: Iterable[int]) -> dict[int, NDArray[np.uint8]]:
    """Bits of the regions ``ids`` in some cycles, whatever blocks wrote them: cycle → uint8[regions, bytes]."""
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
                    width = int(group["bits"].shape[2])  # type: ignore[union-attr]
                    rows = found.setdefault(cycle, np.zeros((ids.size, width), np.uint8))
                    rows[target] = np.asarray(group["bits"][cycle - first])[common]  # type: ignore[index]
    return found
