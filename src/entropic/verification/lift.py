"""Checks of measure-and-lift: ones, work, information, what it leaves, the law in a closed region."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from entropic import entropy
from entropic.machines.harvester import EntropyHarvester
from entropic.verification.check import Check, Finding, Tally, Value
from entropic.verification.closed_forms import (
    boltzmann_factor,
    geometric,
    information,
    inverse_temperature,
    ones_law,
    record,
)
from entropic.verification.exchange import QUANTA, REGION, closed_boxes
from entropic.verification.samples import play, seed_of, thermal
from entropic.verification.statistics import binomial_p, counts_of, p_value, smallest

__all__ = ["CHECKS", "bytes_p", "closed_p", "recorded_ones"]

MEAN, THRESHOLDS = 5.0, (4, 50)
SIDE, BOX = 1000, 2500  # sites along each axis, and sites of one of 400 regions
WHOLE = 4000  # sites along each axis of a field with one record, of which ln(N + 1) nats are little


def chance_of_one(threshold: int) -> float:
    """p = x^θ."""
    return float(boltzmann_factor(MEAN) ** threshold)


def _lifted(threshold: int, seed: int, regions: int, side: int = WHOLE) -> dict[str, NDArray[Any]]:
    """Books of one lift of a thermal field, relaxed a little before, which changes no law."""
    field = {"shape": [side, side], "regions": [regions, regions], "mean": MEAN, "seed": seed}
    return play(1, field=field, relax={"layers": 3}, demon={"threshold": threshold}).books


def work(scale: int) -> Finding:
    """Quanta that the books credit, over θ: binomial, in the field and in every region."""
    tally, found, sites = Tally(), [], SIDE * SIDE * scale
    for threshold in THRESHOLDS:
        p = chance_of_one(threshold)
        ones: list[NDArray[np.int64]] = []
        for repeat in range(scale):
            quanta = _lifted(threshold, seed_of("work", threshold, repeat), 20, SIDE)["lift"][0]
            tally.see(not (quanta % threshold).any(), f"the work of a region is no multiple of θ = {threshold}", 0)
            ones.append(quanta // threshold)
        each = np.concatenate(ones)
        law = stats.binom.pmf(np.arange(BOX + 1), BOX, p)
        found.append(binomial_p(int(each.sum()), sites, p))
        found.append(p_value([(counts_of(each, BOX + 1), law / law.sum())]))
        tally.values += [
            Value(f"p, θ = {threshold}", p, int(each.sum()) / sites),
            Value(
                f"⟨W⟩ a site, θ = {threshold}",
                -p * math.log(p) / inverse_temperature(MEAN),
                threshold * int(each.sum()) / sites,
            ),
        ]
    statistic = "exact binomial of the field, G of the regions; 4 tests, Bonferroni"
    return tally.finding("sites", statistic, samples=len(THRESHOLDS) * sites, p_value=smallest(found))


def recorded_ones(bits: int, nats: float) -> int | None:
    """The ones whose record of ``bits`` bits has just so many nats, below half of them; None if there are none."""
    low, high = 0, bits // 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if record(bits, middle) < nats * (1.0 - 1e-12) else (low, middle)
    return low if math.isclose(record(bits, low), nats, rel_tol=1e-12) else None


def bytes_p(packed: Iterable[NDArray[np.uint8]], p: float) -> float:
    """p-value of the law of eight neighbouring bits, P = p^k (1 − p)^(8 − k): that bits are independent, and so worth H(p) each."""
    ones = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    counts = np.sum([counts_of(part, 256) for part in packed], axis=0)
    return p_value([(counts, p**ones * (1.0 - p) ** (8.0 - ones))])


def knowledge(scale: int) -> Finding:
    """Nats of a record of the whole field against N H(p), and the bits themselves."""
    tally, found, sites = Tally(), [], WHOLE * WHOLE
    for threshold in THRESHOLDS:
        p, nats, tapes, total = chance_of_one(threshold), [], [], 0
        for repeat in range(scale):
            books = _lifted(threshold, seed_of("record", threshold, repeat), 1)
            nats.append(float(books["record_nats"][0, 0]))
            ones = recorded_ones(sites, nats[-1])
            tally.see(ones == books["ones"][0, 0], f"a record of {nats[-1]!r} nats has no such number of ones", 0)
            total += ones or 0
            region = thermal(MEAN, sites, seed_of("tape", threshold, repeat)).reshape(1, 1, 1, -1)
            tapes.append(EntropyHarvester(threshold).record(region))
        found += [binomial_p(total, sites * scale, p), bytes_p(tapes, p)]
        tally.values.append(Value(f"I a site, θ = {threshold}", information(p), math.fsum(nats) / (sites * scale)))
    statistic = (
        f"exact binomial of the ones that the nats stand for, G of the tape's bytes; {len(found)} tests, Bonferroni"
    )
    return tally.finding("sites", statistic, samples=2 * len(THRESHOLDS) * sites * scale, p_value=smallest(found))


def efficiency(scale: int) -> Finding:
    """W / (T I) of the books, which rises with the ones: its p-value is theirs."""
    tally, found, sites = Tally(), [], WHOLE * WHOLE
    beta = inverse_temperature(MEAN)
    for threshold in THRESHOLDS:
        p, shares, total = chance_of_one(threshold), [], 0
        for repeat in range(scale):
            books = _lifted(threshold, seed_of("yield", threshold, repeat), 1)
            quanta, nats = int(books["lift"].sum()), float(books["record_nats"].sum())
            ones, rest = divmod(quanta, threshold)
            shares.append(quanta * beta / nats)
            exact = threshold * ones * beta / record(sites, ones)
            tally.see(
                rest == 0 and math.isclose(shares[-1], exact, rel_tol=1e-11),
                "work and record do not belong together",
                0,
            )
            total += ones
        found.append(binomial_p(total, sites * scale, p))
        exact = -p * math.log(p) / information(p)
        tally.values.append(Value(f"W/(T I), θ = {threshold}", exact, math.fsum(shares) / scale))
    tally.see(tally.values[-1].exact > 0.9, "the exact yield at θ = 50 is not above 90 %", 0)
    statistic = f"exact binomial of the ones that the yield stands for; {len(found)} tests, Bonferroni"
    return tally.finding("sites", statistic, samples=len(THRESHOLDS) * sites * scale, p_value=smallest(found))


def remainder(scale: int) -> Finding:
    """Sites after a lift without relaxation: those of the ones are geometric, those of the zeros cut off at θ."""
    tally, threshold, cells = Tally(), THRESHOLDS[0], 60
    law = geometric(boltzmann_factor(MEAN), cells)
    cut = np.array(law[:threshold]) / sum(law[:threshold])
    counts = {True: np.zeros(cells, np.int64), False: np.zeros(cells, np.int64)}
    for repeat in range(scale):
        field = {"shape": [SIDE, SIDE], "regions": [20, 20], "mean": MEAN, "seed": seed_of("remainder", repeat)}
        played = play(1, field=field, relax={"layers": 0}, demon={"threshold": threshold})
        before, after = played.fields
        bits = before >= threshold
        tally.see(np.array_equal(after, np.where(bits, before - threshold, before)), "a site is not q − θ·[q ≥ θ]", 0)
        for bit in (True, False):
            counts[bit] += counts_of(after[bits == bit], cells)
    tally.see(not counts[False][threshold:].any(), f"a zero holds {threshold} quanta or more", 0)
    for bit, name, exact in ((True, "ones", MEAN), (False, "zeros", float(cut @ np.arange(threshold)))):
        mean = float(counts[bit] @ np.arange(cells)) / int(counts[bit].sum())
        tally.values.append(Value(f"mean of the {name} after", exact, mean))
    p = p_value([(counts[True], law), (counts[False][:threshold], cut)])
    return tally.finding("sites", "G of ones and zeros", samples=SIDE * SIDE * scale, p_value=p)


def closed_p(before: NDArray[np.int64], ones: NDArray[np.int64], threshold: int) -> float:
    """p-value of the ones of closed boxes, each given the energy that its box held before the lift."""
    tables = []
    for quanta in np.unique(before):
        law = [float(p) for p in ones_law(REGION, int(quanta), threshold)]
        tables.append((counts_of(ones[before == quanta], REGION + 1), law))
    return p_value(tables)


def closed(scale: int) -> Finding:
    """Three cycles of closed boxes: relax to equilibrium from wherever the last lift left the box, measure, lift."""
    tally, found, boxes = Tally(), [], 0
    for threshold in (3, 8):
        law = np.array([float(p) for p in ones_law(REGION, QUANTA, threshold)])
        same = np.allclose(entropy.macrostate_law(REGION, QUANTA, threshold), law, rtol=1e-14, atol=0)
        tally.see(same, f"macrostate_law is not the formula, θ = {threshold}", 0)
        first, held, ones = [], [], []
        for repeat in range(scale):
            books = closed_boxes(seed_of("closed", threshold, repeat), threshold, 3)[1]
            tally.see((books["lift"] == threshold * books["ones"]).all(), "the work is not θ n₁", 0)
            held.append(books["quanta"] + books["lift"])  # before: the tape is kept, so no heat was deposited
            ones.append(books["ones"])
            first.append(books["ones"][0])
        boxes += sum(part.size for part in ones)
        found.append(closed_p(np.concatenate(held), np.concatenate(ones), threshold))
        mean = float(np.concatenate(first).mean())
        tally.values.append(
            Value(
                f"⟨n₁⟩ of {REGION} sites with {QUANTA} quanta, θ = {threshold}",
                float(law @ np.arange(REGION + 1)),
                mean,
            )
        )
    statistic = f"G of n₁ given N and Q; {len(found)} tests, Bonferroni"
    return tally.finding("lifts", statistic, samples=boxes, p_value=smallest(found))


def at_once(scale: int) -> Finding:
    """Boxes drawn in equilibrium, without relaxation."""
    threshold, counts = 6, np.zeros(REGION + 1, np.int64)
    law = [float(p) for p in ones_law(REGION, QUANTA, threshold)]
    for repeat in range(scale):
        field = {"shape": [256, 256], "regions": [64, 64], "mean": QUANTA / REGION, "initial": "microcanonical"}
        played = play(
            1, field={**field, "seed": seed_of("at once", repeat)}, relax={"layers": 0}, demon={"threshold": threshold}
        )
        counts += counts_of(played.books["ones"][0], REGION + 1)
    boxes, places = int(counts.sum()), np.arange(REGION + 1)
    values = (Value(f"⟨n₁⟩, θ = {threshold}", float(np.array(law) @ places), float(counts @ places) / boxes),)
    return Finding(boxes, "boxes", "G of n₁", values, p_value([(counts, law)]))


_FORMULA = "C(N,n₁) Σ_j (−1)^j C(N−n₁,j) C(Q−θ(n₁+j)+N−1, N−1) / C(Q+N−1, N−1)"

CHECKS = (
    Check(
        "lift: ones and work",
        f"quanta lifted from thermal sites of mean {MEAN:g}, θ = 4 and 50",
        "p = x^θ, ⟨W⟩ = θ p = −T p ln p a site; n₁ binomial",
        "P(q ≥ θ) of a geometric law",
        "statistical",
        work,
        96,
    ),
    Check(
        "lift: information",
        "nats of the records, and the tape's bytes",
        "I = H(p) a site; bits independent",
        "Shannon 1948; at most ln(N+1) nats more for n₁",
        "statistical",
        knowledge,
        32,
    ),
    Check(
        "lift: yield",
        "work over what its record is worth, W/(T I)",
        "−p ln p / H(p): 0.90 at θ = 50",
        "quotient of the two",
        "statistical",
        efficiency,
        32,
    ),
    Check(
        "lift: what it leaves",
        "sites right after a lift, θ = 4",
        "ones geometric again, zeros cut off at θ",
        "a geometric law has no memory",
        "statistical",
        remainder,
        64,
    ),
    Check(
        "lift: closed region",
        f"n₁ of closed boxes of {REGION} sites over three cycles, θ = 3 and 8",
        f"P(n₁) = {_FORMULA}",
        "inclusion and exclusion",
        "statistical",
        closed,
        48,
    ),
    Check(
        "lift: microcanonical start",
        f"n₁ of boxes of {REGION} sites drawn with exactly {QUANTA} quanta, θ = 6",
        f"P(n₁) = {_FORMULA}",
        "inclusion and exclusion",
        "statistical",
        at_once,
        96,
    ),
)
