"""SI at the edges: quanta to joules, quanta per nat to kelvin. Inside, energy is an integer and k_B = 1."""

from __future__ import annotations

import math

__all__ = ["BOLTZMANN", "joules", "kelvin", "landauer_joules_per_bit", "watts"]

BOLTZMANN = 1.380649e-23
"""Boltzmann constant in J/K, exact since the SI of 2019."""


def kelvin(temperature_quanta: float, quantum_joule: float) -> float:
    """Temperature in K of ``temperature_quanta`` quanta per nat, a quantum being ``quantum_joule`` J."""
    return temperature_quanta * quantum_joule / BOLTZMANN


def joules(quanta: float, quantum_joule: float) -> float:
    """Energy in J of ``quanta`` quanta."""
    return quanta * quantum_joule


def watts(quanta: float, quantum_joule: float, seconds: float) -> float:
    """Mean power in W of ``quanta`` quanta within ``seconds`` s."""
    return joules(quanta, quantum_joule) / seconds


def landauer_joules_per_bit(temperature_kelvin: float) -> float:
    """Least heat in J of erasing one bit in an infinite bath, ``k_B T ln 2`` (Landauer 1961)."""
    return BOLTZMANN * temperature_kelvin * math.log(2.0)
