"""Plays the acts of the demonstration: runs or goes on with each, shows its lines, judges the claims by all that are done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rich.console import Console

from entropic.claims import ActFigures, judge
from entropic.cli.show import print_claims, print_laws
from entropic.cli.where import Follow, Stop, connected, following, planned, run_on
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.demo import ACTS, Act, Standing, act_config, ending, go_on, keep, line, measure, ready, standing
from entropic.engine.cluster import DaskExecutor, Where
from entropic.observer import Interrupted, Observer
from entropic.store import RunStore

__all__ = ["Stage", "play"]

_LINES = 100  # cycles between lines, as in the original
_PAYING = 2  # the act that the contract's object of `demo` is of

Played = tuple[dict[str, Any], ActFigures]


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
    live, timeline : bool
        Whether to serve a page of the act that goes on, and to note tasks.
    """

    size: str
    overrides: tuple[str, ...]
    place: Path
    where: Where
    chunks: tuple[int, ...] | None
    show: Console
    live: bool = False
    timeline: bool = False

    def interrupted(self, message: str) -> Interrupted:
        """The error that says how to go on."""
        return Interrupted(message, f"go on with: {go_on(self.place, self.size, self.overrides)}")


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
    new = [act for act in ACTS if act.number in numbers and states[act] is not Standing.FINISHED]
    if stage.where.scheduler is None:
        for act in new:  # refuse what cannot fit before anything is run
            planned(configs[act], stage.where, stage.chunks)
    done: dict[Act, Played] = {}
    with ExitStack() as stack:
        executor = stack.enter_context(connected(stage.where)) if new else None
        follow = stack.enter_context(following(stage.live and bool(new), stage.timeline))
        stop = stack.enter_context(Stop().listening())
        for act in ACTS:
            if executor is not None and act in new:
                _title(stage, act)
                summary = _run(stage, executor.again(), act, configs[act], states[act], stop, follow)
            elif states[act] is Standing.FINISHED:
                _title(stage, act)
                summary = _recall(stage, act)
            else:
                continue
            done[act] = summary, _ending(stage, act, summary)
    return _outcome(stage, numbers, done)


def _title(stage: Stage, act: Act) -> None:
    stage.show.print(f"[bold]Act {act.number}: {act.title}[/]")
    stage.show.print(act.about, soft_wrap=True)


def _run(
    stage: Stage, executor: DaskExecutor, act: Act, config: Config, state: Standing, stop: Stop, follow: Follow
) -> dict[str, Any]:
    place = stage.place / act.directory
    if stop():
        raise stage.interrupted(f"interrupted before act {act.number}.")

    def booked(store: RunStore, cycle: int) -> None:
        if cycle % _LINES == 0 or cycle == config.run.cycles:
            stage.show.print(line(store, cycle), soft_wrap=True)

    def start(executor: DaskExecutor, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        # Books are closed in time for every line.
        every = max(n for n in range(1, _LINES + 1) if _LINES % n == 0 and n <= epoch)
        if state is Standing.UNFINISHED:
            return EntropicComputer.resume(place, executor, blocks, every, observer)
        return EntropicComputer(config, place, executor, blocks, every, observer)

    try:
        computer, summary = run_on(executor, config, stage.where, stage.chunks, start, stop, booked, follow)
    except Interrupted as error:
        raise stage.interrupted(f"act {act.number} was {error.message}") from error
    except KeyboardInterrupt as error:
        message = f"act {act.number} was interrupted at once; the last checkpoint stands."
        raise stage.interrupted(message) from error
    computer.store.unlock()
    return summary


def _recall(stage: Stage, act: Act) -> dict[str, Any]:
    """The summary of an act that is done, and its last line."""
    store = RunStore.open(stage.place / act.directory)
    summary = store.read_json("summary.json")
    stage.show.print(f"(done already, in {store.path})", soft_wrap=True, markup=False)
    if summary["totals"]["cycles"]:
        stage.show.print(line(store, summary["totals"]["cycles"]), soft_wrap=True)
    return summary


def _ending(stage: Stage, act: Act, summary: dict[str, Any]) -> ActFigures:
    """Measure an act that is done, and show how it ended."""
    measured = measure(act, RunStore.open(stage.place / act.directory), summary)
    laws, speed, show = summary["laws"], summary["performance"], stage.show
    broken = [law for law in laws if not law["holds"]]
    show.print(ending(measured), soft_wrap=True)
    show.print(
        f"{len(laws) - len(broken)} of {len(laws)} laws hold; field digest {summary['digest']['field']}; "
        f"{speed['seconds']:.0f} s, peak {speed['peak_bytes'] / 2**30:.2f} GiB; store {summary['store']}\n",
        soft_wrap=True,
        markup=False,
    )
    if broken:
        print_laws(broken, show)
    return measured


def _outcome(stage: Stage, numbers: Sequence[int], done: dict[Act, Played]) -> dict[str, Any]:
    """Judge the claims; the object of ``--json``, which is that of the paying act, or of one that is played alone."""
    claims = judge([measured for _, measured in done.values()])
    print_claims(claims, stage.show)
    acts = {
        act.number: {
            **summary,
            "act": {"number": act.number, "title": act.title},
            "figures": measured.to_dict(),
        }
        for act, (summary, measured) in done.items()
    }
    speaker = acts[_PAYING if _PAYING in numbers else numbers[0]]
    outcome = {**speaker, "acts": [*acts.values()], "claims": [claim.to_dict() for claim in claims]}
    keep(stage.place, outcome)
    return outcome
