"""Memory that is lent to blocks: never to two of them at a time."""

from __future__ import annotations

import gc

import numpy as np

from entropic.engine import buffers


def test_no_two_arrays_share_memory_while_a_view_of_one_is_left() -> None:
    like = np.zeros((3, 50, 70), np.uint16)
    first = buffers.empty_like(like)
    assert (
        first.shape == like.shape and first.dtype == like.dtype and first.flags.c_contiguous and first.flags.writeable
    )
    first[...] = 7
    view = first[1, 10:20].view(np.uint8).reshape(-1)[3:]
    kept = view.copy()
    del first
    gc.collect()
    others = [buffers.empty_like(like) for _ in range(8)]
    for number, other in enumerate(others):
        other[...] = number
    assert np.array_equal(view, kept)
    assert all((other == number).all() for number, other in enumerate(others))


def test_memory_is_used_again_and_little_of_it_kept() -> None:
    like = np.zeros((64, 1024), np.uint8)
    buffers._idle.clear()
    array = buffers.empty_like(like)
    place = array.ctypes.data
    del array
    assert buffers.empty_like(like).ctypes.data == place
    many = [buffers.empty_like(like) for _ in range(50)]
    del many
    assert len(buffers._idle) == buffers._idle.maxlen
    assert buffers.empty_like(like[:10]).nbytes == 10 * 1024  # of another size: made anew
