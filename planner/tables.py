"""A plan as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from planner.engines import steps
from planner.explanation import Explanation
from planner.plan import Plan
from planner.units import format_bytes, format_quantity, format_seconds, format_si

if TYPE_CHECKING:
    from planner.attention_io import LayerTraffic
    from planner.comparison import Comparison

_WIDTH = 100


def align(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return rows as aligned columns.

    Parameters
    ----------
    rows : sequence of sequence of str
        Cells; the first row may be a header.
    right : sequence of int
        Columns to align to the right.

    Returns
    -------
    str
        Lines without trailing blanks.

    Examples
    --------
    >>> print(align([["weights", "14.96 GiB"], ["cache", "8.00 GiB"]], right=[1]))
    weights  14.96 GiB
    cache     8.00 GiB
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _paragraph(text: str, bullet: str = "") -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet))


def plan_text(plan: Plan) -> str:
    """Return a plan for people: verdict, memory, times, limits, assumptions.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    str
        Several short tables.
    """
    blocks = [
        _paragraph(("FITS  " if plan.fits else "DOES NOT FIT  ") + plan.verdict),
        _memory(plan),
        *([_allocation(plan)] if plan.deployment.allocation else []),
        _times(plan),
        _limits(plan),
    ]
    if plan.suggestions:
        lines = [_paragraph(s.text, "  - ") for s in plan.suggestions]
        blocks.append("What would help\n" + "\n".join(lines))
    for title, notes in (
        ("Warnings", plan.deployment.warnings),
        ("Assumptions", plan.assumptions),
    ):
        if notes:
            blocks.append(title + "\n" + "\n".join(_paragraph(note, "  - ") for note in notes))
    return "\n\n".join(blocks)


def _memory(plan: Plan) -> str:
    data = plan.to_dict()["memory"]
    per_device, whole = data["per_device"], data["architectural"]
    rows = [["Memory", "fullest device", "whole model, one copy"]]
    for label, key in (("weights", "weights_bytes"), ("caches", "cache_bytes")):
        rows.append([f"  {label}", format_bytes(per_device[key]), format_bytes(whole[key])])
    rows += [
        [f"  {label}", format_bytes(per_device[f"{label}_bytes"]), ""]
        for label in ("activations", "runtime", "graphs", "reserve", "total", "capacity")
        if per_device[f"{label}_bytes"] or label == "total"
    ]
    away = data["offload"]
    if away["to"]:
        bandwidth = format_si(away["bandwidth_bytes_per_s"], "B/s")
        size = format_bytes(away["weights_bytes"] + away["cache_bytes"])
        rows.append([f"  in {away['to']} memory, over {bandwidth}", size, ""])
    return align(rows, right=[1, 2]) + _stages(data["stages"])


def _stages(stages: list[dict[str, int | bool]]) -> str:
    """Return what the stages of a pipeline hold, where there are several."""
    if len(stages) == 1:
        return ""
    rows = [["Stages", "layers", "devices", "weights", "caches", "total"]]
    for stage in stages:
        ends = "".join(f", {end}" for end in ("embedding", "head") if stage[end])
        sizes = (format_bytes(stage[f"{key}_bytes"]) for key in ("weights", "cache", "total"))
        name = f"  from layer {stage['first_layer']:,}{ends}"
        rows.append([name, f"{stage['layers']:,}", f"{stage['devices']:,}", *sizes])
    return "\n\n" + align(rows, right=[1, 2, 3, 4, 5])


def _allocation(plan: Plan) -> str:
    """From the label capacity to what is left, and what the engine prints."""
    allocation = plan.deployment.allocation
    if allocation is None:
        return ""
    pool = allocation.pool
    rows = [[f"{allocation.engine} {allocation.version}", "size", "left", "why"]]
    for step in steps(allocation, int(plan.memory.cache_bytes)):
        size, left = format_bytes(step.item.bytes), format_bytes(step.left_bytes)
        rows.append([f"  {step.item.name}", size, left, step.item.rule])
    many = "-" if pool.max_concurrency is None else f"{pool.max_concurrency:,.2f}"
    printed = (
        f"{pool.blocks:,} blocks of {pool.block_tokens:,} tokens; "
        f"{_count(pool.reported_cache_tokens)} tokens and {many} requests of "
        f"{pool.max_model_len:,} tokens, as the engine prints them; "
        f"longest request that fits {_count(pool.max_context_tokens)} tokens"
    )
    return align(rows, right=[1, 2]) + "\n" + _paragraph(printed, "  ")


def _times(plan: Plan) -> str:
    rows = [
        ["Times", "typical", "p10–p90", "floor", "FLOP", "read", "written", "bound", "tokens/s"]
    ]
    data = plan.to_dict()
    for name, phase in (("prefill", data["prefill"]), ("decode step", data["decode"])):
        band = [phase["time_p10_s"], phase["time_p90_s"]]
        known = phase["time_p10_s"] is not None
        rows.append(
            [
                f"  {name}",
                format_seconds(phase["time_s"]) if known else "not known",
                "–".join(format_seconds(edge) for edge in band) if known else "not known",
                format_seconds(phase["floor_s"]),
                format_si(phase["flop"], "FLOP"),
                format_bytes(phase["read_bytes"]),
                format_bytes(phase["write_bytes"]),
                phase["bound"],
                f"{phase['tokens_per_s']:,.0f}",
            ]
        )
    return align(rows, right=[1, 2, 3, 4, 5, 6, 8])


def _limits(plan: Plan) -> str:
    fleet = plan.fewest_devices
    context, sequences = plan.largest_context, plan.most_sequences
    rows = [
        ["Limits", "", ""],
        ["  largest context", _count(context.value), f"by {context.limited_by}"],
        ["  most sequences", _count(sequences.value), f"by {sequences.limited_by}"],
        [
            "  fewest devices",
            _count(fleet.devices if fleet else None),
            fleet.sizes if fleet else "none holds one sequence",
        ],
    ]
    return align(rows, right=[1])


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def explanation_text(explanation: Explanation) -> str:
    """Return an explanation for people.

    Parameters
    ----------
    explanation : Explanation
        How a figure came about.

    Returns
    -------
    str
        Meaning, formula, substituted numbers, value, terms.
    """
    lines = [
        explanation.figure,
        _paragraph(explanation.meaning, "  "),
        _paragraph(f"= {explanation.formula}", "  "),
        _paragraph(f"= {explanation.substituted}", "  "),
        f"  = {_value(explanation.value)}"
        + ("" if explanation.value is None else f" {explanation.unit}"),
    ]
    if explanation.terms:
        rows = [[f"    {t.label}", _value(t.value), t.detail] for t in explanation.terms]
        lines.append(align(rows, right=[1]))
    if explanation.sources:
        lines.append(f"  sources: {', '.join(explanation.sources)}")
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "none" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def traffic_text(layers: Sequence[LayerTraffic]) -> str:
    """Return what the order of computation saves in attention, for people.

    Parameters
    ----------
    layers : sequence of LayerTraffic
        One for each kind of layer.

    Returns
    -------
    str
        One block each: every order with its bytes and formula, then the saving.
    """
    from planner.attention_io import ORDERS, RATIOS

    blocks = []
    for each in layers:
        found = [each.traffic.explain(name) for name in (*ORDERS, *RATIOS)]
        rows = [[f"  {e.figure}", format_quantity(e.value, e.unit), e.formula] for e in found]
        lines = [
            f"{each.layer}: one of {each.layers:,} layers, one prompt",
            _paragraph(found[0].substituted, "  "),
            align(rows, right=[1]),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison of mixers for people.

    Parameters
    ----------
    comparison : Comparison
        The curves.

    Returns
    -------
    str
        One table per metric at a few contexts, and from where each mixer needs less.
    """
    from planner.comparison import MEANINGS, METRICS

    backbone = comparison.curves[0]
    load = comparison.deployment
    head = (
        f"{backbone.model.name} on {load.layout.tp} x {load.scenario.hardware.device.name}, "
        f"{load.replica_sequences:,} sequences, {load.execution.weights.name} weights, "
        f"{load.execution.cache.name} cache; times are floors"
    )
    blocks = [_paragraph(head)]
    last = len(comparison.contexts) - 1
    shown = sorted({round(last * i / 4) for i in range(5)})
    for metric in METRICS:
        meaning, unit = MEANINGS[metric]
        header = [meaning, *(f"{int(comparison.contexts[i]):,}" for i in shown), "needs less"]
        rows = [header]
        for curve in comparison.curves:
            values = [format_quantity(float(curve.values[metric][i]), unit) for i in shown]
            known = curve is not backbone
            rows.append(
                [
                    f"  {curve.label}",
                    *values,
                    _needs_less(comparison, curve.label, metric) if known else "",
                ]
            )
        blocks.append(align(rows, right=range(1, len(shown) + 1)))
    return "\n\n".join(blocks)


