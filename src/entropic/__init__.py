"""The entropic computer with exact physics: does parallel scale change the thermodynamic outcome?"""

from typing import TYPE_CHECKING, Any

from entropic import entropy
from entropic.audit import Law, audit
from entropic.computer import Cycle, EntropicComputer
from entropic.config import Config
from entropic.errors import EntropicError
from entropic.machines import circuits
from entropic.machines.demon import MaxwellDemon, SortRecord
from entropic.machines.exchange import EntropyExchange, OrderBook, Trade
from entropic.machines.grid import EnergyDemand, EnergyGrid, EnergyScheduler, GridOutcome
from entropic.machines.harvester import EntropyHarvester, Harvester
from entropic.machines.judge import Verdict, judge
from entropic.machines.landauer import LandauerEngine
from entropic.machines.network import Network
from entropic.machines.pump import EntropyPump, GradientHarvester, PumpReport, PumpResult
from entropic.machines.routing import EnergyRouter, Route
from entropic.machines.storage import EnergyStorage
from entropic.machines.transfer import FlowMonitor, Flows
from entropic.observer import Observer
from entropic.reversal import reverse

if TYPE_CHECKING:
    from entropic.field import Field, open_run

__all__ = [
    "Config",
    "Cycle",
    "EnergyDemand",
    "EnergyGrid",
    "EnergyRouter",
    "EnergyScheduler",
    "EnergyStorage",
    "EntropicComputer",
    "EntropicError",
    "EntropyExchange",
    "EntropyHarvester",
    "EntropyPump",
    "Field",
    "FlowMonitor",
    "Flows",
    "GradientHarvester",
    "GridOutcome",
    "Harvester",
    "LandauerEngine",
    "Law",
    "MaxwellDemon",
    "Network",
    "Observer",
    "OrderBook",
    "PumpReport",
    "PumpResult",
    "Route",
    "SortRecord",
    "Trade",
    "Verdict",
    "audit",
    "circuits",
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
