"""What erasing information costs, in every unit: nats, bits, quanta, joules, kelvin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from entropic import entropy, units

__all__ = ["ErasureEnergy"]


@final
@dataclass(frozen=True)
class ErasureEnergy:
    """Price of erasing ``nats`` in a region, in the finite bath that it is and in an infinite one as warm.

    Parameters
    ----------
    nats : float
        Information erased.
    quanta : int or None
        E_min, the least heat that raises the region's entropy by ``nats``; None if no heat does (a single site).
    temperature : float
        Of the region before, in quanta per nat; inf for a single site.
    quantum_joule : float
        Joules a quantum.
    """

    nats: float
    quanta: int | None
    temperature: float
    quantum_joule: float

    @property
    def bits(self) -> float:
        """The information in bits."""
        return self.nats / math.log(2.0)

    @property
    def quanta_infinite_bath(self) -> float:
        """T k, the price in quanta if the region kept its temperature (Landauer 1961); 0 for no information."""
        return entropy.landauer_quanta(self.temperature, self.nats) if self.nats else 0.0

    @property
    def temperature_k(self) -> float:
        """The region's temperature in kelvin."""
        return units.kelvin(self.temperature, self.quantum_joule)

    @property
    def energy_j(self) -> float | None:
        """E_min in joules."""
        return None if self.quanta is None else units.joules(self.quanta, self.quantum_joule)

    @property
    def energy_infinite_bath_j(self) -> float:
        """T k in joules, which is k_B T ln 2 a bit."""
        return units.joules(self.quanta_infinite_bath, self.quantum_joule)
