"""What is wrong with a configuration: problems, the one error that carries them all, and how values are shown."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar, final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from entropic.errors import UsageError

__all__ = [
    "ConfigError",
    "Expected",
    "Finding",
    "Origin",
    "Path",
    "Problem",
    "key_name",
    "nearest",
    "plain",
    "show",
    "toml_value",
    "validate_section",
]

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 100  # characters of a found value: enough to recognise it, short enough for one line
_DEPTH = 5  # file > section > demands > table > value is the deepest that is ever legal
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


@final
@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration.

    Attributes
    ----------
    file : str
        The file's name, or ``--set`` for an override.
    line : int or None
        Line in the file, counted from 1; None where there is none.
    key : str
        ``section.key``; a section alone; empty if the whole file is meant.
    found, expected, remedy : str
        What stands there, what should, and what to do.
    """

    file: str
    line: int | None
    key: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        section, _, key = self.key.partition(".")
        name = f"[{section}] {key}" if key else section
        if section and not key and not self.found:
            name = f"[{section}]"
        subject = " = ".join(part for part in (name, self.found) if part)
        text = f"{place}: {subject}: expected {self.expected}; remedy: {self.remedy}"
        # A problem is one line, whatever was typed.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@final
class ConfigError(UsageError):
    """A configuration that cannot be run, with every problem that was found in it.

    Parameters
    ----------
    problems : iterable of Problem
        At least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return (ConfigError, (self.problems,))


@final
@dataclass(frozen=True)
class Expected:
    """Annotation of a key: what its value has to be, in words."""

    text: str


class Finding(NamedTuple):
    """A problem that does not know yet where its key was written."""

    path: Path
    found: str
    expected: str
    remedy: str


@final
@dataclass(frozen=True)
class Origin:
    """Where the keys of one configuration were written.

    Attributes
    ----------
    name : str
        The file's name.
    lines : mapping
        Line of each table and key in the file.
    overridden : frozenset
        (section, key) of what ``--set`` wrote.
    """

    name: str
    lines: Mapping[Path, int]
    overridden: frozenset[Path] = frozenset()

    def problem(self, finding: Finding) -> Problem:
        """Put a finding in its place: the key's line, else that of the nearest table around it."""
        path = finding.path
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{key_name(part)}" for part in path)[1:]
        written_by_set = any(path == known[:1] for known in self.overridden) and path not in self.lines
        if path[:2] in self.overridden or written_by_set:
            return Problem("--set", None, key, *finding[1:])
        line = next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        return Problem(self.name, line, key, *finding[1:])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if nothing comes near."""
    return next(iter(difflib.get_close_matches(name[:64].lower(), list(known), n=1, cutoff=0.5)), None)


def key_name(name: str) -> str:
    """A key as TOML would write it, cut to a readable length."""
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name[:64])


def toml_value(value: object) -> str:
    """A plain value (bool, int, float, str, list, dict) as a TOML value on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return repr(float(value))
        case str():
            return json.dumps(value)
        case list() | tuple():
            return f"[{', '.join(toml_value(item) for item in value)}]"
        case dict():
            pairs = ", ".join(f"{key_name(str(key))} = {toml_value(item)}" for key, item in value.items())
            return f"{{{pairs}}}"
        case _:
            return str(value)


