"""Batteries against a twin in fractions: losses exact in the long run, every quantum accounted for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic.machines.shares import PARTS, ShareError, share_parts, take_share
from entropic.machines.storage import MAX_CONTENT, EnergyStorage, StorageError

SHARES = st.one_of(
    st.sampled_from([0.0, 1e-9, 0.001, 0.1, 0.5, 0.999, 0.999999999]), st.floats(0, 0.999999999, exclude_max=True)
)
QUANTA = st.one_of(st.integers(0, 20), st.integers(0, 10**12), st.integers(MAX_CONTENT - 5, MAX_CONTENT))


def array(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@given(SHARES, st.lists(QUANTA, min_size=1, max_size=30))
def test_taken_is_the_floor_of_the_share_of_the_sum(share: float, amounts: list[int]) -> None:
    parts = share_parts(share)
    assert abs(Fraction(parts, PARTS) - Fraction(share)) <= Fraction(1, 2 * PARTS)
    carry, total, taken = array(0), 0, 0
    for amount in amounts:
        part, carry = take_share(array(amount), parts, carry)
        assert 0 <= part[0] <= amount
        total += amount
        taken += int(part[0])
        assert taken == total * parts // PARTS
        assert taken * PARTS + int(carry[0]) == total * parts


def test_decimal_shares_are_what_they_say() -> None:
    assert [share_parts(share) for share in (0.0, 0.001, 0.1, 0.3, 0.999999999)] == [
        0,
        10**6,
        10**8,
        3 * 10**8,
        999999999,
    ]


@pytest.mark.parametrize("share", [-0.1, 1.0, 2, float("nan"), float("inf"), 1 - 1e-12])
def test_bad_shares(share: float) -> None:
    with pytest.raises(ShareError) as caught:
        EnergyStorage(charge_loss=share)
    assert "charge_loss" in caught.value.message and caught.value.remedy and caught.value.exit_code == 2


class SlowBattery:
    """One battery, in fractions."""

    def __init__(self, storage: EnergyStorage, content: int) -> None:
        self.rates = [
            Fraction(share_parts(rate), PARTS)
            for rate in (storage.charge_loss, storage.discharge_loss, storage.self_discharge)
        ]
        self.limit = storage.capacity if storage.capacity is not None else MAX_CONTENT
        self.content = content
        self.owed = [Fraction(0)] * 3

    def lose(self, operation: int, amount: int, do: bool = True) -> int:
        owed = self.owed[operation] + amount * self.rates[operation]
        lost = owed.numerator // owed.denominator
        if do:
            self.owed[operation] = owed - lost
        return lost

    def charge(self, amount: int) -> tuple[int, int]:
        lost = self.lose(0, amount)
        overflow = max(self.content + amount - lost - self.limit, 0)
        self.content += amount - lost - overflow
        return lost, overflow

    def discharge(self, wanted: int) -> tuple[int, int]:
        """The least that can be drawn so that what is wanted arrives, or else as much as can arrive."""

        def arrives(drawn: int) -> int:
            return drawn - self.lose(1, drawn, do=False)

        goal = min(wanted, arrives(self.content))
        low, high = 0, self.content
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if arrives(middle) >= goal else (middle + 1, high)
        lost = self.lose(1, low)
        self.content -= low
        return low - lost, lost

    def rest(self) -> int:
        lost = self.lose(2, self.content)
        self.content -= lost
        return lost


@given(
    st.tuples(SHARES, SHARES, SHARES),
    st.one_of(st.none(), QUANTA),
    QUANTA,
    st.lists(st.tuples(st.sampled_from(["charge", "discharge", "rest"]), QUANTA), min_size=1, max_size=25),
)
def test_every_operation_against_its_twin(
    rates: tuple[float, float, float], capacity: int | None, start: int, steps: list[tuple[str, int]]
) -> None:
    storage = EnergyStorage(capacity, *rates)
    start = start if capacity is None else min(start, capacity)
    slow, content, carries = SlowBattery(storage, start), array(start), [array(0)] * 3
    through, lost_by = [0, 0, 0], [0, 0, 0]
    for name, amount in steps:
        before = int(content[0])
        if name == "charge":
            content, lost, overflow, carries[0] = storage.charge(content, array(amount), carries[0])
            assert (int(lost[0]), int(overflow[0])) == slow.charge(amount)
            assert int(content[0]) + int(lost[0]) + int(overflow[0]) == before + amount
            operation, passed = 0, amount
        elif name == "discharge":
            content, delivered, lost, carries[1] = storage.discharge(content, array(amount), carries[1])
            assert (int(delivered[0]), int(lost[0])) == slow.discharge(amount)
            assert int(content[0]) + int(delivered[0]) + int(lost[0]) == before
            assert delivered[0] <= amount
            operation, passed = 1, before - int(content[0])
        else:
            content, lost, carries[2] = storage.rest(content, carries[2])
            assert int(lost[0]) == slow.rest()
            assert int(content[0]) + int(lost[0]) == before
            operation, passed = 2, before
        assert int(content[0]) == slow.content and 0 <= content[0] <= slow.limit
        through[operation] += passed
        lost_by[operation] += int(lost[0])
    assert lost_by == [int(rate * total) for rate, total in zip(slow.rates, through, strict=True)]


def test_regions_are_independent() -> None:
    rng = np.random.default_rng(1)
    storage = EnergyStorage(10**6, 0.01, 0.02, 0.001)
    content, carry, amount = rng.integers(0, 10**6, 50), rng.integers(0, PARTS, 50), rng.integers(0, 10**6, 50)
    for operation in (
        lambda n: storage.charge(content[n], amount[n], carry[n]),
        lambda n: storage.discharge(content[n], amount[n], carry[n]),
        lambda n: storage.rest(content[n], carry[n]),
    ):
        together = operation(slice(None))
        for region in range(50):
            alone = operation(slice(region, region + 1))
            for a, b in zip(together, alone, strict=True):
                assert a.dtype == np.int64 and a[region] == b[0]


def test_inputs_are_left_alone() -> None:
    storage = EnergyStorage(100, 0.5, 0.5, 0.5)
    given_arrays = array(50), array(30), array(7)
    storage.charge(*given_arrays)
    storage.discharge(*given_arrays)
    storage.rest(given_arrays[0], given_arrays[2])
    assert [int(a[0]) for a in given_arrays] == [50, 30, 7]


@pytest.mark.parametrize("capacity", [-1, MAX_CONTENT + 1])
def test_bad_capacities(capacity: int) -> None:
    with pytest.raises(StorageError) as caught:
        EnergyStorage(capacity)
    assert str(capacity) in caught.value.message and caught.value.remedy


def test_bad_states() -> None:
    storage = EnergyStorage(10)
    for content, amount in ((11, 0), (-1, 0), (5, -1), (5, MAX_CONTENT + 1)):
        with pytest.raises(StorageError):
            storage.charge(array(content), array(amount), array(0))
    with pytest.raises(StorageError):
        storage.discharge(array(5), array(-1), array(0))
    with pytest.raises(StorageError):
        storage.rest(array(11), array(0))
