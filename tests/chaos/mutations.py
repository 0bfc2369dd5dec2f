"""A seeded mutator: bytes of a file changed, or the structure of its JSON or TOML."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

__all__ = ["mutated"]

NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, -0.0, 1e308, 5e-324),
    *(float("inf"), float("-inf"), float("nan")),
    *("", "x", "nan", "../../etc/passwd", "\0", "\ud800", "0" * 300, "__class__", "!!python/object"),
    *([], {}, [[]], [0] * 50, {"": None}, [{"id": 0}]),
]
TOKENS = [
    *(
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"'",
        b'"""',
        b"\\",
        b"=",
        b",",
        b".",
        b"#",
        b"\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
    ),
    *(b"nan", b"inf", b"1e999", b"-1", b"0x10", b"9" * 40, b"true", b"null", b"1979-05-27T07:32:00Z", b"[[", b"]]"),
    *(b"[" * 3000, b'{"a":' * 2000, b"\xed\xa0\x80", "१٣é💥".encode()),
]
LINE = re.compile(rb"^(\s*[\w.-]+\s*=\s*)(.*)$", re.MULTILINE)


def _bytes(content: bytes, rng: random.Random) -> bytes:
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(made) + 1)
        how = rng.randrange(6)
        if how == 0 and at < len(made):
            made[at] ^= 1 << rng.randrange(8)
        elif how == 1 and at < len(made):
            made[at] = rng.randrange(256)
        elif how == 2:
            del made[at : at + rng.choice((1, 3, 20, 400))]
        elif how == 3:
            made[at:at] = rng.choice(TOKENS)
        elif how == 4:
            start = rng.randrange(len(made) + 1)
            made[at:at] = made[start : start + rng.choice((1, 8, 60))]
        else:
            del made[at:]
    return bytes(made)


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(place for key, value in below for place in _places(value, (*path, key)))]


def _json(content: Any, places: list[tuple[Any, ...]], rng: random.Random) -> Any:
    *path, last = rng.choice(places[1:] or [("x",)])
    holder = content
    for key in path:
        holder = holder[key]
    how = rng.randrange(5)
    if how == 0:
        del holder[last]
    elif how == 1 and isinstance(holder, dict):
        holder[rng.choice(("x", "", "shape", last + "x"))] = holder.pop(last)
    elif how == 2:
        value = holder[last]
        holder[last] = -value if type(value) in (int, float) else [value] if rng.random() < 0.5 else str(value)
    else:
        holder[last] = rng.choice(NASTY)
    return content


def _toml_value(value: Any) -> bytes:
    try:
        return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf").encode("utf-8", "surrogatepass")
    except ValueError:
        return b"0"


def _toml(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines()
    at = rng.randrange(len(lines))
    how = rng.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(rng.randrange(len(lines)), lines[at])
    elif how == 2:
        lines[at] = lines[at].replace(b"=", rng.choice((b"", b"==", b".x =", b"= ["))) or b"[x]"
    else:
        value = rng.choice((rng.choice(TOKENS), _toml_value(rng.choice(NASTY))))
        lines[at] = LINE.sub(lambda found: found[1] + value, lines[at])
    return b"\n".join(lines)


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Another file: mostly one that is nearly right."""
    if rng.random() < 0.35:
        return _bytes(content, rng)
    structure = _structure(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        content = structure(content, rng)
    return _bytes(content, rng) if rng.random() < 0.1 else content


def _structure(content: bytes) -> Callable[[bytes, random.Random], bytes]:
    first = content.lstrip()[:1]
    return _through_json if first == b"{" else _toml if LINE.search(content) and b"\0" not in content else _bytes


def _through_json(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines()
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):  # a line an object, or not what it was any more
        at = rng.randrange(len(lines) or 1)
        if len(lines) < 2:
            return _bytes(content, rng)
        lines[at] = _through_json(lines[at], rng) if lines[at].startswith(b"{") else _bytes(lines[at], rng)
        return b"\n".join(lines) + b"\n"
    if not isinstance(whole, dict | list) or not whole:
        return _bytes(content, rng)
    return json.dumps(_json(whole, _places(whole), rng), indent=rng.choice((None, 1))).encode("utf-8", "surrogatepass")
