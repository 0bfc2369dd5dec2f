# %% [markdown]
# # Driven by baths: Fourier's law
#
# Lines of sites between a hot bath on the left and a cold one on the right, one quantum at a time. The mean of every site
# obeys averages over pairs, whatever the fluctuations do, so the profile is known exactly at all times; in the end it is a
# straight line from bath to bath, and (u_L − u_R)/L quanta flow a sweep, L = sites + 2: the diffusivity is 1 a sweep.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

import entropic

SIZE = int(os.environ.get("GALLERY_SIZE", "16"))  # 1: few lines, in seconds
LINES, LEFT, RIGHT, START = 1024 * SIZE, 8.0, 2.0, 2.0


def lines(sites, sweeps, cycles):
    """Lines side by side in one field; two of four layers couple neighbouring lines, which no mean can tell."""
    sections = {
        "field": {"shape": [sites, LINES], "regions": [1, 1], "mean": START, "edges": "baths"},
        "run": {"cycles": cycles},
        "relax": {"layers": 4 * sweeps},
        "demon": {"lift": False},
        "battery": {"initial": 0.0},
    }
    sections["field"] |= {"bath_left": LEFT, "bath_right": RIGHT}
    return entropic.EntropicComputer(entropic.Config.from_mapping(sections))


def sweep(mean):
    """The exact mean after one more sweep: even pairs, then odd pairs with a fresh bath site at either end."""
    whole = np.concatenate([[LEFT], mean.reshape(-1, 2).mean(axis=1).repeat(2), [RIGHT]])
    return whole.reshape(-1, 2).mean(axis=1).repeat(2)[1:-1]


# %% [markdown]
# ## The profile, as it forms

# %%
SITES, SHOWN = 20, (1, 4, 16, 64, 400)
profiles, exact = {}, {0: np.full(SITES, START)}
for t in range(1, SHOWN[-1] + 1):
    exact[t] = sweep(exact[t - 1])
for sweeps in SHOWN:
    computer = lines(SITES, sweeps, 1)
    summary = computer.run()
    assert summary["totals"]["first_law_residual"] == 0
    profiles[sweeps] = computer.field.data.mean("y").load()
    # six deviations of the mean of the hot bath's sites, of variance u(1 + u), which no site of the lines exceeds by much
    assert np.abs(profiles[sweeps] - exact[sweeps]).max() < 6 * np.sqrt(LEFT * (1 + LEFT) / LINES)

# %% [markdown]
# ## The flux
#
# Lines of several lengths, at rest after L² sweeps of a first cycle; what came in and went out is counted in a second one.

# %%
lengths, flux = np.array([4, 6, 8, 12, 18]), []
for sites in lengths:
    computer = lines(int(sites), int(sites + 2) ** 2, 2)
    totals = computer.run()["totals"]
    assert totals["first_law_residual"] == 0
    books = xr.open_zarr(computer.store.path / "books.zarr", consolidated=False).sum("region").load()
    into, out = books["left_in"] - books["left_out"], books["right_out"] - books["right_in"]
    assert int((into - out).sum()) == totals["imported"] - totals["exported"]
    flux.append([float(passed[1]) / (LINES * (sites + 2) ** 2) for passed in (into, out)])
flux = np.array(flux)
law = (LEFT - RIGHT) / (lengths + 2)
for sites, found, expected in zip(lengths, flux, law, strict=True):
    print(f"{sites} sites: {found[0]:.4f} in, {found[1]:.4f} out, {expected:.4f} by Fourier's law")

# %%
figure, (profile, fourier) = plt.subplots(1, 2)
for number, sweeps in enumerate(SHOWN):
    colour = plt.colormaps["plasma"](0.85 * number / (len(SHOWN) - 1))
    profile.plot(exact[sweeps], color=colour, lw=1)
    profile.plot(profiles[sweeps], ".", color=colour, label=f"sweep {sweeps}")
profile.plot([-1.5, SITES + 0.5], [LEFT, RIGHT], "k:", label="bath to bath")
profile.set(title="The mean profile becomes straight", xlabel="site", ylabel="mean, quanta a site")
profile.legend()

inverse = np.array([0, 1 / (lengths[0] + 1)])
fourier.plot(inverse, (LEFT - RIGHT) * inverse, "k", lw=1, label="exact: (u_L − u_R)/L")
fourier.plot(1 / (lengths + 2), flux[:, 0], "C1>", label="in from the left bath")
fourier.plot(1 / (lengths + 2), flux[:, 1], "C0<", label="out into the right bath")
fourier.set(title="Fourier's law", xlabel="1/L, L = sites + 2", ylabel="quanta a line a sweep", xlim=0, ylim=0)
fourier.legend()
figure.savefig("driven_by_baths.svg")
