"""Numba kernels: arrays in, arrays changed in place or filled; no dask, no files, no randomness of their own.

Every array that holds quanta is four-dimensional and C-contiguous (a field of fewer axes has leading axes of
extent 1).  Each kernel has a slow, readable twin in ``tests/reference.py`` (or ``reference_machines.py``) that
agrees with it bit for bit.
"""

from entropic.kernels.contact import long_rows, put_run, take_run
from entropic.kernels.deposit import add_heat, remove_heat
from entropic.kernels.digest import field_digest
from entropic.kernels.exchange import (
    exchange_pairs,
    exchange_runs,
    exchange_runs_anew,
    exchange_seam,
    exchange_touching,
    scratch,
)
from entropic.kernels.gear import gear_swap, gear_unswap
from entropic.kernels.lift import drop_ones, drop_ones_where, lift, measure
from entropic.kernels.network import NOT_UNIQUE, UNIQUE, nearest_supplier, prove_flow
from entropic.kernels.pay import PAID_DOUBTFUL, PAID_OVERFLOW, pay_records
from entropic.kernels.reduce import (
    block_histograms,
    face_totals,
    region_histogram,
    region_total,
    region_view,
)
from entropic.kernels.sort import (
    sort_contact,
    sort_pairs,
    sort_runs,
    unsort_contact,
    unsort_pairs,
    unsort_runs,
)

__all__ = [
    "NOT_UNIQUE",
    "PAID_DOUBTFUL",
    "PAID_OVERFLOW",
    "UNIQUE",
    "add_heat",
    "block_histograms",
    "drop_ones",
    "drop_ones_where",
    "exchange_pairs",
    "exchange_runs",
    "exchange_runs_anew",
    "exchange_seam",
    "exchange_touching",
    "face_totals",
    "field_digest",
    "gear_swap",
    "gear_unswap",
    "lift",
    "long_rows",
    "measure",
    "nearest_supplier",
    "pay_records",
    "prove_flow",
    "put_run",
    "region_histogram",
    "region_total",
    "region_view",
    "remove_heat",
    "scratch",
    "sort_contact",
    "sort_pairs",
    "sort_runs",
    "take_run",
    "unsort_contact",
    "unsort_pairs",
    "unsort_runs",
]
