"""The entropic computer with exact physics: does parallel scale change the thermodynamic outcome?"""

from entropic import entropy
from entropic.audit import Law, audit
from entropic.computer import Cycle, EntropicComputer, Observer
from entropic.config import Config
from entropic.errors import EntropicError
from entropic.field import Field, open_run
from entropic.machines.harvester import EntropyHarvester, Harvester
from entropic.machines.judge import Verdict, judge
from entropic.machines.landauer import LandauerEngine
from entropic.reversal import reverse

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
