"""How a command line ends: exit codes, and one paragraph on stderr for bad input."""

from __future__ import annotations

import os

import click

from planner.errors import PlannerError

OK, INTERNAL_ERROR, BAD_INPUT, DOES_NOT_FIT, OBJECTIVE_NOT_MET, OUTSIDE_TOLERANCE = range(6)


def run_group(group: click.Group, arguments: list[str] | None, *, name: str) -> int:
    """Run a group of commands and return the exit code.

    Parameters
    ----------
    group : click.Group
        The commands; each returns an exit code, or None for 0.
    arguments : list of str or None
        Arguments; those of the process without them.
    name : str
        What people type to run it.

    Returns
    -------
    int
        0 fine, 1 internal error, 2 bad input, else what the command returned. [1]
    """
    try:
        return int(group.main(arguments, prog_name=name, standalone_mode=False) or OK)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
    except click.ClickException as error:
        click.echo(f"{error.format_message().rstrip('.')}. See {name} --help.", err=True)
    except PlannerError as error:
        click.echo(str(error), err=True)
    except (click.Abort, BrokenPipeError, KeyboardInterrupt):
        return INTERNAL_ERROR
    except Exception as error:
        if os.environ.get("PLANNER_DEBUG"):
            raise
        click.echo(
            f"internal error: {type(error).__name__}: {error}. This is a defect of the planner; "
            "PLANNER_DEBUG=1 shows where.",
            err=True,
        )
        return INTERNAL_ERROR
    return BAD_INPUT
