"""Ways to spoil one file of a store."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

__all__ = ["DAMAGES", "Source", "changed", "spoil"]


@final
@dataclass(frozen=True)
class Source:
    """Where files come from: the run that is spoilt, itself some cycles before, and another run of the same shape."""

    run: Path
    sound: Path
    earlier: Path
    other: Path
    rng: np.random.Generator

    def name(self, file: Path) -> Path:
        return file.relative_to(self.run)


def _flip(file: Path, source: Source) -> None:
    content = bytearray(file.read_bytes())
    content[source.rng.integers(len(content))] ^= 1 << source.rng.integers(8)
    _write(file, bytes(content))


def _write(file: Path, content: bytes) -> None:
    """Anew: the file may have a second name."""
    file.unlink()
    file.write_bytes(content)


def _grow(file: Path, source: Source) -> None:
    _write(file, file.read_bytes() + b"\0")


def _gone(file: Path, source: Source) -> None:
    file.unlink()


def _cut(share: float, less: int = 0) -> Callable[[Path, Source], None]:
    def cut(file: Path, source: Source) -> None:
        content = file.read_bytes()
        _write(file, content[: int(share * len(content)) - less])

    return cut


def _swap(file: Path, source: Source) -> None:
    """With the next file of its kind that is not the same."""
    name = source.name(file)
    among = sorted(p for p in source.run.rglob("*") if p.is_file() and not p.is_symlink())
    kind = [p for p in among if _of_a_kind(source.name(p), name)]
    others = [p for p in kind if p.read_bytes() != file.read_bytes() and p.resolve() == p.absolute()]
    if others:
        mine, theirs = file.read_bytes(), others[0].read_bytes()
        _write(others[0], mine)
        _write(file, theirs)


def _of_a_kind(one: Path, other: Path) -> bool:
    """Of one part of the store, or one checkpoint: otherwise two of what a resume can choose from would be hurt at once."""
    if one.suffix != other.suffix:
        return False
    if 1 in (len(one.parts), len(other.parts)):
        return len(one.parts) == len(other.parts)
    depth = 2 if other.parts[0] == "checkpoints" else 1
    return one.parts[:depth] == other.parts[:depth] and (one.suffix != ".json" or one.name == other.name)


def _edited(file: Path, source: Source) -> None:
    """One number in JSON one more, or a letter of a text another, and written as JSON is."""
    text = file.read_bytes().decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except ValueError:
        _write(file, text.replace("3", "4").replace("e", "3", 1).encode())
        return
    _write(file, json.dumps(_other(content), indent=1).encode())


def _other(content: Any) -> Any:
    if isinstance(content, dict):
        for key in sorted(content, reverse=True):
            if (changed := _other(content[key])) != content[key]:
                return {**content, key: changed}
    if isinstance(content, list) and content:
        return [*content[:-1], _other(content[-1])]
    if type(content) in (int, float):
        return content + 1
    return content + "x" if isinstance(content, str) else content


def _taken_from(which: str) -> Callable[[Path, Source], None]:
    def take(file: Path, source: Source) -> None:
        root: Path = getattr(source, which)
        name = source.name(file)
        place = root / name
        if name.parts[0] in ("checkpoints", "before", "tape"):  # other names there: by order
            place = _same_place(root, name)
        if place.is_file():
            _write(file, place.read_bytes())

    return take


def _same_place(root: Path, name: Path) -> Path:
    """The file with the same role: of the newest generation, or of the last piece of tape."""
    depth = {"checkpoints": 1, "before": 1, "tape": 2}[name.parts[0]]
    place = root / name.parts[0]
    for _ in range(depth):
        below = sorted(place.iterdir()) if place.is_dir() else []
        if not below:
            return root / "nowhere"
        place = below[-1]
    return place.joinpath(*name.parts[depth + 1 :])


def _link(file: Path, source: Source) -> None:
    """To its own content, elsewhere."""
    file.unlink()
    file.symlink_to(source.sound / source.name(file))


def _directory(file: Path, source: Source) -> None:
    file.unlink()
    file.mkdir()


DAMAGES: dict[str, Callable[[Path, Source], None]] = {
    "bit flipped": _flip,
    "cut to nothing": _cut(0.0),
    "cut to half": _cut(0.5),
    "cut by a byte": _cut(1.0, 1),
    "a byte added": _grow,
    "deleted": _gone,
    "swapped with another": _swap,
    "edited": _edited,
    "of an earlier cycle": _taken_from("earlier"),
    "of another run": _taken_from("other"),
    "a link in place": _link,
    "an empty directory in place": _directory,
}


def spoil(how: str, name: Path, source: Source) -> None:
    """Make the run whole, and then spoil one of its files."""
    shutil.rmtree(source.run, ignore_errors=True)
    shutil.copytree(source.sound, source.run, symlinks=True)
    DAMAGES[how](source.run / name, source)


def changed(name: Path, source: Source) -> bool:
    """Whether there is now a difference: some files are the same at all times, or in all runs."""
    file = source.run / name
    return not file.is_file() or file.is_symlink() or file.read_bytes() != (source.sound / name).read_bytes()
