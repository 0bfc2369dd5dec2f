"""A wire between two network namespaces that delays, loses and cuts: ``python wire.py INTERFACE INTERFACE``.

Hosts are namespaces; each has one end of a veth pair, whose other end lies here.  Frames that come in at one interface
go out at the other, as packet sockets see them, if the wire lets them.  It is told how by lines on stdin: ``latency
SECONDS``, ``loss SHARE``, ``cut``, ``heal``.  (``tc netem`` would do; many kernels come without it.)
"""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

_ALL, _PACKET, _VNET_HEADER, _IGNORE_OUTGOING = 3, 263, 15, 23  # from linux/if_ether.h, socket.h, if_packet.h
_LARGEST = 1 << 17  # with large-segment offload a frame may be as long as an IP packet
HERE, THERE = "10.98.7.1", "10.98.7.2"


@final
class Hosts:
    """Two hosts, as prefixes of commands, and what the wire between them does."""

    def __init__(self, here: str, there: str, wire: subprocess.Popen[str]) -> None:
        self.here = ("ip", "netns", "exec", here)
        self.there = ("ip", "netns", "exec", there)
        self._wire = wire

    def tell(self, order: str) -> None:
        assert self._wire.stdin is not None and self._wire.poll() is None
        self._wire.stdin.write(order + "\n")
        self._wire.stdin.flush()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def hosts() -> Iterator[Hosts]:
    """Namespaces for two hosts and the wire.

    Raises
    ------
    OSError
        They cannot be had: no root, no `ip`, no such kernel.
    """
    mark = f"{os.getpid() % 100_000:05d}"
    here, there, between = (f"entropic-{part}{mark}" for part in "abw")
    wire = None
    try:
        for name in (here, there, between):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        for name, letter, address in ((here, "a", HERE), (there, "b", THERE)):
            inner, outer = f"e{letter}{mark}", f"w{letter}{mark}"
            _ip("-n", name, "link", "add", inner, "type", "veth", "peer", "name", outer, "netns", between)
            _ip("-n", name, "address", "add", f"{address}/24", "dev", inner)
            _ip("-n", name, "link", "set", inner, "up")
            _ip("-n", between, "link", "set", outer, "up")
        command = ["ip", "netns", "exec", between, sys.executable, str(Path(__file__).resolve())]
        wire = subprocess.Popen([*command, f"wa{mark}", f"wb{mark}"], stdin=subprocess.PIPE, text=True)
        yield Hosts(here, there, wire)
    finally:
        if wire is not None:
            wire.kill()
            wire.wait(30)
        for name in (here, there, between):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _open(interface: str) -> socket.socket:
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    # With a header that says what checksums and cuts are left to do: who sends over veth leaves both to the card.
    found.setsockopt(_PACKET, _VNET_HEADER, 1)
    found.setsockopt(_PACKET, _IGNORE_OUTGOING, 1)
    found.bind((interface, 0))
    return found


def carry(first: str, second: str) -> None:
    """Be the wire until stdin ends."""
    ends = [_open(first), _open(second)]
    latency, loss, whole, rng = 0.0, 0.0, True, random.Random(7)
    held: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        for ready in select.select([sys.stdin, *ends], [], [], wait)[0]:
            if ready is sys.stdin:
                orders = os.read(sys.stdin.fileno(), 4096).decode().splitlines()  # a pipe takes short lines whole
                if not orders:
                    return
                for order in orders:
                    match order.split():
                        case ["latency", seconds]:
                            latency = float(seconds)
                        case ["loss", share]:
                            loss = float(share)
                        case [word]:
                            whole = word == "heal"
                continue
            frame = ready.recv(_LARGEST)
            if whole and rng.random() >= loss:
                number += 1
                due = time.monotonic() + latency
                heapq.heappush(held, (due, number, 1 - ends.index(ready), frame))
        while held and held[0][0] <= time.monotonic():
            _, _, end, frame = heapq.heappop(held)
            if whole:
                try:
                    ends[end].send(frame)
                except OSError:
                    continue  # an interface whose queue is full loses frames, too


if __name__ == "__main__":
    carry(sys.argv[1], sys.argv[2])
