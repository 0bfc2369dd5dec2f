"""Draw the README's picture from a finished demonstration: python docs/make_demo_figure.py RUN docs/images/demo.svg"""

from __future__ import annotations

import sys

import matplotlib
import numpy as np
import xarray as xr

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main(run: str, target: str) -> None:
    """Cumulated gross work, cost and net of a run, and its batteries."""
    series = xr.open_zarr(f"{run}/series.zarr").sum("region").load()
    gross, cost = np.cumsum(series["gross"]), np.cumsum(series["erasure"])
    plt.rcParams["svg.hashsalt"] = "entropic"
    figure, axes = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    axes.plot(series["cycle"], gross, label="gross: lifted by the demon", color="#2a7f3f")
    axes.plot(series["cycle"], cost, label="cost: paid for erasure", color="#b03030", ls="--")
    axes.plot(series["cycle"], gross - cost, label="net", color="black", lw=2)
    axes.plot(series["cycle"], series["battery"], label="batteries", color="#3060b0", ls=":")
    axes.axhline(0, color="grey", lw=0.6)
    axes.set(xlabel="cycle", ylabel="quanta")
    axes.legend(frameon=False)
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:3])
