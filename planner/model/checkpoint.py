"""How published weights are stored, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from planner.model.bounds import Flag, Name
from planner.model.storage import TensorRule
from planner.model.tensor import Role

MOST_RULES = 10_000
MOST_EXTRA_BYTES = 2**50


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How the published weights are stored.

    Parameters
    ----------
    dtype : str
        Format of everything that is not quantised.
    quantised : str, optional
        Format of the quantised matrices; None if there are none.
    roles : tuple of str
        Roles of the quantised tensors.
    rules : tuple of TensorRule
        Tensors that are stored otherwise; the first that names a tensor holds.
    label : str, optional
        Name of the scheme where it is not its format's, such as ``"q4_k_m"``.
    cache : str, optional
        Format of keys and values that the checkpoint brings scales for, which engines then use.
    extra_bytes : int
        What a measured file holds beside the model's tensors. [bytes]
    fused_qkv : bool
        Whether GGUF files hold queries, keys and values of a layer as one matrix.
    """

    dtype: str = "bf16"
    quantised: str | None = None
    roles: tuple[Role, ...] = ("linear", "expert")
    rules: Annotated[tuple[TensorRule, ...], Field(max_length=MOST_RULES)] = ()
    label: Name | None = None
    cache: Literal["fp8", "nvfp4"] | None = None
    extra_bytes: Annotated[int, Field(strict=True, ge=0, le=MOST_EXTRA_BYTES)] = 0
    fused_qkv: Flag = False


AS_PUBLISHED = Checkpoint()
"""Everything in bf16, as most published weights are."""
