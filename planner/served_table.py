"""Tables of served loads as CSV: one run of a service per row, read into typed rows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from planner.errors import PlannerError, ScenarioError

Kind = Literal["static_batch", "closed_loop", "saturated", "disaggregated"]
KINDS: tuple[Kind, ...] = ("static_batch", "closed_loop", "saturated", "disaggregated")

ENGINES = {
    "trtllm": "tensorrt-llm",
    "tensorrt-llm": "tensorrt-llm",
    "tensorrt_llm": "tensorrt-llm",
    "trt-llm": "tensorrt-llm",
    "nim": "nim",
    "vllm": "vllm",
    "sglang": "sglang",
}
"""Names of engines as tables write them."""

PRECISIONS = {
    "float16": "fp16",
    "half": "fp16",
    "bfloat16": "bf16",
    "nvfp4": "fp4",
    "int8_wo": "int8",
    "w8a16": "int8",
    "int4_wo": "int4",
    "w4a16": "int4",
    "int4_awq": "awq",
    "w4a16_awq": "awq",
    "w4a16_gptq": "gptq",
}
"""Names of precisions as tables write them."""

NODE_DEVICES = 8
MOST_DEVICES = 4096
_TP = re.compile(r"(TP|DEP)(\d+)(?:PP(\d+))?", re.IGNORECASE)
_MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRun:
    """One run, as far as a row says.

    Parameters
    ----------
    kind : {"static_batch", "closed_loop", "saturated", "disaggregated"}
        All requests start together, a fixed number is in flight, all are queued at once, or a fixed
        number is in flight on workers that decode only.
    model, device, precision : str
        As written.
    engine, version : str
        By its usual name; empty where nothing is said.
    tp, pp, attention_dp, ep : int
        Parallel sizes of one replica. [1]
    replicas : int
        Copies that share the load. [1]
    concurrency : float
        Requests in flight over all devices; infinite where all are queued. [1]
    isl, osl : float
        Prompt and output lengths, nominal. [tokens]
    """

    kind: Kind
    model: str
    device: str
    precision: str
    engine: str = ""
    version: str = ""
    tp: int = 1
    pp: int = 1
    attention_dp: int = 1
    ep: int = 1
    replicas: int = 1
    concurrency: float = 1.0
    isl: float
    osl: float

    @property
    def place(self) -> tuple[str | int, ...]:
        """What decides the times of its steps; runs with the same place are predicted together."""
        return (self.model, self.device, self.precision, self.engine, self.tp, self.pp,
                self.attention_dp, self.ep)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRow:
    """A row of a table.

    Parameters
    ----------
    cells : mapping
        As written, by column.
    run : ServedRun or None
        None where the row cannot be understood.
    reason : str
        Why not.
    """

    cells: Mapping[str, str] = field(repr=False)
    run: ServedRun | None
    reason: str = ""

    def measured(self, column: str) -> float | None:
        """Return a measured figure.

        Parameters
        ----------
        column : str
            Such as ``"ttft_s"``.

        Returns
        -------
        float or None
            None where the cell is empty, no number or not positive.
        """
        try:
            value = float(self.cells.get(column) or "nan")
        except ValueError:
            return None
        return value if 0 < value < float("inf") else None


def is_served_table(path: Path) -> bool:
    """Return whether a CSV file is a table of served loads, by its header.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    bool
        Whether it names models, devices and lengths of prompt and output.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"model", "device", "isl", "osl"} <= set(header) or set(DISAGGREGATED) <= set(header)


DISAGGREGATED = ("model_path", "system", "isl_tokens", "osl_tokens", "decode_tp_size")
"""Columns by which a table of separate prefill and decode workers is known."""


