# %% [markdown]
# # Violation probability: how often a demon seems to win
#
# A demon of N thermal sites lifts θ n₁ quanta, n₁ ~ Bin(N, p) with p = x^θ, and is charged c a site for its record: T ln 2
# for a raw bit, T H(p) for a compressed one. On average it loses. Sometimes it gains, with a probability that is exactly
# the tail P(θ n₁ > N c), and that falls as e^(−N D(a‖p)), a = c/θ: second laws are broken only by the small.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import entropic
from entropic import entropy

SIZE = int(os.environ.get("GALLERY_SIZE", "32"))  # 1: few demons, in seconds
DEMONS, MEAN, THRESHOLD = 512 * SIZE, 5.0, 12
x = entropy.thermal_ratio(MEAN)
p, temperature = x**THRESHOLD, -1 / np.log(x)
information = -p * np.log(p) - (1 - p) * np.log1p(-p)
PRICES = {"raw record, c = T ln 2": temperature * np.log(2), "compressed, c = T H(p)": temperature * information}


# %% [markdown]
# ## Demons of every size
#
# Every region is a demon of its own with a blank tape; one cycle, one measurement.


# %%
def ones(sites):
    """Bits set in the records of many demons of so many sites."""
    sections = {
        "field": {"shape": [DEMONS * sites], "regions": [DEMONS], "mean": MEAN, "seed": sites},
        "run": {"cycles": 1},
        "relax": {"layers": 0},
        "demon": {"threshold": THRESHOLD, "erase": False},
        "battery": {"initial": 0.0},
    }
    computer = entropic.EntropicComputer(entropic.Config.from_mapping(sections))
    (cycle,) = computer
    assert (cycle.entries["battery"] == THRESHOLD * cycle.entries["ones"]).all()
    assert computer.run()["totals"]["first_law_residual"] == 0
    return cycle.entries["ones"]


def tail(sites, price):
    """P(θ n₁ > N c), exactly."""
    return stats.binom.sf(np.floor(sites * price / THRESHOLD), sites, p)


SIZES = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64])
counts = {int(sites): ones(int(sites)) for sites in SIZES}
wins = {name: np.array([(THRESHOLD * n > s * c).sum() for s, n in counts.items()]) for name, c in PRICES.items()}
level = 1e-6 / (len(PRICES) * len(SIZES))  # one false alarm in a million runs of this study
for name, price in PRICES.items():
    for sites, won in zip(SIZES, wins[name].tolist(), strict=True):
        assert stats.binomtest(won, DEMONS, tail(sites, price)).pvalue > level
    print(f"{name} = {price:.2f} quanta: of {DEMONS} demons of N sites, so many gain:")
    print(", ".join(f"{won} (N = {sites})" for sites, won in zip(SIZES, wins[name], strict=True)))
    net = sum(THRESHOLD * n.sum() - s * price * DEMONS for s, n in counts.items())
    print(f"net of all of them together: {net:,.0f} quanta")

# %%
figure, panels = plt.subplots(1, 2, sharey=True)
every = np.arange(1, SIZES[-1] + 1)
for number, (axes, (name, price)) in enumerate(zip(panels, PRICES.items(), strict=True)):
    found = [stats.binomtest(won, DEMONS).proportion_ci(0.95, "exact") for won in wins[name].tolist()]
    low, high = np.transpose(found)
    share, seen = wins[name] / DEMONS, wins[name] > 0
    a = price / THRESHOLD
    rate = a * np.log(a / p) + (1 - a) * np.log((1 - a) / (1 - p))
    axes.plot(every, np.exp(-every * rate), "C5--", label="Chernoff's bound, e^(−N D)")
    axes.step(every, tail(every, price), "k", where="mid", lw=1, label="exact: binomial tail")
    bars, colour = np.array([share - low, high - share])[:, seen], f"C{number}"
    axes.errorbar(SIZES[seen], share[seen], bars, fmt=colour + "o", capsize=2, label="measured, 95 % (Clopper–Pearson)")
    if not seen.all():
        axes.plot(SIZES[~seen], high[~seen], colour + "v", mfc="none", label="none seen: 95 % limit")
    axes.set(title=name, xlabel="sites of the demon, N", yscale="log")
    axes.legend(loc=("upper right", "lower left")[number])
panels[0].set(ylabel="probability of an apparent gain", ylim=(0.2 / DEMONS, 1.5))
figure.savefig("violation_probability.svg")
