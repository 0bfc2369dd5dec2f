"""Spans, in which distributed's scheduler counts what tasks cost, without an end to them.

A new one begins whenever all tasks are done, as after every checkpoint, and by default none is ever forgotten: not their
tasks' groups, nor what those refer to.
"""

from __future__ import annotations

from typing import Any

import dask
from distributed.scheduler import DEFAULT_EXTENSIONS
from distributed.spans import Span, SpansSchedulerExtension

__all__ = ["scheduler_extensions"]

_KEPT = 20


class _RecentSpans(SpansSchedulerExtension):  # type: ignore[misc]
    """The last few spans, and those that tasks still belong to."""

    def _ensure_default_span(self) -> Span:
        span = super()._ensure_default_span()
        alive = {group.span_id for group in self.scheduler.task_groups.values()}
        for old in [span for span in self.root_spans[:-_KEPT] if span.id not in alive]:
            del self.spans[old.id]
            for known in (self.root_spans, self.spans_search_by_name[old.name], self.spans_search_by_tag[old.name[0]]):
                known.remove(old)
        return span

    def heartbeat(self, ws: Any, data: dict[tuple[Any, ...], float]) -> None:
        super().heartbeat(ws, {key: value for key, value in data.items() if key[1] in self.spans})


def scheduler_extensions() -> dict[str, Any]:
    """Extensions of the schedulers that we start; to be asked for where `cluster_settings` hold."""
    stealing = dask.config.get("distributed.scheduler.work-stealing")
    known = {name: kind for name, kind in DEFAULT_EXTENSIONS.items() if stealing or name != "stealing"}
    return {**known, "spans": _RecentSpans}
