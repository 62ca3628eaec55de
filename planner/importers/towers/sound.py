"""Whisper's encoder as a tower: Qwen2-Audio, Voxtral.

Two convolutions make a token of two frames; keys have no biases. Defaults of the configuration
classes that are taken: none.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.projection import Projection, Table

_KERNEL = 3
_FRAMES_PER_TOKEN = 2


@tower("qwen2_audio_encoder", "voxtral_encoder")
def read_whisper(config: Config) -> Stack:
    """Read an encoder like Whisper's.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        A norm before each part and one after the stack.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = config.size("d_model", "hidden_size")
    norm = Norm(kind="layer_norm", width=hidden)
    heads = ("encoder_attention_heads", "num_attention_heads")
    config.ignore("encoder_layerdrop", "scale_embedding", "vocab_size", "head_dim")
    config.ignore("num_hidden_layers", "encoder_layers")
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, *heads),
        intermediate=config.size("encoder_ffn_dim", "intermediate_size"),
        norm=norm,
        attention={"key_bias": False},
    )
    first = (
        Projection(
            name="conv1",
            inputs=_KERNEL * config.size("num_mel_bins"),
            outputs=hidden,
            bias=True,
            rows=_FRAMES_PER_TOKEN,
        ),
        Projection(name="conv2", inputs=_KERNEL * hidden, outputs=hidden, bias=True),
        Table(name="embed_positions", shape=(config.size("max_source_positions"), hidden)),
    )
    layers = config.size("encoder_layers", "num_hidden_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("convolutions", first),
            *[Layer("block", block)] * layers,
            Layer("last", (norm,)),
        ),
        width=hidden,
    )
