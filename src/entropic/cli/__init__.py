"""The command line."""

from __future__ import annotations

import sys
import traceback

import click

from entropic.cli import batch as _batch  # noqa: F401  (adds its commands)
from entropic.cli.commands import cli
from entropic.cli.show import err
from entropic.cli.study import scale
from entropic.durable import mending
from entropic.engine.cluster import silence_logs
from entropic.errors import ClusterError, EntropicError, ResourceError
from entropic.observer import Interrupted

__all__ = ["cli", "main"]

cli.add_command(scale)


def main() -> None:
    """Entry point: every failure is one sentence and an exit code."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # it may stand after the command too
    debug = len(arguments) + 1 < len(sys.argv)
    if not debug:
        silence_logs()
    try:
        cli.main(arguments, standalone_mode=False)
        code = 0
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.exceptions.Abort):  # click makes the one the other
        err.print("interrupted at once; the newest checkpoint, if there is one, stands")
        code = 130
    except EntropicError as error:
        if debug:
            traceback.print_exc()
        style = "yellow" if isinstance(error, Interrupted) else "red"
        err.print(f"[{style}]entropic:[/] ", end="")
        err.print(str(error), markup=False, soft_wrap=True)
        code = error.exit_code
    except (OSError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        remedy = mending(error) if isinstance(error, OSError) else "make room"
        wrapped = ResourceError(f"{type(error).__name__}: {error}.", f"{remedy}, then try again or 'entropic resume'")
        err.print(f"entropic: {wrapped}", markup=False, soft_wrap=True)
        code = wrapped.exit_code
    except Exception as error:  # the last net: no traceback without --debug
        if debug:
            traceback.print_exc()
        wrapped_cluster = ClusterError(f"unexpected {type(error).__name__}: {error}.", "run with --debug and report it")
        err.print(f"entropic: {wrapped_cluster}", markup=False, soft_wrap=True)
        code = wrapped_cluster.exit_code
    sys.exit(code)
