"""The machines of a configuration, as every task needs them, and what travels between tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from entropic.config import Config
from entropic.initial import lattice_of, region_quanta
from entropic.ledger import accounts
from entropic.machines.demon import MaxwellDemon
from entropic.machines.exchange import EntropyExchange
from entropic.machines.grid import EnergyDemand, EnergyGrid
from entropic.machines.harvester import EntropyHarvester
from entropic.machines.landauer import LandauerEngine
from entropic.machines.network import Network
from entropic.machines.protocol import OwnProtocol
from entropic.machines.pump import contact_sites
from entropic.machines.storage import EnergyStorage

__all__ = ["Contact", "Deal", "Rules", "Supply", "energy_grid_of", "market_of", "storage_of"]


@final
@dataclass(frozen=True)
class Deal:
    """A trade that the market picked: regions, and the gear between them."""

    cycle: int
    hot: int
    cold: int
    m: int
    n: int
    quanta_hot: int  # what the regions held when they were matched
    quanta_cold: int


@final
@dataclass(frozen=True)
class Contact:
    """What a region brings to its trade, or to a sort with its partner.

    Attributes
    ----------
    sites : uint8 or uint16 [contact]
        Its contact sites.
    credit : int
        To a trade: quanta that its battery could pay.
    quanta : int
        To a sort: energy of the whole region.
    room : bool
        To a sort: whether its tape has room for the record.
    """

    sites: NDArray[np.generic]
    credit: int = 0
    quanta: int = 0
    room: bool = True


@final
@dataclass(frozen=True)
class Supply:
    """The grid's decision for the regions of a block, int64[regions] each."""

    drawn: NDArray[np.int64]
    erasure: NDArray[np.int64]
    compute: NDArray[np.int64]
    delivered_out: NDArray[np.int64]
    line_loss: NDArray[np.int64]


@final
@dataclass(frozen=True)
class Rules:
    """What a task must know of the configuration."""

    seed: int
    lift: bool
    erase: bool
    tape_share: float  # nats, of one region
    charge: int  # quanta of a region's battery at the start
    baths: tuple[float, float] | None
    accounts: tuple[str, ...]
    contact: int  # sites of a region that a trade touches
    market: EntropyExchange | None
    demon: MaxwellDemon
    harvester: EntropyHarvester
    landauer: LandauerEngine
    storage: EnergyStorage
    protocol: OwnProtocol | None = None
    round_trip: bool = True
    partners: bool = False  # whether the demon sorts partner regions against each other, not halves

    @property
    def lift_bytes(self) -> int:
        """Bytes of a packed record of the lift."""
        return -(-self.landauer.bits // 8)

    @property
    def sort_bytes(self) -> int:
        """Bytes of a packed record of the sort."""
        return -(-self.landauer.pairs // 8)

    @classmethod
    def of(cls, config: Config, protocol: OwnProtocol | None = None) -> Rules:
        field, demon = config.field, config.demon
        sites = lattice_of(field).region_sites
        partners = demon.pairs == "partners"
        pairs = contact_sites(demon.contact, sites) if partners else 0
        lift_bits = protocol.bits if protocol else 0
        baths = None
        if field.bath_left is not None and field.bath_right is not None:
            baths = (field.bath_left, field.bath_right)
        return cls(
            seed=field.seed,
            lift=demon.lift,
            erase=demon.erase,
            tape_share=demon.tape_nats / field.region_count,
            charge=region_quanta(config.battery.initial, sites),
            baths=baths,
            accounts=accounts(config),
            contact=contact_sites(config.exchange.contact, sites),
            market=market_of(config),
            demon=MaxwellDemon(demon.record),
            harvester=EntropyHarvester(demon.threshold),
            landauer=LandauerEngine(demon.record, sites, field.seed, field.q_max, lift_bits, pairs),
            storage=storage_of(config),
            protocol=protocol,
            round_trip=demon.round_trip,
            partners=partners,
        )


def market_of(config: Config) -> EntropyExchange | None:
    """The market, of the gears on offer that can ever yield work from hot to cold; None if there are none."""
    gears = tuple((m, n) for m, n in config.exchange.gears if m > n)
    if not config.exchange.enabled or not gears:
        return None
    return EntropyExchange(gears, config.exchange.contact, config.exchange.carnot_share)


def energy_grid_of(config: Config, network_file: Path | None = None) -> EnergyGrid | None:
    """The energy grid, its lines from ``network_file``, from the configured file, or between nearest neighbours."""
    grid, field = config.grid, config.field
    if not grid.enabled:
        return None
    file = network_file or grid.network
    if file is not None:
        network = Network.from_file(file, field.region_count)
    else:
        periodic = field.edges == "periodic"
        network = Network.nearest_neighbours(field.regions, grid.capacity, grid.loss, periodic)
    demands = (EnergyDemand(d.region, d.quanta, d.priority, d.kind) for d in grid.demands)
    return EnergyGrid(network, tuple(demands))


def storage_of(config: Config) -> EnergyStorage:
    """The regions' batteries."""
    battery = config.battery
    sites = lattice_of(config.field).region_sites
    capacity = None if math.isinf(battery.capacity) else int(Fraction(battery.capacity) * sites)
    return EnergyStorage(capacity, battery.charge_loss, battery.discharge_loss, battery.self_discharge)
