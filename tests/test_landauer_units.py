"""Erasure energies in every unit: E_min in integers, SI from the exact Boltzmann constant."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import entropy, units
from entropic.machines.circuits import (
    AND,
    CNOT,
    TOFFOLI,
    Circuit,
    NotBijectiveError,
    bill_of_uniform,
    cuccaro_adder,
    from_integers,
)
from entropic.machines.landauer import LandauerEngine

drawn = settings(deadline=None, max_examples=150)
QUANTUM_J = 4.0e-21


def engine(sites: int) -> LandauerEngine:
    return LandauerEngine("raw", sites, 1, 255)


def ulps(found: float, exact: mpmath.mpf) -> float:
    return float(abs(found - exact) / math.ulp(float(exact)))


def test_boltzmann_is_the_si_s() -> None:
    assert Fraction(repr(units.BOLTZMANN)) == Fraction(1380649, 10**29)


@drawn
@given(st.floats(1e-3, 1e9))
def test_a_bit_in_joules(kelvin: float) -> None:
    with mpmath.workdps(40):
        exact = mpmath.mpf(1380649) / mpmath.mpf(10) ** 29 * mpmath.mpf(kelvin) * mpmath.log(2)
        assert ulps(units.landauer_joules_per_bit(kelvin), exact) <= 2


@drawn
@given(st.integers(100, 10**9), st.integers(0, 10**10), st.floats(1e-3, 1e3), st.floats(1e-24, 1e-18))
def test_units_of_one_price(sites: int, quanta: int, nats: float, quantum_joule: float) -> None:
    energy = engine(sites).information_erasure_energy(quanta, nats, quantum_joule)
    assert energy.nats == nats
    assert energy.quanta == entropy.erasure_quanta_for_nats(sites, quanta, nats)
    assert energy.energy_j == energy.quanta * quantum_joule
    with mpmath.workdps(40):
        assert ulps(energy.bits, nats / mpmath.log(2)) <= 2
        warmth = 1 / mpmath.log1p(mpmath.mpf(sites - 1) / (quanta + 1))
        assert ulps(energy.temperature, warmth) <= 3
        boltzmann = mpmath.mpf(1380649) / mpmath.mpf(10) ** 29
        kelvin = warmth * mpmath.mpf(quantum_joule) / boltzmann
        assert ulps(energy.temperature_k, kelvin) <= 8
        assert ulps(energy.energy_infinite_bath_j, boltzmann * kelvin * nats) <= 8  # k_B T ln 2 a bit


@drawn
@given(st.integers(100, 10**7), st.integers(0, 10**8), st.floats(1e-3, 50.0))
def test_a_finite_bath_is_dearer(sites: int, quanta: int, nats: float) -> None:
    """Entropy is concave in energy: T k ≤ E_min, and E_min − 1 < T' k with T' the temperature just below the end."""
    energy = engine(sites).information_erasure_energy(quanta, nats, QUANTUM_J)
    price = energy.quanta
    assert price is not None
    assert price >= energy.quanta_infinite_bath * (1 - 1e-14)
    if price >= 2:
        assert price - 1 < nats * entropy.temperature(sites, quanta + price - 2) * (1 + 1e-14)


def test_a_large_bath_is_an_infinite_one() -> None:
    """At 1e9 sites of mean 5 the price of a kilobit is Landauer's, rounded up to a quantum."""
    sites = 10**9
    energy = engine(sites).information_erasure_energy(5 * sites, 1000 * math.log(2), QUANTUM_J)
    assert energy.quanta == math.ceil(energy.quanta_infinite_bath)
    room = engine(sites).information_erasure_energy(5 * sites, math.log(2), units.BOLTZMANN)
    assert room.temperature_k == room.temperature  # a quantum of k_B joules is one kelvin


def test_one_bit_of_a_raw_record() -> None:
    one = engine(1000).record_energy(5000, 17, QUANTUM_J)
    assert one.bits == pytest.approx(1000, rel=1e-15)
    assert one.quanta == engine(1000).price(5000, 17) == entropy.erasure_quanta(1000, 5000, 17, "raw")
    assert engine(1000).field_temperature(5000) == one.temperature == entropy.temperature(1000, 5000)


def test_nothing_costs_nothing_and_a_single_site_cannot_pay() -> None:
    nothing = engine(1).information_erasure_energy(3, 0.0, QUANTUM_J)
    assert (nothing.quanta, nothing.quanta_infinite_bath, nothing.energy_infinite_bath_j) == (0, 0.0, 0.0)
    never = engine(1).information_erasure_energy(3, 1.0, QUANTUM_J)
    assert (never.quanta, never.energy_j, never.quanta_infinite_bath) == (None, None, math.inf)
    with pytest.raises(entropy.EntropyDomainError):
        engine(9).information_erasure_energy(3, math.nan, QUANTUM_J)


def test_reversible_computation_is_free() -> None:
    circuit = cuccaro_adder(4).circuit
    bits = from_integers(np.arange(2**10), 10)
    after, cost = engine(1000).reversible_computation(circuit, bits)
    assert cost == 0
    assert np.array_equal(circuit.undo(after), bits)
    assert not np.array_equal(after, bits)
    bill = bill_of_uniform(circuit, range(10))
    assert engine(1000).circuit_energy(5000, bill, QUANTUM_J, words=10**9).quanta == 0


def test_what_is_not_reversible_is_refused_and_billed() -> None:
    circuit = Circuit(3, (CNOT(0, 2), AND(0, 1, 2), TOFFOLI(0, 1, 2)))
    with pytest.raises(NotBijectiveError):
        engine(1000).reversible_computation(circuit, from_integers([0], 3))
    bill = bill_of_uniform(circuit, (0, 1, 2))
    energy = engine(1000).circuit_energy(5000, bill, QUANTUM_J, words=64)
    assert energy.quanta == engine(1000).information_erasure_energy(5000, 64 * math.log(2), QUANTUM_J).quanta
    assert energy.bits == pytest.approx(64, rel=1e-15)
