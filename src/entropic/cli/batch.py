"""Runs as batch jobs: hand over, carry on inside the job, look from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from entropic.batch.allocation import continuation
from entropic.batch.file import ClusterFile
from entropic.batch.submission import Submission, job_file, job_text, submit_command
from entropic.cli.commands import cli
from entropic.cli.show import err, finish, out
from entropic.cli.where import (
    Stop,
    chunks_option,
    cluster_option,
    execute,
    job_directory,
    plain_tcp_option,
    planned,
)
from entropic.computer import EntropicComputer
from entropic.config import Config
from entropic.engine.cluster import Where
from entropic.engine.cluster_security import make_certificates, private_directory
from entropic.engine.cluster_start import Session, chosen_python, join_cluster
from entropic.errors import ClusterError, ResourceError, StoreError, UsageError
from entropic.observer import Interrupted, Observer
from entropic.status import Status, status_of
from entropic.store import RunStore

__all__: list[str] = []

_HAND_OVER_SECONDS = 60
_FRUITLESS = 3  # jobs in a row that come no cycle further: one more would not either


@cli.command()
@click.argument("config_file", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@cluster_option(expose=True, required=True)
@click.option("--set", "overrides", multiple=True, metavar="SECTION.KEY=VALUE", help="Change the configuration.")
@click.option("--out", "target", type=click.Path(path_type=Path), help="Run directory (default: runs/NAME).")
@chunks_option
@plain_tcp_option(expose=True)
@click.option("--dry-run", is_flag=True, help="Print the script, and do nothing.")
def submit(
    config_file: Path,
    cluster: ClusterFile,
    overrides: tuple[str, ...],
    target: Path | None,
    chunks: tuple[int, ...] | None,
    plain_tcp: bool,
    dry_run: bool,
) -> None:
    """Hand a run over to a batch system: one job holds scheduler, driver and workers.

    A run that is longer than the job's time limit writes a checkpoint and queues again by itself.

    \b
    Examples:
      entropic submit demon.toml --cluster cluster/slurm.toml
      entropic submit demon.toml --cluster cluster/slurm.toml --out runs/a --dry-run
      entropic submit demon.toml --cluster cluster/kubernetes.toml --dry-run | kubectl apply -f -
    """
    config = Config.from_toml(config_file, overrides)
    run = target or Path("runs") / config_file.stem
    submission = Submission(str(run), cluster, chunks, plain_tcp, config.to_toml())
    text = job_text(submission)
    if dry_run:
        click.echo(text, nl=False)
        return
    command = None if cluster.system == "mpi" else submit_command(submission)  # raises if there is no queue
    chosen_python(cluster)
    planned(config, Where(1, 1, cluster=cluster, session=Session(job_directory(run), inside=True)), chunks)
    _lay_out(run, config, cluster, job_file(submission), text)
    said = f"run {job_file(submission)} within your allocation" if command is None else _hand_over(command)
    out.print(f"{said}; look with: entropic status {run}", markup=False, soft_wrap=True)


def _lay_out(run: Path, config: Config, cluster: ClusterFile, file: str, text: str) -> None:
    """Script and copies of what it needs, beside the run; a run that is there must be the same one."""
    if run.exists() and RunStore.open(run).config() != config:
        raise UsageError(f"{run} exists already, with another configuration.", "give another --out")
    directory = job_directory(run)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / "config.toml").write_text(config.to_toml())
        (directory / "cluster.toml").write_text(cluster.text)
        Path(file).write_text(text)
        Path(file).chmod(0o755)
    except OSError as error:
        raise ResourceError(f"cannot write {directory}: {error.strerror or error}.", "choose another --out") from error


def _hand_over(command: list[str]) -> str:
    """Run a command of the batch system; returns what it said."""
    program = command[-1].split()[0] if command[0] == "/bin/sh" else command[0]
    if shutil.which(program) is None:
        raise ClusterError(f"there is no {program} here.", "submit from a host of the batch system")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_HAND_OVER_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{program} gave no answer in {_HAND_OVER_SECONDS} s.", "try again later") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split()) or f"code {done.returncode}"
        raise ClusterError(f"{program} refuses: {said}.", "correct the cluster file, [job] above all")
    return " ".join(done.stdout.split())


@cli.command("carry-on", hidden=True)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--began", type=int, help="When the job began, s since 1970.")
@click.option("--node", type=int, default=0, help="Number of this node, where every node of a job runs this.")
@chunks_option
@plain_tcp_option(expose=True)
def carry_on(run: Path, began: int | None, node: int, chunks: tuple[int, ...] | None, plain_tcp: bool) -> None:
    """Begin or go on with a submitted run, inside its job; queue it again when the time is up."""
    directory = job_directory(run)
    cluster, began = ClusterFile.from_toml(directory / "cluster.toml"), began or int(time.time())
    deadline = float(began + cluster.job.seconds - cluster.job.warning) if cluster.has_queue else float("inf")
    session = Session(directory, inside=True, plain_tcp=plain_tcp, began=began)
    stop = Stop(deadline=deadline)
    with stop.until_told():
        if node:
            join_cluster(cluster, session)
        else:
            _drive(run, cluster, session, chunks, stop)


def _drive(run: Path, cluster: ClusterFile, session: Session, chunks: tuple[int, ...] | None, stop: Stop) -> None:
    """What the first node of a job does."""
    config = Config.from_toml(session.directory / "config.toml")
    where = Where(cluster.workers.count, cluster.workers.threads, cluster=cluster, session=session)
    started = _started(run, config)
    if started and (found := status_of(run)).state == "finished":
        err.print(f"{run} is finished: {found.cycle} cycles", markup=False, soft_wrap=True)
        return

    def start(executor: Any, blocks: Any, epoch: int, observer: Observer) -> EntropicComputer:
        if started:
            return EntropicComputer.resume(run, executor, blocks, epoch, observer)
        return EntropicComputer(config, run, executor, blocks, epoch, observer)

    try:
        _, summary = execute(config, where, chunks, start, stop=stop)
    except Interrupted:
        if stop.asked or not stop.time_is_up:
            raise
        _queue_again(Submission(str(run), cluster, chunks, session.plain_tcp))
        return
    finish(summary, as_json=False)


def _started(run: Path, config: Config) -> bool:
    """Whether there is something to go on from; refuses to go on in vain."""
    if not (run / "config.toml").is_file():
        return False
    if RunStore.open(run).config() != config:
        raise UsageError(f"{run} holds another configuration than its job.", "give the job another --out")
    found = status_of(run)
    if found.checkpoint is None and not found.damage:
        shutil.rmtree(run)  # ended before its first checkpoint: there is nothing to keep
        return False
    if found.state == "damaged":
        raise StoreError(f"{run} holds no sound checkpoint. {' '.join(found.damage)}", "run again under another --out")
    fruitless = [job for job in found.jobs[-_FRUITLESS:] if job.cycle == found.cycle]
    if len(fruitless) == _FRUITLESS and found.state != "finished":
        raise ClusterError(
            f"the last {_FRUITLESS} jobs of {run} began at cycle {found.cycle} and came no further.",
            "raise walltime, or lower warning, below [job]; then submit again",
        )
    return True


def _queue_again(submission: Submission) -> None:
    """Let the next job go on; ends this process with the code that the system takes for that."""
    again = continuation(submission, os.environ)
    troubles: list[str] = []
    for command in again.commands:
        try:
            err.print(f"time is up: {_hand_over(command) or ' '.join(command)}", markup=False, soft_wrap=True)
            troubles = []
            break
        except ClusterError as error:
            troubles.append(error.message)
    if troubles:
        raise ClusterError(
            f"time is up, a checkpoint is written, but the job is not queued again: {' '.join(troubles)}",
            f"go on with: {' '.join(submit_command(submission))}",
        )
    if again.exit_code == Interrupted.exit_code:
        raise Interrupted("time is up; a checkpoint was written.", f"go on with: entropic resume {submission.run}")
    sys.exit(again.exit_code)


@cli.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def status(run: Path, as_json: bool) -> None:
    """Where a run stands, from its files alone: cycles, newest checkpoint, who drives it, how to go on.

    Exit code 5 if no checkpoint is sound.

    \b
    Examples:
      entropic status runs/demon
      entropic status runs/demon --json
    """
    found = status_of(run)
    if as_json:
        click.echo(json.dumps(found.to_dict()))
    else:
        _print_status(found)
    if found.state == "damaged":
        raise StoreError(f"{run} holds no sound checkpoint. {' '.join(found.damage)}", "run again from its config.toml")


def _print_status(found: Status) -> None:
    lines = [f"{found.run}: {found.state}, {found.cycle:,} of {found.cycles:,} cycles"]
    if found.checkpoint is not None:
        lines.append(f"checkpoint: {found.checkpoint}, verified; written {found.progressed}")
    lines += [f"damaged: {text}" for text in found.damage]
    if found.driver is not None:
        lines.append(f"driver: {found.driver.where}, since {found.driver.began}")
    lines += [f"job: {job.where}, began {job.began} at cycle {job.cycle:,}" for job in found.jobs]
    lines.append(f"next: {found.advice}")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


@cli.command()
@click.argument("directory", metavar="DIRECTORY", type=click.Path(path_type=Path))
def certificates(directory: Path) -> None:
    """Make fresh TLS certificates in a new private directory, for a cluster that you start yourself.

    \b
    Examples:
      entropic certificates tls > tls.env
      entropic certificates ~/certificates
      kubectl create secret generic entropic-tls --from-file=tls
    """
    if directory.exists():
        raise UsageError(f"{directory} exists already.", "name a new directory: keys are never written over")
    make_certificates(private_directory(directory))
    place = directory.absolute()
    names = {"CA_FILE": "ca", "CLIENT__CERT": "ca", "CLIENT__KEY": "key"}
    click.echo("export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=true")
    for name, file in names.items():
        click.echo(f"export DASK_DISTRIBUTED__COMM__TLS__{name}={place}/{file}.pem")
