"""Energy, records, prices and tapes, replayed from histograms cycle by cycle."""

from __future__ import annotations

from collections import deque
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.audit.exact import Exact
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Replay", "check_first_law"]


def check_first_law(first: Exact, state: Replay, page: dict[str, NDArray[Any]], cycle: int) -> None:
    before = np.vstack([state.quanta[None], page["quanta"][:-1]])
    charge = np.vstack([state.battery[None], page["battery"][:-1]])
    counts = page["counts"].astype(np.int64)
    levels = np.arange(counts.shape[2], dtype=np.int64)
    relaxed = before + page["heat"]
    first.equal("sites of the histogram", counts.sum(axis=2), np.full(before.shape, state.sites), cycle)
    first.equal("energy of the histogram", counts @ levels, relaxed, cycle)
    first.equal("heat between regions", page["heat"].sum(axis=1)[:, None], np.zeros((len(before), 1), np.int64), cycle)
    first.equal("energy of the region", page["quanta"], relaxed - page["lift"] + page["erasure"], cycle)
    first.equal("energy of the battery", page["battery"], charge + page["lift"] - page["erasure"], cycle)
    ones = np.where(page["measured"], counts[:, :, state.threshold :].sum(axis=2), 0)
    first.equal("ones of the record", page["ones"], ones, cycle)
    first.equal("work of the lift", page["lift"], ones * state.threshold, cycle)


@final
class Replay:
    """Balances carried from cycle to cycle: energy, batteries, and every region's tape."""

    def __init__(self, config: Config, lattice: Lattice, opening: dict[str, NDArray[Any]]) -> None:
        self.sites = lattice.region_sites
        self.threshold = config.demon.threshold
        self.kind = config.demon.record
        self.raw = self.kind == "raw"
        self.lift, self.erase = config.demon.lift, config.demon.erase
        self.share = config.demon.tape_nats / lattice.region_count
        self.quanta = opening["quanta"].astype(np.int64)
        self.battery = opening["battery"].astype(np.int64)
        n = lattice.region_count
        self.tape = np.zeros(n)
        self.stopped = np.zeros(n, np.int64)
        self.waiting: list[deque[int]] = [deque() for _ in range(n)]
        self._known: dict[int, float] = {}

    def nats(self, ones: int) -> float:
        if ones not in self._known:
            self._known[ones] = float(special.record_nats(self.sites, ones, self.raw))
        return self._known[ones]

    def information(self, exact: Exact, page: dict[str, NDArray[Any]], cycle: int) -> None:
        """Records, tape, prices of erasure and stops, replayed from the histograms alone."""
        cycles, regions = page["quanta"].shape
        counts = page["counts"].astype(np.int64)
        ones = counts[:, :, self.threshold :].sum(axis=2)
        levels = np.arange(counts.shape[2], dtype=np.int64)
        lifted = counts @ levels - page["lift"]
        battery = np.vstack([self.battery[None], page["battery"][:-1]]) + page["lift"]
        expect = {
            n: np.zeros((cycles, regions), page[n].dtype) for n in ("record_nats", "erased_nats", "erasure", "tape")
        }
        expect["measured"] = np.zeros((cycles, regions), np.bool_)
        expect["stopped"] = np.zeros((cycles, regions), np.int64)
        for c in range(cycles):
            for r in range(regions):
                queue = self.waiting[r]
                if self.lift and not self.stopped[r]:
                    nats = self.nats(int(ones[c, r]))
                    if self.tape[r] + nats > self.share:
                        self.stopped[r] = cycle + c
                    else:
                        expect["measured"][c, r], expect["record_nats"][c, r] = True, nats
                        self.tape[r] += nats
                        if self.erase:
                            queue.append(int(ones[c, r]))
                if queue:
                    self._pay(expect, c, r, int(lifted[c, r]), int(battery[c, r]))
                expect["tape"][c, r], expect["stopped"][c, r] = self.tape[r], self.stopped[r]
        for name, values in expect.items():
            exact.equal(name, page[name], values, cycle)

    def _pay(self, expect: dict[str, NDArray[Any]], c: int, r: int, quanta: int, battery: int) -> None:
        queue, paid = self.waiting[r], 0
        while queue:
            price = self._price(quanta, queue[0])
            if price is None or price > battery:
                break
            quanta, battery, paid = quanta + price, battery - price, paid + 1
            expect["erasure"][c, r] += price
            nats = self.nats(queue.popleft())
            expect["erased_nats"][c, r] += nats
            self.tape[r] -= nats
        if paid and not queue:
            self.tape[r] = 0.0

    def _price(self, quanta: int, ones: int) -> int | None:
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, self.nats(ones))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.kind)

    def close(self, page: dict[str, NDArray[Any]]) -> None:
        """Carry the stored balances over (they were checked)."""
        self.quanta, self.battery = page["quanta"][-1].astype(np.int64), page["battery"][-1].astype(np.int64)
