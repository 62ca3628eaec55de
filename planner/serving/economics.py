"""What a fleet costs: devices by the hour or bought, energy, tokens, and the next purchase.

No price is assumed: it comes from the person who asks, or from a spec file with its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

from planner.errors import ScenarioError

HOURS_PER_YEAR = 8766.0
MOST_MONTHS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a device-hour costs, and who says so.

    Parameters
    ----------
    usd_per_h : float
        Of one device. [USD/h]
    source : str
        Where the figure is from; ``"given"`` where the person who asks gave it.
    date : str or None
        When it was seen.
    """

    usd_per_h: float
    source: str = "given"
    date: str | None = None

    def __post_init__(self) -> None:
        _not_negative(self.usd_per_h, "price")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCost:
    """Cost of a million tokens.

    Parameters
    ----------
    usd_per_input_mtok, usd_per_output_mtok : float
        Of prompt and output tokens, each by the time the fleet spends on it. [USD/Mtok]
    usd_per_mtok : float
        Of output tokens where they bear everything. [USD/Mtok]
    """

    usd_per_input_mtok: float
    usd_per_output_mtok: float
    usd_per_mtok: float


def token_cost(
    *,
    usd_per_h: float,
    input_tokens_per_s: float,
    output_tokens_per_s: float,
    prefill_fraction: float,
) -> TokenCost:
    r"""Return what a million tokens cost.

    .. math::
        c_{in} = f \frac{C}{3600\, r_{in}} 10^6, \qquad
        c_{out} = (1 - f) \frac{C}{3600\, r_{out}} 10^6

    Parameters
    ----------
    usd_per_h : float
        Cost of the whole fleet. [USD/h]
    input_tokens_per_s, output_tokens_per_s : float
        What it serves. [tokens/s]
    prefill_fraction : float
        Share of the fleet's busy time that prompts take. [1]

    Returns
    -------
    TokenCost
        The parts add up to the cost of the fleet.

    Examples
    --------
    >>> cost = token_cost(
    ...     usd_per_h=20, input_tokens_per_s=40e3, output_tokens_per_s=20e3, prefill_fraction=0.5
    ... )
    >>> round(cost.usd_per_mtok, 3), round(cost.usd_per_output_mtok, 3)
    (0.278, 0.139)
    """
    _share(prefill_fraction, "prefill share")
    _not_negative(usd_per_h, "price")
    for rate in (input_tokens_per_s, output_tokens_per_s):
        if not rate > 0:
            raise ScenarioError("nothing is served", where="tokens per second", got=rate)
    per_second = usd_per_h / 3600 * 1e6
    return TokenCost(
        usd_per_input_mtok=prefill_fraction * per_second / input_tokens_per_s,
        usd_per_output_mtok=(1 - prefill_fraction) * per_second / output_tokens_per_s,
        usd_per_mtok=per_second / output_tokens_per_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Power and energy of a fleet.

    Parameters
    ----------
    power_w : float
        At the meter. [W]
    wh_per_mtok : float
        Of a million output tokens. [Wh/Mtok]
    kwh_per_year : float
        At this power all year. [kWh]
    """

    power_w: float
    wh_per_mtok: float
    kwh_per_year: float


def energy(
    *,
    device_power_w: float,
    devices: int,
    output_tokens_per_s: float,
    pue: float,
    utilisation: float = 1.0,
    idle_fraction: float = 1.0,
) -> Energy:
    """Return the power and energy of a fleet.

    Parameters
    ----------
    device_power_w : float
        Power of a busy device: its limit is an upper bound. [W]
    devices : int
        How many. [1]
    output_tokens_per_s : float
        What they serve. [tokens/s]
    pue : float
        Power usage effectiveness of the site, at least 1. [1]
    utilisation : float
        Share of time that devices are busy. [1]
    idle_fraction : float
        Power of an idle device over that of a busy one; 1 counts all time as busy. [1]

    Returns
    -------
    Energy
        Without hosts and switches.

    Examples
    --------
    >>> found = energy(device_power_w=700, devices=8, output_tokens_per_s=20e3, pue=1.2)
    >>> round(found.wh_per_mtok, 1), round(found.power_w)
    (93.3, 6720)
    """
    if not 1 <= pue <= 10:
        raise ScenarioError("out of range", where="--pue", got=pue, allowed="1 to 10")
    _share(utilisation, "utilisation")
    _share(idle_fraction, "idle power")
    duty = utilisation + (1 - utilisation) * idle_fraction
    power_w = device_power_w * devices * pue * duty
    return Energy(
        power_w=power_w,
        wh_per_mtok=power_w / output_tokens_per_s / 3600 * 1e6,
        kwh_per_year=power_w * HOURS_PER_YEAR / 1e3,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What buying takes.

    Parameters
    ----------
    device_usd : float
        Purchase of a device with its part of host, network and rack. [USD]
    years : float
        Over which it is written off. [years]
    usd_per_kwh : float
        Energy. [USD/kWh]
    upkeep_fraction : float
        Of the purchase, each year: staff, space, spares. [1]
    resale_fraction : float
        Of the purchase, at the end. [1]
    """

    device_usd: float
    years: float
    usd_per_kwh: float
    upkeep_fraction: float = 0.0
    resale_fraction: float = 0.0

    def __post_init__(self) -> None:
        _not_negative(self.device_usd, "purchase")
        _not_negative(self.usd_per_kwh, "energy price")
        _share(self.upkeep_fraction, "upkeep")
        _share(self.resale_fraction, "resale")
        if not 0 < self.years <= 50:
            raise ScenarioError("out of range", where="--years", got=self.years, allowed="up to 50")

    def usd_per_h(self, power_w: float) -> float:
        """Return what an owned device costs by the hour, used or not.

        Parameters
        ----------
        power_w : float
            Its power at the meter. [W]

        Returns
        -------
        float
            Straight-line. [USD/h]
        """
        written_off = self.device_usd * (1 - self.resale_fraction) / self.years
        yearly = written_off + self.device_usd * self.upkeep_fraction
        return yearly / HOURS_PER_YEAR + power_w / 1e3 * self.usd_per_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Owned against rented over the years that ownership lasts.

    Parameters
    ----------
    owned_usd, rented_usd : float
        Of the fleet over all years. [USD]
    break_even_years : float or None
        From when owning is cheaper; None where it never is. [years]
    """

    owned_usd: float
    rented_usd: float
    break_even_years: float | None


def owned_against_rented(
    *, ownership: Ownership, rent: Price, devices: int, device_power_w: float
) -> Comparison:
    """Compare buying a fleet with renting it, both kept all the time.

    Parameters
    ----------
    ownership : Ownership
        What buying takes.
    rent : Price
        Of a device-hour; energy is in it.
    devices : int
        How many. [1]
    device_power_w : float
        Power of one at the meter. [W]

    Returns
    -------
    Comparison
        Without interest. Resale counts at the end of the years, not at break-even.

    Examples
    --------
    >>> found = owned_against_rented(
    ...     ownership=Ownership(device_usd=30_000, years=4, usd_per_kwh=0.10),
    ...     rent=Price(usd_per_h=2.5),
    ...     devices=8,
    ...     device_power_w=1000,
    ... )
    >>> round(found.break_even_years, 2), found.owned_usd < found.rented_usd
    (1.43, True)
    """
    hours = ownership.years * HOURS_PER_YEAR
    rented = devices * rent.usd_per_h * hours
    owned = devices * ownership.usd_per_h(device_power_w) * hours
    running = device_power_w / 1e3 * ownership.usd_per_kwh * HOURS_PER_YEAR
    running += ownership.device_usd * ownership.upkeep_fraction
    saved = rent.usd_per_h * HOURS_PER_YEAR - running
    years = ownership.device_usd / saved if saved > 0 else None
    return Comparison(owned_usd=owned, rented_usd=rented, break_even_years=years)


def months_until(*, load: float, capacity: float, growth_per_month: float) -> int | None:
    r"""Return after how many whole months a growing load no longer fits.

    .. math::
        m = \left\lceil \frac{\ln(C / L)}{\ln(1 + g)} \right\rceil

    Parameters
    ----------
    load, capacity : float
        Requests per second now, and that the fleet bears. [1/s]
    growth_per_month : float
        Relative growth, such as 0.05. [1]

    Returns
    -------
    int or None
        0 where it does not fit now; None where it never stops fitting. [months]

    Examples
    --------
    >>> months_until(load=10, capacity=20, growth_per_month=0.1)
    8
    """
    if load > capacity:
        return 0
    if growth_per_month <= 0:
        return None
    return ceil(log(capacity / load) / log(1 + growth_per_month) + 1e-12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The fleet that a forecast month needs.

    Parameters
    ----------
    month : int
        From now. [months]
    rate_per_s : float
        Load. [1/s]
    replicas, devices : int
        Needed. [1]
    """

    month: int
    rate_per_s: float
    replicas: int
    devices: int


def forecast(
    *,
    rate_per_s: float,
    growth_per_month: float,
    months: int,
    replica_rate_per_s: float,
    replica_devices: int,
) -> tuple[Month, ...]:
    """Return the fleet by month under steady growth.

    Parameters
    ----------
    rate_per_s : float
        Peak load now. [1/s]
    growth_per_month : float
        Relative growth. [1]
    months : int
        How far to look. [months]
    replica_rate_per_s : float
        What a replica bears within objectives and headroom. [1/s]
    replica_devices : int
        Devices of a replica. [1]

    Returns
    -------
    tuple of Month
        From month 0 on.
    """
    if not 0 <= months <= MOST_MONTHS:
        raise ScenarioError("out of range", where="--months", got=months, allowed="0 to 600")
    if not -1 < growth_per_month <= 10:
        raise ScenarioError("out of range", where="--growth", got=growth_per_month)
    found = []
    for month in range(months + 1):
        rate = rate_per_s * (1 + growth_per_month) ** month
        replicas = max(1, ceil(rate / replica_rate_per_s - 1e-9))
        found.append(
            Month(
                month=month, rate_per_s=rate, replicas=replicas, devices=replicas * replica_devices
            )
        )
    return tuple(found)


def _not_negative(value: float, where: str) -> None:
    if not 0 <= value < 1e12:
        raise ScenarioError("not a price", where=where, got=value, allowed="0 or more")


def _share(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise ScenarioError("not a share", where=where, got=value, allowed="0 to 1")


__all__ = [
    "Comparison",
    "Energy",
    "Month",
    "Ownership",
    "Price",
    "TokenCost",
    "energy",
    "forecast",
    "months_until",
    "owned_against_rented",
    "token_cost",
]
