"""Plays the acts of the demonstration: runs or goes on with each, shows its lines, judges the claims by all that are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rich.console import Console

from entropic.claims import ActFigures, judge
from entropic.cli.show import print_claims, print_laws
from entropic.cli.where import Stop, execute, planned
from entropic.computer import EntropicComputer, Interrupted, Observer
from entropic.config import Config
from entropic.demo import ACTS, Act, Standing, act_config, ending, go_on, line, measure, ready, standing
from entropic.engine.cluster import Where
from entropic.store import RunStore

__all__ = ["Stage", "play"]

_LINES = 100  # cycles between lines, as in the original


@final
@dataclass(frozen=True)
class Stage:
    """What the command line says of a demonstration.

    Attributes
    ----------
    place : Path
        Directory of the acts' stores.
    show : Console
        Where lines go.
    """

    size: str
    overrides: tuple[str, ...]
    place: Path
    where: Where
    chunks: tuple[int, ...] | None
    show: Console

    @property
    def go_on(self) -> str:
        return go_on(self.place, self.size, self.overrides)


def play(stage: Stage, numbers: Sequence[int]) -> dict[str, Any]:
    """Play the acts of these numbers, those that are done already from their stores; returns the object of ``--json``.

    Raises
    ------
    Interrupted
        With the command that goes on.
    """
    configs = {act: act_config(act, stage.size, stage.overrides) for act in ACTS}
    ready(stage.place)
    states = {act: standing(stage.place / act.directory, config) for act, config in configs.items()}
    if stage.where.scheduler is None:
        for act in ACTS:  # refuse what cannot fit before anything is run
            if act.number in numbers and states[act] is not Standing.FINISHED:
                planned(configs[act], stage.where, stage.chunks)
    done: dict[Act, tuple[dict[str, Any], ActFigures]] = {}
    with Stop().listening() as stop:
        for act in ACTS:
            if act.number in numbers or states[act] is Standing.FINISHED:
                done[act] = _play(stage, act, configs[act], states[act], stop)
    figures = [measured for _, measured in done.values()]
    claims = judge(figures)
    print_claims(claims, stage.show)
    acts = [
        {**summary, "act": {"number": act.number, "title": act.title}, "figures": measured.to_dict()}
        for act, (summary, measured) in done.items()
    ]
    # The paying act is what the contract's object of `demo` is of; an act that is played alone speaks for itself.
    speaker = 2 if 2 in numbers else numbers[0]
    chosen = next(act for act in acts if act["act"]["number"] == speaker)
    return {**chosen, "acts": acts, "claims": [claim.to_dict() for claim in claims]}


def _play(stage: Stage, act: Act, config: Config, state: Standing, stop: Stop) -> tuple[dict[str, Any], ActFigures]:
    place, show = stage.place / act.directory, stage.show
    show.print(f"[bold]Act {act.number}: {act.title}[/]")
    show.print(act.about, soft_wrap=True)
    if state is Standing.FINISHED:
        summary = RunStore.open(place).read_json("summary.json")
        show.print(f"(done already, from {place})", soft_wrap=True)
        show.print(line(RunStore.open(place), summary["totals"]["cycles"]), soft_wrap=True)
    else:
        summary = _run(stage, act, config, state, stop)
    measured = measure(act, RunStore.open(place), summary)
    show.print(ending(measured), soft_wrap=True, highlight=False)
    _print_outcome(show, summary)
    return summary, measured


def _run(stage: Stage, act: Act, config: Config, state: Standing, stop: Stop) -> dict[str, Any]:
    place = stage.place / act.directory
    if stop():
        raise Interrupted(f"interrupted before act {act.number}.", f"go on with: {stage.go_on}")

    def booked(store: RunStore, cycle: int) -> None:
        if cycle % _LINES == 0 or cycle == config.run.cycles:
            stage.show.print(line(store, cycle), soft_wrap=True)

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        # Books are closed in time for every line.
        every = max(n for n in range(1, _LINES + 1) if _LINES % n == 0 and n <= epoch)
        if state is Standing.UNFINISHED:
            return EntropicComputer.resume(place, executor, blocks, every, observer)
        return EntropicComputer(config, place, executor, blocks, every, observer)

    try:
        computer, summary = execute(config, stage.where, stage.chunks, start, booked, stop)
    except Interrupted as error:
        raise Interrupted(f"act {act.number} was {error.message}", f"go on with: {stage.go_on}") from error
    except KeyboardInterrupt as error:
        message = f"act {act.number} was interrupted at once; the last checkpoint stands."
        raise Interrupted(message, f"go on with: {stage.go_on}") from error
    computer.store.unlock()
    return summary


def _print_outcome(show: Console, summary: dict[str, Any]) -> None:
    laws, speed = summary["laws"], summary["performance"]
    broken = [law for law in laws if not law["holds"]]
    show.print(
        f"{len(laws) - len(broken)} of {len(laws)} laws hold; field digest {summary['digest']['field']}; "
        f"{speed['seconds']:.0f} s, peak {speed['peak_bytes'] / 2**30:.2f} GiB; store {summary['store']}\n",
        soft_wrap=True,
    )
    if broken:
        print_laws(broken, show)
