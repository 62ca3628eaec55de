"""Answers about services as text for a terminal."""

from __future__ import annotations

from typing import Any

from planner.sweep import Sweep
from planner.tables import align
from planner.units import format_bytes, format_seconds


def fleet_text(answer: dict[str, Any]) -> str:
    """Write the answer of size and search.

    Parameters
    ----------
    answer : dict
        As :meth:`planner.fleet.Fleet.to_dict` gives it.

    Returns
    -------
    str
        Verdict, fleet, rivals, cost, what would change it.
    """
    parts = [answer["verdict"]["sentence"], "", *_fleet_rows(answer), ""]
    if answer["simulation"]:
        parts += [
            "Simulated, one replica at its part of the load:",
            _percentiles(answer["simulation"]),
        ]
    parts += ["", "Rivals, the best of each:", _rivals(answer["alternatives"])]
    parts += _money(answer["economics"])
    parts += ["", "What would change the answer:"]
    parts += [_shift(each) for each in answer["sensitivity"]]
    changes = answer["break_points"][1:]
    parts += [
        f"  from {each['rate_per_s']:.3g} requests/s: {each['deployable'] or 'nothing'}"
        for each in changes
    ]
    parts += _growth(answer["growth"])
    parts += ["", "To start one replica:"]
    for engine, command in answer["launch"].items():
        parts.append(f"  {command}")
        parts += [f"    ({clause})" for clause in answer["launch_left_out"].get(engine, ())]
    parts += ["", *(f"- {text}" for text in answer["assumptions"])]
    return "\n".join(parts)


def _fleet_rows(answer: dict[str, Any]) -> list[str]:
    fleet, load = answer["fleet"], answer["load"]
    made = f"{load['output_tokens_per_s']:,.0f} output tokens/s"
    prompt, output = load["mean_prompt_tokens"], load["mean_output_tokens"]
    tokens = fleet["max_num_batched_tokens"]
    flight = f"{fleet['concurrency']:.1f} sequences in flight per replica"
    rows = [
        ["load", f"{load['rate_per_s']:.4g} requests/s, {made}"],
        ["lengths", f"{prompt:,.0f} + {output:,.0f} tokens in the mean"],
        ["settings", f"--max-num-seqs {fleet['max_num_seqs']} --max-num-batched-tokens {tokens}"],
        ["utilisation", f"{fleet['utilisation_fraction']:.0%}, {flight}"],
    ]
    return align(rows, right=[]).splitlines()


def _percentiles(data: dict[str, Any]) -> str:
    rows = [["", "p50", "p90", "p99", "mean"]]
    names = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "end to end", "queue_s": "queue"}
    for key, name in names.items():
        if key in data:
            values = data[key]
            rows.append(
                [name, *(format_seconds(values[at] or 0.0) for at in ("p50", "p90", "p99", "mean"))]
            )
    return align(rows, right=[1, 2, 3, 4])


def _rivals(rows: list[dict[str, Any]]) -> str:
    table = [["deployment", "devices", "USD/h", "TTFT", "TPOT", "why it lost"]]
    for row in rows:
        price = row["usd_per_h"]
        table.append(
            [
                row["deployable"],
                f"{row['devices']:,}",
                "-" if price is None else f"{price:,.2f}",
                "-" if row["ttft_s"] is None else format_seconds(row["ttft_s"]),
                format_seconds(row["tpot_s"]),
                row["lost"] or "chosen",
            ]
        )
    return align(table, right=[1, 2, 3, 4])


def _money(found: dict[str, Any]) -> list[str]:
    lines = []
    if found.get("usd_per_h") is not None:
        lines.append(
            f"{found['usd_per_h']:,.2f} USD/h; per million tokens "
            f"{found['usd_per_input_mtok']:.3f} input, {found['usd_per_output_mtok']:.3f} output, "
            f"{found['usd_per_mtok']:.3f} where output bears all."
        )
    if "power_w" in found:
        lines.append(
            f"At most {found['power_w'] / 1e3:,.1f} kW at PUE {found['pue']:g}, "
            f"{found['wh_per_mtok']:,.1f} Wh per million output tokens."
        )
    if "owned" in found:
        lines += _owned(found["owned"])
    return ["", *lines] if lines else []


