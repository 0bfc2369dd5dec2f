"""The configuration of a run: frozen sections from TOML, every error with file, line, key and remedy.

An empty file is a valid configuration; every `Config` that exists has passed every check.
"""

from __future__ import annotations

from typing import final

from pydantic import Field

from entropic.config_checks import CHECKS
from entropic.config_document import Checks, Document
from entropic.config_errors import ConfigError, Problem
from entropic.config_sections import (
    BatterySection,
    Demand,
    DemonSection,
    ExchangeSection,
    FieldSection,
    GridSection,
    RelaxSection,
    RunSection,
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
class Config(Document):
    """A configuration that can be run.

    Raises
    ------
    ConfigError
        On construction by any way, with every problem at once.
    """

    field: FieldSection = Field(default_factory=FieldSection, description="the lattice and its initial state")
    run: RunSection = Field(default_factory=RunSection, description="length and records of the run")
    relax: RelaxSection = Field(default_factory=RelaxSection, description="thermal contact between neighbours")
    demon: DemonSection = Field(default_factory=DemonSection, description="harvest by information")
    exchange: ExchangeSection = Field(default_factory=ExchangeSection, description="harvest by gradient")
    grid: GridSection = Field(default_factory=GridSection, description="lines between regions")
    battery: BatterySection = Field(default_factory=BatterySection, description="work reservoirs, one a region")

    @classmethod
    def checks(cls) -> Checks:
        """Checks that look at more than one key."""
        return CHECKS
