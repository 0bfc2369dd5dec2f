"""Draw the README's picture from a finished demonstration: python docs/make_demo_figure.py DIRECTORY docs/images/demo.svg"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import xarray as xr

matplotlib.use("Agg")
import matplotlib.pyplot as plt

GREEN, RED, BLUE = "#2a7f3f", "#b03030", "#3060b0"
MILLION = 1e6


def series(place: Path, act: str) -> xr.Dataset:
    """Series of an act, summed over regions."""
    return xr.open_zarr(place / act / "series.zarr").sum("region").load()


def tape_kept(axes: Any, place: Path) -> None:
    """Work against T nats of the tape, the least that erasing it would cost."""
    act = series(place, "1-tape-kept")
    books = xr.open_zarr(place / "1-tape-kept" / "books.zarr", consolidated=False)
    tape = books["tape"].sum("region")
    sites = json.loads((place / "demo.json").read_text())["totals"]["sites"]
    warmth = 1 / np.log((act["quanta"] + sites) / (act["quanta"] + 1))
    axes.plot(act["cycle"], np.cumsum(act["gross"]) / MILLION, color=GREEN, label="work, in the batteries")
    axes.plot(act["cycle"], tape.values * warmth / MILLION, color=RED, ls="--", label="least price of the tape")
    axes.set_title("1: the tape is kept")


def erasure_paid(axes: Any, place: Path) -> None:
    """Work, cost, net, batteries."""
    act = series(place, "2-erasure-paid")
    gross, cost = np.cumsum(act["gross"]), np.cumsum(act["erasure"])
    axes.plot(act["cycle"], gross / MILLION, color=GREEN, label="work")
    axes.plot(act["cycle"], cost / MILLION, color=RED, ls="--", label="paid for erasure")
    axes.plot(act["cycle"], (gross - cost) / MILLION, color="black", lw=2, label="net")
    axes.plot(act["cycle"], act["battery"] / MILLION, color=BLUE, ls=":", label="batteries")
    axes.set_title("2: erasure is paid")


def charged(axes: Any, place: Path) -> None:
    """Work of the gears against the exergy that the field had and has."""
    act = series(place, "3-charged-field")
    engines = json.loads((place / "demo.json").read_text())["acts"][2]["figures"]["engines"]
    axes.plot(act["cycle"], np.cumsum(act["gross"]) / MILLION, color=GREEN, label="work of the gears")
    axes.axhline(engines["exergy_start"] / MILLION, color=RED, ls="--", label="exergy of the charge")
    axes.axhline((engines["exergy_start"] - engines["exergy_end"]) / MILLION, color=RED, ls=":", label="used up")
    axes.set_title("3: the field is charged")


def main(place: str, target: str) -> None:
    """Three acts, three panels."""
    plt.rcParams["svg.hashsalt"] = "entropic"
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for draw, axes in zip((tape_kept, erasure_paid, charged), panels, strict=True):
        draw(axes, Path(place))
        axes.axhline(0, color="grey", lw=0.6)
        axes.set(xlabel="cycle", ylabel="million quanta")
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:3])
