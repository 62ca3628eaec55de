"""What options of the command line say about a service: its load, objectives, prices and terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.errors import ScenarioError
from planner.units import parse_count

Options = Mapping[str, Any]


def counts(values: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Whole numbers given again or joined by commas."""
    return tuple(parse_count(part, where=where) for value in values for part in value.split(","))


def choices(values: tuple[str, ...]) -> tuple[str | None, ...]:
    """Values given again or joined by commas; None alone where none is given."""
    return tuple(part for value in values for part in value.split(",")) or (None,)


def workload_of(options: Options) -> Any:
    """The load of the options; exactly one of preset, trace and lengths says what is asked."""
    from planner.serving.presets import load_preset
    from planner.serving.traces import load_trace
    from planner.serving.workload import SharedPrefix, Workload

    lengths = options["isl"] is not None or options["osl"] is not None
    given = [options["workload"] is not None, options["trace"] is not None, lengths]
    if sum(given) != 1:
        raise ScenarioError(
            "say in one way what is asked",
            where="load",
            allowed="one of --workload, --trace, or --isl with --osl",
        )
    if options["trace"] is not None:
        load = load_trace(options["trace"])
        return load.at_rate(options["rate"]) if options["rate"] else load
    arrivals = _arrivals(options)
    if options["workload"] is not None:
        load = load_preset(options["workload"]).workload(arrivals)
    else:
        prompt, output = (_lengths(options, name) for name in ("isl", "osl"))
        load = Workload(prompt=prompt, output=output, arrivals=arrivals)
    if options["shared_prefix"] is not None:
        tokens = parse_count(options["shared_prefix"], where="--shared-prefix")
        load = replace(load, prefix=SharedPrefix(fraction=1.0, tokens=tokens))
    return load


def _lengths(options: Options, name: str) -> Any:
    from planner.serving.lengths import Exponential, Fixed, Lognormal

    if options[name] is None:
        raise ScenarioError("missing", where=f"--{name}", fix="Give --isl and --osl together.")
    mean = parse_count(options[name], where=f"--{name}")
    if options["lengths"] == "fixed":
        return Fixed(mean)
    if options["lengths"] == "exponential":
        return Exponential(mean, most=20 * mean)
    from math import exp

    sigma = options["sigma"]
    return Lognormal(max(mean / exp(sigma**2 / 2), 1.0), sigma, most=20 * mean)


def _arrivals(options: Options) -> Any:
    from planner.serving.arrivals import Bursty, ClosedLoop, Poisson

    rate, users = options["rate"], options["users"]
    if (rate is None) == (users is None):
        raise ScenarioError(
            "say in one way how much is asked", where="load", allowed="one of --rate and --users"
        )
    if users is not None:
        return ClosedLoop(parse_count(users, where="--users"), options["think_s"])
    if options["burstiness"] == 1.0:
        return Poisson(rate)
    return Bursty(rate, options["burstiness"])


def objectives_of(options: Options, most_utilisation: float = 0.85) -> Any:
    """What must hold."""
    from planner.serving.objectives import Objectives

    return Objectives(
        ttft_s=options["ttft_s"],
        tpot_s=options["tpot_s"],
        e2e_s=options["e2e_s"],
        percent=options["percentile"],
        most_utilisation=most_utilisation,
    )


def _dollars(values: tuple[str, ...], flag: str) -> dict[str, float]:
    found = {}
    for value in values:
        device, _, usd = value.partition("=")
        try:
            found[device] = float(usd)
        except ValueError as error:
            raise ScenarioError(
                "not a price", where=flag, got=value, allowed="DEVICE=USD, such as l4=0.5"
            ) from error
    return found


def prices_of(options: Options) -> Any:
    """Prices of a device-hour by id of the device."""
    from planner.serving.economics import Price

    given = _dollars(options.get("price", ()), "--price")
    return {device: Price(usd_per_h=usd) for device, usd in given.items()}


