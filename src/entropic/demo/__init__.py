"""The original document's demonstration, in three acts: their configurations, their lines, their figures."""

from entropic.demo.acts import ACTS, SIZES, Act, act_config
from entropic.demo.figures import measure
from entropic.demo.lines import ending, line
from entropic.demo.place import DemoPlaceError, Standing, go_on, keep, ready, standing

__all__ = [
    "ACTS",
    "SIZES",
    "Act",
    "DemoPlaceError",
    "Standing",
    "act_config",
    "ending",
    "go_on",
    "keep",
    "line",
    "measure",
    "ready",
    "standing",
]
