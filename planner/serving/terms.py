"""The terms of a site and a plan: power usage, purchase, energy price, growth."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.errors import ScenarioError
from planner.serving.economics import Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a person says about costs; prices of the hour stand with the devices.

    Parameters
    ----------
    pue : float
        Power usage effectiveness of the site. [1]
    purchases : dict
        USD for a device with its part of host, network and rack, by id of the device.
    years : float
        Over which a purchase is written off. [years]
    usd_per_kwh : float
        Energy, for devices that are owned. [USD/kWh]
    upkeep_fraction, resale_fraction : float
        Of the purchase, each year, and at the end. [1]
    growth_per_month : float or None
        Relative growth of the load. [1]
    months : int
        How far to look. [months]
    """

    pue: float = 1.0
    purchases: dict[str, float] = field(default_factory=dict, hash=False)
    years: float = 4.0
    usd_per_kwh: float = 0.0
    upkeep_fraction: float = 0.0
    resale_fraction: float = 0.0
    growth_per_month: float | None = None
    months: int = 24

    def __post_init__(self) -> None:
        if not 1 <= self.pue <= 10:
            raise ScenarioError("out of range", where="--pue", got=self.pue, allowed="1 to 10")

    def ownership(self, device: str) -> Ownership | None:
        """Return what buying a device takes.

        Parameters
        ----------
        device : str
            Its id.

        Returns
        -------
        Ownership or None
            None where no purchase price is given.
        """
        price = self.purchases.get(device)
        if price is None:
            return None
        return Ownership(
            device_usd=price,
            years=self.years,
            usd_per_kwh=self.usd_per_kwh,
            upkeep_fraction=self.upkeep_fraction,
            resale_fraction=self.resale_fraction,
        )


__all__ = ["Terms"]
