"""Commands about services: size, search, simulate, and sweep over a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from planner.errors import ScenarioError
from planner.exits import DOES_NOT_FIT, OBJECTIVE_NOT_MET, OK
from planner.output import as_json, write_text
from planner.service_options import COST, LOAD, MODEL, OBJECTIVES, RUN, WRITE
from planner.service_options import options as add_options
from planner.units import parse_count

Command = Callable[..., Any]
Options = Mapping[str, Any]


@contextmanager
def _runner(address: str | None) -> Iterator[Any]:
    from planner.serving.runner import RayRunner, runner_at

    runner = runner_at(address)
    try:
        yield runner
    finally:
        if isinstance(runner, RayRunner):
            runner.close()


def _counts(values: tuple[str, ...], where: str) -> tuple[int, ...]:
    return tuple(parse_count(part, where=where) for value in values for part in value.split(","))


def _names(values: tuple[str, ...]) -> tuple[str | None, ...]:
    return tuple(part for value in values for part in value.split(",")) or (None,)


def _workload(options: Options) -> Any:
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


def _objectives(options: Options, most_utilisation: float = 0.85) -> Any:
    from planner.serving.objectives import Objectives

    return Objectives(
        ttft_s=options["ttft_s"],
        tpot_s=options["tpot_s"],
        e2e_s=options["e2e_s"],
        percent=options["percentile"],
        most_utilisation=most_utilisation,
    )


def _prices(values: tuple[str, ...]) -> dict[str, Any]:
    from planner.serving.economics import Price

    found = {}
    for value in values:
        device, _, usd = value.partition("=")
        try:
            found[device] = Price(usd_per_h=float(usd))
        except ValueError as error:
            raise ScenarioError(
                "not a price", where="--price", got=value, allowed="DEVICE=USD, such as l4=0.5"
            ) from error
    return found


def _service(options: Options, workload: Any, runner: Any) -> Any:
    from planner.engines import EngineSettings
    from planner.hardware import load_hardware
    from planner.importers import load_model
    from planner.service import Service, ServiceQuestion
    from planner.serving.search import SettingsSpace

    space = SettingsSpace()
    slots = _counts(options["max_num_seqs"], "--max-num-seqs")
    tokens = _counts(options["max_num_batched_tokens"], "--max-num-batched-tokens")
    space = replace(
        space,
        max_num_seqs=slots or space.max_num_seqs,
        max_num_batched_tokens=tokens or space.max_num_batched_tokens,
    )
    names = [part for value in options["device"] for part in value.split(",")]
    question = ServiceQuestion(
        model=load_model(options["model"], weights_given=bool(options["weights"])),
        hardware=tuple(load_hardware(name) for name in names),
        workload=workload,
        objectives=_objectives(options, options.get("utilisation", 0.85)),
        weights=_names(options["weights"]),
        kv_cache_dtype=_names(options["kv_cache_dtype"]),
        tp=_counts(options["tp"], "--tp"),
        pp=_counts(options["pp"], "--pp") or (1,),
        ep=_counts(options["ep"], "--ep") or (None,),
        cp=_counts(options["cp"], "--cp") or (1,),
        attention_dp=_counts(options["attention_dp"], "--attention-dp") or (1,),
        engine=EngineSettings(engine=options["engine"]) if options["engine"] else None,
        confidence=options["confidence"],
        space=space,
        prices=_prices(options.get("price", ())),
    )
    return Service(question=question, runner=runner)


def _fleet(options: Options) -> tuple[dict[str, Any], bool]:
    """The answer of size and search, and whether the objectives are met."""
    from planner.fleet import Fleet
    from planner.serving.economics import forecast

    workload = _workload(options)
    requests = parse_count(options["requests"], where="--requests", most=10_000_000)
    with _runner(options["cluster"]) as runner:
        service = _service(options, _open(workload), runner)
        fleet = Fleet(service=service, requests=requests, seed=options["seed"])
        answer = fleet.to_dict(pue=options["pue"])
        if options["growth"] is not None:
            row = answer["fleet"]
            bears = service.rate_per_s / row["replicas"] / row["utilisation_fraction"]
            months = forecast(
                rate_per_s=service.rate_per_s,
                growth_per_month=options["growth"],
                months=options["months"],
                replica_rate_per_s=bears * options["utilisation"],
                replica_devices=row["devices"] // row["replicas"],
            )
            answer["growth"] = [
                {"month": m.month, "rate_per_s": m.rate_per_s, "devices": m.devices} for m in months
            ]
        return answer, fleet.met


def _open(workload: Any) -> Any:
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


def _say(data: dict[str, Any], form: str, output: str | None, text: Callable[[Any], str]) -> None:
    write_text(as_json(data) if form == "json" else text(data), output)


@click.command("size")
@add_options(MODEL, LOAD, OBJECTIVES, COST, RUN, WRITE)
def size_command(form: str, output: str | None, **options: Any) -> int:
    """Say how many of one device a load needs, in which layout, and what it costs."""
    from planner.service_tables import fleet_text

    names = [part for value in options["device"] for part in value.split(",")]
    if len(names) != 1:
        raise ScenarioError(
            "size is about one device", where="-d", got=names, fix="Use search to compare."
        )
    answer, met = _fleet(options)
    _say(answer, form, output, fleet_text)
    return OK if met else OBJECTIVE_NOT_MET


@click.command("search")
@add_options(MODEL, LOAD, OBJECTIVES, COST, RUN, WRITE)
def search_command(form: str, output: str | None, **options: Any) -> int:
    """Find the cheapest deployment over devices, layouts, formats and settings."""
    from planner.service_tables import fleet_text

    answer, met = _fleet(options)
    _say(answer, form, output, fleet_text)
    return OK if met else OBJECTIVE_NOT_MET


@click.command("simulate")
@add_options(MODEL, LOAD, OBJECTIVES, RUN, WRITE)
@click.option("--replicas", default="1", show_default=True, help="Replicas that share the load.")
@click.option(
    "--mode",
    type=click.Choice(["continuous", "static", "disaggregated"]),
    default="continuous",
    show_default=True,
    help="How requests are batched; disaggregated reads prompts on replicas of their own.",
)
@click.option("--prefill-replicas", default="1", show_default=True, help="Of disaggregated.")
def simulate_command(
    form: str,
    output: str | None,
    replicas: str,
    mode: str,
    prefill_replicas: str,
    **options: Any,
) -> int:
    """Simulate one deployment under a load, event by event."""
    from planner.service_simulation import simulation
    from planner.service_tables import simulation_text

    with _runner(options["cluster"]) as runner:
        service = _service(options, _workload(options), runner)
        answer, met = simulation(
            service,
            mode=mode,
            replicas=parse_count(replicas, where="--replicas"),
            prefill_replicas=parse_count(prefill_replicas, where="--prefill-replicas"),
            requests=parse_count(options["requests"], where="--requests", most=10_000_000),
            seed=options["seed"],
        )
    if answer["overloaded"]:
        click.echo(f"overload: {answer['overload']}", err=True)
    _say(answer, form, output, simulation_text)
    return OK if met else OBJECTIVE_NOT_MET


def sweep_command_of(
    scenario_options: Callable[[Command], Command], scenario: Callable[[Options], Any]
) -> click.Command:
    """Return the command that answers a plan's scenario over a grid.

    Parameters
    ----------
    scenario_options : callable
        Adds the options of a scenario.
    scenario : callable
        Makes the scenario of the options.

    Returns
    -------
    click.Command
        ``sweep``.
    """

    @click.command("sweep")
    @click.option("--contexts", required=True, help="Tokens in each cache, joined by commas.")
    @click.option("--many-sequences", required=True, help="Sequences, joined by commas.")
    @scenario_options
    @add_options(WRITE)
    def sweep_command(
        contexts: str, many_sequences: str, form: str, output: str | None, **options: Any
    ) -> int:
        """Answer one scenario over a grid of contexts and sequences."""
        from planner.service_tables import sweep_data, sweep_text
        from planner.sweep import sweep

        grid = sweep(
            scenario(options),
            context=_counts((contexts,), "--contexts"),
            sequences=_counts((many_sequences,), "--many-sequences"),
        )
        _say(sweep_data(grid), form, output, sweep_text)
        return OK if grid.fits.any() else DOES_NOT_FIT

    return sweep_command


COMMANDS = (size_command, search_command, simulate_command)

__all__ = ["COMMANDS", "sweep_command_of"]
