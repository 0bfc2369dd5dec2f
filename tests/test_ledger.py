"""Blocks' rows merged: in any order, twice, with one amount changed, with one missing."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic.ledger import ACCOUNTS, DoubleEntryError, Ledger, MissingEntryError, Row

FIRST, CYCLES = 7, 3
NAMES = ("heat", "lift", "ones", "tape", "measured", "entropy_hist")
SHARES = (np.array([4, 0, 2]), np.array([1, 3]))  # regions of two blocks


def names(protocol: bool) -> tuple[str, ...]:
    return (*NAMES, "sitewise") if protocol else NAMES


def rows(ids: np.ndarray, seed: int, levels: int, most: int, protocol: bool = False) -> list[Row]:
    """Made-up rows of a block; as of any block, each has a width and a type of its own."""
    rng = np.random.default_rng([seed, int(ids[0])])
    made = []
    for cycle in range(FIRST, FIRST + CYCLES):
        entries = {name: rng.integers(0, 2, ids.size).astype(ACCOUNTS[name][0]) for name in names(protocol)}
        counts, lifted = (rng.integers(0, most, (ids.size, levels + int(rng.integers(3)))) for _ in range(2))
        counts[0, -1] = lifted[0, -1] = 1
        made.append(Row(cycle, entries, counts, lifted if protocol else None).trimmed())
    return made


def empty(protocol: bool = False) -> Ledger:
    return Ledger(FIRST, CYCLES, 5, names(protocol))


@given(
    st.integers(0, 1 << 30),
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([9, 1 << 15, 1 << 20, 1 << 40])), min_size=2, max_size=2),
    st.integers(0, 2 * CYCLES),
    st.booleans(),
)
def test_rows_in_any_order_and_twice(seed: int, kinds: list[tuple[int, int]], again: int, protocol: bool) -> None:
    coming = [(ids, row) for ids, kind in zip(SHARES, kinds, strict=True) for row in rows(ids, seed, *kind, protocol)]
    order = random.Random(seed)
    order.shuffle(coming)
    ledger = empty(protocol)
    for ids, row in (*coming, *order.sample(coming, again)):  # the same again is ignored
        ledger.enter(row, ids)
    ledger.require_complete()
    for ids, row in coming:
        at = row.cycle - FIRST
        for name in names(protocol):
            np.testing.assert_array_equal(ledger.entries[name][at, ids], row[name])
        for table, values in ((ledger.counts, row.counts), (ledger.lifted, row.lifted)):
            if table is not None and values is not None:
                np.testing.assert_array_equal(table[at, ids, : values.shape[1]], values)
                assert not table[at, ids, values.shape[1] :].any()


@pytest.mark.parametrize("account", [*NAMES, "counts", "lifted"])
def test_another_amount_is_told(account: str) -> None:
    protocol = account == "lifted"
    made = rows(SHARES[0], 1, 4, 9, protocol)
    ledger = empty(protocol)
    for row in made:
        ledger.enter(row, SHARES[0])
    wrong = made[1]
    if account in NAMES:
        values = wrong[account].copy()
        values[2] = not values[2] if values.dtype == bool else values[2] + 1
        wrong = replace(wrong, entries={**wrong.entries, account: values})
    else:
        table = getattr(wrong, account).copy()
        table[2, 1] += 1
        wrong = replace(wrong, **{account: table})
    with pytest.raises(DoubleEntryError) as caught:
        ledger.enter(wrong, SHARES[0])
    assert (caught.value.cycle, set(caught.value.regions)) == (FIRST + 1, {0, 2, 4})


def test_what_never_came_is_told() -> None:
    first, second, third = rows(SHARES[0], 1, 4, 9)
    ledger = empty()
    for row in (first, third):
        ledger.enter(row, SHARES[0])
    for row in rows(SHARES[1], 1, 4, 9):
        ledger.enter(row, SHARES[1])
    with pytest.raises(MissingEntryError) as caught:
        ledger.require_complete()
    assert (caught.value.cycle, caught.value.regions) == (FIRST + 1, (0, 2, 4))
    ledger.enter(second, SHARES[0])
    ledger.require_complete()
