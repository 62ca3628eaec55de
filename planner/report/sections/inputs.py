"""Inputs: the question with every choice made, and the model it is about."""

from __future__ import annotations

from planner.report.blocks import Cell, Column, Figures, Section, Table
from planner.report.material import Material
from planner.units import format_quantity

_LABELS = {
    "model": ("Model", "-m"),
    "model_name": ("Model name", ""),
    "hf_id": ("Hugging Face id", ""),
    "device": ("Device or node", "-d"),
    "device_name": ("Device name", ""),
    "devices": ("Devices", "-n"),
    "calibration": ("Own times of the device", "--calibration"),
    "tp": ("Tensor-parallel ranks", "--tp"),
    "pp": ("Pipeline stages", "--pp"),
    "dp": ("Data-parallel ranks", "--dp"),
    "ep": ("Expert-parallel ranks", "--ep"),
    "cp": ("Context-parallel ranks", "--cp"),
    "dcp": ("Parts of the tokens within tensor-parallel ranks", "--dcp"),
    "attention_dp": ("Data-parallel ranks that share experts", "--attention-dp"),
    "offload_weights_fraction": (
        "Share of layers' weights off the device",
        "--offload-weights",
    ),
    "offload_cache_fraction": ("Share of the caches off the device", "--offload-cache"),
    "offload_to": ("Where they live", "--offload-to"),
    "offload_bandwidth_bytes_per_s": ("Bandwidth from there [bytes/s]", "--offload-bandwidth"),
    "offload_capacity_bytes": ("Room there on one host [bytes]", "--offload-capacity"),
    "weights": ("Format of weights", "--weights"),
    "activations": ("Format in which activations are multiplied", "--activations"),
    "stream": ("Format of the residual stream", ""),
    "kv_cache_dtype": ("Format of keys and values", "--kv-cache-dtype"),
    "context": ("Context [tokens]", "--context"),
    "sequences": ("Sequences in flight", "--sequences"),
    "isl": ("Prompt length [tokens]", "--isl"),
    "osl": ("Output length [tokens]", "--osl"),
    "max_num_batched_tokens": ("Most tokens in one step [tokens]", "--max-num-batched-tokens"),
    "mtp": ("Layers for multi-token prediction loaded", "--mtp"),
    "images": ("Images in each prompt", "--images"),
    "image_tokens": ("Tokens of one image [tokens]", "--image-tokens"),
    "engine": ("Engine", "--engine"),
    "max_model_len": ("Longest request [tokens]", "--max-model-len"),
    "max_num_seqs": ("Most sequences in one step", "--max-num-seqs"),
}
"""Key of the inputs → label with unit, flag."""


def inputs(material: Material) -> Section:
    """Return the resolved inputs.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        A row per input, then the size of the model.
    """
    rows = []
    for key, value in material.data["inputs"].items():
        label, flag = _LABELS.get(key, (key.replace("_", " "), ""))
        text = "not given" if value is None else format_quantity(value, "1")
        rows.append(
            (
                Cell(text=label, value=label),
                Cell(text=text, value=value),
                Cell(text=flag, value=flag),
            )
        )
    columns = tuple(Column(title=title) for title in ("input", "value", "flag"))
    model = (
        "model.parameters",
        "model.active_parameters",
        "model.layers",
        "model.usable_context_tokens",
    )
    return Section(
        title="Inputs",
        blocks=(
            Table(title="The question, with every choice made", columns=columns, rows=tuple(rows)),
            Figures(
                title="The model",
                figures=tuple(material.figure(path, none="no limit") for path in model),
            ),
        ),
    )
