"""What engines printed at start-up, against what the planner says they allocate.

The rows carry figures that engines printed in public logs, with their addresses. Those of one
half, chosen by the hash of their ids, may be fitted on; the other half is for testing.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from planner import Scenario, load_hardware, load_model, plan
from planner.engines import EngineSettings
from planner.engines.version import Version
from planner.engines.vllm.outside import OUTSIDE, has_experts
from planner.errors import PlannerError
from planner.model import Model
from planner.units import GIB, MIB

RECORD = Path(__file__).parent / "records" / "engines" / "printed_memory.json"
_SETTINGS = (
    "max_model_len", "gpu_memory_utilization", "block_size", "max_num_seqs",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One start of an engine.

    Parameters
    ----------
    id : str
        Its name.
    url : str or None
        Where the log is, where it has an address.
    engine : str
        Which engine.
    version : str or None
        Its version, where the log tells.
    model : str
        The unquantised model's id.
    device : str or None
        Id of the device, where it is known.
    tp, pp : int or None
        Tensor-parallel ranks and pipeline stages. [1]
    weights : str or None
        Format of the weights, where it is not the model's own.
    flags, printed : mapping
        Flags as given, and figures as printed.
    """

    id: str
    url: str | None
    engine: str
    version: str | None
    model: str
    device: str | None
    tp: int | None
    pp: int | None
    weights: str | None
    flags: Mapping[str, Any] = field(hash=False)
    printed: Mapping[str, float] = field(hash=False)

    @property
    def fitted(self) -> bool:
        """Whether constants may be fitted on it."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0

    @property
    def is_complete(self) -> bool:
        """Whether engine, version, device and ranks are known."""
        return None not in (self.version, self.device, self.tp)

    def scenario(self) -> Scenario:
        """Return the question that the planner is asked.

        Returns
        -------
        Scenario
            With the row's flags.

        Raises
        ------
        PlannerError
            Something of it is unknown to the planner.
        """
        tp, pp = self.tp or 1, self.pp or 1
        given = {name: self.flags[name] for name in _SETTINGS if name in self.flags}
        return Scenario(
            model=load_model(self.model),
            hardware=load_hardware(self.device or "", tp * pp),
            weights=self.weights,
            kv_cache_dtype=self.flags.get("kv_cache_dtype"),
            tp=tp,
            pp=pp,
            max_num_batched_tokens=self.flags.get("max_num_batched_tokens"),
            engine=EngineSettings(engine=f"{self.engine}@{self.version}", **given),
        )


def load_rows(path: Path = RECORD) -> tuple[Row, ...]:
    """Return the rows of the record.

    Parameters
    ----------
    path : pathlib.Path
        The record.

    Returns
    -------
    tuple of Row
        In order.
    """
    found = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return tuple(
        Row(
            id=row["id"],
            url=row.get("url"),
            engine=row["engine"],
            version=row.get("version"),
            model=row["model"],
            device=row.get("device"),
            tp=row.get("tp"),
            pp=row.get("pp"),
            weights=row.get("weights"),
            flags=row.get("flags", {}),
            printed=row.get("printed", {}),
        )
        for row in found
    )


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A row and what the planner says of it.

    Parameters
    ----------
    row : Row
        The row.
    weights_gib, activations_gib, outside_gib, graphs_gib, pool_gib : float
        As predicted. [GiB]
    """

    row: Row
    weights_gib: float
    activations_gib: float
    outside_gib: float
    graphs_gib: float
    pool_gib: float

    @cached_property
    def weights_error(self) -> float | None:
        """Of the weights, against themselves. [1]."""
        printed = self.row.printed.get("weights_gib_per_gpu")
        return None if not printed else self.weights_gib / printed - 1

    @cached_property
    def pool_error(self) -> float | None:
        """Of the room for caches, against the device's memory; positive is optimistic. [1]."""
        printed = self.row.printed.get("available_kv_gib")
        total = self.row.printed.get("total_gpu_memory_gib")
        return None if printed is None or not total else (self.pool_gib - printed) / total


def compare(rows: Iterable[Row]) -> tuple[tuple[Compared, ...], dict[str, str]]:
    """Return what the planner says of rows, and why it says nothing of others.

    Parameters
    ----------
    rows : iterable of Row
        Starts of vLLM.

    Returns
    -------
    tuple
        Rows with predictions, and reasons by id for those without.
    """
    found, without = [], {}
    for row in rows:
        if not row.is_complete:
            without[row.id] = "the log does not tell version, device or ranks"
            continue
        try:
            memory = plan(row.scenario()).to_dict()
        except PlannerError as error:
            without[row.id] = str(error).split(";")[0]
            continue
        rank, engine = memory["memory"]["per_device"], memory["engine"]
        items = {item["name"]: item["bytes"] for item in engine["items"]}
        found.append(
            Compared(
                row=row,
                weights_gib=rank["weights_bytes"] / GIB,
                activations_gib=rank["activations_bytes"] / GIB,
                outside_gib=rank["runtime_bytes"] / GIB,
                graphs_gib=-items.get("CUDA graphs", 0) / GIB,
                pool_gib=engine["cache_pool_bytes"] / GIB,
            )
        )
    return tuple(found), without


def _samples(rows: Iterable[Row], figure: str) -> Iterator[tuple[Row, float]]:
    for row in rows:
        if row.fitted and row.is_complete and row.engine == "vllm" and figure in row.printed:
            yield row, row.printed[figure]


def fit_outside(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Return the medians that memory outside PyTorch is taken from.

    Parameters
    ----------
    rows : iterable of Row
        Those of the half to fit on are used.

    Returns
    -------
    dict
        By the first version, and by ``"alone"``, ``"several"`` and ``"staged"``. [GiB]
    """
    found: dict[str, dict[str, list[float]]] = {}
    for row, printed in _samples(rows, "non_torch_gib"):
        version = Version.parse(row.version or "")
        since = next(each.since for each in reversed(OUTSIDE) if version >= each.since)
        kind = "several" if (row.tp or 1) > 1 else "staged" if (row.pp or 1) > 1 else "alone"
        found.setdefault(str(since), {}).setdefault(kind, []).append(printed)
    return {
        since: {kind: statistics.median(values) for kind, values in kinds.items()}
        for since, kinds in found.items()
    }


def fit_graphs(rows: Iterable[Row], figure: str) -> tuple[float, float, float]:
    """Return base, each layer and each layer of experts of CUDA graphs by least squares.

    Parameters
    ----------
    rows : iterable of Row
        Those of the half to fit on are used.
    figure : str
        ``"cuda_graph_gib"`` or ``"cuda_graph_estimate_gib"``.

    Returns
    -------
    tuple of float
        Three coefficients. [MiB]
    """
    features, values = [], []
    for row, printed in _samples(rows, figure):
        if (row.version or "") < "0.19" or printed <= 0:
            continue
        try:
            model = load_model(row.model)
        except PlannerError:
            continue
        stages = row.pp or 1
        features.append([1.0, len(model.layers) / stages, _mixed(model) / stages])
        values.append(printed * GIB / MIB)
    found, *_ = np.linalg.lstsq(np.array(features), np.array(values), rcond=None)
    return float(found[0]), float(found[1]), float(found[2])


def _mixed(model: Model) -> int:
    return sum(has_experts(layer) for layer in model.layers)
