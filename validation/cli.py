"""The command line: results to stdout, messages to stderr.

0 fine · 1 internal error or interrupted · 2 bad input · 5 outside the tolerance.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

import click

from planner.errors import ScenarioError
from planner.exits import INTERNAL_ERROR, OK, OUTSIDE_TOLERANCE, run_group
from planner.version import __version__

DEFAULT_TOLERANCE = 0.3
"""Median relative error of predicted times that is still accepted."""

Command = Callable[..., Any]
_path = click.Path(dir_okay=False, path_type=Path)


def _kinds(text: str | None) -> tuple[str, ...]:
    return tuple(kind.strip() for kind in (text or "").split(",") if kind.strip())


def _kinds_option(command: Command) -> Command:
    return click.option("--kinds", help="Only these kinds, with commas between them.")(command)


def _message(text: str) -> None:
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="validation")
def cli() -> None:
    """Run real kernels, and hold the planner's bytes, FLOP and seconds against them."""


@cli.command("list")
@click.option("--device", default="cpu", show_default=True, help="Whose cases: cpu or cuda.")
@_kinds_option
@click.option("--cases", "each", is_flag=True, help="Every case, not a line per kind.")
def list_command(device: str, kinds: str | None, each: bool) -> int:
    """List what a run can try, the most telling first."""
    from planner.tables import align
    from validation.cases import COLLECTIVE_KINDS, cases_of

    wanted = _kinds(kinds)
    found = []
    for ranks in (1, 2):
        group = tuple(kind for kind in wanted if (kind in COLLECTIVE_KINDS) == (ranks > 1))
        if group or not wanted:
            found += cases_of(device, group, ranks=ranks)
    if each:
        click.echo("\n".join(case.id for case in found))
        return OK
    rows = [["kind", "cases", "kernels"]]
    for kind in dict.fromkeys(case.kind for case in found):
        cases = [case for case in found if case.kind == kind]
        names = ", ".join(dict.fromkeys(case.kernel for case in cases))
        rows.append([kind, str(len(cases)), names])
    click.echo(align(rows, right=[1]))
    return OK


