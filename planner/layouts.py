"""The layouts that a question leaves open: what is given holds, all devices are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.arrays import ceil_div
from planner.errors import LayoutError
from planner.model import Layout
from planner.scenario import Scenario
from planner.units import parse_count

MOST_DEVICES = 65_536

SIZES = ("tp", "pp", "dp", "ep", "cp", "dcp", "attention_dp")


def flag_of(name: str) -> str:
    """Return the command-line flag of a parallel size.

    Parameters
    ----------
    name : str
        One of :data:`SIZES`.

    Returns
    -------
    str
        With its dashes.

    Examples
    --------
    >>> flag_of("attention_dp")
    '--attention-dp'
    """
    return f"--{name.replace('_', '-')}"


def given_sizes(scenario: Scenario) -> dict[str, int]:
    """Return the parallel sizes that a scenario names.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    dict
        Size by name, without those left open. [1]

    Raises
    ------
    ScenarioError
        A size is out of range.
    """
    return {
        name: parse_count(value, where=flag_of(name), most=MOST_DEVICES)
        for name in SIZES
        if (value := getattr(scenario, name)) is not None
    }


def devices_for(sizes: Mapping[str, int]) -> int:
    """Return how many devices given sizes ask for; what is left open counts as small as it can be.

    Parameters
    ----------
    sizes : dict
        Size by name. [1]

    Returns
    -------
    int
        Devices. [1]

    Examples
    --------
    >>> devices_for({"tp": 4, "pp": 2}), devices_for({"tp": 2, "ep": 16})
    (8, 16)
    """
    attention = sizes.get("tp", 1) * sizes.get("cp", 1)
    neighbours = sizes.get("attention_dp", int(ceil_div(sizes.get("ep", 1), attention)))
    return attention * sizes.get("pp", 1) * sizes.get("dp", neighbours)


def possible_layouts(scenario: Scenario) -> tuple[Layout, ...]:
    """Return the layouts that use all devices as a scenario says, fewest tensor-parallel first.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    tuple of Layout
        One where ``tp`` or ``dp`` is given or follows; else one per divisor of the devices.

    Raises
    ------
    LayoutError
        The given sizes do not use the devices, or the experts cannot be shared so.
    """
    sizes, devices = given_sizes(scenario), scenario.hardware.devices
    fixed = sizes.get("pp", 1) * sizes.get("cp", 1)
    left, over = divmod(devices, fixed)
    if "tp" in sizes:
        pairs = [(sizes["tp"], sizes.get("dp", left // sizes["tp"]))]
    elif "dp" in sizes:
        pairs = [(left // sizes["dp"], sizes["dp"])]
    else:
        pairs = [(tp, left // tp) for tp in _divisors(left)]
    if over or not left or any(tp * dp != left for tp, dp in pairs):
        raise LayoutError(
            "the layout does not use the devices",
            where="--tp × --pp × --cp × --dp",
            got=", ".join(f"{name} {size}" for name, size in sizes.items())
            + f" on {devices} devices",
            allowed=f"tp × pp × cp × dp = {devices}",
            fix="Change -n or one of the sizes.",
        )
    others = {name: size for name, size in sizes.items() if name not in ("tp", "dp")}
    layouts = [_sharing_experts(Layout(tp=tp, dp=dp, **others), sizes) for tp, dp in pairs]
    good = [layout for layout in layouts if _refusal(layout) is None]
    refusal = _refusal(layouts[0])
    if not good and refusal is not None:
        raise refusal
    return tuple(good)


def _sharing_experts(layout: Layout, sizes: dict[str, int]) -> Layout:
    """Join as many data-parallel ranks as the experts need, where nothing is said about it."""
    if "attention_dp" in sizes:
        return layout
    return replace(layout, attention_dp=max(1, layout.ep // (layout.tp * layout.cp)))


def _refusal(layout: Layout) -> LayoutError | None:
    """Return what is wrong with the groups of a layout, whatever the model."""
    if layout.dp % layout.attention_dp:
        return LayoutError(
            f"{layout.dp} data-parallel ranks cannot stand in groups of {layout.attention_dp} that "
            "share experts",
            where="--ep" if layout.ep > 1 else "--attention-dp",
            got=str(layout),
            allowed=f"--dp a multiple of {layout.attention_dp}",
            fix="Change --dp, --ep or --attention-dp.",
        )
    if layout.expert_ranks % layout.ep:
        return LayoutError(
            f"{layout.expert_ranks} ranks share the experts, which {layout.ep} does not divide",
            where="--ep",
            got=layout.ep,
            allowed=f"a divisor of tp × cp × attention dp = {layout.expert_ranks}",
            fix="Change --ep, --tp or --attention-dp.",
        )
    if layout.tp % layout.dcp:
        return LayoutError(
            f"{layout.tp} tensor-parallel ranks cannot cut tokens into {layout.dcp} parts",
            where="--dcp",
            got=layout.dcp,
            allowed=f"a divisor of --tp = {layout.tp}",
            fix="Lower --dcp or raise --tp.",
        )
    return None


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
