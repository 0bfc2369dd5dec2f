"""The text side of a configuration: read it, parse it, and find the line where each key was written."""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator

from entropic.config_errors import ConfigError, Path, Problem, key_name, plain, show

__all__ = ["apply_overrides", "key_lines", "parse_override", "parse_toml", "read_toml"]

_LIMIT = 2**22  # bytes; a configuration is a page or two, and /dev/zero is not one
_DEPTH = 5  # parts of a dotted key that are looked at: nothing legal is deeper
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # multi-line strings first: their quotes open like short ones
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]"
    r"|[^\"'\#\[\]{}\n]+"
    r"|.",
    re.DOTALL,
)
_KEY_PART = re.compile(r"""\s*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)\s*(\.?)""")
_HUGE_INTEGER = re.compile(r"[0-9_]{4301,}")
_TWICE = ("Cannot overwrite", "Cannot declare")  # so the parser says that a key or a table is there already
_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def read_toml(path: str | os.PathLike[str]) -> str:
    """The text of a file.

    Raises
    ------
    ConfigError
        The file is missing, unreadable, a directory, too long or not UTF-8.
    """
    name = os.fsdecode(path)
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _whole_file(name, None, f"cannot be read ({reason})", "a readable TOML file", "check the path") from None
    if len(data) > _LIMIT:
        raise _whole_file(name, None, "is too long", f"at most {_LIMIT} bytes", "check that this is a configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise _whole_file(name, line, found, "UTF-8 text", "save the file as UTF-8") from None


def parse_toml(text: str, name: str) -> dict[str, object]:
    """Parse TOML text.

    Raises
    ------
    ConfigError
        The text is not TOML; with the line where the parser stopped.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _whole_file(name, None, "nested too deep", "sections, keys and short lists", "flatten it") from None
    except ValueError as error:  # TOMLDecodeError, and integers beyond Python's 4300 digits
        match = _ERROR_LINE.search(str(error))
        line = int(match[1]) if match else None
        if "at end of document" in str(error):
            line = text.count("\n") + 1
        if line and any(word in str(error) for word in _TWICE):
            raise ConfigError([_written_twice(text, name, line)]) from None
        syntax = isinstance(error, tomllib.TOMLDecodeError)
        if digits := _HUGE_INTEGER.search(text):
            line = line or text.count("\n", 0, digits.start()) + 1
        found = _ERROR_LINE.sub("", str(error)).strip() if syntax else "an integer of thousands of digits"
        raise _whole_file(name, line, found, "TOML", "mend the syntax of this line") from None


def parse_override(override: str) -> tuple[str, str, object]:
    """Split ``section.key=value``; a value that is no TOML is taken as a bare string.

    Raises
    ------
    ConfigError
        The override has another form.
    """
    name, _, raw = override.partition("=")
    section, _, key = (part.strip() for part in name.partition("."))
    if not (section and key and raw.strip()) or "." in key:
        remedy = "write for example --set run.cycles=100"
        raise _whole_file("--set", None, show(override), "section.key=value", remedy)
    try:
        table: dict[str, object] = tomllib.loads(f"value = {raw}")
    except (ValueError, RecursionError):
        table = {}
    # A value with line breaks could smuggle in keys of its own; it is then no value.
    return section, key, table["value"] if table.keys() == {"value"} else raw.strip()


def apply_overrides(data: object, overrides: Iterable[str]) -> tuple[object, frozenset[Path], list[Problem]]:
    """Lay overrides over plain data; what has the wrong form comes back as problems."""
    problems: list[Problem] = []
    overridden: set[Path] = set()
    changed = dict(data) if isinstance(data, dict) else data
    for override in overrides:
        try:
            section, key, value = parse_override(str(plain(override)))
        except ConfigError as error:
            problems += error.problems
            continue
        overridden.add((section, key))
        if isinstance(changed, dict) and isinstance(table := changed.get(section, {}), dict):
            changed[section] = {**table, key: plain(value, 2)}
    return changed, frozenset(overridden), problems


def key_lines(text: str) -> dict[Path, int]:
    """Line, counted from 1, of every table and key of a TOML text; members of inline tables are left out."""
    lines: dict[Path, int] = {}
    for number, path in _paths(text):
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], number)
    return lines


def _written_twice(text: str, name: str, line: int) -> Problem:
    """A key or table that is there already when the parser comes to ``line``."""
    *before, (again, path) = [(number, path) for number, path in _paths(text) if number <= line]
    first = next((number for number, other in before if other == path), None)
    remedy = "remove one of the two" if first is None else f"remove it here or in line {first}"
    key = ".".join(key_name(part) for part in path if isinstance(part, str))
    return Problem(name, again, key, "", "once in the file, and this is the second time", remedy)


def _paths(text: str) -> Iterator[tuple[int, Path]]:
    """Every table and key, with its line."""
    elements = Counter[Path]()
    table: Path = ()
    for number, statement in _statements(text):
        if statement.startswith("[["):
            name = _dotted(statement[2:])
            path = table = (*name, elements[name])
            elements[name] += 1
        elif statement.startswith("["):
            path = table = _dotted(statement[1:])
        else:
            path = (*table, *_dotted(statement))
        yield number, path


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Headers and assignments, each whole, with the line on which it begins."""
    line, depth, start, parts = 1, 0, 1, list[str]()
    for match in _TOKEN.finditer(text + "\n"):
        token = match[0]
        depth += (token in "[{") - (token in "]}")
        if token == "\n" and depth <= 0:
            statement = "".join(parts).strip()
            if statement:
                yield start, statement
            depth, parts = 0, []
        elif not token.startswith("#"):
            if not parts:
                start = line
            parts.append(token)
        line += token.count("\n")


def _dotted(text: str) -> Path:
    parts: list[str] = []
    position, more = 0, "."
    while more and len(parts) < _DEPTH and (match := _KEY_PART.match(text, position)):
        part, more = match[1], match[2]
        parts.append(part[1:-1] if part[0] in "\"'" else part)
        position = match.end()
    return tuple(parts)


def _whole_file(name: str, line: int | None, found: str, expected: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(name, line, "", found, expected, remedy)])
