"""The page "Catalog": devices and models, every figure with its source."""

from __future__ import annotations

import streamlit as st

from planner.hardware import Device, Node, device_ids, load_device, load_node, node_ids
from planner.hardware.quantity import quantity
from planner.importers import describe_catalog, load_model
from planner.model.execution import half
from planner.sources import Figure, Source
from planner.ui import explained, frame
from planner.ui.markdown import plain, table
from planner.units import format_bytes, format_si

_KINDS = ("Devices", "Models")
_JOINED = "\N{NO-BREAK SPACE}"


def page() -> None:
    """Draw the page."""
    frame.begin("Catalog", "Catalog – devices and models, with their sources")
    row = st.container(horizontal=True, vertical_alignment="bottom")
    kind = row.segmented_control(
        "Show", _KINDS, default=_KINDS[0], required=True, key="kind", bind="query-params"
    )
    words = frame.search(row, "q", "hbm3, 80 GB, qwen", "Lists what contains every word.")
    if kind == "Models":
        _models(words)
    else:
        _devices(words)


def _matching(rows: dict[str, list[str]], words: str) -> dict[str, list[str]]:
    wanted = words.lower().split()
    return {
        name: cells
        for name, cells in rows.items()
        if all(word in " ".join(cells).lower() for word in wanted)
    }


def _chosen(kind: str, rows: dict[str, list[str]], header: list[str], right: range) -> str | None:
    """Draw what matches; return the entry whose figures are to be shown."""
    if not rows:
        st.info("Nothing contains every word.", icon=":material/search_off:")
        return None
    st.caption(f"{len(rows)} {kind}")
    st.markdown(table(header, list(rows.values()), right=right))
    return st.selectbox(
        "Show every figure of", list(rows), index=None, key=f"show_{kind}", placeholder="choose one"
    )


def _devices(words: str) -> None:
    header = ["id", "name", "kind", "memory", "seen by programs", "bandwidth", "bf16 dense", "year"]
    found = _matching(_device_rows(), words)
    name = _chosen("devices and nodes", found, header, range(3, 8))
    if name is None:
        return
    entry = load_node(name) if name in node_ids() else load_device(name)
    st.header(plain(entry.name), anchor=False)
    if entry.note:
        st.markdown(plain(entry.note))
    st.markdown(_figure_table(entry))


@st.cache_data(show_spinner=False)
def _device_rows() -> dict[str, list[str]]:
    rows = {name: _device_row(name, load_device(name), 1) for name in device_ids()}
    for name in node_ids():
        node = load_node(name)
        rows[name] = _device_row(name, node.device, node.devices)
    return rows


def _device_row(name: str, device: Device, devices: int) -> list[str]:
    times = f"{devices} × " if devices > 1 else ""
    visible = device.visible_capacity_bytes
    rate = device.rates.get("bf16")
    return [
        name,
        times + plain(device.name),
        device.memory_kind,
        f"{times}{device.vendor_capacity_bytes / 1e9:,.0f} GB",
        "not known" if visible is None else times + format_bytes(visible),
        times + format_si(device.memory_bandwidth_bytes_per_s, "B/s"),
        "–" if rate is None else times + format_si(rate, "FLOP/s"),
        str(device.launch_year),
    ]


def _figure_table(entry: Device | Node) -> str:
    figures: dict[str, Figure] = dict(entry.figures)
    sources: dict[str, Source] = dict(entry.sources)
    if isinstance(entry, Node):
        figures |= dict(entry.device.figures)
        sources |= dict(entry.device.sources)
    rows = []
    for key, figure in figures.items():
        note = "" if figure.verified else " Not re-read in its source."
        rows.append(
            [
                f"`{key}`",
                plain(quantity(key).meaning),
                f"{figure.value:,} {figure.unit}".removesuffix(" 1").replace(" ", _JOINED),
                explained.citation(sources[figure.source]),
                plain((figure.note or "") + note),
            ]
        )
    return table(["figure", "meaning", "as printed", "source", "note"], rows, right=(2,))


def _models(words: str) -> None:
    header = ["id", "name", "parameters", "context", "Hugging Face id"]
    name = _chosen("models", _matching(_model_rows(), words), header, range(2, 4))
    if name is not None:
        _model(name)


@st.cache_data(show_spinner=False)
def _model_rows() -> dict[str, list[str]]:
    return {
        entry.id: [
            entry.id,
            plain(entry.name),
            f"{entry.parameters:,}",
            "no limit" if entry.usable_context is None else f"{entry.usable_context:,}",
            plain(entry.hf_id or ""),
        ]
        for entry in describe_catalog()
    }


def _model(name: str) -> None:
    model = load_model(name)
    st.header(plain(model.name), anchor=False)
    layers = ", ".join(f"{count} × {layer.name}" for layer, count in model.groups)
    st.markdown(
        f"{model.parameters:,} parameters, {model.active_parameters:,} of them active per token; "
        f"layers: {plain(layers)}; {format_bytes(model.cache_bytes_per_token(half()))} of cache "
        f"per token in bf16."
    )
    rows = [
        [
            plain(layer),
            plain(tensor.name),
            " × ".join(f"{length:,}" for length in tensor.shape),
            f"{count:,}",
            f"{tensor.elements * count:,}",
        ]
        for layer, tensor, count in model.tensors
    ]
    st.markdown(table(["layer", "tensor", "shape", "times", "parameters"], rows, right=(3, 4)))
    for source in model.sources.values():
        st.markdown(f"Source: {explained.citation(source)}")
