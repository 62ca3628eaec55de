"""Memory: where the bytes of the fullest device go, and what the model needs at the least."""

from __future__ import annotations

from collections.abc import Iterator

from planner.charts import memory_chart
from planner.report.blocks import Cell, Column, Figures, Paragraph, Section, Table
from planner.report.columns import chart_block, counts, scaled, table, words
from planner.report.material import LABELS, Material

_ARCHITECTURAL = (
    "weights_bytes",
    "cache_bytes",
    "cache_bytes_per_token",
    "state_bytes_per_sequence",
)


def memory(material: Material) -> Section:
    """Return the memory of the fullest device and of the whole model.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        Chart, table against the capacity, architectural figures, room for caches.
    """
    return Section(
        title="Memory",
        blocks=(
            Paragraph(
                text="The fullest device must hold its share of the weights and caches, the "
                "activations of one step, and what driver and collectives take."
            ),
            chart_block(memory_chart(material.plan)),
            _per_device(material),
            *_stages(material),
            *_offloaded(material),
            Figures(
                title="Architectural: the fewest bytes the whole model needs, one copy",
                figures=tuple(
                    material.figure(f"memory.architectural.{key}") for key in _ARCHITECTURAL
                ),
            ),
            _engine(material),
        ),
    )


def _per_device(material: Material) -> Table:
    data = material.data["memory"]["per_device"]
    headroom = material.data["verdict"]["headroom_bytes"]
    capacity = data["capacity_bytes"]
    names = [LABELS.get(f"memory.per_device.{key}", key) for key in data]
    values = list(data.values())
    names.append("Headroom" if headroom >= 0 else "Missing (negative headroom)")
    values.append(headroom)
    shares = [100 * value / capacity for value in values]
    percent = Column(title="of capacity", unit="%", numeric=True)
    return table(
        "Per device: the fullest device against its capacity",
        words("part", names),
        scaled("size", values, "bytes"),
        counts("exact size", values, "bytes"),
        (percent, [Cell(text=f"{share:.1f}", value=share) for share in shares]),
    )


def _stages(material: Material) -> Iterator[Table]:
    """Yield what the stages of a pipeline hold, where there are several."""
    stages = material.data["memory"]["stages"]
    if len(stages) == 1:
        return
    names = [
        f"from layer {stage['first_layer']:,}"
        + "".join(f", {end}" for end in ("embedding", "head") if stage[end])
        for stage in stages
    ]
    yield table(
        "Pipeline stages: one device of each kind",
        words("stage", names),
        counts("layers", [stage["layers"] for stage in stages], "1"),
        counts("devices", [stage["devices"] for stage in stages], "1"),
        *(
            scaled(name, [stage[f"{key}_bytes"] for stage in stages], "bytes")
            for name, key in (("weights", "weights"), ("caches", "cache"), ("total", "total"))
        ),
    )


def _offloaded(material: Material) -> Iterator[Figures]:
    """Yield what does not live on the device, where there is any."""
    away = material.data["memory"]["offload"]
    if away["to"]:
        keys = ("weights_bytes", "cache_bytes", "bandwidth_bytes_per_s")
        yield Figures(
            title=f"In {away['to']} memory, streamed in where a step needs it",
            figures=tuple(material.figure(f"memory.offload.{key}") for key in keys),
        )


def _engine(material: Material) -> Figures:
    engine = material.data["engine"]
    version = f" {engine['version']}" if engine["version"] else ""
    return Figures(
        title=f"Room for caches on the fullest device, engine: {engine['name']}{version}",
        figures=tuple(
            material.figure(f"engine.{key}", none="no limit")
            for key in engine
            if key not in {"name", "version", "items"}
        ),
    )
