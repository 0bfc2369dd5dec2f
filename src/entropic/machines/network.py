"""The lines between the regions' batteries: nearest neighbours, or any graph from a file.

A line joins two regions and carries both ways: the quanta that it delivers in a cycle, the two directions added,
are at most its capacity.  It loses a share of what it delivers, a whole number of parts of 10⁹ (`shares`).
Lines are kept in ascending order of (lower region, higher region), whatever order they were given in, so nothing
that is counted by line depends on how a file was written.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import UsageError
from entropic.machines.shares import PARTS, ShareError, share_parts

__all__ = [
    "MAX_CAPACITY",
    "CapacityError",
    "DoubleLineError",
    "LossError",
    "Network",
    "NetworkError",
    "NetworkFileError",
    "NetworkFormatError",
    "RegionRangeError",
    "SelfLoopError",
]

MAX_CAPACITY = 2**62
_EXAMPLE = '{"nodes": [{"id": 0}, {"id": 1}], "edges": [{"source": 0, "target": 1, "capacity": 1000, "loss": 0.001}]}'


class NetworkError(UsageError):
    """A network that cannot be."""


@final
class NetworkFileError(NetworkError):
    """The file of a network cannot be read."""


@final
class NetworkFormatError(NetworkError):
    """The file of a network is not in node-link form."""


@final
class RegionRangeError(NetworkError):
    """A region that the field does not have."""


@final
class SelfLoopError(NetworkError):
    """A line from a region to itself."""


@final
class DoubleLineError(NetworkError):
    """Two lines between the same two regions."""


@final
class CapacityError(NetworkError):
    """A capacity that is negative or too large."""


@final
class LossError(NetworkError):
    """A loss that is not from 0 to below 1."""


@final
@dataclass(frozen=True, eq=False)
class Network:
    """Regions and the lines between them; checked and put in order on construction.

    Parameters
    ----------
    regions : int
        Number of regions; they count from 0.
    lines : int64[lines, 2]
        The two regions that each line joins.
    capacity : int64[lines]
        Quanta a cycle, both directions together, 0 … 2⁶².
    loss : int64[lines]
        Share lost, in parts of 10⁹ of what is delivered.

    Raises
    ------
    NetworkError
        The kind of it says what is wrong.
    """

    regions: int
    lines: NDArray[np.int64]
    capacity: NDArray[np.int64]
    loss: NDArray[np.int64]

    def __post_init__(self) -> None:
        ends = np.sort(np.asarray(self.lines, np.int64).reshape(-1, 2), axis=1)
        order = np.lexsort((ends[:, 1], ends[:, 0]))
        values = {
            "lines": ends[order],
            "capacity": np.asarray(self.capacity, np.int64)[order],
            "loss": np.asarray(self.loss, np.int64)[order],
        }
        for name, array in values.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        self._check()

    def _check(self) -> None:
        wrong = np.flatnonzero((self.lines < 0).any(axis=1) | (self.lines >= self.regions).any(axis=1))
        if wrong.size:
            raise RegionRangeError(
                f"{self._named(wrong[0])} ends at a region that is not there, expected 0 to {self.regions - 1}.",
                "number the nodes as the regions of the field, from 0 in C order",
            )
        wrong = np.flatnonzero(self.lines[:, 0] == self.lines[:, 1])
        if wrong.size:
            raise SelfLoopError(
                f"{self._named(wrong[0])} joins a region to itself.", "remove it: a region needs no line to itself"
            )
        wrong = np.flatnonzero((self.lines[1:] == self.lines[:-1]).all(axis=1))
        if wrong.size:
            raise DoubleLineError(
                f"{self._named(wrong[0])} is given twice.",
                "give one line between two regions; it carries both ways, and capacities add",
            )
        wrong = np.flatnonzero((self.capacity < 0) | (self.capacity > MAX_CAPACITY))
        if wrong.size:
            raise CapacityError(
                f"{self._named(wrong[0])} has a capacity of {self.capacity[wrong[0]]} quanta, expected 0 to 2^62.",
                "give the quanta that it may carry a cycle; 0 shuts it",
            )
        wrong = np.flatnonzero((self.loss < 0) | (self.loss >= PARTS))
        if wrong.size:
            raise LossError(
                f"{self._named(wrong[0])} loses {self.loss[wrong[0]]} of {PARTS} parts, expected 0 to below {PARTS}.",
                "give the share lost on the way, from 0 to below 1",
            )

    def _named(self, line: np.int64) -> str:
        return f"the line between regions {self.lines[line, 0]} and {self.lines[line, 1]}"

    @property
    def line_count(self) -> int:
        """Number of lines."""
        return len(self.lines)

    @classmethod
    def nearest_neighbours(
        cls, regions_shape: Sequence[int], capacity: int, loss: float, periodic: bool = False
    ) -> Network:
        """One line between every two regions that share a face.

        Parameters
        ----------
        regions_shape : sequence of int
            Regions along each axis; they are numbered in C order.
        capacity : int
            Quanta a line a cycle.
        loss : float
            Share lost a line.
        periodic : bool
            Whether the first and the last region of an axis are neighbours, too.
        """
        number = np.arange(math.prod(regions_shape), dtype=np.int64).reshape(regions_shape)
        pairs = []
        for axis, extent in enumerate(regions_shape):
            pairs.append(np.stack([number.take(range(extent - 1), axis), number.take(range(1, extent), axis)], -1))
            if periodic and extent > 2:  # of two regions the one line there is serves both faces
                pairs.append(np.stack([number.take([0], axis), number.take([-1], axis)], -1))
        lines = np.concatenate([pair.reshape(-1, 2) for pair in pairs])
        if not 0 <= capacity <= MAX_CAPACITY:
            raise CapacityError(f"a line's capacity is {capacity} quanta, expected 0 to 2^62.", "give another capacity")
        return cls(number.size, lines, np.full(len(lines), capacity), np.full(len(lines), _loss_parts(loss, "a line")))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], regions: int) -> Network:
        """A network in node-link JSON, as ``networkx.node_link_data`` gives it for an undirected graph.

        Node ids are region numbers (regions that are not listed have no line); every edge has ``capacity``
        (quanta a cycle) and ``loss`` (share).  Edges are under ``edges``, or ``links`` as older networkx wrote.

        Raises
        ------
        NetworkFileError, NetworkFormatError, NetworkError
            With the file, and the place in it.
        """
        name = os.fspath(path)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise NetworkFileError(
                f"{name}: the network cannot be read ({error.strerror or error}).", "check the name and the permissions"
            ) from error
        except UnicodeDecodeError as error:
            raise _broken(name, f"byte {error.start} is not UTF-8") from error
        try:
            data = json.loads(text)
        except RecursionError as error:
            raise _broken(name, "it is nested too deeply") from error
        except ValueError as error:
            raise _broken(name, str(error)) from error
        try:
            return cls._from_data(data, regions)
        except NetworkFormatError as error:
            raise _broken(name, error.message) from error
        except NetworkError as error:
            raise type(error)(f"{name}: {error.message}", error.remedy) from error

    @classmethod
    def _from_data(cls, data: object, regions: int) -> Network:
        if not isinstance(data, dict):
            raise NetworkFormatError("it holds no object")
        if data.get("directed", False) is not False:
            raise NetworkFormatError("its graph is directed, and lines carry both ways")
        nodes, edges = data.get("nodes"), data.get("edges", data.get("links"))
        if not isinstance(nodes, list) or not isinstance(edges, list):
            raise NetworkFormatError("it has no lists 'nodes' and 'edges'")
        known = set()
        for at, node in enumerate(nodes):
            known.add(_region(node, "id", f"node {at}", regions))
        lines, capacity, loss = [], [], []
        for at, edge in enumerate(edges):
            place = f"edge {at}"
            ends = [_region(edge, key, place, regions) for key in ("source", "target")]
            if not known.issuperset(ends):
                raise NetworkFormatError(f"{place} ends at a node that is not listed")
            lines.append(ends)
            capacity.append(_capacity(edge, place))
            share = edge.get("loss")
            if isinstance(share, bool) or not isinstance(share, int | float):
                raise NetworkFormatError(f"{place} has no number 'loss'")
            loss.append(_loss_parts(share, place))
        return cls(regions, np.array(lines, np.int64), np.array(capacity, np.int64), np.array(loss, np.int64))


def _broken(name: str, found: str) -> NetworkFormatError:
    return NetworkFormatError(f"{name}: not a network in node-link JSON: {found}.", f"write it as {_EXAMPLE}")


def _whole(entry: object, key: str, place: str) -> int:
    value = entry.get(key) if isinstance(entry, dict) else None
    if isinstance(value, bool) or not isinstance(value, int):
        raise NetworkFormatError(f"{place} has no whole number '{key}'")
    return value


def _region(entry: object, key: str, place: str, regions: int) -> int:
    region = _whole(entry, key, place)
    if not 0 <= region < regions:
        raise RegionRangeError(
            f"{place} names region {region}, expected 0 to {regions - 1}.",
            "number the nodes as the regions of the field, from 0 in C order",
        )
    return region


def _capacity(entry: object, place: str) -> int:
    capacity = _whole(entry, "capacity", place)
    if not 0 <= capacity <= MAX_CAPACITY:
        raise CapacityError(
            f"{place} has a capacity of {capacity} quanta, expected 0 to 2^62.",
            "give the quanta that it may carry a cycle; 0 shuts it",
        )
    return capacity


def _loss_parts(share: float, place: str) -> int:
    try:
        return share_parts(share, f"the loss of {place}")
    except ShareError as error:
        raise LossError(error.message, "give the share lost on the way, from 0 to at most 0.999999999") from error
