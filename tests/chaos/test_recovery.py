"""What a worker's death costs: tasks that run again, counted, against what was lost since the last checkpoint."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.clusters import cluster
from chaos.points import NOTES, Point, Points
from chaos.recording import SAME, Injected, Recorder
from chaos.runs import configuration, running

BLOCKS, WORKERS, EVERY = 16, 4, 20
# A ring of blocks of two regions.  One layer a cycle, of which every second crosses the seams: a segment is two cycles.
RING = {"field": {"shape": [128], "regions": [32], "mean": 3.0, "edges": "periodic", "seed": 5}}


@dataclass(frozen=True)
class Task:
    """One execution of a task."""

    name: str
    number: int  # order of submission
    block: int
    worker: int


def noted(directory: Path) -> list[Task]:
    """All executions that began, in any order."""
    found = []
    for file in directory.glob("notes-*"):
        for line in file.read_text().splitlines():
            key = str(json.loads(line))
            name, _, number, block = key.split("-")
            found.append(Task(name, int(number), int(block), int(file.name.split("-")[1])))
    return found


@pytest.mark.parametrize("after", [2, 6, 16])
def test_what_runs_again(after: int, full: bool, tmp_path: Path, injected: Recorder) -> None:
    """A worker dies so many cycles after a checkpoint, in a run of 16 blocks in a ring, on four workers.

    Again may run: since the last checkpoint, all of the lost blocks; and of others what their seams need, which is one
    block further for every segment further back, for a face is made from a state that is gone.
    """
    if after != 6 and not full:
        pytest.skip("the sample has one distance")
    points = Points(tmp_path / "points")
    death = 2 * EVERY + after
    more = points.arm([Point("step", cycle=death)]) | {NOTES: str(tmp_path)}
    with (
        running(tmp_path, configuration(4 * EVERY, EVERY, **RING)) as run,
        cluster(tmp_path / "cluster", WORKERS, more) as (made, _),
    ):
        process = run.run("--scheduler", made.file, "--chunks", "2")
        assert run.end(process) == SAME
        (dead,) = points.reached().values()
    tasks = noted(tmp_path)
    times = Counter((task.name, task.number, task.block) for task in tasks)
    again = {key for key, count in times.items() if count > 1}
    loads = sorted(number for name, number, _ in times if name == "load")
    last_cut = max(n for n in loads if n < max(task.number for task in tasks if task.worker == dead))
    since = {key for key in times if last_cut - BLOCKS < key[1] <= max(number for _, number, _ in again)}
    assert again and again <= since, "work from before the checkpoint ran again"
    lost = {task.block for task in tasks if task.worker == dead and (task.name, task.number, task.block) in since}
    assert 0 < len(lost) <= 2 * BLOCKS // WORKERS
    segment: dict[tuple[str, int, int], int] = {}
    done: defaultdict[int, int] = defaultdict(int)
    for key in sorted(since, key=lambda key: key[1]):
        name, _, block = key
        done[block] += name == "block"
        segment[key] = done[block] + (name in ("face", "done"))
    newest = max(segment[key] for key in again)

    def distance(block: int) -> int:
        return min(min((block - one) % BLOCKS, (one - block) % BLOCKS) for one in lost)

    beyond = [key for key in again if distance(key[2]) > newest - segment[key] + 1]
    assert not beyond, (beyond, lost, newest)
    needed = [key for key in again if key[2] not in lost]
    figure = (
        f"of {len(since)} tasks since then {len(again)} ran again, {len(again) - len(needed)} of the {len(lost)} "
        f"lost blocks of {BLOCKS} and {len(needed)} for their seams"
    )
    injected(Injected(f"one of four workers, {after} cycles after a checkpoint: SIGKILL ({figure})", SAME))
