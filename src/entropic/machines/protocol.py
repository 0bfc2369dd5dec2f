"""A user's own protocol: loaded from one file or taken as an object, and every move of it checked.

The file is code, run because the user said so: here, when a run starts, goes on or is played backwards, and on the
workers.  The audit never comes here.
"""

from __future__ import annotations

import copy
import hashlib
import linecache
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic.errors import LawError, UsageError

__all__ = ["Move", "NotReversibleError", "OwnProtocol", "ProtocolError"]

_METHODS = ("bits", "harvest", "undo")
_MOST_BITS = 64  # a site, in one record
PYTHON = "python"  # in place of a file: the protocol is an object that the caller passes
_FIRST, _SECOND = 0, 1  # copies of the file: the second never sees what the first harvests


@final
class ProtocolError(UsageError):
    """A protocol cannot be loaded, or does not keep to what `Harvester` says."""


@final
class NotReversibleError(LawError):
    """Law 7: a protocol's move cannot be undone from what it left and wrote."""


@final
@dataclass(frozen=True)
class Move:
    """One harvest of one region.

    Attributes
    ----------
    after : uint8 or uint16 [a, b, c, d]
        The sites as harvest left them.
    packed : uint8[⌈bits / 8⌉]
        What it wrote.
    ones, work : int
        Bits set; quanta that the region lost.
    sitewise : bool
        Whether, with the sites in another order, the same came out in that order: then each site was treated by itself.
    """

    after: NDArray[Any]
    packed: NDArray[np.uint8]
    ones: int
    work: int
    sitewise: bool


