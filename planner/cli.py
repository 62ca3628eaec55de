"""The command line: results to stdout, messages to stderr, exit codes as documented.

0 fine · 1 internal error · 2 bad input · 3 does not fit · 4 objective not met.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click

from planner.exits import BAD_INPUT, DOES_NOT_FIT, OBJECTIVE_NOT_MET, OK, run_group
from planner.output import as_json as _json
from planner.output import write_file as _write_file
from planner.output import write_text as _write
from planner.scenario_options import scenario_of as _scenario
from planner.scenario_options import scenario_options as _scenario_options
from planner.service_cli import COMMANDS, sweep_command_of
from planner.service_options import PLANNED
from planner.service_options import options as add_options
from planner.units import parse_count
from planner.version import __version__

Command = Callable[..., Any]


def _format_option(*formats: str) -> Callable[[Command], Command]:
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True
    )


_output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write the result to a file."
)


def _plan(options: Mapping[str, Any]) -> Any:
    from planner import plan

    return plan(_scenario(options))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="planner")
def cli() -> None:
    """Plan LLM inference: does it fit, how fast can it be, what would have to change."""


@cli.command("plan")
@_scenario_options
@_format_option("table", "json")
@_output_option
def plan_command(form: str, output: str | None, **options: str | None) -> int:
    """Answer one scenario: memory, floor times, limits, verdict."""
    answer = _plan(options)
    if form == "json":
        text = _json(answer.to_dict())
    else:
        from planner.tables import plan_text

        text = plan_text(answer)
    _write(text, output)
    return OK if answer.fits else DOES_NOT_FIT


@cli.command("explain")
@click.argument("figure", required=False)
@_scenario_options
@_format_option("table", "json")
@_output_option
def explain_command(
    figure: str | None, form: str, output: str | None, **options: str | None
) -> int:
    """Show how FIGURE came about, such as memory.per_device.cache_bytes; all without it."""
    from planner.explain import EXPLAIN
    from planner.tables import explanation_text

    answer = _plan(options)
    found = [answer.explain(path) for path in ([figure] if figure else EXPLAIN)]
    if form == "json":
        data = [explanation.to_dict() for explanation in found]
        _write(_json(data[0] if figure else data), output)
    else:
        _write("\n\n".join(explanation_text(explanation) for explanation in found), output)
    return OK


@cli.command("report")
@_scenario_options
@add_options(PLANNED)
@click.option("--share-link", help="A link to put into the report.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    help="The file; its suffix says which format: .pdf, .xlsx, .html, .md or .json.",
)
def report_command(output: str, share_link: str | None, **options: Any) -> int:
    """Write a report of one scenario; with --rate or --users, of the fleet for it, too."""
    from planner.report import format_of, write

    form = format_of(output)
    answer = _plan(options)
    fleet = _planned_fleet(answer, options)
    _write_file(output, write(answer, form, share_link=share_link, fleet=fleet))
    if not answer.fits:
        return DOES_NOT_FIT
    return OK if fleet is None or fleet.met else OBJECTIVE_NOT_MET


def _planned_fleet(answer: Any, options: Mapping[str, Any]) -> Any:
    if all(options[name] is None for name in ("rate", "users", "trace")):
        return None
    from planner.fleet import Fleet
    from planner.service_inputs import planned_service, terms_of

    return Fleet(
        service=planned_service(answer, options),
        requests=parse_count(options["requests"], where="--requests", most=10_000_000),
        seed=options["seed"],
        terms=terms_of(options),
    )


@cli.command("compare")
@click.option(
    "--variants",
    required=True,
    help="Mixers to put in, joined by commas: MHA, GQA, MQA, MLA, SWA, SSM, HYBRID; a size may "
    "follow a colon, such as GQA:4, MLA:512, SWA:1K, SSM:64, HYBRID:7.",
)
@click.option("--longest", help="Longest context; that of the model without it.")
@_scenario_options
@_format_option("table", "json")
@_output_option
def compare_command(
    variants: str, longest: str | None, form: str, output: str | None, **options: str | None
) -> int:
    """Exchange the mixer of one backbone: cache, FLOP, bytes and time against context."""
    from planner.comparison import compare_variants
    from planner.tables import comparison_text
    from planner.variants import parse_exchanges

    most = None if longest is None else parse_count(longest, where="--longest", least=2)
    found = compare_variants(_scenario(options), parse_exchanges(variants), longest=most)
    _write(_json(found.to_dict()) if form == "json" else comparison_text(found), output)
    return OK


@cli.command("attention")
@_scenario_options
@_format_option("table", "json")
@_output_option
def attention_command(form: str, output: str | None, **options: str | None) -> int:
    """Show what FlashAttention saves in prefill, by order of computation and device."""
    from planner.attention_io import layer_traffic
    from planner.tables import traffic_text

    found = layer_traffic(_plan(options))
    if form == "json":
        _write(_json([each.to_dict() for each in found]), output)
    else:
        _write(traffic_text(found), output)
    return OK


@cli.command("claims")
@click.argument("claim", required=False)
@click.option(
    "--set",
    "assumptions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change an assumption of CLAIM; may be given several times.",
)
@_format_option("table", "json")
@_output_option
def claims_command(
    claim: str | None, assumptions: tuple[str, ...], form: str, output: str | None
) -> int:
    """Recompute published claims: what is said, what follows, the verdict. All without CLAIM."""
    from planner.claims import answer
    from planner.tables import cards_text

    cards = [card.to_dict() for card in answer(claim, assumptions)]
    one = claim is not None and len(cards) == 1
    _write(_json(cards[0] if one else cards) if form == "json" else cards_text(cards), output)
    return OK


@cli.command("models")
@_format_option("table", "json")
@_output_option
def models_command(form: str, output: str | None) -> int:
    """List the models of the catalog."""
    from planner.importers import describe_catalog
    from planner.tables import align

    entries = describe_catalog()
    if form == "json":
        _write(_json([asdict(entry) for entry in entries]), output)
        return OK
    rows = [["id", "parameters", "context", "Hugging Face id"]]
    for entry in entries:
        context = "-" if entry.usable_context is None else f"{entry.usable_context:,}"
        rows.append([entry.id, f"{entry.parameters:,}", context, entry.hf_id or ""])
    _write(align(rows, right=[1, 2]), output)
    return OK


@cli.command("devices")
@_format_option("table", "json")
@_output_option
def devices_command(form: str, output: str | None) -> int:
    """List devices and nodes with the figures that plans rest on."""
    from planner.hardware import describe_catalog
    from planner.tables import align
    from planner.units import format_bytes, format_si

    entries = describe_catalog()
    if form == "json":
        _write(_json(entries), output)
        return OK
    rows = [["id", "name", "devices", "capacity", "bandwidth", "bf16 dense"]]
    for entry in entries:
        rate = entry["rates_flops_per_s"].get("bf16")
        rows.append(
            [
                entry["id"],
                entry["name"],
                str(entry["devices"]),
                format_bytes(entry["capacity_bytes"]),
                format_si(entry["memory_bandwidth_bytes_per_s"], "B/s"),
                format_si(rate, "FLOP/s") if rate else "-",
            ]
        )
    _write(align(rows, right=[2, 3, 4, 5]), output)
    return OK


@cli.command("predict")
@click.argument("table", type=click.Path(dir_okay=False))
@click.option("-d", "--device", help="Device of rows that name none.")
@click.option(
    "--calibration",
    help="Your own times of a device: what python -m validation calibrate wrote.",
)
@_output_option
def predict_command(
    table: str, device: str | None, calibration: str | None, output: str | None
) -> int:
    """Add predicted times with their bands to TABLE, a CSV file of operations."""
    from planner.operation_table import (
        predict_table,
        read_operation_table,
        reasons_of,
        table_text,
    )

    operations = read_operation_table(Path(table))
    times = predict_table(operations, device, calibration)
    lacking = 0
    for reason, rows, line in reasons_of(times):
        lacking += rows
        click.echo(f"{rows:,} rows not predicted, first in line {line}: {reason}", err=True)
    if lacking == operations.rows:
        return BAD_INPUT
    _write(table_text(operations, times).rstrip("\n"), output)
    return OK


@cli.command("lint")
def lint_command() -> int:
    """Check every specification: figures cited, sources used, counts exact."""
    from planner.hardware import lint_hardware
    from planner.importers import lint_models

    problems = [*lint_hardware(), *lint_models()]
    for problem in problems:
        click.echo(problem)
    click.echo(f"{len(problems)} problems", err=True)
    return BAD_INPUT if problems else OK


@cli.command("ui")
@click.option("--port", default="8501", show_default=True, help="Port on 127.0.0.1.")
@click.option("--address", default="127.0.0.1", show_default=True, help="Address to listen on.")
def ui_command(port: str, address: str) -> NoReturn:
    """Open the planner in a browser."""
    from planner.spec_folders import application

    number = parse_count(port, where="--port", most=65_535)
    command = [sys.executable, "-m", "streamlit", "run", str(application())]
    command += ["--server.address", address, "--server.port", str(number)]
    sys.stdout.flush()
    os.execv(sys.executable, command)


for _command in COMMANDS:
    cli.add_command(_command)
cli.add_command(sweep_command_of(_scenario_options, _scenario))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments; those of the process without them.
    """
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit code; one paragraph to stderr on bad input.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments; those of the process without them.

    Returns
    -------
    int
        The exit code. [1]
    """
    return run_group(cli, arguments, name="planner")
