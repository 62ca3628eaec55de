"""The most that vLLM's profile run holds at once: a step at its limits, then the sampler."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engines.version import Version
from planner.engines.vllm.tower_run import tower_run
from planner.engines.vllm.versions import KEPT_WORKSPACE, ROW_SAMPLER, V1, V2_RUNNER
from planner.hardware import Device
from planner.model import Execution, Model, Step
from planner.model.operation import Operation
from planner.units import MIB

_FP32 = 4
_SAMPLED = 8
"""Bytes of a logit's probability and of the noise that a token is drawn with."""
_SAMPLED_AT_ONCE = 4
"""Bytes of a logit's probability, where noise is made on the way."""
_SORTED = 32
"""Bytes of a sorted logit: value and 64-bit index, twice over while they are sorted, and what
top-p makes of them."""
_LIBRARY_BYTES = 32 * MIB
"""Workspace of the matrix library."""
_TOKENS = 64
_GRAPH_STREAMS = 3
"""Residual stream, its norm, and what the next layer is handed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRun:
    """What is alive at the peak of the profile run.

    Parameters
    ----------
    forward_bytes : int
        The widest moment of the model's own step. [bytes]
    sampler_bytes : int
        Hidden states, logits and what the sampler makes of them. [bytes]
    tower_bytes : int
        The widest moment of a tower; 0 without one. [bytes]
    kept_bytes : int
        Workspaces and inputs that stay through all of them. [bytes]
    widest : str
        The operation of the widest moment.
    """

    forward_bytes: int
    sampler_bytes: int
    tower_bytes: int
    kept_bytes: int
    widest: str

    @property
    def peak_bytes(self) -> int:
        """The highest of the moments, and what stays. [bytes]."""
        return self.kept_bytes + max(self.forward_bytes, self.sampler_bytes, self.tower_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a profile run depends on beside the model.

    Parameters
    ----------
    execution : Execution
        Formats and layout.
    device : Device
        Gives its multiprocessors.
    version : Version
        Of vLLM.
    tokens, rows : int
        Tokens of the step, and sequences that are sampled. [tokens], [1]
    """

    execution: Execution
    device: Device
    version: Version
    tokens: int
    rows: int


def profile_run(model: Model, conditions: Conditions, *, stages: int = 1) -> ProfileRun:
    """Return what the profile run of a rank holds at its peak.

    Parameters
    ----------
    model : Model
        The model, or the pipeline stage of a rank.
    conditions : Conditions
        Formats, device, version, tokens and rows.
    stages : int
        Pipeline stages; more than one hand two streams on. [1]

    Returns
    -------
    ProfileRun
        Its moments and what stays through all of them.

    Raises
    ------
    LayoutError
        The ranks do not divide the model.

    References
    ----------
    vllm-profile-run

    Examples
    --------
    >>> from planner import load_device, load_model
    >>> from planner.model.execution import half
    >>> run = profile_run(
    ...     load_model("llama-3.1-8b"),
    ...     Conditions(
    ...         execution=half(),
    ...         device=load_device("h100-sxm"),
    ...         version=Version((0, 19, 0)),
    ...         tokens=8192,
    ...         rows=1024,
    ...     ),
    ... )
    >>> round(run.peak_bytes / 2**30, 2)
    1.88
    """
    stream = conditions.tokens * model.hidden * conditions.execution.stream_bytes
    handed = 2 * stream if stages > 1 else 0
    widest, name, experts = _forward(model, conditions)
    tower = tower_run(model, conditions.execution, conditions.tokens)
    kept_experts = experts if _keeps_workspace(model, conditions) else 0
    moment = _GRAPH_STREAMS * stream + int(widest) + experts - kept_experts
    return ProfileRun(
        forward_bytes=moment,
        sampler_bytes=_sampler_bytes(model, conditions) + stream,
        tower_bytes=tower.working_bytes,
        kept_bytes=_LIBRARY_BYTES + handed + kept_experts + tower.kept_bytes,
        widest=name,
    )


def _forward(model: Model, conditions: Conditions) -> tuple[float, str, int]:
    """Return the widest operation, its name, and the workspace of the experts."""
    step = Step.prefill(1, _TOKENS)
    widest, name, experts, attention = 0.0, "", 0, 0.0
    for part in model.distinct_parts:
        for operation in part.operations(step, conditions.execution):
            if operation.kind == "moe":
                experts = max(experts, _expert_bytes(operation, conditions))
                continue
            if operation.kind in ("attention_prefill", "mla_prefill"):
                attention = max(attention, operation.output_bytes / _TOKENS)
            live = operation.live_bytes / _TOKENS
            if live > widest:
                widest, name = live, operation.name
    if conditions.version < V1:
        attention = 0.0
    return (widest + attention) * conditions.tokens, name, experts


def _expert_bytes(operation: Operation, conditions: Conditions) -> int:
    """Return the two workspaces of fused experts: before and after the activation function."""
    shape = operation.shape
    hidden = int(shape["hidden"])
    inner = int(shape["intermediate"]) // max(int(shape["tp"]), 1)
    both = 2 * inner if shape["gated"] else inner
    wide = max(both, hidden) + max(inner, hidden)
    return conditions.tokens * int(shape["top_k"]) * wide * conditions.execution.stream_bytes


def _keeps_workspace(model: Model, conditions: Conditions) -> bool:
    """Whether the experts' workspaces outlive the step: not those of the mxfp4 kernels."""
    scheme = conditions.execution.weights
    return conditions.version >= KEPT_WORKSPACE and scheme.quantised.name != "mxfp4"


def _sampler_bytes(model: Model, conditions: Conditions) -> int:
    """Return logits in the stream's format and in fp32, and what sampling makes of them."""
    vocabulary, stored = model.head.vocabulary, conditions.execution.stream_bytes
    logit = stored + (_FP32 if stored < _FP32 else 0)
    rows = conditions.rows
    hidden = rows * model.hidden * stored
    if conditions.version < ROW_SAMPLER:
        return hidden + rows * vocabulary * (logit + _SORTED)
    drawn = _SAMPLED if conditions.version < V2_RUNNER else _SAMPLED_AT_ONCE
    buffers = min(conditions.device.multiprocessors or rows, rows)
    return hidden + rows * vocabulary * (logit + drawn) + buffers * vocabulary * _FP32
