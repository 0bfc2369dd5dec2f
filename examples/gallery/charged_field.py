# %% [markdown]
# # The charged field: a gradient is fuel, and it is used up
#
# One half of the field is hot, the other cold, and no demon measures anything. Regions quote temperatures, the hottest
# meets the coldest, and a gear m:n turns heat into work: m quanta a turn leave the hot side, n arrive on the cold one, so
# that W/Q_h = 1 − n/m exactly. Work stays below what the charge was worth, its exergy, and ends when no gear pays.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import entropic
from entropic import entropy

SIZE = int(os.environ.get("GALLERY_SIZE", "16"))  # 1: a small field, in seconds
REGIONS, REGION, HOT, COLD = 16, 256 * SIZE, 8.0, 1.0
SECTIONS = {
    "field": {"shape": [REGIONS, REGION], "regions": [REGIONS, 1], "walls": "adiabatic"},
    "run": {"cycles": 50},
    "relax": {"layers": 8},
    "demon": {"lift": False},
    "exchange": {"enabled": True, "contact": 0.1, "gears": [[2, 1], [3, 1], [3, 2], [4, 3], [5, 4], [6, 5], [8, 7]]},
    "battery": {"initial": 0.0},
}
SECTIONS["field"] |= {"initial": "hot-cold", "hot": HOT, "cold": COLD}
computer = entropic.EntropicComputer(entropic.Config.from_mapping(SECTIONS))

# %% [markdown]
# ## The run
#
# Its books say, cycle by cycle and region by region, who traded with whom by which gear, and what came of it.

# %%
start = computer.field.analyze_entropy_distribution()["quanta"].values.ravel()
summary = computer.run()
assert summary["totals"]["first_law_residual"] == 0
assert all(law["holds"] for law in summary["laws"])
books = xr.open_zarr(computer.store.path / "books.zarr", consolidated=False).load()

quanta = np.vstack([start, books["quanta"]])
work = np.append(0, books["battery"].sum("region"))
warmth = [[entropy.temperature(REGION, int(q)) for q in held] for held in quanta]
trades = []
for cycle, hot in np.argwhere(books["hot"].values):
    books_of = {name: books[name].values[cycle] for name in ("partner", "gear_m", "gear_n", "gear", "gear_heat")}
    cold, m, n = (int(books_of[name][hot]) for name in ("partner", "gear_m", "gear_n"))
    done = books_of["gear"][hot] + books_of["gear"][cold]
    assert m * done == -(m - n) * books_of["gear_heat"][hot]
    trades.append((warmth[cycle][cold] / warmth[cycle][hot], 1 - n / m))

# %% [markdown]
# ## Exergy
#
# `entropy.exergy` is exact: the most that the field can give, from the integers in its regions. In every cycle, work and what
# the field can still give are together less than it was: the rest is lost for good.

# %%
exergy = np.array([entropy.exergy(REGION, held) for held in quanta])
lost = exergy[0] - exergy - work
assert (lost >= 0).all()  # entropy could fluctuate down, but hardly by as much as a trade produces
ratio, efficiency = np.array(trades).T
print(f"exergy of the charge: {exergy[0]:,} quanta; work: {work[-1]:,}; left: {exergy[-1]:,}; lost: {lost[-1]:,}")
print(f"{len(trades)} trades at T_c/T_h from {ratio.min():.3f} to {ratio.max():.3f}")
print(f"W/Q_h of all of them: {summary['efficiency']['thermal']:.3f}")

# %%
sites = REGIONS * REGION
figure, (heat, spent, engines) = plt.subplots(1, 3, figsize=(11, 3.6))
for half, colour, name in zip(np.hsplit(np.array(warmth), 2), ("C1", "C0"), ("hot half", "cold half"), strict=True):
    heat.plot(half, colour, lw=0.5, alpha=0.5)
    heat.plot(half.mean(axis=1), colour, lw=2, label=name)
heat.set(title="The halves approach each other", xlabel="cycle", ylabel="temperature, quanta a nat", ylim=0)
heat.legend()

bands = np.array([work, exergy, lost]) / sites
labels = ("work, in the batteries", "exergy left", "exergy lost")
spent.stackplot(np.arange(len(work)), bands, labels=labels, colors=("C2", "C0", "C5"), alpha=0.7)
spent.set(title="Where the charge's exergy goes", xlabel="cycle", ylabel="quanta a site")
spent.legend(loc="lower right", frameon=True)

r = np.linspace(0, 1, 200)
engines.plot(r, 1 - r, "k", label="Carnot, 1 − T_c/T_h")
engines.plot(r, 1 - np.sqrt(r), "k--", label="Curzon–Ahlborn, 1 − √(T_c/T_h)")
engines.plot(ratio, efficiency, "C2.", alpha=0.4, label="trades, 1 − n/m")
engines.set(title="Gears of most work", xlabel="T_c/T_h", ylabel="efficiency W/Q_h", xlim=(0, 1), ylim=(0, 1))
engines.legend()
figure.savefig("charged_field.svg")
