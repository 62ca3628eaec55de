"""The audio tower of Phi-4-multimodal: a conformer behind convolutions that thin out time.

Defaults of ``Phi4MultimodalAudioConfig`` that are taken: 80 mel bands, kernels of 3 frames.
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

_MELS = 80
_TIME_REDUCTION = 8
_DISTANCE = 1000


@tower("phi4_multimodal_audio")
def read_audio(config: Config) -> Stack:
    """Read the audio tower of Phi-4-multimodal.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Two half feed-forward parts around attention and a gated convolution.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("hidden_size")
    heads = read_tower_heads(config, hidden, "num_attention_heads")
    norm = Norm(kind="layer_norm", width=hidden)
    config.ignore("activation", "chunk_size", "left_chunk", "conv_activation", "conv_glu_type")
    config.ignore("nemo_activation", "downsample_rate", "feature_layer")
    half = Dense(hidden=hidden, intermediate=config.size("intermediate_size"), bias=True)
    attention = Attention(
        hidden=hidden,
        query_heads=heads,
        kv_heads=heads,
        head_dim=hidden // heads,
        causal=False,
        qkv_bias=True,
        output_bias=True,
        rotary=False,
        distance_bias="relative",
    )
    convolution = _convolution(config, hidden, norm)
    block: tuple[Part, ...] = (norm, half, norm, attention, *convolution, norm, half, norm)
    distance = config.size("bias_max_distance", default=_DISTANCE)
    rows = distance if config.flag("bias_symmetric", False) else 2 * distance
    first = (
        *_subsampling(config, hidden),
        Table(name="relative_attention_bias", shape=(rows, heads)),
    )
    layers = config.size("num_blocks", "num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(Layer("subsampling", first), *[Layer("conformer", block)] * layers), width=hidden
    )


def _subsampling(config: Config, hidden: int) -> tuple[Part, ...]:
    """Return convolutions that halve time and frequency, the first whole, the others separable."""
    channels = config.size("nemo_conv_channels", default=hidden)
    reduction = config.size("time_reduction", default=_TIME_REDUCTION, most=1024)
    stages = reduction.bit_length() - 1
    if 2**stages != reduction or not stages:
        config.refuse("time_reduction", "a power of two above 1")
    mels = config.size("input_size", default=_MELS)
    final = config.size("nemo_final_size", default=-(-mels // reduction))
    bins = [-(-mels // 2 ** (stage + 1)) for stage in range(stages)]
    frames = [reduction // 2 ** (stage + 1) for stage in range(stages)]
    parts: list[Part] = [
        Projection(name="conv.0", inputs=9, outputs=channels, bias=True, rows=bins[0] * frames[0])
    ]
    for stage in range(1, stages):
        parts += [
            Table(name=f"conv.{stage}.depthwise", shape=(channels, 1, 3, 3), role="convolution"),
            Table(name=f"conv.{stage}.depthwise_bias", shape=(channels,), role="bias"),
            Projection(
                name=f"conv.{stage}.pointwise",
                inputs=channels,
                outputs=channels,
                bias=True,
                rows=bins[stage] * frames[stage],
            ),
        ]
    return (*parts, Projection(name="out", inputs=channels * final, outputs=hidden, bias=True))


def _convolution(config: Config, hidden: int, norm: Norm) -> tuple[Part, ...]:
    wide = config.size("ext_pw_out_channel", default=hidden)
    multiple = config.size("depthwise_multiplier", default=1, most=1024)
    inner = hidden * multiple
    out = config.size("depthwise_separable_out_channel", default=hidden)
    kernel = config.size("kernel_size", default=3, most=1024)
    return (
        norm,
        Projection(name="glu.ext_pw_conv_1d", inputs=hidden, outputs=2 * wide, bias=True),
        Table(name="glu.biases", shape=(2, wide), role="bias"),
        Table(name="dw_conv", shape=(inner, 1, kernel), role="convolution"),
        Table(name="dw_conv_bias", shape=(inner,), role="bias"),
        Projection(name="pw_conv", inputs=inner, outputs=out, bias=True),
        Projection(name="ext_pw_conv_1d", inputs=hidden, outputs=wide, bias=True),
    )
