"""What every configuration has: frozen sections from TOML, every error with file, line, key and remedy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator

from entropic.config_errors import (
    ConfigError,
    Finding,
    Origin,
    Path,
    nearest,
    plain,
    refuse,
    show,
    toml_value,
    validate_section,
)
from entropic.config_locate import apply_overrides, key_lines, parse_toml, read_toml
from entropic.config_sections import Section

__all__ = ["Checks", "Document"]

Checks = Mapping[Callable[[Any], Iterator[Finding]], str]
"""Checks of more than one key, with the keys that each rests on."""


class Document(BaseModel):
    """Sections, each with a default for every key; every document that exists has passed every check.

    Raises
    ------
    ConfigError
        On construction by any way, with every problem at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def checks(cls) -> Checks:
        """Checks that look at more than one key."""
        return {}

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        given = dict(data) if isinstance(data, Mapping) else data
        if isinstance(given, dict):
            given = {key: _dump(part) if isinstance(part, Section) else part for key, part in given.items()}
        return handler(_inspect(cls, given, Origin("<config>", {})))

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Self:
        """Read a TOML file, with ``section.key=value`` overrides on top.

        Raises
        ------
        ConfigError
            The file cannot be read or parsed, or anything in it or in the overrides is wrong.
        """
        return cls.from_text(read_toml(path), os.fsdecode(path), overrides)

    @classmethod
    def from_text(cls, text: str, name: str = "<text>", overrides: Iterable[str] = ()) -> Self:
        """Parse TOML text; `name` stands for the file in errors. Raises like `from_toml`."""
        return cls._build(parse_toml(text, name), name, key_lines(text), overrides)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], name: str = "<mapping>") -> Self:
        """Take sections as nested mappings; `name` stands for the file in errors. Raises like `from_toml`."""
        return cls._build(mapping, name, {}, ())

    @classmethod
    def _build(cls, data: object, name: str, lines: Mapping[Path, int], overrides: Iterable[str]) -> Self:
        data, overridden, problems = apply_overrides(plain(data), overrides)
        try:
            sections = _inspect(cls, data, Origin(name, lines, overridden))
        except ConfigError as error:
            raise ConfigError([*problems, *error.problems]) from None
        if problems:
            raise ConfigError(problems)
        return cls.model_validate(sections)

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """The same configuration with ``section.key=value`` changed. Raises like `from_toml`."""
        return self._build(self.to_dict(), "<config>", {}, overrides)

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Sections as dicts of plain values; keys that are not in use are left out."""
        return {name: _dump(getattr(self, name)) for name in type(self).model_fields}

    def to_toml(self) -> str:
        """TOML text that gives exactly this configuration again."""
        blocks = (
            "\n".join([f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())])
            for name, table in self.to_dict().items()
        )
        return "\n\n".join(blocks) + "\n"

    @classmethod
    def reference(cls) -> str:
        """A commented TOML text of every key with its default."""
        lines: list[str] = []
        for name, model in _sections(cls).items():
            lines += ["", f"[{name}]".ljust(35) + f"# {cls.model_fields[name].description}"]
            for key, info in model.model_fields.items():
                setting = f"# {key} =" if info.default is None else f"{key} = {toml_value(info.default)}"
                lines.append(f"{setting.ljust(34)} # {info.description}")
        return "\n".join(lines[1:]) + "\n"


def _sections(document: type[Document]) -> dict[str, type[Section]]:
    models = {name: info.annotation for name, info in document.model_fields.items()}
    return {name: model for name, model in models.items() if isinstance(model, type) and issubclass(model, Section)}


def _dump(section: Section) -> dict[str, object]:
    dumped = section.model_dump(exclude_none=True)
    return {key: _lists(value) for key, value in dumped.items()}


def _lists(value: object) -> object:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _inspect(document: type[Document], data: object, origin: Origin) -> dict[str, Section]:
    """Validate every section and run every check that does not rest on a key already found wrong."""
    if not isinstance(data, dict):
        whole = Finding((), show(data), "a table of sections", "give sections as tables")
        raise ConfigError([origin.problem(whole)])
    models = _sections(document)
    findings: list[Finding] = []
    doubtful: set[Path] = set()
    for name in data.keys() - models.keys():
        finding, near = _unknown_section(str(name), data[name], models)
        findings.append(finding)
        if near and near not in data:  # else the section itself says what is meant
            doubtful |= {(near, key) for key in models[near].model_fields}
    sections: dict[str, Section] = {}
    for name, model in models.items():
        sections[name], wrong, unsure = validate_section(model, name, data.get(name, {}))
        findings += wrong
        doubtful |= unsure
    whole_document = document.model_construct(None, **sections)
    for check, needs in document.checks().items():
        if doubtful.isdisjoint(tuple(need.split(".")) for need in needs.split()):
            findings += check(whole_document)
    refuse(findings, origin)
    return sections


def _unknown_section(name: str, value: object, models: Mapping[str, type[Section]]) -> tuple[Finding, str | None]:
    near = nearest(name, models)
    homes = [section for section, model in models.items() if name in model.model_fields]
    remedy = f"did you mean [{near}]?" if near else "remove it"
    if homes and not isinstance(value, dict):
        remedy = f"move it below [{homes[0]}]"
        near = None
    found = "" if isinstance(value, dict) else show(value)
    return Finding((name,), found, f"one of the sections {', '.join(models)}", remedy), near
