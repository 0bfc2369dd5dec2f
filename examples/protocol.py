"""A harvester of one's own: two bits a site, two quanta to take.  entropic run examples/protocol.toml"""

import numpy as np

LOW, HIGH = 6, 18  # quanta


class TwoBit:
    """Takes LOW from sites that hold LOW, HIGH from sites that hold HIGH; writes down which of the three it met."""

    def bits(self, sites):
        return 2 * sites

    def harvest(self, region):
        low, high = region >= LOW, region >= HIGH
        region -= np.where(high, HIGH, np.where(low, LOW, 0)).astype(region.dtype)
        return np.concatenate([low.ravel(), high.ravel()]).astype(np.uint8)

    def undo(self, region, bits):
        low, high = bits.reshape(2, *region.shape)
        region += np.where(high, HIGH, np.where(low, LOW, 0)).astype(region.dtype)
