"""From the operations of steps to rows that a calibration profile predicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.cost.lent_profiles import shape_of
from planner.cost.measured_cells import ROUTING
from planner.cost.roofline import OperationCost
from planner.cost.work import SHAPE_COLUMNS, TEXT_COLUMNS, Work
from planner.hardware import Device
from planner.model import Execution, Operation


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation of a step.

    Parameters
    ----------
    item : OperationCost
        With its floor.
    size : tuple of int
        Grid of the step; empty for a single step.
    """

    item: OperationCost
    size: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Points of the grid. [1]."""
        return math.prod(self.size)


def flat(entries: Sequence[Entry], values: Sequence[Any]) -> np.ndarray:
    """Return one value per entry at every point of its grid, one after another.

    Parameters
    ----------
    entries : sequence of Entry
        Operations.
    values : sequence
        A number, a text or an array per entry.

    Returns
    -------
    numpy.ndarray
        One row per point; text as objects.
    """
    gridded = any(entry.size for entry in entries)
    if isinstance(values[0], str):
        column = np.array(values, dtype=object)
        return np.repeat(column, [entry.rows for entry in entries]) if gridded else column
    if not gridded:
        return np.array(values, dtype=float)
    parts = (
        np.broadcast_to(np.asarray(value, dtype=float), entry.size).ravel()
        for entry, value in zip(entries, values, strict=True)
    )
    return np.concatenate(list(parts))


def unflat(entries: Sequence[Entry], values: np.ndarray) -> list[Any]:
    """Return what :func:`flat` laid in rows, entry by entry.

    Parameters
    ----------
    entries : sequence of Entry
        Operations.
    values : numpy.ndarray
        Some figures of each row, shape ``(figures, rows)``.

    Returns
    -------
    list
        Per entry its figures: numbers, or arrays of the shape of its grid.
    """
    if not any(entry.size for entry in entries):
        return list(values.T.tolist())
    ends = np.cumsum([entry.rows for entry in entries])
    parts = np.split(values, ends[:-1], axis=1)
    return [
        part.reshape(-1, *entry.size) if entry.size else part[:, 0].tolist()
        for entry, part in zip(entries, parts, strict=True)
    ]


def columns_of(
    kind: str,
    entries: Sequence[Entry],
    device: Device,
    execution: Execution,
    implementation: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Return the columns of operations of one kind, as a table of operations has them.

    Parameters
    ----------
    kind : str
        The kind whose profile speaks for them.
    entries : sequence of Entry
        The operations.
    device : Device
        Where they run.
    execution : Execution
        Formats they were made with.
    implementation : mapping
        ``backend``, ``version`` and ``kernel``, as far as they are known.

    Returns
    -------
    dict
        Column by name.
    """
    operations = [entry.item.operation for entry in entries]
    shapes = [shape_of(operation) for operation in operations]
    columns: dict[str, np.ndarray] = {}
    for name in (name for part in SHAPE_COLUMNS[kind] for name in part):
        values = [shape.get(name) for shape in shapes]
        if name in TEXT_COLUMNS:
            columns[name] = flat(entries, [str(value) for value in values])
        elif name in shapes[0]:
            columns[name] = flat(entries, [np.nan if v is None else v for v in values])
    labels = {
        "device": device.id,
        "kv_dtype": "fp8" if execution.cache.bits <= 8 else "bf16",
        **({"routing": ROUTING} if kind == "moe" else {}),
        **implementation,
    }
    for name, label in labels.items():
        columns[name] = flat(entries, [label] * len(entries))
    columns["dtype"] = flat(entries, [_label(each, execution) for each in operations])
    return columns


def _label(operation: Operation, execution: Execution) -> str:
    """The ``dtype`` under which tables list an operation."""
    if operation.kind not in ("gemm", "moe"):
        return "bf16"
    weights = execution.weights.quantised.name
    if operation.precision in ("fp4", "fp6"):
        return "nvfp4"
    if operation.precision == "int8":
        return "sq"
    if operation.precision == "fp8":
        mixed = operation.kind == "moe" and weights == "mxfp4"
        block = "fp8_block" if weights == "fp8_block" else "fp8"
        return "w4a8_mxfp4_mxfp8" if mixed else block
    bits = _weight_bits(operation, execution)
    if bits >= 12:
        return "bf16"
    if operation.kind == "moe" and weights == "mxfp4":
        return "w4a16_mxfp4"
    return "int8_wo" if bits > 6 else "int4_wo"


def _weight_bits(operation: Operation, execution: Execution) -> float:
    """Bits per element of a product's weights; those of the scheme for experts."""
    if operation.kind == "moe":
        return float(execution.weights.quantised.bits)
    elements = operation.shape["n"] * operation.shape["k"]
    return float(operation.weight_bytes * 8 / elements)


def work_of_entries(entries: Sequence[Entry]) -> Work:
    """Return FLOP, bytes and messages of operations, as their layers counted them.

    Parameters
    ----------
    entries : sequence of Entry
        The operations.

    Returns
    -------
    Work
        With the time of messages over the links they travel on.
    """
    operations = [entry.item.operation for entry in entries]
    rows = sum(entry.rows for entry in entries)
    return Work(
        flop=flat(entries, [each.flop for each in operations]),
        moved_bytes=flat(entries, [each.read_bytes + each.write_bytes for each in operations]),
        message_bytes=flat(entries, [each.message_bytes for each in operations]),
        precision=flat(entries, [each.precision for each in operations]),
        reason=np.full(rows, "", object),
        link_s=flat(entries, [entry.item.communication_s for entry in entries]),
    )
