"""Where the command `entropic` begins: nothing is imported yet, so that Ctrl-C in the second that imports take is one line too."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """`entropic.cli.main`."""
    try:
        from entropic.cli import main as run
    except KeyboardInterrupt:
        print("entropic: interrupted before anything was begun", file=sys.stderr)
        sys.exit(130)
    run()
