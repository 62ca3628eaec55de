"""Every kind of part that a description may name, each loaded when a file first names it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, TypeAdapter, with_config
from pydantic_core import PydanticKnownError

from planner.model.part import Part
from planner.on_demand import OnDemand

PART_KINDS = OnDemand[type[Part]](
    {
        "attention": "planner.model.mixers.attention:Attention",
        "cross_attention": "planner.model.mixers.cross_attention:CrossAttention",
        "latent_attention": "planner.model.mixers.latent:LatentAttention",
        "compressed_attention": "planner.model.mixers.compressed:CompressedAttention",
        "selected_attention": "planner.model.mixers.selected:SelectedAttention",
        "factorised_attention": "planner.model.mixers.factorised:FactorisedAttention",
        "indexer": "planner.model.mixers.indexer:Indexer",
        "mamba1": "planner.model.mixers.state_space:Mamba1",
        "mamba2": "planner.model.mixers.state_space:Mamba2",
        "gated_delta_net": "planner.model.mixers.linear_delta:GatedDeltaNet",
        "kda": "planner.model.mixers.linear_kda:KimiDeltaAttention",
        "lightning": "planner.model.mixers.linear_attention:LightningAttention",
        "gla": "planner.model.mixers.linear_attention:GatedLinearAttention",
        "rg_lru": "planner.model.mixers.linear_griffin:RgLru",
        "rwkv4": "planner.model.mixers.linear_rwkv:Rwkv4TimeMix",
        "rwkv5": "planner.model.mixers.linear_rwkv_state:RwkvTimeMix",
        "rwkv6": "planner.model.mixers.linear_rwkv_state:RwkvTimeMix",
        "rwkv7": "planner.model.mixers.linear_rwkv_state:RwkvTimeMix",
        "rwkv_channel_mix": "planner.model.mixers.linear_rwkv:RwkvChannelMix",
        "mlstm": "planner.model.mixers.linear_xlstm:MatrixLstm",
        "slstm": "planner.model.mixers.linear_xlstm:ScalarLstm",
        "short_convolution": "planner.model.mixers.convolution:ShortConvolution",
        "hyena": "planner.model.mixers.convolution:Hyena",
        "modal_hyena": "planner.model.mixers.convolution_modal:ModalHyena",
        "vector_convolution": "planner.model.mixers.convolution_vector:VectorConvolution",
        "relative_positions": "planner.model.mixers.relative:RelativePositions",
        "longformer": "planner.model.mixers.sparse:LongformerAttention",
        "reformer": "planner.model.mixers.sparse_hashing:ReformerAttention",
        "top_k_attention": "planner.model.mixers.sparse_selection:TopKAttention",
        "shared_block": "planner.model.shared_block:SharedBlock",
        "monarch_dense": "planner.model.mixers.structured:MonarchDense",
        "output_gate": "planner.model.connection:OutputGate",
        "inner_norm": "planner.model.connection:InnerNorm",
        "learned_scale": "planner.model.connection:LearnedScale",
        "router_network": "planner.model.router:RouterNetwork",
        "attention_residual": "planner.model.connection:AttentionResidual",
        "dense": "planner.model.dense:Dense",
        "moe": "planner.model.feed_forward:MixtureOfExperts",
        "hyper_connection": "planner.model.hyper_connection:HyperConnection",
        "multi_token_projection": "planner.model.multi_token:MultiTokenProjection",
        "rms_norm": "planner.model.norm:Norm",
        "layer_norm": "planner.model.norm:Norm",
        "projection": "planner.model.projection:Projection",
        "table": "planner.model.projection:Table",
        "token_table": "planner.model.embedding:TokenTable",
        "altup": "planner.model.alternating:AltUp",
    }
)
"""Class of a part by the ``kind`` that files write."""


@functools.cache
def _checks(part: type[Part]) -> TypeAdapter[Part]:
    """What checks the figures of a part; no others may stand beside them."""
    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(part))


def _read(said: Any) -> Part:
    """Return the part that a file describes."""
    if not isinstance(said, Mapping):
        raise PydanticKnownError("model_attributes_type")
    if "kind" not in said:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    kind = str(said["kind"])
    if kind not in PART_KINDS:
        expected = ", ".join(map(repr, PART_KINDS))
        raise PydanticKnownError(
            "union_tag_invalid",
            {"discriminator": "'kind'", "tag": kind, "expected_tags": expected},
        )
    return _checks(PART_KINDS[kind]).validate_python(said)


AnyPart = Annotated[Any, PlainValidator(_read)]
"""A part of any kind, read from a file."""
