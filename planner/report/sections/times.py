"""Prefill and decode: work, times and what binds, in all and per operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner.arrays import Numeric
from planner.charts import roofline_chart
from planner.report.blocks import Block, Cell, Column, Figure, Figures, Paragraph, Section, Table
from planner.report.columns import amounts, chart_block, table, words
from planner.report.material import LABELS, Material


def prefill(material: Material) -> Section:
    """Return the pass over all prompts.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Totals and a row per operation.
    """
    step = material.plan.prefill.step
    what = (
        f"One pass over {_many(step.batch, 'prompt')} of {_many(step.new_tokens, 'token')} on one "
        "replica, on its fullest device."
    )
    return Section(title="Prefill", blocks=_phase(material, "prefill", what))


def decode(material: Material) -> Section:
    """Return one decode step at the full context.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Totals, a row per operation, and the roofline of both phases.
    """
    step = material.plan.decode.step
    what = (
        f"One new token for each of {_many(step.batch, 'sequence')} with "
        f"{_many(step.cached_tokens, 'token')} in the cache, on one replica, on its fullest device."
    )
    chart = chart_block(roofline_chart(material.plan))
    return Section(title="Decode", blocks=(*_phase(material, "decode", what), chart))


def _many(count: Numeric, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _phase(material: Material, name: str, what: str) -> tuple[Block, ...]:
    data = material.data[name]
    shown = [key for key, value in data.items() if key != "operations" and value is not None]
    note = (
        ""
        if data["time_p10_s"] is not None
        else " No calibration profile covers the device: times are floors, without a band."
    )
    return (
        Paragraph(text=f"{what}{note}"),
        Figures(figures=tuple(_total(material, f"{name}.{key}") for key in shown)),
        _operations(f"Operations of {name}, all occurrences", data["operations"]),
    )


def _total(material: Material, path: str) -> Figure:
    label = LABELS.get(path, "").partition(": ")[2]
    return material.figure(path, label=label[:1].upper() + label[1:])


def _operations(title: str, operations: Sequence[Mapping[str, Any]]) -> Table:
    def column(key: str) -> list[float]:
        values = [operation[key] for operation in operations]
        return [*values, sum(values)]

    times = column("time_s")
    shares = [100 * time / times[-1] for time in times]
    percent = Column(title="of time", unit="%", numeric=True)
    layers, counts = [], []
    for operation in operations:
        layers.append(operation["layer"])
        counts.append(operation["count"])
    messages = column("message_bytes")
    return table(
        title,
        words("layer", [*layers, "all"]),
        words("operation", [*(o["name"] for o in operations), ""]),
        words("precision", [*(o["precision"] for o in operations), ""]),
        _occurrences(counts),
        amounts("work", column("flop"), "FLOP"),
        amounts("read", column("read_bytes"), "bytes"),
        amounts("write", column("write_bytes"), "bytes"),
        *([amounts("message", messages, "bytes")] if messages[-1] else []),
        amounts("time", times, "s"),
        (percent, [Cell(text=f"{share:.1f}", value=share) for share in shares]),
        words("bound", [*(o["bound"] for o in operations), ""]),
        total=True,
    )


def _occurrences(counts: Sequence[int]) -> tuple[Column, list[Cell]]:
    cells = [Cell(text=f"{count:,}", value=count) for count in counts]
    return Column(title="count", numeric=True), [*cells, Cell(text="", value=None)]
