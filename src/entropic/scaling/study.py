"""A study as a TOML file describes it: the sections of a run, and beside them what is varied."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Self, final

from pydantic import Field

from entropic.config import Config
from entropic.config_checks import CHECKS
from entropic.config_document import Checks, Document
from entropic.config_errors import Finding, show
from entropic.config_sections import (
    MAX_SITES,
    BatterySection,
    DemonSection,
    ExchangeSection,
    FieldSection,
    GridSection,
    RelaxSection,
    RunSection,
)
from entropic.scaling.sections import (
    ChargedSection,
    GranularitySection,
    Layouts,
    ModelSection,
    SchedulerSection,
    StrongSection,
    StudySection,
    ThermodynamicSection,
    WeakSection,
)

__all__ = ["Study", "layouts_of_cores"]


def layouts_of_cores(cores: int) -> Layouts:
    """Layouts worth a look on a machine of so many cores: no Dask, threads, processes, both; workers up to 4 at least.

    Below four cores that is more workers than cores, for a scaling law has three parameters.
    """
    steps = [1 << k for k in range(cores.bit_length()) if 1 << k < cores] + [cores]
    processes = sorted({*steps, 2, 4})
    mixed = [(cores // 2, 2)] if cores >= 4 else []
    return tuple(
        dict.fromkeys([(0, 1), (1, 1), *((1, t) for t in steps), *((w, 1) for w in processes if w > 1), *mixed])
    )


@final
class Study(Document):
    """A study that can be run.

    Raises
    ------
    ConfigError
        On construction by any way, with every problem at once.
    """

    study: StudySection = Field(default_factory=StudySection, description="repeats, order, confidence")
    field: FieldSection = Field(default_factory=FieldSection, description="the lattice and its initial state")
    run: RunSection = Field(default_factory=RunSection, description="length and records of the run")
    relax: RelaxSection = Field(default_factory=RelaxSection, description="thermal contact between neighbours")
    demon: DemonSection = Field(default_factory=DemonSection, description="harvest by information")
    exchange: ExchangeSection = Field(default_factory=ExchangeSection, description="harvest by gradient")
    grid: GridSection = Field(default_factory=GridSection, description="lines between regions")
    battery: BatterySection = Field(default_factory=BatterySection, description="work reservoirs, one a region")
    strong: StrongSection = Field(default_factory=StrongSection, description="one field, different layouts")
    weak: WeakSection = Field(default_factory=WeakSection, description="as many sites a thread on every layout")
    granularity: GranularitySection = Field(default_factory=GranularitySection, description="sites a task")
    scheduler: SchedulerSection = Field(default_factory=SchedulerSection, description="many small workers")
    thermodynamic: ThermodynamicSection = Field(
        default_factory=ThermodynamicSection, description="regions of 1, 2, 4 … sites up to the whole lattice"
    )
    charged: ChargedSection = Field(default_factory=ChargedSection, description="work against exergy")
    model: ModelSection = Field(default_factory=ModelSection, description="a run foretold")

    @classmethod
    def checks(cls) -> Checks:
        """Checks that look at more than one key."""
        return {**CHECKS, **_CHECKS}

    @property
    def base(self) -> Config:
        """The run that the study varies."""
        return Config(**{name: getattr(self, name) for name in Config.model_fields})

    def resolved(self, cores: int) -> Self:
        """The study with ``"cores"`` replaced by the layouts of a machine of so many cores, for good."""
        made = self.to_dict()
        for name in ("strong", "weak"):
            if made[name]["layouts"] == "cores":
                made[name]["layouts"] = [list(pair) for pair in layouts_of_cores(cores)]
        return self.from_mapping(made)


_LAYOUTS = (
    ("strong", "layouts"),
    ("weak", "layouts"),
    ("thermodynamic", "layouts"),
    ("granularity", "layout"),
    ("charged", "layout"),
)


def _check_layouts(name: str, key: str, study: Study) -> Iterator[Finding]:
    layouts = getattr(getattr(study, name), key)
    for workers, threads in [layouts] if key == "layout" else layouts if layouts != "cores" else ():
        if workers == 0 and threads > 1:
            expected = "one thread where there is no Dask (workers 0)"
            yield Finding((name, key), show([workers, threads]), expected, f"write [0, 1], or [1, {threads}]")


def _check_chunks(study: Study) -> Iterator[Finding]:
    axes = study.field.axes
    for name, chunks in (("strong", study.strong.chunks), ("granularity", study.granularity.chunks)):
        for number, chunk in enumerate(chunks):
            if len(chunk) != axes:
                yield Finding(
                    (name, "chunks", number), show(chunk), f"as many numbers as field.shape has ({axes})", "correct it"
                )


def _check_scheduler(study: Study) -> Iterator[Finding]:
    section = study.scheduler
    shape, regions, path = section.shape, section.regions, ("scheduler", "regions")
    if len(shape) != len(regions) or any(n % r for n, r in zip(shape, regions, strict=True)):
        yield Finding(path, show(regions), f"divisors of scheduler.shape, {show(shape)}", "correct one of them")


def _check_thermodynamic(study: Study) -> Iterator[Finding]:
    section = study.thermodynamic
    if not section.shapes:
        return
    if study.field.initial != "thermal" or study.field.edges == "baths":
        found = f'initial = "{study.field.initial}", edges = "{study.field.edges}"'
        expected = "a thermal field without baths, whose law is known at every scale"
        yield Finding(("thermodynamic", "shapes"), found, expected, "leave [thermodynamic] out, or change [field]")
    if study.field.mean <= 0:
        yield Finding(("field", "mean"), show(study.field.mean), "more than 0 quanta a site, to lift any", "raise it")
    if section.replicas and len(section.replicas) != len(section.shapes):
        expected = f"as many numbers as there are shapes ({len(section.shapes)})"
        yield Finding(("thermodynamic", "replicas"), show(section.replicas), expected, "write one for each shape")
    for number, shape in enumerate(section.shapes):
        path = ("thermodynamic", "shapes", number)
        if len(shape) < 2:
            yield Finding(path, show(shape), "at least 2 axes: blocks are cut along the first", "fold it")
        if math.prod(shape) > MAX_SITES:
            yield Finding(path, show(shape), "at most 2^48 sites in all", "take smaller extents")
        if study.field.edges == "periodic" and any(extent % 2 for extent in shape):
            yield Finding(
                path, show(shape), "even extents, for edges are periodic", 'make them even, or edges = "closed"'
            )
    sites = math.prod(section.shapes[0])
    for number, region in enumerate(section.regions):
        if region < 2 or sites % region:
            expected = f"sites of regions, at least 2, that divide the first lattice ({sites})"
            yield Finding(("thermodynamic", "regions", number), show(region), expected, "take a divisor")


def _check_charged(study: Study) -> Iterator[Finding]:
    section = study.charged
    for number, field in enumerate(section.fields):
        path = ("charged", "fields", number)
        if len(field) != len(section.region):
            expected = f"as many numbers as charged.region has ({len(section.region)})"
            yield Finding(path, show(field), expected, "correct one of them")
        elif field[0] % 2:
            yield Finding(
                path, show(field), "an even number of regions along axis 0", "half of it is hot, half is cold"
            )
    if section.fields and section.hot <= section.cold:
        yield Finding(
            ("charged", "hot"), show(section.hot), f"more than charged.cold, {section.cold:g}", "exchange them"
        )
    for number, (m, n) in enumerate(section.gears):
        if m <= n:
            expected = "m > n: no other gear yields work from hot to cold"
            yield Finding(("charged", "gears", number), show((m, n)), expected, "exchange m and n")


def _check_cycles(study: Study) -> Iterator[Finding]:
    if study.run.cycles < 1:
        yield Finding(
            ("run", "cycles"), show(study.run.cycles), "at least 1 cycle to measure", "write cycles = 10, say"
        )


def _check_anything(study: Study) -> Iterator[Finding]:
    varied = (
        study.strong.layouts,
        study.weak.layouts,
        study.granularity.chunks,
        study.scheduler.workers,
        study.thermodynamic.shapes,
        study.charged.fields,
    )
    if not any(varied):
        expected = "at least one of strong.layouts, weak.layouts, granularity.chunks, scheduler.workers, "
        expected += "thermodynamic.shapes, charged.fields"
        yield Finding(("study",), "nothing to run", expected, 'add [strong] layouts = "cores", say')


_CHECKS: Checks = {
    **{partial(_check_layouts, name, key): f"{name}.{key}" for name, key in _LAYOUTS},
    _check_chunks: "field.shape strong.chunks granularity.chunks",
    _check_scheduler: "scheduler.shape scheduler.regions",
    _check_thermodynamic: "thermodynamic.shapes thermodynamic.replicas thermodynamic.regions field.initial field.edges field.mean",
    _check_charged: "charged.fields charged.region charged.hot charged.cold charged.gears",
    _check_cycles: "run.cycles",
    _check_anything: "strong.layouts weak.layouts granularity.chunks scheduler.workers thermodynamic.shapes charged.fields",
}
