# %% [markdown]
# # Relaxation: entropy rises, seen from any distance
#
# A ring, half of it hot, is left alone. Its mean obeys averages over pairs, so the long wave k = 2π/L of the profile
# decays exactly as cos²(k/2) cos(k)^(2t − 1) after t sweeps: diffusivity 1. How much entropy is missing depends on who
# looks: −ln of the chance, at rest, of the energies that the boxes have. Coarser boxes miss less. At rest the mean is known,
# half a logarithm for every box but one: (R/2) ln(2πe n σ²) − ½ ln(2πe N σ²), R boxes of n sites, N = R n, σ² = ū(1 + ū).

# %%
import os
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import entropic
from entropic import entropy

SIZE = int(os.environ.get("GALLERY_SIZE", "64"))  # 1: a small field, in seconds
LENGTH, ROWS, WIDE, HOT, COLD = 26, 8, 32 * SIZE, 7.0, 3.0  # sites around the ring; regions across, sites wide each
SECTIONS = {
    "field": {"shape": [LENGTH, ROWS * WIDE], "regions": [LENGTH, ROWS], "edges": "periodic"},
    "run": {"cycles": 160},
    "relax": {"layers": 4},  # one sweep around, one across
    "demon": {"lift": False},
    "battery": {"initial": 0.0},
}
SECTIONS["field"] |= {"initial": "hot-cold", "hot": HOT, "cold": COLD}

# %%
computer = entropic.EntropicComputer(entropic.Config.from_mapping(SECTIONS))
start = computer.field.analyze_entropy_distribution()["quanta"].values
summary = computer.run()
assert summary["totals"]["first_law_residual"] == 0
assert all(law["holds"] for law in summary["laws"])
series = entropic.open_run(computer.store.path).series.load()
quanta = np.concatenate([[start], series["quanta"].values.reshape(-1, LENGTH, ROWS)])  # [cycle, along, across]
assert (quanta.sum(axis=(1, 2)) == quanta[0].sum()).all()

# %% [markdown]
# ## The wave and the ladder

# %%
sweeps, k = np.arange(len(quanta)), 2 * np.pi / LENGTH
profile = quanta.sum(axis=2) / (ROWS * WIDE)
wave = profile @ np.exp(-1j * k * np.arange(LENGTH)) * 2 / LENGTH
square = np.where(np.arange(LENGTH) < LENGTH // 2, HOT, COLD) @ np.exp(-1j * k * np.arange(LENGTH)) * 2 / LENGTH
law = np.where(sweeps == 0, 1, np.cos(k / 2) ** 2 * np.cos(k) ** (2.0 * sweeps - 1))
scatter = np.sqrt(4 / (LENGTH * ROWS * WIDE) * HOT * (1 + HOT))  # at most, of what chance adds to the wave
print(f"wave: {abs(wave[0]):.3f} quanta a site, after 40 sweeps {abs(wave[40]):.3f}, exact {abs(square) * law[40]:.3f}")
assert np.abs(wave - square * law).max() < 6 * scatter

mean = float(quanta[0].sum()) / (LENGTH * ROWS * WIDE)


def missing(along, across):
    """Nats by which the field falls short of equilibrium, cycle by cycle, seen through so many equal boxes; and at rest."""
    boxes = along * across
    n = LENGTH * ROWS * WIDE // boxes
    seen = quanta.reshape(-1, along, LENGTH // along, across, ROWS // across).sum(axis=(2, 4))
    entropies = [entropy.field_nats(n, held) for held in seen]
    spread = 2 * np.pi * np.e * n * mean * (1 + mean)
    at_rest = (boxes * np.log(spread) - np.log(boxes * spread)) / 2
    return np.array([found.equilibrium - found.region for found in entropies]), at_rest


ladder = {along * across: missing(along, across) for along, across in ((26, 8), (26, 2), (26, 1), (2, 1))}
for boxes, (nats, rest) in ladder.items():
    print(f"{boxes} boxes: {nats[0]:,.0f} nats missing at first, {nats[-40:].mean():,.1f} at last; {rest:,.1f} at rest")
assert all((coarse <= fine).all() for (fine, _), (coarse, _) in pairwise(ladder.values()))  # in every cycle

# %%
figure, (decay, steps) = plt.subplots(1, 2)
decay.plot(sweeps, np.abs(wave), "C0.", label="measured")
decay.plot(sweeps, np.abs(square) * law, "k", lw=1, label="exact: cos²(k/2) cos(k)^(2t − 1)")
decay.axhline(scatter, color="C5", ls=":", label="scatter by chance, at most")
decay.set(title="The long wave decays, D = 1", xlabel="sweeps t", ylabel="amplitude, quanta a site", yscale="log")
decay.set_ylim(scatter / 10, 5)
decay.legend()

for colour, (boxes, (nats, rest)) in zip(("C0", "C2", "C3", "C1"), ladder.items(), strict=True):
    steps.plot(sweeps, nats, colour, label=f"{boxes} boxes")
    steps.axhline(rest, color=colour, ls=":")
steps.plot([], [], "k:", label="mean at rest, closed form")
steps.set(title="Missing entropy, from near and from afar", xlabel="sweeps t", ylabel="S_eq − S, nats", yscale="log")
steps.legend()
figure.savefig("relaxation.svg")
