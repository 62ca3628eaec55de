"""The question a person asks: which model, on what, for which load."""

from __future__ import annotations

from dataclasses import dataclass

from planner.engines import EngineSettings
from planner.hardware import Hardware
from planner.model import Model
from planner.model.offload import ON_DEVICE, Offload

DEFAULT_CONTEXT_TOKENS = 8192
DEFAULT_STEP_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A model, devices, formats, a layout and a load; what is None is resolved and said.

    Parameters
    ----------
    model : Model
        The model, see :func:`planner.load_model`.
    hardware : Hardware
        The devices, see :func:`planner.load_hardware`.
    tp, pp, dp : int, optional
        Tensor-parallel ranks, pipeline stages, and data-parallel ranks; chosen to fit without
        them. [1]
    ep, cp, dcp, attention_dp : int, optional
        Expert- and context-parallel ranks, parts of the cached tokens within the tensor-parallel
        ranks, and data-parallel ranks that share experts: see :class:`planner.model.Layout`. [1]
    weights : str, optional
        Storage format of the weights; the checkpoint's own without it.
    activations : str, optional
        Format of activations in matrix products; follows weights and device without it.
    kv_cache_dtype : str, optional
        Format of keys and values; the residual stream's without it.
    context : int, optional
        Tokens in each cache; ``isl + osl`` without it, else 8,192. [tokens]
    sequences : int
        Sequences in flight over all replicas. [1]
    isl, osl : int, optional
        Prompt and output lengths; the prompt fills the context without them. [tokens]
    offload : Offload
        What lives outside the devices.
    max_num_batched_tokens : int, optional
        Most tokens in one step, longer prompts being read in chunks; the engine's default without
        it, 8,192 without an engine. [tokens]
    engine : EngineSettings, optional
        The engine and its flags; caches are contiguous and nothing is set aside without one.
    mtp : bool
        Whether the layers for multi-token prediction are loaded, and run once per step.
    images : int
        Images in each prompt, which a tower reads first. [1]
    image_tokens : int, optional
        What each takes of the prompt, or gives to layers that attend to images. [tokens]
    """

    model: Model
    hardware: Hardware
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    ep: int | None = None
    cp: int | None = None
    dcp: int | None = None
    attention_dp: int | None = None
    weights: str | None = None
    activations: str | None = None
    kv_cache_dtype: str | None = None
    context: int | None = None
    sequences: int = 1
    isl: int | None = None
    osl: int | None = None
    offload: Offload = ON_DEVICE
    max_num_batched_tokens: int | None = None
    engine: EngineSettings | None = None
    mtp: bool = False
    images: int = 0
    image_tokens: int | None = None
