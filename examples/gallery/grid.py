# %% [markdown]
# # The grid: who is served, through which lines
#
# Batteries feed demands through the lines between neighbouring regions. The first class of demands is served before the
# second, most is delivered with the least loss, and no line carries more than its capacity C. A region asks for more than its
# own battery B holds, and has four lines: as long as the others have enough, exactly min(asked, B + 4 C) arrive.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

import entropic

SIZE = int(os.environ.get("GALLERY_SIZE", "6"))  # 1: few capacities, in seconds
EDGE, SITES, CHARGE, LOSS = 8, 100, 3, 0.01  # regions along an edge, sites and quanta a site of each, share lost a line
SINK, ASKED = 27, {"compute": 1500, "export": 1500}  # class 1 becomes heat where it is used, class 2 leaves the field
DEMANDS = [{"region": SINK, "quanta": q, "priority": c, "kind": k} for c, (k, q) in enumerate(ASKED.items(), 1)]


def delivered(capacity):
    """Quanta that either class got in one cycle of a run, and what was lost on the way."""
    sections = {
        "field": {"shape": [EDGE * 10, EDGE * 10], "regions": [EDGE, EDGE]},
        "run": {"cycles": 1},
        "demon": {"lift": False},
        "battery": {"initial": CHARGE},
        "grid": {"enabled": True, "capacity": capacity, "loss": LOSS, "demands": DEMANDS},
    }
    computer = entropic.EntropicComputer(entropic.Config.from_mapping(sections))
    (cycle,) = computer
    assert computer.run()["totals"]["first_law_residual"] == 0
    return tuple(int(cycle.entries[account].sum()) for account in ("compute", "delivered_out", "line_loss"))


# %% [markdown]
# ## Capacity after capacity
#
# No tolerance: the flows are integers.

# %%
capacities = np.linspace(25, 825, 4 * SIZE + 1).astype(int)
served, losses = [], []
for capacity in capacities.tolist():
    first, second, lost = delivered(capacity)
    room = SITES * CHARGE + 4 * capacity
    assert first == min(ASKED["compute"], room)
    assert second == min(ASKED["export"], room - first)
    served.append((first, second))
    losses.append(lost)
print(f"{served[0]} delivered with lines of {capacities[0]} quanta, {losses[0]} lost")
print(f"{served[-1]} delivered with lines of {capacities[-1]} quanta, {losses[-1]} lost")

# %% [markdown]
# ## The lines of one cycle
#
# The machine alone, on the same supply, gives the same figures, and says which way everything went. What a line loses is a
# share of what it carries, in whole quanta.

# %%
network = entropic.Network.nearest_neighbours((EDGE, EDGE), int(capacities[-1]), LOSS)
grid = entropic.EnergyGrid(network, tuple(entropic.EnergyDemand(**demand) for demand in DEMANDS))
supply, nothing = np.full(EDGE**2, SITES * CHARGE), np.zeros(EDGE**2, np.int64)
outcome = grid.route(supply, nothing, np.zeros(network.line_count, np.int64))
carried = grid.monitor.line_quanta(outcome.flows)
assert tuple(outcome.delivered) == served[-1]
assert outcome.loss_heat.sum() == losses[-1] == (network.loss * carried // 10**9).sum()
assert (carried <= network.capacity).all()

# %%
figure, (lattice, law) = plt.subplots(1, 2)
places = np.stack(np.unravel_index(network.lines, (EDGE, EDGE))[::-1], axis=-1)
shades = lattice.imshow(outcome.battery.reshape(EDGE, EDGE), cmap="Greens", vmin=0, vmax=1.5 * SITES * CHARGE)
lattice.add_collection(LineCollection(places, linewidths=0.5 + 6 * carried / carried.max(), colors="C3"))
lattice.plot(*np.unravel_index(SINK, (EDGE, EDGE))[::-1], "C1*", ms=16, label="region that asks")
figure.colorbar(shades, label="left in the battery, quanta", shrink=0.9)
lattice.set(title=f"Lines by what they carry, C = {capacities[-1]}", xticks=[], yticks=[])
lattice.legend(loc="lower right", frameon=True)

got, c = np.array(served), np.arange(capacities[-1] + 1)
room = SITES * CHARGE + 4 * c
exact = np.minimum(ASKED["compute"], room)
law.plot(c, exact, "C0", lw=1, label="class 1, exact")
law.plot(c, np.minimum(ASKED["export"], room - exact), "C1", lw=1, label="class 2, exact")
law.plot(capacities, got[:, 0], "C0o", label="class 1, measured")
law.plot(capacities, got[:, 1], "C1s", label="class 2, measured")
law.set(title="The first class first: min(asked, B + 4 C)", xlabel="capacity C, quanta", ylabel="delivered, quanta")
law.legend()
figure.savefig("grid.svg")