@cli.command("run")
@click.option("--device", help="cuda, cuda:N or cpu; the first GPU without it, else the host.")
@_kinds_option
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.0, min_open=True, max=24 * 60),
    default=8.0,
    show_default=True,
    help="Time for cases.",
)
@click.option("-o", "--output", type=_path, default=Path("record.json"), show_default=True,
              help="The record; gone on with where it exists.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="First seed; a fresh one without it.")
@click.option("--spec", help="Device of the catalog to predict for, where its name does not tell.")
def run_command(
    device: str | None,
    kinds: str | None,
    minutes: float,
    output: Path,
    seed: int | None,
    spec: str | None,
) -> int:
    """Try the most telling cases for the minutes given, and keep every row at once."""
    from planner.hardware import load_device
    from validation.run import Budget, run, summary

    _check_kinds(device, _kinds(kinds))
    if spec is not None:
        load_device(spec)
    if not output.parent.is_dir():
        raise ScenarioError("no such folder", where="-o", got=str(output.parent))
    _check_torch()
    budget = Budget(minutes=minutes, kinds=_kinds(kinds))
    ranks = _ranks()
    if ranks > 1:
        from validation.ranks import run_together

        record = run_together(device, output, budget, seed=seed, spec=spec, say=_message)
    else:
        from validation.worker import Worker

        bench = Worker(device or _default_device(), spec=spec)
        try:
            record = run(bench, output, budget, seed=seed, say=_message)
        except KeyboardInterrupt:
            _message(f"interrupted; {output} is whole, the same command goes on with it")
            return INTERNAL_ERROR
        finally:
            bench.close()
    if record is not None:
        click.echo(summary(record))
        click.echo(f"wrote {output}", err=True)
    return OK


@cli.command("calibrate")
@click.argument("record", type=_path)
@click.option("-o", "--output", type=_path, default=Path("profile.yaml"), show_default=True,
              help="The profile.")  # fmt: skip
@click.option("--spec", help="Id or YAML file of the device, where the record names none.")
def calibrate_command(record: Path, output: Path, spec: str | None) -> int:
    """Fit a profile on half of the RECORD's times; report its error on the other half."""
    from planner.hardware import load_device
    from validation.calibrate import calibrate
    from validation.calibration_report import report
    from validation.profile import save_profile
    from validation.record import load_record

    content = load_record(record)
    profile = calibrate(content, record, spec)
    named = spec or content.environment.spec_id
    text = report(profile, load_device(named) if named else None)
    save_profile(profile, output)
    click.echo(text)
    _message(f"wrote {output}")
    if profile.times:
        _message(f"planner plan -d {profile.origin.spec_id} --calibration {output} hears it")
    return OK


@cli.command("compare")
@click.argument("source", type=_path)
@click.option("--profile", type=_path, help="A calibration profile; floors without it.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0.0),
    default=DEFAULT_TOLERANCE,
    show_default=True,
    help="Largest median relative error of the times; beyond it the exit code is 5.",
)
@click.option("-o", "--output", "outputs", type=_path, multiple=True,
              help="Write .csv, .json, .md or .svg; may be given several times.")  # fmt: skip
def compare_command(
    source: Path, profile: Path | None, tolerance: float, outputs: tuple[Path, ...]
) -> int:
    """Hold the SOURCE, a record or a table of runs, against the planner's predictions."""
    from planner.served_table import is_served_table

    if source.suffix.lower() == ".csv" and is_served_table(source):
        return _compare_served(source, tolerance, outputs)
    from validation.compare import compare, text
    from validation.profile import load_profile
    from validation.writers import WRITERS

    _check_outputs(outputs, WRITERS)
    comparison = compare(source, load_profile(profile) if profile else None)
    for output in outputs:
        _write(output, WRITERS[output.suffix](comparison))
    click.echo(text(comparison))
    if comparison.within(tolerance):
        return OK
    median = comparison.median_error
    said = "-" if median is None else f"{median:.1%}"
    _message(
        f"outside the tolerance: median error {said}, allowed {tolerance:.0%}; "
        f"{len(comparison.faults)} rows wrong or failed"
    )
    return OUTSIDE_TOLERANCE


def _check_outputs(outputs: tuple[Path, ...], writers: Collection[str]) -> None:
    for output in outputs:
        if output.suffix not in writers:
            allowed = ", ".join(writers)
            raise ScenarioError(
                "unknown kind of file", where="-o", got=output.name, allowed=allowed
            )


def _compare_served(source: Path, tolerance: float, outputs: tuple[Path, ...]) -> int:
    """A table of served loads: TTFT, TPOT and throughput of each run."""
    from validation.served_loads import SERVED_WRITERS, compare_served, served_text

    _check_outputs(outputs, SERVED_WRITERS)
    comparison = compare_served(source)
    for output in outputs:
        _write(output, SERVED_WRITERS[output.suffix](comparison))
    click.echo(served_text(comparison))
    if comparison.within(tolerance):
        return OK
    _message(
        f"outside the tolerance: median error {comparison.median_error:.1%}, "
        f"allowed {tolerance:.0%}"
    )
    return OUTSIDE_TOLERANCE


@cli.command("accuracy")
@click.argument("records", type=_path, nargs=-1)
@click.option("-o", "--output", type=_path, help="Write the page to a file.")
def accuracy_command(records: tuple[Path, ...], output: Path | None) -> int:
    """Write the page on accuracy from the RECORDS, the shipped ones without any."""
    from validation.accuracy import accuracy_page, shipped_records

    page = accuracy_page(records or shipped_records())
    if output is None:
        click.echo(page, nl=False)
    else:
        _write(output, page)
    return OK


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            f"cannot be written: {error.strerror}", where="-o", got=str(output)
        ) from error
    _message(f"wrote {output}")


def _ranks() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _check_kinds(device: str | None, kinds: tuple[str, ...]) -> None:
    """Wrong kinds are told before the device is started."""
    from validation.cases import cases_of

    if kinds:
        cases_of(device or "cpu", kinds, ranks=_ranks())


def _check_torch() -> None:
    """Without PyTorch nothing can be run; the other commands can do without."""
    if importlib.util.find_spec("torch") is None:
        raise ScenarioError(
            "PyTorch is not installed here",
            where="run",
            fix="Install the validation extra: pip install 'llm-capacity-planner[validation]'.",
        )


def _default_device() -> str:
    from validation.environment import default_device

    return default_device()


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        Arguments; those of the process without them.
    """
    sys.exit(execute(arguments))


def execute(arguments: list[str] | None = None) -> int:
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
    return run_group(cli, arguments, name="python -m validation")
