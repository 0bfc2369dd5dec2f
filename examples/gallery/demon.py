# %% [markdown]
# # The demon: what a measurement yields, and what forgetting it costs
#
# Every site of a thermal field is measured against a threshold θ. Sites that hold θ quanta or more give up θ of them as
# work; one bit a site says which. By the closed form a site yields θ p on average, p = x^θ with x = ū/(1 + ū), and its bit
# is worth at most T H(p). To erase the record costs the region E_min, the least heat whose entropy makes up for it.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import entropic
from entropic import entropy

SIZE = int(os.environ.get("GALLERY_SIZE", "16"))  # 1: a small field, in seconds
SHAPE, REGIONS, MEAN = [64, 64 * SIZE], [4, 4], 5.0
SITES = SHAPE[0] * SHAPE[1]
REGION = SITES // (REGIONS[0] * REGIONS[1])  # sites of a region


def computer(threshold, cycles):
    """A demon that pays for erasure, on a thermal field."""
    sections = {
        "field": {"shape": SHAPE, "regions": REGIONS, "mean": MEAN},
        "run": {"cycles": cycles},
        "demon": {"threshold": threshold},
    }
    return entropic.EntropicComputer(entropic.Config.from_mapping(sections))


# %% [markdown]
# ## One cycle, at many thresholds
#
# The price is exact: what every region paid is what `entropy.erasure_quanta` says of its sites, quanta and ones.

# %%
x = entropy.thermal_ratio(MEAN)
thresholds = np.array([1, 2, 3, 4, 6, 8, 12, 16, 20, 25, 32, 40, 50])
work, paid = [], []
for threshold in thresholds.tolist():
    demon = computer(threshold, 1)
    (cycle,) = demon
    books = cycle.entries
    before_erasure = books["quanta"] - books["erasure"]
    known = zip(before_erasure.tolist(), books["ones"].tolist(), strict=True)
    assert books["erasure"].tolist() == [entropy.erasure_quanta(REGION, quanta, ones) for quanta, ones in known]
    assert (books["lift"] == threshold * books["ones"]).all()
    assert stats.binomtest(int(books["ones"].sum()), SITES, x**threshold).pvalue > 1e-6
    assert demon.run()["totals"]["first_law_residual"] == 0
    work.append(cycle.gross / SITES)
    paid.append((cycle.gross - cycle.net) / SITES)
print(f"best yield a site: {max(work):.3f} quanta at θ = {thresholds[np.argmax(work)]}")
print(f"least loss a site: {min(p - w for p, w in zip(paid, work, strict=True)):.4f} quanta; never a gain")
assert all(p > w for p, w in zip(paid, work, strict=True))

# %% [markdown]
# ## Many cycles
#
# The net falls until the batteries cannot pay for the next record: from then on, no more is erased than the lift earns,
# and the tape keeps the rest. What is in the batteries is what was there at the start, and the net.

# %%
nets = {}
for threshold in (20, 25, 30, 40):
    demon = computer(threshold, 120)
    summary = demon.run()
    assert summary["totals"]["first_law_residual"] == 0
    assert all(law["holds"] for law in summary["laws"])
    series = entropic.open_run(demon.store.path).series.sum("region").load()
    nets[threshold] = np.cumsum(series["gross"] - series["erasure"])
    assert (series["battery"] == demon.config.battery.initial * SITES + nets[threshold]).all()
    gross, erasure = (summary["totals"][name] / SITES for name in ("gross", "erasure"))
    owed = summary["entropy"]["final"]["tape"] / SITES
    print(f"θ = {threshold}: lifted {gross:.2f}, paid {erasure:.2f} quanta a site; {owed:.2f} nats a site still owed")

# %%
theta = np.arange(1, 51)
p = x**theta
held, ones = (10**9 * (MEAN - theta * p)).astype(int), (10**9 * p).astype(int)  # a large region
price = [entropy.erasure_quanta(10**9, q, n) / 1e9 for q, n in zip(held.tolist(), ones.tolist(), strict=True)]
worth = -(p * np.log(p) + (1 - p) * np.log1p(-p)) / np.log1p(1 / MEAN)

figure, (one, many) = plt.subplots(1, 2)
one.plot(theta, theta * p, "C2", label="work, exact: θ xᶿ")
one.plot(theta, worth, "C0--", label="worth of the bit: T H(xᶿ)")
one.plot(theta, price, "C1", label="price of erasure, exact: E_min")
one.plot(thresholds, work, "C2o", label="work, measured")
one.plot(thresholds, paid, "C1s", label="price, measured")
one.set(title="A measurement never pays for its erasure", xlabel="threshold θ, quanta", ylabel="quanta a site", ylim=0)
one.legend()

for threshold, net in nets.items():
    many.plot(net["cycle"], net / SITES, label=f"θ = {threshold}")
many.axhline(-demon.config.battery.initial, color="C5", ls=":", label="batteries empty")
many.axhline(0, color="C5", lw=0.6)
many.set(title="Cycle by cycle, until the batteries cannot pay", xlabel="cycle", ylim=(-3.2, 0.2))
many.set_ylabel("work less erasure, quanta a site")
many.legend(loc="upper right")
figure.savefig("demon.svg")
