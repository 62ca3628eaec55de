"""Whisper: an encoder of 30 seconds of sound, and a decoder that attends to it.

Two convolutions make 1,500 tokens of 3,000 frames. Keys have no biases. Defaults of
``WhisperConfig`` that are taken: tied embeddings.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.encoder_decoder import Side, read_side
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.embedding import Embedding, Head
from planner.model.mixers.attention import Attention
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table
from planner.model.tower import ENCODER, Tower

_KERNEL = 3
_FRAMES_PER_TOKEN = 2


@family("whisper", architectures=("WhisperForConditionalGeneration",))
def read(config: Config) -> Architecture:
    """Read a Whisper configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        The decoder as the main stack, the encoder beside it.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("d_model", "hidden_size")
    rows = config.size("vocab_size")
    source = config.size("max_source_positions")
    target = config.size("max_target_positions")
    config.require("is_encoder_decoder", True)
    _ignore(config)
    norm = Norm(kind="layer_norm", width=hidden)
    encoder = read_side(config, "encoder", hidden)
    decoder = read_side(config, "decoder", hidden)
    block = (norm, _attention(encoder, hidden, causal=False), norm, encoder.feed_forward)
    tower = (
        Layer("convolutions", _convolutions(config, hidden, source)),
        *[Layer("block", block)] * encoder.layers,
        Layer("final", (replace(norm, name="layer_norm"),)),
    )
    parts = (
        norm,
        _attention(decoder, hidden, causal=True),
        norm,
        _cross_attention(decoder, hidden, source),
        norm,
        decoder.feed_forward,
    )
    return Architecture(
        embedding=Embedding(vocabulary=rows, width=hidden, hidden=hidden, positions=target),
        layers=(Layer("decoder", parts),) * decoder.layers,
        final=(replace(norm, name="layer_norm"),),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
        ),
        usable_context=target,
        towers=(Tower(name=ENCODER, layers=tower, tokens=source),),
    )


def _ignore(config: Config) -> None:
    """Count what only training, masking of frames and alignment use as understood."""
    config.ignore("num_hidden_layers", "scale_embedding", "use_weighted_layer_sum")
    config.ignore("classifier_proj_size", "apply_spec_augment", "median_filter_width")
    config.ignore("mask_time_prob", "mask_time_length", "mask_time_min_masks")
    config.ignore("mask_feature_prob", "mask_feature_length", "mask_feature_min_masks")
    config.ignore("encoder_layerdrop", "decoder_layerdrop", "alignment_heads")


def _convolutions(config: Config, hidden: int, source: int) -> tuple[Part, ...]:
    frames = _KERNEL * config.size("num_mel_bins")
    return (
        Projection(name="conv1", inputs=frames, outputs=hidden, bias=True, rows=_FRAMES_PER_TOKEN),
        Projection(name="conv2", inputs=_KERNEL * hidden, outputs=hidden, bias=True),
        Table(name="embed_positions", shape=(source, hidden)),
    )


def _attention(side: Side, hidden: int, *, causal: bool) -> Attention:
    return Attention(
        hidden=hidden,
        query_heads=side.heads,
        kv_heads=side.heads,
        head_dim=hidden // side.heads,
        causal=causal,
        qkv_bias=True,
        key_bias=False,
        output_bias=True,
        rotary=False,
    )


def _cross_attention(side: Side, hidden: int, source: int) -> CrossAttention:
    return CrossAttention(
        hidden=hidden,
        source_width=hidden,
        source_tokens=source,
        query_heads=side.heads,
        kv_heads=side.heads,
        head_dim=hidden // side.heads,
        qkv_bias=True,
        key_bias=False,
        output_bias=True,
    )
