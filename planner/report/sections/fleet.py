"""The fleet: verdict, load, alternatives, what would change it, and what starts it."""

from __future__ import annotations

from typing import Any

from planner.report.blocks import Block, Bullets, Code, Figure, Figures, Paragraph, Section, Table
from planner.report.columns import amounts, chart_block, counts, table, words
from planner.report.fleet_material import FleetMaterial
from planner.service_charts import front_chart, load_chart
from planner.units import format_seconds

_TIMES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "End to end", "queue_s": "Queue"}
_PERCENTS = ("p50", "p90", "p99", "mean")


def verdict(material: FleetMaterial) -> Section:
    """Return what to deploy.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        Sentence, key figures, simulated times, and times against load.
    """
    data = material.data
    figures = (
        material.figure("Devices", "fleet.devices"),
        material.figure("Replicas", "fleet.replicas", note=str(data["fleet"]["deployable"])),
        _share(material, "Utilisation", "fleet.utilisation_fraction"),
        material.figure("Sequences in flight per replica", "fleet.concurrency"),
    )
    met = data["verdict"]["met"]
    blocks: list[Block] = [
        Paragraph(text=data["verdict"]["sentence"], tone="good" if met else "bad"),
        Figures(figures=figures, key=True),
    ]
    if data["simulation"] is not None:
        blocks.append(_simulated(data["simulation"]))
    blocks += [
        chart_block(load_chart(material.points, "ttft_s")),
        chart_block(load_chart(material.points, "tpot_s")),
    ]
    return Section(title="Fleet", blocks=tuple(blocks))


def _share(material: FleetMaterial, label: str, path: str) -> Figure:
    figure = material.figure(label, path)
    return Figure(
        label=label,
        text=f"{float(figure.value or 0):.0%}",
        value=figure.value,
        unit="1",
        path=figure.path,
    )


def _simulated(found: dict[str, Any]) -> Table:
    kept = [name for name in _TIMES if name in found]
    return table(
        "Simulated, one replica at its part of the load",
        words("time", [_TIMES[name] for name in kept]),
        *(amounts(at, [found[name][at] or 0.0 for name in kept], "s") for at in _PERCENTS),
    )


def load(material: FleetMaterial) -> Section:
    """Return what is asked.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        Rates, lengths, objectives.
    """
    asked = material.data["objectives"]
    percent = f"at p{asked['percent']:g} of requests"
    bounds = tuple(
        material.figure(f"Most {_TIMES[name]}", f"objectives.{name}", "s", note=percent)
        for name in ("ttft_s", "tpot_s", "e2e_s")
        if asked[name] is not None
    )
    return Section(
        title="Load and objectives",
        sheet="Load",
        blocks=(
            Figures(
                figures=(
                    material.figure("Requests per second at peak", "load.rate_per_s"),
                    material.figure("Mean prompt", "load.mean_prompt_tokens", "tokens"),
                    material.figure("Mean output", "load.mean_output_tokens", "tokens"),
                    material.figure("Output", "load.output_tokens_per_s", "tokens/s"),
                    *bounds,
                    _share(material, "Most utilisation", "objectives.most_utilisation"),
                )
            ),
        ),
    )


def alternatives(material: FleetMaterial) -> Section:
    """Return the rivals and why they lost.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        The best of each deployment, speed against throughput, and what cannot be.
    """
    rows = material.data["alternatives"]
    columns = [
        words("deployment", [row["deployable"] for row in rows]),
        counts("devices", [row["devices"] for row in rows]),
    ]
    if all(row["usd_per_h"] is not None for row in rows):
        columns.append(amounts("price", [row["usd_per_h"] for row in rows], "USD/h"))
    columns += [
        words("mean TTFT", [_seconds(row["ttft_s"]) for row in rows]),
        words("mean TPOT", [_seconds(row["tpot_s"]) for row in rows]),
        words("why it lost", [row["lost"] or "chosen" for row in rows]),
    ]
    blocks: list[Block] = [
        table("The best of each deployment", *columns),
        chart_block(front_chart(material.fleet)),
    ]
    rejected = material.data["rejected"]
    if rejected:
        blocks.append(Bullets(title="Cannot be", items=tuple(each["why"] for each in rejected)))
    return Section(
        title="Alternatives and why they lost", sheet="Alternatives", blocks=tuple(blocks)
    )


def _seconds(value: float | None) -> str:
    return "grows without end" if value is None else format_seconds(value)


def changes(material: FleetMaterial) -> Section:
    """Return what would change the answer.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        Each input a fifth worse, and loads at which another deployment wins.
    """
    rows = material.data["sensitivity"]
    moved = table(
        "Each input a fifth worse, the most important first",
        words("change", [row["input"] for row in rows]),
        words("utilisation of this fleet", [f"{row['utilisation']:.0%}" for row in rows]),
        words("objectives", ["hold" if row["holds"] else "break" for row in rows]),
        words("cost of the best then", [_relative(row["relative"]) for row in rows]),
    )
    points = material.data["break_points"]
    wins = table(
        "Where another deployment wins",
        words("best", [each["deployable"] or "nothing meets the objectives" for each in points]),
        amounts("from", [each["rate_per_s"] for each in points], "requests/s"),
        counts("devices", [each["devices"] for each in points]),
    )
    return Section(title="What would change the answer", sheet="Sensitivity", blocks=(moved, wins))


def _relative(value: float | None) -> str:
    return "nothing meets the objectives" if value is None else f"{value:+.0%}"


def launch(material: FleetMaterial) -> Section:
    """Return what starts one replica.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        A command for each engine, the version its flags are of, and what it leaves out.
    """
    data = material.data
    blocks: list[Block] = []
    for engine, command in data["launch"].items():
        blocks.append(Code(title=f"{engine} {data['launch_verified'][engine]}", text=command))
        left = data["launch_left_out"].get(engine, ())
        if left:
            blocks.append(Paragraph(text=f"{engine}: {'; '.join(left)}.", tone="note"))
    return Section(title="Start one replica", sheet="Launch", blocks=tuple(blocks))


def rests_on(material: FleetMaterial) -> Section:
    """Return what the answer takes for granted.

    Parameters
    ----------
    material : FleetMaterial
        The fleet.

    Returns
    -------
    Section
        Sentences.
    """
    tried = material.data["candidates_tried"]
    return Section(
        title="What the fleet rests on",
        sheet="Fleet assumptions",
        blocks=(
            Bullets(items=tuple(material.data["assumptions"])),
            Paragraph(text=f"{tried:,} candidates were answered in closed form.", tone="note"),
        ),
    )