@final
@dataclass(frozen=True)
class OwnProtocol:
    """A protocol for regions of one size.

    Attributes
    ----------
    name : str
        Its class.
    bits : int
        Length of a record.
    sites : int
        Of a region.
    source, path : str or None
        Text of its file, and where that was.
    given : object or None
        The object, where there is no file.
    """

    name: str
    bits: int
    sites: int
    source: str | None = None
    path: str | None = None
    given: Any = None

    @classmethod
    def from_file(cls, spec: str, sites: int) -> OwnProtocol:
        """Load ``path[:Class]``.

        Raises
        ------
        ProtocolError
            There is no such file or class, or it is not a `Harvester`.
        """
        path, name = split(spec)
        if path == PYTHON:
            raise ProtocolError(f"the protocol {name} is a Python object.", "pass it: harvester=…")
        try:
            source = Path(path).read_text("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            remedy = "set demon.protocol to FILE.py or FILE.py:CLASS"
            raise ProtocolError(f"{path}: the protocol cannot be read ({reason}).", remedy) from None
        return cls.from_source(source, path, name, sites)

    @classmethod
    def from_source(cls, source: str, path: str, name: str | None, sites: int) -> OwnProtocol:
        """Take the class ``name``, or the only protocol, of a file's text.  Raises like `from_file`."""
        name = name or _only(_module(source, path, _FIRST), path)
        return cls(name, _length(_made(source, path, name, _FIRST), name, sites), sites, source, path)

    @classmethod
    def from_object(cls, given: Any, sites: int) -> OwnProtocol:
        """Take an object as it is.  Raises like `from_file`."""
        name = type(given).__name__
        return cls(name, _length(given, name, sites), sites, given=given)

    @property
    def spec(self) -> str:
        """As the configuration names it."""
        return f"{self.path or PYTHON}:{self.name}"

    @property
    def sha256(self) -> str | None:
        """Of the file."""
        return None if self.source is None else hashlib.sha256(self.source.encode()).hexdigest()

    def _fresh(self, which: int) -> Any:
        """A copy that has seen nothing yet: no move can depend on, or remember, another one."""
        if self.source is not None:
            return copy.deepcopy(_made(self.source, self.path or "", self.name, which))
        return _call(f"a copy of {self.name}", copy.deepcopy, self.given)

    def harvest(self, region: NDArray[Any], number: int, cycle: int, round_trip: bool = True) -> Move:
        """Harvest a region (which stays as it is), and check the move.

        Parameters
        ----------
        region : uint8 or uint16 [a, b, c, d]
        number, cycle : int
            Of the region, and when: for messages, and the order in which sites are shown a second time.
        round_trip : bool
            Whether to undo the move on a copy at once.

        Raises
        ------
        ProtocolError
            It does not keep to what `Harvester` says.
        NotReversibleError
            Undo, by a copy that has not seen the harvest, does not restore the sites.
        """
        place = f"region {number}, cycle {cycle}"
        before = np.array(region, order="C")
        after, bits = self._once(before, _FIRST, place)
        work = int(before.sum(dtype=np.int64)) - int(after.sum(dtype=np.int64))
        if work < 0:
            raise ProtocolError(f"{self.name}.harvest added {-work} quanta ({place}).", "a harvester takes quanta only")
        packed = np.packbits(bits)
        if round_trip:
            self._check_undo(before, after, packed, place)
        sitewise = self._shown_again(before, after, bits, (number, cycle))
        if not sitewise:
            again, bits_again = self._once(before, _SECOND, place)
            if not (np.array_equal(again, after) and np.array_equal(bits_again, bits)):
                raise ProtocolError(
                    f"{self.name}.harvest gave two results for the same sites ({place}).",
                    "make it a function of the region alone: no randomness, no memory, no clock",
                )
        return Move(after, packed, int(bits.sum(dtype=np.int64)), work, sitewise)

    def undo(self, region: NDArray[Any], packed: NDArray[np.uint8], number: int, cycle: int) -> None:
        """Undo a move, in place, with its packed bits."""
        region[...] = self._undone(np.array(region, order="C"), packed, f"region {number}, cycle {cycle}")

    def _once(self, sites: NDArray[Any], which: int, place: str) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """Sites and bits after a harvest of a copy, of the right shapes and types."""
        region = sites.copy()
        what = f"{self.name}.harvest ({place})"
        found = _call(what, self._fresh(which).harvest, region)
        _check_region(region, sites, what)
        wanted = f"uint8[{self.bits}] of 0 and 1, as bits({self.sites}) = {self.bits} says"
        if not isinstance(found, np.ndarray):
            raise ProtocolError(f"{what} returned {type(found).__name__}.", f"return {wanted}")
        if found.shape != (self.bits,) or found.dtype not in (np.uint8, np.bool_):
            raise ProtocolError(f"{what} returned {found.dtype}{list(found.shape)}.", f"return {wanted}")
        bits = np.array(found, np.uint8)  # a plain copy: nothing else can travel with the bits
        if bits.max(initial=0) > 1:
            at = int(np.argmax(bits > 1))
            raise ProtocolError(f"{what} returned {bits[at]} as bit {at}.", f"return {wanted}")
        return region, bits

    def _undone(self, region: NDArray[Any], packed: NDArray[np.uint8], place: str) -> NDArray[Any]:
        what = f"{self.name}.undo ({place})"
        like = region.copy()
        _call(what, self._fresh(_SECOND).undo, region, np.unpackbits(packed, count=self.bits))
        _check_region(region, like, what)
        return region

    def _check_undo(self, before: NDArray[Any], after: NDArray[Any], packed: NDArray[np.uint8], place: str) -> None:
        back = self._undone(after.copy(), packed, place)
        wrong = np.flatnonzero(back.ravel() != before.ravel())
        if wrong.size:
            at = int(wrong[0])
            raise NotReversibleError(
                f"law 7: {self.name} cannot be undone ({place}): site {at} held {before.ravel()[at]} quanta, "
                f"undo gives {back.ravel()[at]}; {wrong.size} of {before.size} sites differ.",
                "write all that undo needs to the bits, and give back in place: entropic.judge names two states that collide",
            )

    def _shown_again(
        self, before: NDArray[Any], after: NDArray[Any], bits: NDArray[np.uint8], key: tuple[int, int]
    ) -> bool:
        """Whether the same sites in another order come out the same, each with its own bits."""
        each, rest = divmod(self.bits, self.sites)
        if rest:
            return False
        words = np.random.Philox(key=np.array(key, np.uint64)).random_raw(self.sites)
        order = np.argsort(words, kind="stable")
        if np.array_equal(order, np.arange(self.sites)):
            order = np.roll(order, 1)
        shown = before.ravel()[order].reshape(before.shape)
        sites, found = self._once(shown, _SECOND, f"region {key[0]}, cycle {key[1]}, sites in another order")
        if not np.array_equal(sites.ravel(), after.ravel()[order]):
            return False
        by_site = np.array_equal(found.reshape(-1, each), bits.reshape(-1, each)[order])
        return by_site or np.array_equal(found.reshape(each, -1), bits.reshape(each, -1)[:, order])


def split(spec: str) -> tuple[str, str | None]:
    """Path and class of ``path[:Class]``."""
    path, colon, name = spec.rpartition(":")
    return (path, name) if colon and name.isidentifier() else (spec, None)


@lru_cache(maxsize=32)
def _module(source: str, path: str, which: int) -> ModuleType:
    """The file's text, run as a module of its own."""
    name = f"entropic_protocol_{hashlib.sha256(source.encode()).hexdigest()[:12]}_{which}"
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module  # dataclasses look their module up
    linecache.cache[path] = (len(source), None, source.splitlines(True), path)
    _call(f"the protocol file {path}", lambda: exec(compile(source, path, "exec"), module.__dict__))
    return module


@lru_cache(maxsize=32)
def _made(source: str, path: str, name: str, which: int) -> Any:
    module = _module(source, path, which)
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        there = ", ".join(_protocols(module)) or "none"
        raise ProtocolError(f"{path} has no class {name}; its protocols: {there}.", "correct demon.protocol")
    _check_methods(kind, name)
    return _call(f"{name}()", kind)


def _protocols(module: ModuleType) -> list[str]:
    classes = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
    return [kind.__name__ for kind in classes if all(callable(getattr(kind, name, None)) for name in _METHODS)]


def _only(module: ModuleType, path: str) -> str:
    names = _protocols(module)
    if len(names) != 1:
        there = ", ".join(names) or "no class with bits, harvest and undo"
        raise ProtocolError(f"{path} holds {there}, not one protocol.", f"name the class: {path}:CLASS")
    return names[0]


def _check_methods(thing: Any, name: str) -> None:
    missing = [method for method in _METHODS if not callable(getattr(thing, method, None))]
    if missing:
        remedy = "a protocol has bits(sites), harvest(region) and undo(region, bits)"
        raise ProtocolError(f"{name} lacks {', '.join(missing)}.", remedy)


def _length(thing: Any, name: str, sites: int) -> int:
    """Length of a record, as the protocol says."""
    _check_methods(thing, name)
    found = _call(f"{name}.bits({sites})", thing.bits, sites)
    whole = isinstance(found, (int, np.integer)) and not isinstance(found, bool)
    if not whole or not 1 <= found <= _MOST_BITS * sites:
        wanted = f"a whole number from 1 to {_MOST_BITS} a site"
        raise ProtocolError(f"{name}.bits({sites}) returned {found!r}.", f"return {wanted}")
    return int(found)


def _check_region(region: NDArray[Any], like: NDArray[Any], what: str) -> None:
    if region.shape != like.shape or region.dtype != like.dtype:
        found, wanted = f"{region.dtype}{list(region.shape)}", f"{like.dtype}{list(like.shape)}"
        raise ProtocolError(f"{what} left {found} of a region {wanted}.", "change the sites in place, not the array")


def _call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the user's code; whatever it raises becomes one sentence."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        line = f", line {lines[-1]}" if lines else f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ProtocolError(f"{what} failed: {type(error).__name__}: {error}{line}.", "correct the protocol") from error
