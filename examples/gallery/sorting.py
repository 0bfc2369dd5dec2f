# %% [markdown]
# # Sorting: Maxwell's demon makes a gradient, and gears make it work
#
# The demon looks at pairs of thermal sites and keeps the fuller one on the hot side: one bit a pair, no work. The hot side
# then holds the larger of two geometric numbers, the cold side the smaller, whose laws are exact. A gear m:n draws work from
# the gradient; the closed form says how much. It is never as much as the bits are worth.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import entropic
from entropic import entropy

SIZE = int(os.environ.get("GALLERY_SIZE", "64"))  # 1: a small field, in seconds
REGIONS, HALF, MEAN = 8, 512 * SIZE, 5.0
x = entropy.thermal_ratio(MEAN)
temperature = -1 / np.log(x)

# %% [markdown]
# ## The sort
#
# One cycle of a run with the tape kept: no erasure heats what was sorted.

# %%
SECTIONS = {
    "field": {"shape": [REGIONS, 2 * HALF], "regions": [REGIONS, 1], "mean": MEAN},
    "run": {"cycles": 1},
    "relax": {"layers": 0},
    "demon": {"sort": True, "lift": False, "erase": False},
    "battery": {"initial": 0.0},
}
computer = entropic.EntropicComputer(entropic.Config.from_mapping(SECTIONS))
before = computer.field.data.values
(cycle,) = computer
hot, cold = np.split(computer.field.data.values, 2, axis=1)  # a region's first half, and its second
summary = computer.run()
assert summary["totals"]["first_law_residual"] == 0
assert all(law["holds"] for law in summary["laws"])

left, right = np.split(before, 2, axis=1)
assert (hot == np.maximum(left, right)).all() and (cold == np.minimum(left, right)).all()
assert cycle.entries["gradient"].sum() == hot.sum(dtype=int) - cold.sum(dtype=int)
pairs, ones = hot.size, int(cycle.entries["sort_ones"].sum())
assert stats.binomtest(ones, pairs, x / (1 + x)).pvalue > 1e-6
known = zip(cycle.entries["quanta"].tolist(), cycle.entries["sort_ones"].tolist(), strict=True)
price = sum(entropy.erasure_quanta(2 * HALF, q, n, bits=HALF) for q, n in known) / pairs
p = x / (1 + x)
worth = -temperature * (p * np.log(p) + (1 - p) * np.log1p(-p))
print(f"{ones / pairs:.4f} of the bits are set, x/(1 + x) = {p:.4f}; erasing them would cost {price:.3f} quanta a pair")
print(f"hot side {hot.mean():.3f}, cold side {cold.mean():.3f} quanta a site")

# %% [markdown]
# ## The gears
#
# Every gear is tried on a copy of the sorted field, and turned back: a swap applied twice is none.

# %%
GEARS = [(6, 5), (4, 3), (3, 2), (5, 3), (2, 1), (5, 2), (3, 1)]


def turns(ratio, gear):
    """⟨⌊q/m⌋⟩ of a geometric law."""
    return ratio**gear / (1 - ratio**gear)


works, laws = [], []
for m, n in GEARS:
    pump = entropic.EntropyPump(m, n, q_max=255)
    one, other = hot.ravel().copy(), cold.ravel().copy()
    result = pump.swap(one, other)
    assert result.work == int(hot.sum(dtype=int) + cold.sum(dtype=int)) - int(one.sum(dtype=int) + other.sum(dtype=int))
    pump.undo(one, other)
    assert (one == hot.ravel()).all() and (other == cold.ravel()).all()
    works.append(result.work / pairs)
    laws.append((m - n) * (2 * turns(x, m) - turns(x, 2 * m) - turns(x, 2 * n)))
assert max(works) < worth < price
best = int(np.argmax(works))
print(f"best gear {GEARS[best]}: {works[best]:.3f} quanta a pair, {laws[best]:.3f} by the closed form")
print(f"that is {works[best] / worth:.0%} of what the bits are worth, T H = {worth:.3f}")

# %%
figure, (law, gears) = plt.subplots(1, 2)
q = np.arange(45)
smaller, larger = (1 - x**2) * x ** (2 * q), (1 - x ** (q + 1)) ** 2 - (1 - x**q) ** 2
for side, exact, colour, name in ((hot, larger, "C1", "hot side: larger"), (cold, smaller, "C0", "cold side: smaller")):
    share = np.bincount(side.ravel(), minlength=q.size)[: q.size] / pairs
    law.plot(q, exact, colour, lw=1, label=f"{name} of two, exact")
    law.plot(q[share > 0], share[share > 0], colour + ".", label="measured")
law.plot(q, (1 - x) * x**q, "C5:", label="before the sort, exact")
law.set(title="A demon parts the field in two", xlabel="quanta of a site", ylabel="probability", yscale="log")
law.set_ylim(0.5 / pairs, 1)
law.legend()

names = [f"{m}:{n}" for m, n in GEARS]
gears.bar(names, works, color="C2", alpha=0.6, label="work, measured")
gears.plot(names, laws, "k_", ms=18, label="work, exact")
gears.axhline(worth, color="C0", ls="--", label="worth, T H")
gears.axhline(price, color="C1", label="price of erasure, E_min")
gears.axhline(0, color="C5", lw=0.6)
gears.set(title="No gear earns what the bits cost", xlabel="gear m:n", ylabel="quanta a pair", ylim=(-0.5, 5.5))
gears.legend(loc="upper center", ncols=2)
figure.savefig("sorting.svg")
