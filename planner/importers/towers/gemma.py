"""The towers of Gemma 3n and 4: vision transformer, conformer, and what stands in for them.

Defaults of ``Gemma4VisionConfig`` and ``Gemma4AudioConfig`` that are taken are noted with each
reader. In quantised checkpoints of Gemma 4 the towers carry bounds for clipping, which are not
parameters.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_COLOURS = 3
_POSITIONS = 10_240
_MELS = 128
_CHANNELS = (128, 32)
_CONTEXT_TOKENS = 12
_KERNEL = 5
_PATCH = 16
_POOLING = 3


@tower("gemma4_vision")
def read_vision(config: Config) -> Stack:
    """Read the vision tower of Gemma 4.

    Parameters
    ----------
    config : Config
        The tower's section; without it three colours and 10,240 positions along each axis.

    Returns
    -------
    Stack
        Norms around each part, of queries, keys and values; 3 × 3 patches are pooled.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    heads = read_tower_heads(config, hidden, "num_attention_heads")
    norm = Norm(kind="rms_norm", width=hidden)
    bias = config.flag("attention_bias", False)
    size = config.size("patch_size", most=1024)
    config.ignore("default_output_length", "global_head_dim", "max_position_embeddings")
    config.ignore("layer_types", "rope_parameters", "standardize")
    pooled = config.size("pooling_kernel_size", default=_POOLING, most=64) ** 2
    config.ignore("use_clipped_linears", "use_bidirectional_attention", "vocab_offset")
    config.ignore("vocab_size", "image_seq_length", "video_seq_length")
    attention = Attention(
        hidden=hidden,
        query_heads=heads,
        kv_heads=config.size("num_key_value_heads", default=heads, most=heads),
        head_dim=config.size("head_dim", default=hidden // heads),
        causal=False,
        qkv_bias=bias,
        output_bias=bias,
        qk_norm="head",
    )
    feed_forward = Dense(hidden=hidden, intermediate=config.size("intermediate_size"))
    rows = config.size("position_embedding_size", default=_POSITIONS)
    first = (
        Projection(name="patch_embedder", inputs=_COLOURS * size * size, outputs=hidden),
        Table(name="position_embedding_table", shape=(2, rows, hidden)),
    )
    block = (norm, attention, norm, norm, feed_forward, norm)
    layers = config.size("num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("patches", first), *[Layer("block", block)] * layers),
        width=hidden,
        pooled=pooled,
    )


@tower("gemma4_audio", "gemma3n_audio")
def read_audio(config: Config) -> Stack:
    """Read the audio tower of Gemma 3n or Gemma 4.

    Parameters
    ----------
    config : Config
        The tower's section; without it 128 mel bands, 128 and 32 channels, kernels of 5 frames.

    Returns
    -------
    Stack
        A conformer: two half feed-forward parts around attention to the last frames and a
        convolution.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size", "conf_hidden_size")
    heads = read_tower_heads(config, hidden, "num_attention_heads", "conf_num_attention_heads")
    layers = config.size("num_hidden_layers", "conf_num_hidden_layers", most=MOST_LAYERS)
    out = config.optional_size("output_proj_dims")
    kernel = config.size("conv_kernel_size", "conf_conv_kernel_size", default=_KERNEL)
    _ignore_audio(config)
    norm = Norm(kind="rms_norm", width=hidden)
    block = (
        *_half(hidden, norm),
        norm,
        *_audio_attention(config, hidden, heads),
        norm,
        *_light_convolution(hidden, kernel, norm),
        *_half(hidden, norm),
        norm,
    )
    return Stack(
        layers=(
            Layer("subsampling", _subsampling(config, hidden)),
            *[Layer("conformer", block)] * layers,
            *([Layer("output", (_output(hidden, out),))] if out else []),
        ),
        width=out or hidden,
    )


def _output(hidden: int, out: int) -> Projection:
    return Projection(name="output_proj", inputs=hidden, outputs=out, bias=True)


def _ignore_audio(config: Config) -> None:
    """Count what changes neither the matrices nor their products as understood."""
    for stem in ("attention_context_left", "attention_context_right", "attention_logit_cap"):
        config.ignore(stem, f"conf_{stem}")
    config.ignore("attention_invalid_logits_value", "conf_attention_invalid_logits_value")
    config.ignore("residual_weight", "conf_residual_weight", "conf_positional_bias_size")
    config.ignore("conf_reduction_factor")
    config.ignore("gradient_clipping", "use_clipped_linears", "embedding_norm_eps")
    config.ignore("sscp_conv_eps", "sscp_conv_group_norm_eps", "sscp_conv_norm_type")
    config.ignore("sscp_conv_padding_type", "sscp_conv_time_pad_top", "sscp_conv_time_pad_bottom")
    config.ignore("streaming", "streaming_chunk_size", "streaming_stride", "vocab_offset")
    config.ignore("vocab_size", "subsampling_conv_kernel_size", "subsampling_conv_stride_size")
    for name in ("sscp_conv_kernel_size", "sscp_conv_stride_size"):
        side = 3 if "kernel" in name else 2
        config.require(name, [[side, side], [side, side]])


def _subsampling(config: Config, hidden: int) -> tuple[Part, ...]:
    """Return two convolutions of 3 × 3 that halve time and frequency, and what follows them."""
    mels = config.size("input_feat_size", default=_MELS)
    listed = config.entries("sscp_conv_channel_size") or config.entries("subsampling_conv_channels")
    match listed or _CHANNELS:
        case [int(first), int(second)] if 0 < first <= 2**16 and 0 < second <= 2**16:
            pass
        case _:
            config.refuse("sscp_conv_channel_size", "two numbers of channels")
    half, quarter = mels // 2, mels // 4
    return (
        Projection(name="conv0", inputs=9, outputs=first, rows=2 * half),
        Norm(kind="layer_norm", width=first, bias=False, vectors=2 * half),
        Projection(name="conv1", inputs=9 * first, outputs=second, rows=quarter),
        Norm(kind="layer_norm", width=second, bias=False, vectors=quarter),
        Projection(name="input_proj", inputs=second * quarter, outputs=hidden),
    )


def _half(hidden: int, norm: Norm) -> tuple[Part, ...]:
    return (norm, Dense(hidden=hidden, intermediate=4 * hidden, gated=False), norm)


def _audio_attention(config: Config, hidden: int, heads: int) -> tuple[Part, ...]:
    dim = hidden // heads
    chunk = config.size(
        "attention_chunk_size", "conf_attention_chunk_size", default=_CONTEXT_TOKENS
    )
    return (
        Attention(
            hidden=hidden,
            query_heads=heads,
            kv_heads=heads,
            head_dim=dim,
            window=chunk,
            causal=False,
            rotary=False,
        ),
        Projection(name="relative_k_proj", inputs=hidden, outputs=hidden),
        Table(name="per_dim_scale", shape=(dim,), role="norm"),
    )


def _light_convolution(hidden: int, kernel: int, norm: Norm) -> tuple[Part, ...]:
    return (
        norm,
        Projection(name="lconv1d.linear_start", inputs=hidden, outputs=2 * hidden),
        Table(name="lconv1d.depthwise", shape=(hidden, 1, kernel), role="convolution"),
        norm,
        Projection(name="lconv1d.linear_end", inputs=hidden, outputs=hidden),
    )


@tower("gemma4_unified_vision")
def read_unified_vision(config: Config) -> Stack:
    """Read how Gemma 4 12B takes patches in without a tower.

    Parameters
    ----------
    config : Config
        The section.

    Returns
    -------
    Stack
        One matrix for each patch of 48 × 48, norms, and positions along both axes.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    width = config.size("mm_embed_dim")
    patch = config.size("patch_size", default=_PATCH, most=1024)
    pooled = config.size("pooling_kernel_size", default=_POOLING, most=64)
    side = config.size("model_patch_size", default=patch * pooled, most=2**16)
    config.ignore("num_soft_tokens")
    out = config.optional_size("output_proj_dims") or width
    inputs = _COLOURS * side * side
    table = Table(name="pos_embedding", shape=(config.size("mm_posemb_size"), 2, width))
    parts = (
        Norm(kind="layer_norm", width=inputs, name="patch_ln1"),
        Projection(name="patch_dense", inputs=inputs, outputs=width, bias=True),
        Norm(kind="layer_norm", width=width, name="patch_ln2"),
        table,
        Norm(kind="layer_norm", width=width, name="pos_norm"),
    )
    return Stack(layers=(Layer("patches", parts),), width=out)


@tower("gemma4_unified_audio")
def read_unified_audio(config: Config) -> Stack:
    """Read how Gemma 4 12B takes sound in without a tower.

    Parameters
    ----------
    config : Config
        The section.

    Returns
    -------
    Stack
        No layers: what joins samples to the language model is all there is.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    config.ignore("audio_samples_per_token", "hidden_size", "output_proj_dims")
    return Stack(layers=(), width=config.size("audio_embed_dim"))
