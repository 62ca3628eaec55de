"""The section on messages: bus bandwidths that others published, against predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from planner.coded_columns import CodedColumn
from planner.operation_table import OperationTable, predict_table
from planner.spec_folders import read_spec, validate
from planner.units import format_bytes
from validation.compare import Table
from validation.writers import markdown_table

RECORD = Path(__file__).parent / "records" / "messages.yaml"
_GB = 1e9
_TEXT = """## Messages

Bus bandwidth that others measured, most of it with nccl-tests; none of these figures was fitted.
Where it is not said otherwise, ranks are of one node; nodes are joined as those of the catalog.
{rows} figures: median error of the time {median:.1%}, {inside:.0%} between p10 and p90. The tables
that the profile was fitted on replay graphs, nccl-tests launches from the host: small messages come
out fast. NCCL there ends at 512 MiB, and larger messages are taken to go in such pieces: the
largest come out slow. Sources: {sources}."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Source(_Part):
    title: str
    url: str


class Measured(_Part):
    """One published figure.

    Parameters
    ----------
    device, kind : str
        Device or node, and kind of message.
    ranks, nodes : int
        How many. [1]
    message_bytes : int
        Size of the message. [bytes]
    bus_gb_per_s : float
        Bus bandwidth, in 10⁹ bytes per second as printed.
    source : str
        Where it is printed.
    """

    device: str
    kind: str
    ranks: int
    nodes: int
    message_bytes: int
    bus_gb_per_s: float
    source: str

    @property
    def measured_s(self) -> float:
        """Time of the message. [s]."""
        share = {"all_reduce": 2.0, "send_recv": 0.0}.get(self.kind, 1.0)
        factor = share * (self.ranks - 1) / self.ranks or 1.0
        return factor * self.message_bytes / (self.bus_gb_per_s * _GB)


class MessageRecord(_Part):
    """Published figures with their sources."""

    sources: dict[str, _Source]
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Predicted:
    """Published figures with predictions: times and bands. [s]."""

    record: MessageRecord
    time_s: np.ndarray
    p10_s: np.ndarray
    p90_s: np.ndarray

    @property
    def measured_s(self) -> np.ndarray:
        """Published times. [s]."""
        return np.array([each.measured_s for each in self.record.measured])

    @property
    def errors(self) -> np.ndarray:
        """Predicted over measured, less one. [1]."""
        return np.asarray(self.time_s / self.measured_s - 1)

    @property
    def inside(self) -> np.ndarray:
        """Whether p10 and p90 hold the measured time."""
        return np.asarray((self.p10_s <= self.measured_s) & (self.measured_s <= self.p90_s))


def predicted_messages(path: Path = RECORD) -> Predicted:
    """Return the published figures with today's predictions.

    Parameters
    ----------
    path : pathlib.Path
        The record.

    Returns
    -------
    Predicted
        One row per figure.
    """
    record = validate(MessageRecord, read_spec(path), path.name)
    names = ("kind", "device", "ranks", "nodes", "message_bytes")
    cells = [tuple(str(getattr(each, name)) for each in record.measured) for name in names]
    rows = len(record.measured)
    nccl = [("bf16",) * rows, ("nccl:NCCL",) * rows]
    table = OperationTable(
        name=path.name,
        header=(*names, "dtype", "kernel"),
        columns=tuple(map(CodedColumn.of_cells, (*cells, *nccl))),
    )
    times = predict_table(table)
    return Predicted(record, times.time_s, times.p10_s, times.p90_s)


def message_section() -> str:
    """Return the section.

    Returns
    -------
    str
        Markdown.
    """
    found = predicted_messages()
    table: Table = [
        ["message", "size", "published GB/s", "predicted", "p90 – p10", "error of the time"]
    ]
    for row, each in enumerate(found.record.measured):
        bus = each.bus_gb_per_s * each.measured_s / np.array(
            [found.time_s[row], found.p90_s[row], found.p10_s[row]]
        )  # fmt: skip
        where = f" on {each.nodes} nodes" if each.nodes > 1 else ""
        table.append(
            [
                f"{each.kind}, {each.ranks} {each.device}{where}",
                format_bytes(each.message_bytes),
                f"{each.bus_gb_per_s:g}",
                f"{bus[0]:.3g}",
                f"{bus[1]:.3g} – {bus[2]:.3g}",
                f"{found.errors[row]:+.0%}",
            ]
        )
    sources = "; ".join(
        f"[{source.title}]({source.url})" for source in found.record.sources.values()
    )
    text = _TEXT.format(
        rows=len(table) - 1, median=float(np.median(np.abs(found.errors))),
        inside=float(found.inside.mean()), sources=sources,
    )  # fmt: skip
    return "\n\n".join([text, markdown_table(table)]) + "\n"