def _needs_less(comparison: Comparison, label: str, metric: Any) -> str:
    found = comparison.crossover(label, metric)
    if found.start is None:
        same = found.factor_at_longest == 1
        return found.outcome if same else f"never, {found.outcome} at the end"
    until = "" if found.end is None else f" to {found.end:,}"
    return f"from {found.start:,}{until}, {found.outcome} at the end"


def reckoned(value: float | int, unit: str) -> str:
    """Return a figure of a card; sizes in decimal units too, since claims are.

    Parameters
    ----------
    value : float or int
        The figure. [``unit``]
    unit : str
        Its unit.

    Returns
    -------
    str
        For people.

    Examples
    --------
    >>> reckoned(154618822656, "bytes")
    '144.00 GiB = 154.6 GB'
    """
    text = format_quantity(value, unit)
    return f"{text} = {format_si(value, 'B')}" if unit == "bytes" else text


def _card_rows(card: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for each in card["assumptions"]:
        unit = "" if each["unit"] in {"", "1"} else f" {each['unit']}"
        changed = each["value"] != each["default"]
        default = f"default {_value(each['default'])}{unit}" if changed else ""
        rows.append([f"    {each['name']}", f"{_value(each['value'])}{unit}", default])
    return rows


def cards_text(cards: Sequence[Mapping[str, Any]]) -> str:
    """Return claims for people: the verdict first, then what was claimed and what follows.

    Parameters
    ----------
    cards : sequence of Mapping
        Cards as plain data.

    Returns
    -------
    str
        One block each.
    """
    blocks = []
    for card in cards:
        ruling = f" ({card['ruling']})" if card["ruling"] != card["verdict"] else ""
        lines = [f"{card['id']}  {card['title']}: {card['verdict'].upper()}{ruling}"]
        claimed = (
            "claimed, without support: " if card["on_record"] == "unsupported" else "claimed: "
        )
        lines.append(_paragraph(f"{claimed}{card['claimed']}", "  "))
        lines.append(_paragraph(card["explanation"], "  "))
        figures = [
            [f"    {each['figure']}", reckoned(each["value"], each["unit"]), each["formula"]]
            for each in card["figures"]
        ]
        lines.append("  computed\n" + align(figures, right=[1]))
        lines.append("  assumptions (--set NAME=VALUE)\n" + align(_card_rows(card)))
        loose = [each["note"] for each in card["quoted"] if not each["verified"]]
        if loose:
            lines.append(_paragraph(f"quoted, not re-read in its source: {'; '.join(loose)}", "  "))
        if card["sources"]:
            lines.append(f"  sources: {', '.join(each['id'] for each in card['sources'])}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
