"""The entropic computer with exact physics: does parallel scale change the thermodynamic outcome?"""

from typing import TYPE_CHECKING, Any

from entropic import entropy
from entropic.audit import Law, audit
from entropic.computer import Cycle, EntropicComputer, Observer
from entropic.config import Config
from entropic.errors import EntropicError
from entropic.machines.harvester import EntropyHarvester, Harvester
from entropic.machines.judge import Verdict, judge
from entropic.machines.landauer import LandauerEngine
from entropic.reversal import reverse

if TYPE_CHECKING:
    from entropic.field import Field, open_run

__all__ = [
    "Config",
    "Cycle",
    "EntropicComputer",
    "EntropicError",
    "EntropyHarvester",
    "Field",
    "Harvester",
    "LandauerEngine",
    "Law",
    "Observer",
    "Verdict",
    "audit",
    "entropy",
    "judge",
    "open_run",
    "reverse",
]


def __getattr__(name: str) -> Any:
    """xarray and dask.array take as long to import as all the rest, and neither workers nor the command line need them."""
    if name in ("Field", "open_run"):
        from entropic import field

        return getattr(field, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