def show(value: object) -> str:
    """A value as found, whatever it is, for an error message."""
    try:
        text = toml_value(value)
    except ValueError:  # Python prints no integer beyond 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def plain(value: object, depth: int = 0) -> object:
    """A copy of dicts, lists and strings that is safe to validate: depth bounded, names and strings valid Unicode."""
    if depth > _DEPTH:
        return "… (nested too deep)"
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case Mapping():
            return {str(plain(str(key))): plain(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case _:
            return value


def validate_section(model: type[Model], name: str, table: object) -> tuple[Model, list[Finding], set[Path]]:
    """Validate one table, and go on where it is wrong.

    Parameters
    ----------
    model : type
        The section's model, with a default for every key.
    name : str
        The section's name.
    table : object
        What stands there, as `plain` gives it.

    Returns
    -------
    section : Model
        With defaults in the place of what is wrong.
    findings : list of Finding
        One for each wrong or unknown key.
    doubtful : set of Path
        Keys whose value in `section` is not what the user meant; no check should rest on them.
    """
    known = model.model_fields
    if not isinstance(table, dict):
        finding = Finding((name,), show(table), f"a table [{name}]", f"write [{name}] and its keys on lines below")
        return model(), [finding], {(name, key) for key in known}
    findings: dict[Path, Finding] = {}
    doubtful: set[Path] = set()
    for key in table.keys() - known.keys():
        findings[name, key] = _unknown_key((name, key), table[key], known)
        guess = nearest(key, known)
        if guess and guess not in table:  # a default would stand where the user meant something else
            doubtful.add((name, guess))
    given = {key: value for key, value in table.items() if key in known}
    try:
        return model.model_validate(given), list(findings.values()), doubtful
    except ValidationError as error:
        locations = [detail["loc"] for detail in error.errors(include_url=False, include_context=False)]
    for location in locations:
        finding = _wrong_value(known, name, given, location)
        findings.setdefault(finding.path, finding)
    wrong = {str(location[0]) for location in locations}
    sound = {key: value for key, value in given.items() if key not in wrong}
    return model.model_validate(sound), list(findings.values()), doubtful | {(name, key) for key in wrong}


def _wrong_value(known: Mapping[str, FieldInfo], name: str, given: Mapping[str, object], location: Path) -> Finding:
    key = str(location[0])
    info, value = known[key], given[key]
    elements = next((a for a in get_args(info.annotation) if isinstance(a, type) and issubclass(a, BaseModel)), None)
    if elements is None or len(location) < 2 or not isinstance(value, list):
        return Finding((name, key), show(value), _expected(info), _remedy(key, value, info))
    path, element = (name, key, *location[1:3]), value[int(location[1])]
    if not isinstance(element, dict) or len(path) < 4:
        keys = ", ".join(elements.model_fields)
        return Finding(path[:3], show(element), "a table", f"write a table of {keys}")
    inner = str(path[3])
    if inner not in elements.model_fields:
        return _unknown_key(path, element[inner], elements.model_fields)
    info = elements.model_fields[inner]
    if inner not in element:
        return Finding(path, "nothing", _expected(info), f"add {inner} to the table")
    return Finding(path, show(element[inner]), _expected(info), _remedy(inner, element[inner], info))


def _unknown_key(path: Path, value: object, known: Iterable[str]) -> Finding:
    guess = nearest(str(path[-1]), known)
    remedy = f"did you mean {guess}?" if guess else "remove it"
    return Finding(path, show(value), f"one of the keys {', '.join(known)}", remedy)


def _expected(info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        return f"one of {', '.join(map(toml_value, get_args(info.annotation)))}"
    texts = (item.text for item in info.metadata if isinstance(item, Expected))
    return next(texts, "true or false" if info.annotation is bool else "another value")


def _remedy(key: str, value: object, info: FieldInfo) -> str:
    if get_origin(info.annotation) is Literal:
        options = [str(option) for option in get_args(info.annotation)]
        guess = nearest(value, options) if isinstance(value, str) else None
        return f"write {key} = {toml_value(guess or info.default)}" if guess or not info.is_required() else "take one"
    if info.annotation is int and isinstance(value, float) and value.is_integer() and 0 < value < 2**53:
        return f"write {key} = {int(value)}"
    if info.annotation is bool and isinstance(value, str | int):
        yes = value == 1 or (isinstance(value, str) and value.lower() in {"true", "yes", "on", "1"})
        return f"write {key} = {'true' if yes else 'false'}"
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]{1,20}", value):
        return "remove the quotes"
    if info.is_required() or info.default is None:
        return "correct the value"
    return f"correct the value (default: {toml_value(info.default)})"
