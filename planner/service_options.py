"""The options of commands about services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]

MODEL = (
    (("-m", "--model"), {"required": True, "help": "Catalog id, Hugging Face id, or a file."}),
    (
        ("-d", "--device"),
        {
            "required": True,
            "multiple": True,
            "help": "Device or node id, or a YAML file; several are compared by search.",
        },
    ),
    (("--calibration",), {"help": "Your own times of one of the devices."}),
    (("--weights",), {"multiple": True, "help": "Format of the weights; may be given again."}),
    (("--kv-cache-dtype",), {"multiple": True, "help": "Format of the caches; likewise."}),
    (("--tp",), {"multiple": True, "help": "Tensor-parallel ranks of a replica; likewise."}),
    (("--pp",), {"multiple": True, "help": "Pipeline stages of a replica; likewise."}),
    (("--ep",), {"multiple": True, "help": "Expert-parallel ranks; likewise."}),
    (("--cp",), {"multiple": True, "help": "Context-parallel ranks; likewise."}),
    (
        ("--attention-dp",),
        {"multiple": True, "help": "Replicas that share experts; likewise."},
    ),
    (("--engine",), {"help": "Engine whose pool it is, such as vllm or vllm@0.33.0."}),
    (
        ("--confidence",),
        {
            "type": click.Choice(["floor", "p10", "p50", "p90"]),
            "default": "p90",
            "show_default": True,
            "help": "Which seconds of steps count.",
        },
    ),
    (("--max-num-seqs",), {"multiple": True, "help": "Most sequences in flight; likewise."}),
    (("--max-num-batched-tokens",), {"multiple": True, "help": "Most tokens in one step."}),
)
LOAD = (
    (("--workload",), {"help": "A preset: chat, rag, code, summarise, agents or batch."}),
    (("--trace",), {"help": "Recorded requests, .csv or .jsonl."}),
    (("--isl",), {"help": "Prompt length, the mean where lengths vary."}),
    (("--osl",), {"help": "Output length, likewise."}),
    (
        ("--lengths",),
        {
            "type": click.Choice(["fixed", "exponential", "lognormal"]),
            "default": "fixed",
            "show_default": True,
            "help": "How --isl and --osl vary.",
        },
    ),
    (
        ("--sigma",),
        {"type": float, "default": 0.8, "show_default": True, "help": "Of lognormal lengths."},
    ),
    (("--rate",), {"type": float, "help": "Requests per second at peak."}),
    (
        ("--burstiness",),
        {
            "type": float,
            "default": 1.0,
            "show_default": True,
            "help": "Squared coefficient of variation of the time between requests.",
        },
    ),
    (("--users",), {"help": "Users who wait for their answers."}),
    (("--think-s",), {"type": float, "default": 0.0, "help": "Between answer and next request."}),
    (("--shared-prefix",), {"help": "Tokens that all prompts begin with."}),
)
OBJECTIVES = (
    (("--ttft-s",), {"type": float, "help": "Most seconds to the first token."}),
    (("--tpot-s",), {"type": float, "help": "Most seconds per further token."}),
    (("--e2e-s",), {"type": float, "help": "Most seconds to the last token."}),
    (
        ("--percentile",),
        {"type": float, "default": 90.0, "show_default": True, "help": "Of requests, for times."},
    ),
)
RUN = (
    (("--requests",), {"default": "4000", "show_default": True, "help": "To simulate."}),
    (("--seed",), {"type": int, "default": 0, "show_default": True, "help": "Of the requests."}),
    (("--cluster",), {"help": "local, local:WORKERS or ray://HOST:PORT; this process without."}),
)
COST = (
    (("--utilisation",), {"type": float, "default": 0.85, "help": "Most load over capacity."}),
    (("--price",), {"multiple": True, "metavar": "DEVICE=USD", "help": "Of a device-hour."}),
    (("--pue",), {"type": float, "default": 1.0, "help": "Power usage effectiveness."}),
    (
        ("--buy",),
        {"multiple": True, "metavar": "DEVICE=USD", "help": "Purchase of a device, all told."},
    ),
    (("--years",), {"type": float, "default": 4.0, "help": "A purchase is written off over."}),
    (("--usd-per-kwh",), {"type": float, "default": 0.0, "help": "Energy of owned devices."}),
    (("--upkeep",), {"type": float, "default": 0.0, "help": "Of the purchase, each year."}),
    (("--resale",), {"type": float, "default": 0.0, "help": "Of the purchase, at the end."}),
    (("--growth",), {"type": float, "help": "Of the load each month, such as 0.05."}),
    (("--months",), {"type": int, "default": 24, "help": "To forecast with --growth."}),
)
REPORT = (
    (
        ("--report",),
        {
            "type": click.Path(dir_okay=False),
            "help": "Write a report, too: .pdf, .xlsx, .html, .md or .json.",
        },
    ),
)
OF_A_PLAN = frozenset({"--isl", "--osl"})
"""Options of a load that a plan has itself."""
CONFIDENCE = tuple(option for option in MODEL if option[0] == ("--confidence",))
PLANNED = (
    *(option for option in LOAD if option[0][0] not in OF_A_PLAN),
    *OBJECTIVES,
    *CONFIDENCE,
    *COST,
    *(option for option in RUN if option[0] != ("--cluster",)),
)
"""What a report of a plan asks about a service."""
WRITE = (
    (
        ("--format", "form"),
        {"type": click.Choice(["table", "json"]), "default": "table", "show_default": True},
    ),
    (("-o", "--output"), {"type": click.Path(dir_okay=False), "help": "Write to a file."}),
)


def options(*groups: tuple[Any, ...]) -> Callable[[Command], Command]:
    """Return a decorator that adds groups of options to a command.

    Parameters
    ----------
    *groups : tuple
        Names and settings of each option.

    Returns
    -------
    callable
        The decorator.
    """

    def add(command: Command) -> Command:
        for group in reversed(groups):
            for names, settings in reversed(group):
                command = click.option(*names, **settings)(command)
        return command

    return add


__all__ = ["COST", "LOAD", "MODEL", "OBJECTIVES", "RUN", "WRITE", "options"]