def read_served_table(path: Path) -> tuple[ServedRow, ...]:
    """Read a table of served loads.

    Parameters
    ----------
    path : pathlib.Path
        A CSV file.

    Returns
    -------
    tuple of ServedRow
        Every row; one that cannot be understood has the reason.

    Raises
    ------
    ScenarioError
        The file cannot be read at all.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ScenarioError("too large for a table", where=path.name)
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.DictReader(io.StringIO(text, newline=""), restval="", restkey=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(f"cannot be read ({error})", where=path.name) from error
    return tuple(_row(number, _text(line), path.name) for number, line in enumerate(lines, 2))


def _text(line: Mapping[str, object]) -> dict[str, str]:
    return {name: value.strip() for name, value in line.items()
            if name and isinstance(value, str)}  # fmt: skip


def _row(line: int, cells: dict[str, str], name: str) -> ServedRow:
    known = _decode_side(cells) if "model_path" in cells else cells
    try:
        return ServedRow(cells=cells | _seconds(cells), run=run_of(known, f"{name}: line {line}"))
    except PlannerError as error:
        return ServedRow(cells=cells | _seconds(cells), run=None, reason=str(error))


def _seconds(cells: Mapping[str, str]) -> dict[str, str]:
    """Times that a table gives in milliseconds, in seconds."""
    found = {}
    for name in ("ttft", "tpot"):
        text = cells.get(f"{name}_ms", "")
        if text:
            try:
                found[f"{name}_s"] = repr(float(text) / 1e3)
            except ValueError:
                continue
    return found


def _decode_side(cells: Mapping[str, str]) -> dict[str, str]:
    """The decode workers alone, by the names of columns that other tables use."""
    return {
        "kind": "disaggregated",
        "model": cells["model_path"],
        "device": cells.get("system", "").replace("_", "-"),
        "engine": cells.get("backend", ""),
        "engine_version": cells.get("backend_version", ""),
        "precision": cells.get("precision", ""),
        "tp": cells.get("decode_tp_size", ""),
        "pp": cells.get("decode_pp_size", ""),
        "dp": cells.get("decode_attention_dp_size", ""),
        "moe_tp": cells.get("decode_moe_tp_size", ""),
        "moe_ep": cells.get("decode_moe_ep_size", ""),
        "replicas": cells.get("decode_num_workers", ""),
        "concurrency": cells.get("concurrency", ""),
        "isl": cells.get("isl_tokens", ""),
        "osl": cells.get("osl_tokens", ""),
    }


def run_of(cells: Mapping[str, str], where: str) -> ServedRun:
    """Return what a row says.

    Parameters
    ----------
    cells : mapping
        Text by column.
    where : str
        The row, for errors.

    Returns
    -------
    ServedRun
        Empty sizes are 1; a row without a layout has its tensor-parallel ranks from ``devices``.

    Raises
    ------
    ScenarioError
        A cell is missing or holds something else than it should.
    """
    kind = next((each for each in KINDS if each == cells.get("kind", "closed_loop")), None)
    if kind is None:
        raise ScenarioError(
            "unknown kind of load", where=where, got=cells["kind"], allowed=", ".join(KINDS)
        )
    engine, precision = (cells.get(name, "").lower() for name in ("engine", "precision"))
    tp, pp, dp, ep = _layout(cells, where)
    if "static batch" in cells.get("note", "").lower():
        kind = "static_batch"
    devices = int(_number(cells, "devices", where, default=0.0))
    given = int(_number(cells, "replicas", where, default=0.0))
    if kind == "disaggregated" and not given:
        raise ScenarioError(
            "the row does not say how many workers share the requests",
            where=f"{where}, column decode_num_workers",
        )
    return ServedRun(
        kind=kind,
        model=_required(cells, "model", where),
        device=_required(cells, "device", where).lower(),
        precision=PRECISIONS.get(precision, precision),
        engine=ENGINES.get(engine, engine),
        version=cells.get("engine_version", ""),
        tp=tp,
        pp=pp,
        attention_dp=dp,
        ep=ep,
        replicas=given or (max(devices // (tp * pp * dp), 1) if kind == "saturated" else 1),
        concurrency=_concurrency(cells, kind, where),
        isl=_number(cells, "isl", where),
        osl=_number(cells, "osl", where, default=1.0),
    )


def _required(cells: Mapping[str, str], name: str, where: str) -> str:
    text = cells.get(name, "")
    if not text:
        raise ScenarioError("an empty cell", where=f"{where}, column {name}")
    return text


def _number(cells: Mapping[str, str], name: str, where: str, default: float | None = None) -> float:
    text = cells.get(name, "")
    if not text and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise ScenarioError("not a number of at least 0", where=f"{where}, column {name}", got=text)
    return value


def _concurrency(cells: Mapping[str, str], kind: Kind, where: str) -> float:
    if kind == "saturated":
        return float("inf")
    names = ("concurrency", "batch_size", "batch")
    name = next((each for each in names if cells.get(each)), "concurrency")
    return max(_number(cells, name, where), 1.0)


def _layout(cells: Mapping[str, str], where: str) -> tuple[int, int, int, int]:
    """Tensor-parallel ranks, stages, data-parallel ranks of attention, expert-parallel ranks."""
    named = _TP.fullmatch(cells.get("tp", ""))
    if named:
        kind, ranks, stages = named.groups()
        size, pp = int(ranks), int(stages or 1)
        return (size, pp, 1, 1) if kind.upper() == "TP" else (1, pp, size, size)
    sizes = [
        max(int(_number(cells, name, where, default=0.0)), 1)
        for name in ("tp", "pp", "dp", "moe_tp", "moe_ep")
    ]
    tp, pp, dp, moe_tp, ep = sizes
    if not cells.get("tp"):
        tp = max(int(_number(cells, "devices", where, default=1.0)), 1)
    if max(tp * pp * dp, moe_tp * ep) > MOST_DEVICES:
        raise ScenarioError("too many devices", where=where, allowed=f"{MOST_DEVICES:,}")
    product = tp * dp > NODE_DEVICES and tp * dp == moe_tp * ep
    if product and moe_tp == ep:
        return (1, pp, ep, ep) if dp > tp else (ep, pp, 1, ep)
    if product and tp == dp:
        return 1, pp, dp, dp
    return tp, pp, dp, ep if (tp * dp) % ep == 0 else 1


__all__ = ["KINDS", "ServedRow", "ServedRun", "is_served_table", "read_served_table", "run_of"]
