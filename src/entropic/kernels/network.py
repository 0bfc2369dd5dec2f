"""Kernels on directed networks: the proof that a flow is the one best flow, and the nearest supplier.

All in int64.  The caller sees to it that the cost of any path that visits no node twice stays below 2⁶².
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numba import njit

__all__ = ["NOT_CHEAPEST", "NOT_LARGEST", "NOT_UNIQUE", "UNIQUE", "nearest_supplier", "prove_flow"]

UNIQUE, NOT_UNIQUE, NOT_LARGEST, NOT_CHEAPEST = 0, 1, 2, 3


@njit(nogil=True, cache=True)
def _root(parent, node):  # type: ignore[no-untyped-def]
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@njit(nogil=True, cache=True)
def _settle_potentials(tail, head, cost, capacity, flow, potential):  # type: ignore[no-untyped-def]
    """Bellman and Ford on the residual network; False if it has a cycle of negative cost."""
    for _ in range(potential.size + 1):
        changed = False
        for arc in range(tail.size):
            t, h = tail[arc], head[arc]
            if flow[arc] < capacity[arc] and potential[t] + cost[arc] < potential[h]:
                potential[h] = potential[t] + cost[arc]
                changed = True
            if flow[arc] > 0 and potential[h] - cost[arc] < potential[t]:
                potential[t] = potential[h] - cost[arc]
                changed = True
        if not changed:
            return True
    return False


@njit(nogil=True, cache=True)
def _reaches(tail, head, capacity, flow, nodes, source, sink):  # type: ignore[no-untyped-def]
    """Whether a path of the residual network leads from ``source`` to ``sink``."""
    reached = np.zeros(nodes, np.bool_)
    reached[source] = True
    changed = True
    while changed and not reached[sink]:
        changed = False
        for arc in range(tail.size):
            t, h = tail[arc], head[arc]
            if flow[arc] < capacity[arc] and reached[t] and not reached[h]:
                reached[h] = True
                changed = True
            if flow[arc] > 0 and reached[h] and not reached[t]:
                reached[t] = True
                changed = True
    return reached[sink]


@njit(nogil=True, cache=True)
def _has_free_cycle(tail, head, cost, capacity, flow, potential):  # type: ignore[no-untyped-def]
    """Whether the residual network has a cycle of cost 0, other than an arc there and back.

    Only arcs of reduced cost 0 can lie on one.  Those open both ways make a forest or else a cycle; with each of
    its trees taken for one node, the arcs open one way must leave no cycle, which peeling from the front shows.
    """
    nodes = potential.size
    parent = np.arange(nodes)
    for arc in range(tail.size):
        if 0 < flow[arc] < capacity[arc]:
            a, b = _root(parent, tail[arc]), _root(parent, head[arc])
            if a == b:
                return True
            parent[a] = b
    begin = np.empty(tail.size, np.int64)
    end = np.empty(tail.size, np.int64)
    count = 0
    for arc in range(tail.size):
        if capacity[arc] == 0 or 0 < flow[arc] < capacity[arc]:
            continue
        if potential[tail[arc]] + cost[arc] != potential[head[arc]]:
            continue
        a, b = _root(parent, tail[arc]), _root(parent, head[arc])
        if a == b:
            return True
        begin[count], end[count] = (a, b) if flow[arc] == 0 else (b, a)
        count += 1
    entered = np.empty(nodes, np.bool_)
    while count > 0:
        entered[:] = False
        for n in range(count):
            entered[end[n]] = True
        left = 0
        for n in range(count):
            if entered[begin[n]]:
                begin[left], end[left] = begin[n], end[n]
                left += 1
        if left == count:
            return True
        count = left
    return False


@njit(nogil=True, cache=True)
def prove_flow(tail, head, cost, capacity, flow, source, sink, potential):  # type: ignore[no-untyped-def]
    """What a flow from ``source`` to ``sink`` is: the largest, the cheapest of those, the only one.

    Parameters
    ----------
    tail, head, cost, capacity, flow : int64[arcs]
        The network and a flow that keeps to its capacities; no arc is its own twin, and none with a capacity
        leads both from and to the same node.
    potential : int64[nodes]
        Filled: cost + potential[tail] − potential[head] is ≥ 0 where flow can be added, ≤ 0 where it can be taken.

    Returns
    -------
    int
        ``UNIQUE``, or what fails first: ``NOT_LARGEST``, ``NOT_CHEAPEST``, ``NOT_UNIQUE``.  The proofs are the
        theorems of Ford and Fulkerson (no augmenting path) and of Klein (no negative residual cycle); a cheapest
        flow is the only one exactly if no residual cycle costs 0.
    """
    if _reaches(tail, head, capacity, flow, potential.size, source, sink):
        return NOT_LARGEST
    potential[:] = 0
    if not _settle_potentials(tail, head, cost, capacity, flow, potential):
        return NOT_CHEAPEST
    if _has_free_cycle(tail, head, cost, capacity, flow, potential):
        return NOT_UNIQUE
    return UNIQUE


@njit(nogil=True, cache=True)
def nearest_supplier(first, neighbour, line, cost, capacity, supply, sink, path):  # type: ignore[no-untyped-def]
    """The cheapest path to ``sink`` from any node with a supply, over lines that have room.

    Parameters
    ----------
    first, neighbour, line : int64[nodes + 1], int64[2 lines], int64[2 lines]
        Neighbours of node n, and the lines to them, are those at first[n] … first[n + 1] − 1.
    cost, capacity : int64[lines]
        Cost ≥ 1 and room of each line, the same both ways.
    supply : int64[nodes]
    path : int64[nodes]
        Filled with the nodes of the path, supplier first.

    Returns
    -------
    int
        Nodes of the path; 0 if there is none, −1 if more than one path is cheapest.
    """
    nodes = first.size - 1
    far = np.int64(2**62)
    distance = np.full(nodes, far)
    following = np.full(nodes, -1)
    tied = np.zeros(nodes, np.bool_)
    done = np.zeros(nodes, np.bool_)
    distance[sink] = 0
    heap = [(np.int64(0), np.int64(sink))]
    found = np.int64(-1)
    while len(heap) > 0:
        at, node = heappop(heap)
        if done[node]:
            continue
        if found >= 0 and at > distance[found]:
            break
        done[node] = True
        if supply[node] > 0:
            if found >= 0:
                return -1
            found = node
            continue
        for n in range(first[node], first[node + 1]):
            if capacity[line[n]] == 0:
                continue
            other = neighbour[n]
            there = at + cost[line[n]]
            if there < distance[other]:
                distance[other] = there
                following[other] = node
                tied[other] = tied[node]
                heappush(heap, (there, np.int64(other)))
            elif there == distance[other]:
                tied[other] = True
    if found < 0:
        return 0
    if tied[found]:
        return -1
    length = 0
    node = found
    while node >= 0:
        path[length] = node
        length += 1
        node = following[node]
    return length