def terms_of(options: Options) -> Any:
    """Terms of costs and growth."""
    from planner.serving.terms import Terms

    return Terms(
        pue=options["pue"],
        purchases=_dollars(options["buy"], "--buy"),
        years=options["years"],
        usd_per_kwh=options["usd_per_kwh"],
        upkeep_fraction=options["upkeep"],
        resale_fraction=options["resale"],
        growth_per_month=options["growth"],
        months=options["months"],
    )


def steady(workload: Any) -> Any:
    """Users who think become a stream: at most one request of each in every thinking time."""
    from planner.serving.arrivals import ClosedLoop, Poisson

    arrivals = workload.arrivals
    if not isinstance(arrivals, ClosedLoop):
        return workload
    if arrivals.think_s <= 0:
        raise ScenarioError(
            "users who never think ask as fast as they are answered",
            where="--users",
            fix="Give --think-s or --rate, or use simulate.",
        )
    return replace(workload, arrivals=Poisson(arrivals.users / arrivals.think_s))


def service_of(options: Options, workload: Any, runner: Any) -> Any:
    """The service that the options of a command about services ask about."""
    from planner.engines import EngineSettings
    from planner.hardware import calibrated, load_hardware
    from planner.importers import load_model
    from planner.service import Service, ServiceQuestion
    from planner.serving.search import SettingsSpace

    space = SettingsSpace()
    slots = counts(options["max_num_seqs"], "--max-num-seqs")
    tokens = counts(options["max_num_batched_tokens"], "--max-num-batched-tokens")
    space = replace(
        space,
        max_num_seqs=slots or space.max_num_seqs,
        max_num_batched_tokens=tokens or space.max_num_batched_tokens,
    )
    names = [part for value in options["device"] for part in value.split(",")]
    hardware = tuple(load_hardware(name) for name in names)
    if options["calibration"] is not None:
        hardware = calibrated(hardware, options["calibration"])
    question = ServiceQuestion(
        model=load_model(options["model"], weights_given=bool(options["weights"])),
        hardware=hardware,
        workload=workload,
        objectives=objectives_of(options, options.get("utilisation", 0.85)),
        weights=choices(options["weights"]),
        kv_cache_dtype=choices(options["kv_cache_dtype"]),
        tp=counts(options["tp"], "--tp"),
        pp=counts(options["pp"], "--pp") or (1,),
        ep=counts(options["ep"], "--ep") or (None,),
        cp=counts(options["cp"], "--cp") or (1,),
        attention_dp=counts(options["attention_dp"], "--attention-dp") or (1,),
        engine=EngineSettings(engine=options["engine"]) if options["engine"] else None,
        confidence=options["confidence"],
        space=space,
        prices=prices_of(options),
    )
    return Service(question=question, runner=runner)


def planned_service(plan: Any, options: Options) -> Any:
    """The service that a plan's own model, devices, formats and layout are asked for."""
    from planner.service import Service, ServiceQuestion
    from planner.serving.search import SettingsSpace

    scenario, layout = plan.deployment.scenario, plan.deployment.layout
    space = SettingsSpace()
    if scenario.engine is not None and scenario.engine.max_num_seqs is not None:
        space = replace(space, max_num_seqs=(scenario.engine.max_num_seqs,))
    if scenario.max_num_batched_tokens is not None:
        space = replace(space, max_num_batched_tokens=(scenario.max_num_batched_tokens,))
    return Service(
        question=ServiceQuestion(
            model=scenario.model,
            hardware=(scenario.hardware,),
            workload=steady(workload_of(options)),
            objectives=objectives_of(options, options["utilisation"]),
            weights=(scenario.weights,),
            kv_cache_dtype=(scenario.kv_cache_dtype,),
            tp=(layout.tp,),
            pp=(layout.pp,),
            ep=(layout.ep if layout.ep > 1 else None,),
            cp=(layout.cp,),
            attention_dp=(layout.attention_dp,),
            engine=scenario.engine,
            confidence=options["confidence"],
            space=space,
            prices=prices_of(options),
        )
    )


__all__ = [
    "choices",
    "counts",
    "objectives_of",
    "planned_service",
    "prices_of",
    "service_of",
    "steady",
    "terms_of",
    "workload_of",
]
