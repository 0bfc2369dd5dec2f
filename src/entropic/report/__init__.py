"""One self-contained page about a run, a demonstration or a study; its figures as SVG and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import final

from entropic.durable import mending, whole
from entropic.errors import ResourceError, UsageError

__all__ = ["ReportExtraError", "ReportTargetError", "report"]


@final
class ReportTargetError(UsageError):
    """The page or its figures cannot be put where they were asked for."""


@final
class ReportExtraError(UsageError):
    """The libraries that draw are not installed."""


def report(source: Path, target: Path, figures: Path | None = None) -> None:
    """Write the page about ``source`` to ``target``, replacing a file that is there.

    Parameters
    ----------
    source : Path
        A run directory, or one with the acts of a demonstration.
    target : Path
        The HTML file.
    figures : Path or None
        A directory for every figure as SVG and PNG.

    Raises
    ------
    ReportTargetError
        ``target`` is a directory, or ``figures`` is a file.
    ReportExtraError
        bokeh, Jinja2 or matplotlib is missing.
    UsageError, StoreError
        ``source`` is nothing of ours, or damaged.
    ResourceError
        There is no room, or no right to write.
    """
    if target.is_dir():
        raise ReportTargetError(f"{target} is a directory.", "give a file: -o FILE.html")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise ReportTargetError(f"{figures} is no directory.", "give --figures a directory")
    try:
        from entropic.report.page import rendered
        from entropic.report.static import png, svg
    except ModuleNotFoundError as error:
        raise ReportExtraError(f"{error.name} is not installed.", "pip install 'entropic[report]'") from error
    from entropic.report.sources import page_of

    page = page_of(source)
    _write(target, rendered(page).encode())
    if figures is not None:
        for name, figure in page.figures():
            _write(figures / f"{name}.svg", svg(figure.chart, name).encode())
            _write(figures / f"{name}.png", png(figure.chart))


def _write(target: Path, content: bytes) -> None:
    """A file whole, or as it was."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole(target) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise ResourceError(
            f"cannot write {target}: {error.strerror or error}.", f"{mending(error)}, or choose another place"
        ) from error
