"""Energy, records, prices, tapes and batteries, replayed cycle by cycle from histograms and flows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from entropic import entropy, special
from entropic.audit.exact import Exact
from entropic.audit.flows import GridFlows
from entropic.audit.storage import Batteries
from entropic.config import Config
from entropic.lattice import Lattice

__all__ = ["Replay", "entry"]

Page = Mapping[str, NDArray[Any]]


def entry(page: Page, name: str) -> NDArray[Any]:
    """Entries of an account, zeros where the run has no such machine: [cycles, regions]."""
    return page[name] if name in page else np.zeros(page["quanta"].shape, np.int64)


@final
class Replay:
    """Balances carried from cycle to cycle: energy, batteries, and every region's tape."""

    def __init__(self, config: Config, lattice: Lattice, opening: Mapping[str, NDArray[Any]], bits: int) -> None:
        n = lattice.region_count
        self.sites, self.q_max = lattice.region_sites, lattice.q_max
        self.bits = bits  # of a record of the lift
        self.own = config.demon.protocol is not None
        self.threshold = config.demon.threshold
        self.kind = config.demon.record
        self.raw = self.kind == "raw"
        self.sort, self.lift, self.erase = config.demon.sort, config.demon.lift, config.demon.erase
        self.partners = config.demon.pairs == "partners"
        self.contact = max(1, math.floor(Fraction(config.demon.contact) * self.sites))  # of a sort between partners
        self.pairs = self.contact if self.partners else self.sites // 2
        self.hot = np.arange(n) % 2 == 0  # sides that the demon sorts, and whose tape has the record
        self.hot[-1] &= n % 2 == 0
        if not self.partners:
            self.hot[:] = True
        self.grid = config.grid.enabled
        self.share = config.demon.tape_nats / n
        self.quanta = opening["quanta"].astype(np.int64)
        self.batteries = Batteries(config, self.sites, opening["battery"].astype(np.int64))
        self.tape = np.zeros(n)
        self.stopped = np.zeros(n, np.int64)
        self.waiting: list[deque[int]] = [deque() for _ in range(n)]
        self._known: dict[tuple[int, int], float] = {}

    @property
    def battery(self) -> NDArray[np.int64]:
        return self.batteries.content

    # -- energy --

    def first_law(self, first: Exact, page: Page, cycle: int) -> NDArray[np.int64]:
        """Every region's and every battery's account; returns energies before the lift, [cycles, regions]."""
        before = np.vstack([self.quanta[None], page["quanta"][:-1]])
        counts = page["counts"].astype(np.int64)
        levels = np.arange(counts.shape[2], dtype=np.int64)
        bath = entry(page, "left_in") - entry(page, "left_out") + entry(page, "right_in") - entry(page, "right_out")
        relaxed: NDArray[np.int64] = before + page["heat"] + bath + entry(page, "sort_heat") + entry(page, "gear_heat")
        waste = entry(page, "stored_loss") + entry(page, "compute") + entry(page, "line_loss")
        first.equal("sites of the histogram", counts.sum(axis=2), np.full(before.shape, self.sites), cycle)
        first.equal("energy of the histogram", counts @ levels, relaxed, cycle)
        first.equal("heat between regions", page["heat"].sum(axis=1)[:, None], np.zeros((len(before), 1), int), cycle)
        first.equal("energy of the region", page["quanta"], relaxed - page["lift"] + page["erasure"] + waste, cycle)
        if self.own:
            self._own(first, page, counts, relaxed, cycle)
        else:
            ones = np.where(page["measured"], counts[:, :, self.threshold :].sum(axis=2), 0)
            first.equal("ones of the record", page["ones"], ones, cycle)
            first.equal("work of the lift", page["lift"], ones * self.threshold, cycle)
        if self.sort and self.partners:
            self._sorted_partners(first, page, relaxed - entry(page, "gear_heat"), cycle)
        elif self.sort:
            self._gradient(first, page, before, bath, cycle)
        if self.grid:
            given = page["erasure"] + page["compute"] + page["delivered_out"] + page["line_loss"]
            first.equal("what batteries gave", page["drawn"].sum(axis=1)[:, None], given.sum(axis=1)[:, None], cycle)
        return relaxed

    def _own(self, first: Exact, page: Page, counts: NDArray[np.int64], relaxed: NDArray[np.int64], cycle: int) -> None:
        """A protocol of the user's own: what it took is what the histograms lack, and it wrote what fits a record."""
        lifted, measured = page["counts_lifted"].astype(np.int64), page["measured"]
        energy = lifted @ np.arange(lifted.shape[2], dtype=np.int64)
        nothing = np.zeros(measured.shape, np.bool_)
        first.equal("sites after the protocol", lifted.sum(axis=2), np.full(measured.shape, self.sites), cycle)
        first.equal("work of the protocol", page["lift"], relaxed - energy, cycle)
        first.equal("work taken or none", page["lift"] < 0, nothing, cycle)
        first.equal("ones of the record", (page["ones"] < 0) | (page["ones"] > self.bits), nothing, cycle)
        width = max(counts.shape[2], lifted.shape[2])
        a, b = (np.pad(h, ((0, 0), (0, 0), (0, width - h.shape[2]))) for h in (counts, lifted))
        idle = ~measured & ((a != b).any(axis=2) | (page["ones"] != 0) | page["sitewise"])
        first.equal("regions that the protocol left alone", idle, nothing, cycle)

    def _gradient(
        self, first: Exact, page: Page, before: NDArray[np.int64], bath: NDArray[np.int64], cycle: int
    ) -> None:
        """The two halves add up to the region: their difference is as odd as their sum (an odd region has a site more)."""
        total, gradient = before + page["heat"] + bath, page["gradient"]
        first.equal("gradient within bounds", (gradient < 0) | (gradient > total), np.zeros(total.shape, bool), cycle)
        first.equal(
            "gradient where nothing was sorted", np.where(page["sorted"], 0, gradient), np.zeros_like(total), cycle
        )
        if self.sites % 2 == 0:
            odd = np.where(page["sorted"], (total - gradient) % 2, 0)
            first.equal("halves of the region", odd, np.zeros_like(total), cycle)

    def _sorted_partners(self, first: Exact, page: Page, held: NDArray[np.int64], cycle: int) -> None:
        """What one partner gained the other lost, a quantum at least for every bit set; ``held``: energies after the sort."""
        heat, gradient, ones = page["sort_heat"], page["gradient"], page["sort_ones"]
        even = self.quanta.size // 2 * 2
        first.equal("heat of the cold partner", heat[:, 1:even:2], -heat[:, :even:2], cycle)
        alone = heat[:, even:]
        first.equal("heat of a region without a partner", alone, np.zeros_like(alone), cycle)
        hot = heat[:, :even:2]
        wrong = (hot < ones[:, :even:2]) | (hot > ones[:, :even:2] * self.q_max)
        first.equal("heat of the pairs that were swapped", wrong, np.zeros(wrong.shape, bool), cycle)
        expected = np.zeros_like(gradient)
        expected[:, :even:2] = held[:, :even:2] - held[:, 1:even:2]
        first.equal("gradient between partners", gradient, np.where(page["sorted"], expected, 0), cycle)

    # -- information --

    def nats(self, bits: int, ones: NDArray[np.int64]) -> NDArray[np.float64]:
        """Nats of records of some bits with ``ones`` set."""
        kinds, place = np.unique(ones, return_inverse=True)
        for k in kinds.tolist():
            if (bits, k) not in self._known:
                self._known[bits, k] = float(special.record_nats(bits, k, self.raw))
        return np.array([self._known[bits, k] for k in kinds.tolist()])[place].reshape(ones.shape)

    def information(
        self, exact: Exact, energy: Exact, page: Page, relaxed: NDArray[np.int64], cycle: int, flows: GridFlows
    ) -> None:
        """Records, tape, prices of erasure, stops and batteries, replayed from the histograms; the grid's flows."""
        names = ("record_nats", "erased_nats", "erasure", "tape", "measured", "stopped", "battery")
        expect = {name: np.zeros_like(page[name]) for name in names}
        extra = [n for n in ("sorted", "sort_ones", "sort_nats", "stored_loss") if n in page]
        expect |= {name: np.zeros_like(page[name]) for name in extra}
        ones = page["counts"].astype(np.int64)[:, :, self.threshold :].sum(axis=2)
        if self.own:
            ones = np.clip(page["ones"], 0, self.bits)
        drawn = page["drawn"] if self.grid else page["erasure"]
        for c in range(len(ones)):
            out = {name: values[c] for name, values in expect.items()}
            lost = self.batteries.trade(entry(page, "gear")[c])
            codes = self._records(out, page, c, ones[c], cycle + c)
            lost += self.batteries.charge(page["lift"][c])
            lost += self.batteries.rest()
            quanta = relaxed[c] - page["lift"][c]
            own = self._pay(out, codes, quanta, self.batteries.credit())
            lost += self.batteries.draw(own)
            if self.grid:
                erased, sent = page["erasure"][c] - own, drawn[c] - own
                flows.check(energy, {name: page[name][c] for name in page}, erased, sent, cycle + c)
                self._pay_by_grid(out, erased, quanta + own)
                lost += self.batteries.draw(np.maximum(sent, 0))
            out["tape"][:], out["stopped"][:], out["battery"][:] = self.tape, self.stopped, self.batteries.content
            if "stored_loss" in out:
                out["stored_loss"][:] = lost
        for name, values in expect.items():
            (energy if name in ("battery", "stored_loss") else exact).equal(name, page[name], values, cycle)

    def _records(
        self, out: dict[str, NDArray[Any]], page: Page, c: int, ones: NDArray[np.int64], cycle: int
    ) -> list[NDArray[np.int64]]:
        """Write this cycle's records to the tapes; returns codes that enter the queues, −1 for none."""
        codes = []
        if self.sort:
            pairs = self.pairs
            found = np.clip(page["sort_ones"][c], 0, pairs)
            longest = float(self.nats(pairs, np.array([pairs // 2]))[0])  # what the tape must have room for
            written = self._write(out, "sorted", "sort_nats", self.nats(pairs, found), cycle, longest, self.hot)
            out["sort_ones"][:] = np.where(written, found, 0)
            codes.append(np.where(written, found + self.bits + 1, -1))
        if self.lift:
            room = float(self.nats(self.bits, np.array([self.bits // 2]))[0]) if self.own else None
            written = self._write(out, "measured", "record_nats", self.nats(self.bits, ones), cycle, room)
            codes.append(np.where(written, ones, -1))
        return codes if self.erase else []

    def _write(
        self,
        out: dict[str, NDArray[Any]],
        flag: str,
        name: str,
        nats: NDArray[np.float64],
        cycle: int,
        room: float | None = None,
        able: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.bool_]:
        running = (self.stopped == 0) & (True if able is None else able)
        fits = self.tape + (nats if room is None else room) <= self.share
        self.stopped[running & ~fits] = cycle
        written: NDArray[np.bool_] = running & fits
        out[flag][:], out[name][:] = written, np.where(written, nats, 0.0)
        self.tape += np.where(written, nats, 0.0)
        return written

    def _pay(
        self,
        out: dict[str, NDArray[Any]],
        codes: list[NDArray[np.int64]],
        quanta: NDArray[np.int64],
        credit: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Pay from each region's own battery, oldest first; returns quanta paid."""
        paid = np.zeros(quanta.size, np.int64)
        if not self.erase:
            return paid
        slow = np.array([bool(queue) for queue in self.waiting])
        if len(codes) == 1:
            entered = codes[0] >= 0
            nats = np.where(entered, out["record_nats"] if self.lift else out["sort_nats"], 0.0)
            price, certain = np.zeros(quanta.size, np.int64), np.zeros(quanta.size, np.bool_)
            special.erasure_quanta_rows(self.sites, quanta, nats, price, certain)
            quick = entered & ~slow & certain & (price >= 0) & (price <= credit)
            paid[quick] = price[quick]
            out["erased_nats"][quick] += nats[quick]
            self.tape[quick] = 0.0
            slow |= entered & ~quick
        else:
            slow |= np.any([code >= 0 for code in codes], axis=0) if codes else False
            quick = np.zeros(quanta.size, np.bool_)
        for r in np.flatnonzero(slow):
            if not quick[r]:
                self.waiting[r].extend(int(code[r]) for code in codes if code[r] >= 0)
                paid[r] = self._pay_queue(out, int(r), int(quanta[r]), int(credit[r]))
        out["erasure"] += paid
        return paid

    def _pay_queue(self, out: dict[str, NDArray[Any]], r: int, quanta: int, credit: int) -> int:
        queue, paid = self.waiting[r], 0
        while queue:
            price = self._price(quanta + paid, queue[0])
            if price is None or price > credit - paid:
                break
            paid += price
            self._blank(out, r)
        return paid

    def _blank(self, out: dict[str, NDArray[Any]], r: int) -> None:
        bits, ones = self._record(self.waiting[r].popleft())
        nats = float(self.nats(bits, np.array([ones]))[0])
        out["erased_nats"][r] += nats
        self.tape[r] -= nats
        if not self.waiting[r]:
            self.tape[r] = 0.0

    def _pay_by_grid(self, out: dict[str, NDArray[Any]], erased: NDArray[np.int64], quanta: NDArray[np.int64]) -> None:
        """The oldest record of each region that the books say the grid paid for, at its price."""
        for r in np.flatnonzero(erased):
            if not self.waiting[r]:
                continue
            price = self._price(int(quanta[r]), self.waiting[r][0])
            out["erasure"][r] += price or 0
            self._blank(out, int(r))

    def _record(self, code: int) -> tuple[int, int]:
        return (self.bits, code) if code <= self.bits else (self.pairs, code - self.bits - 1)

    def _price(self, quanta: int, code: int) -> int | None:
        if quanta < 0:  # of books that break the first law, which says so
            return None
        bits, ones = self._record(code)
        energy, certain = special.erasure_quanta_fast(self.sites, quanta, float(self.nats(bits, np.array([ones]))[0]))
        if certain:
            return None if energy == special.UNREACHABLE else int(energy)
        return entropy.erasure_quanta(self.sites, quanta, ones, self.kind, bits)

    def close(self, page: Page) -> None:
        """Carry the stored energies over (they were checked)."""
        self.quanta = page["quanta"][-1].astype(np.int64)
