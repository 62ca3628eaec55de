"""Commands about services: size, search, simulate, and sweep over a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from planner.errors import ScenarioError
from planner.exits import DOES_NOT_FIT, OBJECTIVE_NOT_MET, OK
from planner.output import as_json, write_file, write_text
from planner.service_inputs import counts, service_of, steady, terms_of, workload_of
from planner.service_options import COST, LOAD, MODEL, OBJECTIVES, REPORT, RUN, WRITE
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


def _fleet(options: Options, report: str | None) -> tuple[dict[str, Any], bool]:
    """The answer of size and search, and whether the objectives are met."""
    from planner.fleet import Fleet

    terms = terms_of(options)
    requests = parse_count(options["requests"], where="--requests", most=10_000_000)
    with _runner(options["cluster"]) as runner:
        service = service_of(options, steady(workload_of(options)), runner)
        fleet = Fleet(service=service, requests=requests, seed=options["seed"], terms=terms)
        if report is not None:
            _report(fleet, report)
        return fleet.to_dict(), fleet.met


def _report(fleet: Any, path: str) -> None:
    from planner.report import format_of, write_fleet

    write_file(path, write_fleet(fleet, format_of(path)))


def _say(data: dict[str, Any], form: str, output: str | None, text: Callable[[Any], str]) -> None:
    write_text(as_json(data) if form == "json" else text(data), output)


@click.command("size")
@add_options(MODEL, LOAD, OBJECTIVES, COST, RUN, WRITE, REPORT)
def size_command(form: str, output: str | None, report: str | None, **options: Any) -> int:
    """Say how many of one device a load needs, in which layout, and what it costs."""
    from planner.service_tables import fleet_text

    names = [part for value in options["device"] for part in value.split(",")]
    if len(names) != 1:
        raise ScenarioError(
            "size is about one device", where="-d", got=names, fix="Use search to compare."
        )
    answer, met = _fleet(options, report)
    _say(answer, form, output, fleet_text)
    return OK if met else OBJECTIVE_NOT_MET


@click.command("search")
@add_options(MODEL, LOAD, OBJECTIVES, COST, RUN, WRITE, REPORT)
def search_command(form: str, output: str | None, report: str | None, **options: Any) -> int:
    """Find the cheapest deployment over devices, layouts, formats and settings."""
    from planner.service_tables import fleet_text

    answer, met = _fleet(options, report)
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
        service = service_of(options, workload_of(options), runner)
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
            context=counts((contexts,), "--contexts"),
            sequences=counts((many_sequences,), "--many-sequences"),
        )
        _say(sweep_data(grid), form, output, sweep_text)
        return OK if grid.fits.any() else DOES_NOT_FIT

    return sweep_command


COMMANDS = (size_command, search_command, simulate_command)

__all__ = ["COMMANDS", "sweep_command_of"]
