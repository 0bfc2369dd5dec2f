"""The configuration: frozen sections from TOML, every error with file, line, key and remedy.

An empty file is a valid configuration; every `Config` that exists has passed every check.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Self, final

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, model_validator

from entropic.config_checks import CHECKS
from entropic.config_errors import (
    ConfigError,
    Finding,
    Origin,
    Path,
    Problem,
    nearest,
    plain,
    refuse,
    show,
    toml_value,
    validate_section,
)
from entropic.config_locate import apply_overrides, key_lines, parse_toml, read_toml
from entropic.config_sections import (
    BatterySection,
    Demand,
    DemonSection,
    ExchangeSection,
    FieldSection,
    GridSection,
    RelaxSection,
    RunSection,
    Section,
)

__all__ = [
    "BatterySection",
    "Config",
    "ConfigError",
    "Demand",
    "DemonSection",
    "ExchangeSection",
    "FieldSection",
    "GridSection",
    "Problem",
    "RelaxSection",
    "RunSection",
]


@final
class Config(BaseModel):
    """A configuration that can be run.

    Raises
    ------
    ConfigError
        On construction by any way, with every problem at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    field: FieldSection = Field(default_factory=FieldSection, description="the lattice and its initial state")
    run: RunSection = Field(default_factory=RunSection, description="length and records of the run")
    relax: RelaxSection = Field(default_factory=RelaxSection, description="thermal contact between neighbours")
    demon: DemonSection = Field(default_factory=DemonSection, description="harvest by information")
    exchange: ExchangeSection = Field(default_factory=ExchangeSection, description="harvest by gradient")
    grid: GridSection = Field(default_factory=GridSection, description="lines between regions")
    battery: BatterySection = Field(default_factory=BatterySection, description="work reservoirs, one a region")

    @model_validator(mode="wrap")
    @classmethod
    def _sound(cls, data: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        given = dict(data) if isinstance(data, Mapping) else data
        if isinstance(given, dict):
            given = {key: _dump(part) if isinstance(part, Section) else part for key, part in given.items()}
        return handler(_inspect(given, Origin("<config>", {})))

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
            sections = _inspect(data, Origin(name, lines, overridden))
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
        return {name: _dump(getattr(self, name)) for name in _SECTIONS}

    def to_toml(self) -> str:
        """TOML text that gives exactly this configuration again."""
        blocks = (
            "\n".join([f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in table.items())])
            for name, table in self.to_dict().items()
        )
        return "\n\n".join(blocks) + "\n"

    @staticmethod
    def reference() -> str:
        """A commented TOML text of every key with its default."""
        lines: list[str] = []
        for name, model in _SECTIONS.items():
            lines += ["", f"[{name}]".ljust(35) + f"# {Config.model_fields[name].description}"]
            for key, info in model.model_fields.items():
                setting = f"# {key} =" if info.default is None else f"{key} = {toml_value(info.default)}"
                lines.append(f"{setting.ljust(34)} # {info.description}")
        return "\n".join(lines[1:]) + "\n"


_SECTIONS: dict[str, type[Section]] = {
    "field": FieldSection,
    "run": RunSection,
    "relax": RelaxSection,
    "demon": DemonSection,
    "exchange": ExchangeSection,
    "grid": GridSection,
    "battery": BatterySection,
}


def _dump(section: Section) -> dict[str, object]:
    dumped = section.model_dump(exclude_none=True)
    return {key: _lists(value) for key, value in dumped.items()}


def _lists(value: object) -> object:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value


def _inspect(data: object, origin: Origin) -> dict[str, Section]:
    """Validate every section and run every check that does not rest on a key already found wrong."""
    if not isinstance(data, dict):
        whole = Finding((), show(data), "a table of sections", "give sections as tables")
        raise ConfigError([origin.problem(whole)])
    findings: list[Finding] = []
    doubtful: set[Path] = set()
    for name in data.keys() - _SECTIONS.keys():
        finding, near = _unknown_section(str(name), data[name])
        findings.append(finding)
        if near and near not in data:  # else the section itself says what is meant
            doubtful |= {(near, key) for key in _SECTIONS[near].model_fields}
    sections: dict[str, Section] = {}
    for name, model in _SECTIONS.items():
        sections[name], wrong, unsure = validate_section(model, name, data.get(name, {}))
        findings += wrong
        doubtful |= unsure
    config = Config.model_construct(None, **sections)
    for check, needs in CHECKS.items():
        if doubtful.isdisjoint(tuple(need.split(".")) for need in needs.split()):
            findings += check(config)
    refuse(findings, origin)
    return sections


def _unknown_section(name: str, value: object) -> tuple[Finding, str | None]:
    near = nearest(name, _SECTIONS)
    homes = [section for section, model in _SECTIONS.items() if name in model.model_fields]
    remedy = f"did you mean [{near}]?" if near else "remove it"
    if homes and not isinstance(value, dict):
        remedy = f"move it below [{homes[0]}]"
        near = None
    found = "" if isinstance(value, dict) else show(value)
    return Finding((name,), found, f"one of the sections {', '.join(_SECTIONS)}", remedy), near
