"""The field as users see it: an xarray of Dask chunks, with its regions' energies, histograms and entropies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from entropic.config import FieldSection
from entropic.engine.checkpoint import digest_text, read_sites
from entropic.engine.drive import block_grid
from entropic.engine.state import block_digest
from entropic.initial import draw_block, lattice_of
from entropic.kernels import region_histogram
from entropic.lattice import BlockGrid, Lattice, regular_cuts
from entropic.reading import reading
from entropic.series import SERIES
from entropic.special import ln_multinomial, ln_multiplicity, temperature
from entropic.store import RunStore

__all__ = ["Field", "OpenRun", "open_run"]


def _draw(section: FieldSection, grid: BlockGrid, block_id: tuple[int, ...] | None = None) -> NDArray[Any]:
    """One Dask chunk of an initial field."""
    lattice = grid.lattice
    place = (0,) * (4 - lattice.axes) + tuple(block_id or (0,) * lattice.axes)
    block = grid.blocks[int(np.ravel_multi_index(place, grid.shape))]
    array = draw_block(section, block)
    return array.reshape(array.shape[4 - lattice.axes :])


def _read(path: Path, block_info: dict[Any, Any] | None = None) -> NDArray[Any]:
    """One Dask chunk of a stored field."""
    assert block_info is not None
    return read_sites(path, tuple(slice(*ends) for ends in block_info[None]["array-location"]))


@final
@dataclass(frozen=True)
class Field:
    """A lattice of oscillators in its initial state, or as a run left it.

    Parameters
    ----------
    section : FieldSection
        Geometry and initial state.
    data : xarray.DataArray
        Quanta a site, dims x, y, z, w, Dask chunks of whole regions.

    Examples
    --------
    >>> from entropic import Field
    >>> field = Field.initial({"shape": [8, 8], "regions": [2, 2], "initial": "uniform", "mean": 3.0})
    >>> int(field.data.sum())
    192
    """

    section: FieldSection
    data: xr.DataArray

    @classmethod
    def initial(
        cls, section: FieldSection | dict[str, Any], chunks: tuple[int, ...] | BlockGrid | None = None
    ) -> Field:
        """The initial field; ``chunks`` in regions along each axis (default: one chunk), or a whole cut."""
        from entropic.config import Config

        if isinstance(section, dict):
            section = Config.from_mapping(
                {"field": section, "battery": {"initial": 0.0}, "demon": {"lift": False}}
            ).field
        lattice = lattice_of(section)
        grid = block_grid(lattice, chunks)
        sizes = tuple(
            tuple(int(n) * r for n in np.diff(cuts)) for cuts, r in zip(grid.cuts, lattice.region_shape, strict=True)
        )[4 - lattice.axes :]
        array = da.map_blocks(
            _draw, section, grid, chunks=sizes, dtype=lattice.dtype, meta=np.empty((0,) * lattice.axes, lattice.dtype)
        )
        return cls(section, _labelled(array, lattice, {"cycle": 0, "initial": section.initial, "seed": section.seed}))

    @classmethod
    def stored(cls, store: RunStore) -> Field:
        """The field of a run's newest checkpoint, which a run that goes on keeps until there are two newer ones.

        Raises
        ------
        StoreError
            There is none, or it is damaged; later, when chunks are asked for: the run has dropped it.
        """
        section = store.config().field
        lattice = lattice_of(section)
        path = (store.path / "field.zarr").resolve().parent
        with reading(path):
            array = zarr.open_group(path / "field.zarr", mode="r")["quanta"]
            assert isinstance(array, zarr.Array)
            chunks, cycle = da.core.normalize_chunks(array.chunks, lattice.extents), array.attrs["cycle"]
        sites = da.map_blocks(
            _read, path, chunks=chunks, dtype=lattice.dtype, meta=np.empty((0,) * lattice.axes, lattice.dtype)
        )
        return cls(section, _labelled(sites, lattice, {"cycle": cycle}))

    @property
    def lattice(self) -> Lattice:
        return lattice_of(self.section)

    def analyze_entropy_distribution(self) -> xr.Dataset:
        """Energy, histogram entropy, region entropy and temperature of every region: dims as the lattice of regions."""
        lattice = self.lattice
        sites = np.asarray(self.data.data).reshape(lattice.shape)
        block = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks[0]
        shape = lattice.boxes
        counts = np.zeros(lattice.q_max + 1, np.int64)
        levels = np.arange(counts.size, dtype=np.int64)
        rows = []
        for region in block.region_views(sites):
            region_histogram(region, counts)
            quanta = int(counts @ levels)
            n = lattice.region_sites
            rows.append((quanta, ln_multinomial(counts), ln_multiplicity(n, quanta), temperature(n, quanta)))
        dims = tuple(f"region_{name}" for name in lattice.names)
        about = {name: SERIES[name][1:] for name in ("quanta", "entropy_hist", "entropy_region", "temperature")}
        return xr.Dataset(
            {
                name: (dims, np.array(column).reshape(shape), {"units": units, "long_name": text})
                for (name, (units, text)), column in zip(about.items(), zip(*rows, strict=True), strict=True)
            }
        )

    def digest(self) -> str:
        """The field's 128-bit digest, 32 hexadecimal digits, the same for every layout."""
        lattice = self.lattice
        block = BlockGrid(lattice, regular_cuts(lattice, lattice.boxes)).blocks[0]
        sites = np.ascontiguousarray(np.asarray(self.data.data)).reshape(lattice.shape)
        return digest_text(block_digest(sites, block))


def _labelled(array: Any, lattice: Lattice, attrs: dict[str, Any]) -> xr.DataArray:
    coords = {
        name: (name, np.arange(n), {"units": "site", "long_name": f"position along {name}"})
        for name, n in zip(lattice.names, lattice.extents, strict=True)
    }
    return xr.DataArray(
        array,
        dims=lattice.names,
        coords=coords,
        name="quanta",
        attrs={"units": "quanta", "long_name": "energy of a site", "regions": list(lattice.boxes), **attrs},
    )


@final
@dataclass(frozen=True)
class OpenRun:
    """A run on disk: its configuration, series, newest field and summary."""

    store: RunStore

    @property
    def config(self) -> Any:
        return self.store.config()

    @property
    def series(self) -> xr.Dataset:
        self.store.require_files("series.zarr")
        series: xr.Dataset = xr.open_zarr(self.store.path / "series.zarr", consolidated=False)
        return series

    @property
    def field(self) -> Field:
        return Field.stored(self.store)

    @property
    def summary(self) -> dict[str, Any]:
        self.store.require_files("summary.json")
        return self.store.read_json("summary.json")


def open_run(path: str | Path) -> OpenRun:
    """Open a run directory.

    Raises
    ------
    UsageError, StoreError
        It is not one, or is damaged.
    """
    return OpenRun(RunStore.open(Path(path)))
