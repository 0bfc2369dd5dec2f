"""Two harvesters that gain, because they forget: the audit, and the engine before it, must catch both."""

import numpy as np

THETA = 10  # quanta


class TakesAll:
    """Takes all that a site holds, if it holds THETA, and writes one bit: how much it was is lost."""

    def bits(self, sites):
        return sites

    def harvest(self, region):
        rich = region >= THETA
        region[rich] = 0
        return rich.ravel().astype(np.uint8)

    def undo(self, region, bits):
        region[bits.reshape(region.shape) == 1] = THETA  # the best guess there is


class TwoOscillators:
    """Takes THETA from every pair of sites that holds it together: from the first what it has, the rest from the second."""

    def bits(self, sites):
        return sites // 2

    def harvest(self, region):
        first, second = self._cells(region)
        rich = first.astype(int) + second >= THETA
        from_first = np.minimum(first, THETA)
        second -= np.where(rich, THETA - from_first, 0).astype(region.dtype)
        first -= np.where(rich, from_first, 0).astype(region.dtype)
        return rich.astype(np.uint8)

    def undo(self, region, bits):
        first, _ = self._cells(region)
        first += (THETA * bits).astype(region.dtype)  # how much of it the second site gave is lost

    def _cells(self, region):
        flat = region.reshape(-1)  # a view: regions come in one piece
        return flat[0 : 2 * (flat.size // 2) : 2], flat[1::2]
