"""A run while it goes on: what is known of it, on a terminal and on a page of its own."""

from entropic.report.live.server import LiveServer
from entropic.report.live.tally import Tally, opened, tallied
from entropic.report.live.watch import Reading, Watch

__all__ = ["LiveServer", "Reading", "Tally", "Watch", "opened", "tallied"]