def _owned(found: dict[str, Any]) -> list[str]:
    hourly = f"{found['usd_per_h']:,.2f} USD/h over {found['years']:g} years"
    lines = [f"Owned: {found['purchase_usd']:,.0f} USD to buy, {hourly}."]
    if found["rented_usd"] is not None:
        after = found["break_even_years"]
        when = "never pays" if after is None else f"pays after {after:.2f} years"
        lines.append(
            f"Owned {found['owned_usd']:,.0f} USD against rented {found['rented_usd']:,.0f} USD; "
            f"owning {when}."
        )
    return lines


def _growth(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    month = found["next_purchase_month"]
    when = "never" if month is None else "now" if month == 0 else f"in month {month}"
    lines = ["", f"Growth of {found['per_month_fraction']:.3g} a month; next purchase: {when}."]
    months = found["months"]
    return lines + [
        f"  month {each['month']}: {each['rate_per_s']:.3g} requests/s, {each['devices']:,} devices"
        for each in months[:: max(1, len(months) // 12)]
    ]


def _shift(each: dict[str, Any]) -> str:
    kept = f"{each['utilisation']:.0%} utilised, {'holds' if each['holds'] else 'breaks'}"
    if each["relative"] is None:
        return f"  {each['input']}: this fleet {kept}; nothing meets the objectives"
    return f"  {each['input']}: this fleet {kept}; the best then costs {each['relative']:+.0%}"


def simulation_text(answer: dict[str, Any]) -> str:
    """Write the answer of simulate.

    Parameters
    ----------
    answer : dict
        As :func:`planner.service_simulation.simulation` gives it.

    Returns
    -------
    str
        Percentiles, rates, state.
    """
    occupancy = answer["cache_occupancy_fraction"]
    rows = [
        ["requests/s", f"{answer['requests_per_s']:.4g}"],
        ["output tokens/s", f"{answer['output_tokens_per_s']:,.0f}"],
        ["in flight", f"{answer['mean_running']:.1f}"],
        ["waiting", f"{answer['mean_queue']:.1f}"],
        ["cache taken", "-" if occupancy is None else f"{occupancy:.0%}"],
        ["busy", f"{answer['utilisation_fraction']:.0%}"],
        ["put back", f"{answer['preemptions']:,}"],
    ]
    parts = [
        answer["deployment"]["deployable"],
        "",
        _percentiles(answer),
        "",
        align(rows, right=[1]),
    ]
    if answer["overloaded"]:
        parts += ["", f"Overload: {answer['overload']}."]
    for each in answer["unmet"]:
        parts.append(
            f"{each['objective'].removesuffix('_s').upper()}: {each['nearest_s']:.4g} s, asked "
            f"{each['asked_s']:.4g} s."
        )
    return "\n".join(parts)


def sweep_data(grid: Sweep) -> dict[str, Any]:
    """Return a sweep as plain data.

    Parameters
    ----------
    grid : Sweep
        Rows are contexts, columns sequences.

    Returns
    -------
    dict
        One row for each pair.
    """
    return {
        "rows": [
            {
                "context": int(context),
                "sequences": int(many),
                "total_bytes": int(grid.total_bytes[i, j]),
                "fits": bool(grid.fits[i, j]),
                "decode_time_s": float(grid.decode_time_s[i, j]),
            }
            for i, context in enumerate(grid.context)
            for j, many in enumerate(grid.sequences)
        ]
    }


def sweep_text(data: dict[str, Any]) -> str:
    """Write a sweep.

    Parameters
    ----------
    data : dict
        As :func:`sweep_data` gives it.

    Returns
    -------
    str
        A table.
    """
    rows = [["context", "sequences", "memory", "fits", "decode step"]]
    for row in data["rows"]:
        rows.append(
            [
                f"{row['context']:,}",
                f"{row['sequences']:,}",
                format_bytes(row["total_bytes"]),
                "yes" if row["fits"] else "no",
                format_seconds(row["decode_time_s"]),
            ]
        )
    return align(rows, right=[0, 1, 2, 4])


__all__ = ["fleet_text", "simulation_text", "sweep_data", "sweep_text"]
