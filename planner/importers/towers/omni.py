"""The encoders of sound of Qwen2.5-Omni and Qwen3-Omni: Whisper's blocks without stored positions.

Qwen3-Omni thins frames out by three convolutions over frames and bins. Defaults of
``Qwen3OmniMoeAudioEncoderConfig`` that are taken: 480 channels in them.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.tower_registry import Stack, read_tower_heads, tower, tower_block
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.projection import Projection, Table

_KERNEL = 3
_FRAMES_PER_TOKEN = 2
_CHANNELS = 480
_THINNED = 8
"""Three convolutions leave every eighth bin. [1]"""


def _stack(config: Config, first: tuple[Part, ...], last: tuple[Part, ...], out: int) -> Stack:
    hidden = config.size("d_model")
    norm = Norm(kind="layer_norm", width=hidden)
    config.ignore(
        "encoder_layerdrop", "scale_embedding", "max_source_positions", "n_window",
        "n_window_infer", "conv_chunksize", "num_hidden_layers",
    )  # fmt: skip
    block = tower_block(
        hidden=hidden,
        heads=read_tower_heads(config, hidden, "encoder_attention_heads"),
        intermediate=config.size("encoder_ffn_dim"),
        norm=norm,
        attention={"key_bias": config.text("model_type") != "qwen2_5_omni_audio_encoder"},
    )
    layers = config.size("encoder_layers", most=MOST_LAYERS)
    return Stack(
        layers=(
            Layer("convolutions", first),
            *[Layer("block", block)] * layers,
            Layer("last", (norm, *last)),
        ),
        width=out,
    )


@tower("qwen2_5_omni_audio_encoder")
def read_omni25(config: Config) -> Stack:
    """Read the audio tower of Qwen2.5-Omni.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        One matrix reaches the language model's width.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("d_model"), config.size("output_dim")
    inputs = _KERNEL * config.size("num_mel_bins")
    first = (
        Projection(name="conv1", inputs=inputs, outputs=hidden, bias=True, rows=_FRAMES_PER_TOKEN),
        Projection(name="conv2", inputs=_KERNEL * hidden, outputs=hidden, bias=True),
        Table(name="audio_bos_eos_token", shape=(2, out)),
    )
    last = (Projection(name="proj", inputs=hidden, outputs=out, bias=True),)
    return _stack(config, first, last, out)


@tower("qwen3_omni_moe_audio_encoder")
def read_omni3(config: Config) -> Stack:
    """Read the audio tower of Qwen3-Omni.

    Parameters
    ----------
    config : Config
        The tower's section.

    Returns
    -------
    Stack
        Two matrices reach the language model's width.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden, out = config.size("d_model"), config.size("output_dim")
    channels = config.size("downsample_hidden_size", default=_CHANNELS)
    bins = config.size("num_mel_bins")
    taps = _KERNEL * _KERNEL
    rows = [(-(-bins // side)) * (_THINNED // side) for side in (2, 4, 8)]
    first = (
        *(
            Projection(
                name=f"conv2d{number}", inputs=taps * width, outputs=channels, bias=True, rows=row
            )
            for number, width, row in zip((1, 2, 3), (1, channels, channels), rows, strict=True)
        ),
        Projection(name="conv_out", inputs=channels * -(-bins // _THINNED), outputs=hidden),
    )
    last = (
        Projection(name="proj1", inputs=hidden, outputs=hidden, bias=True),
        Projection(name="proj2", inputs=hidden, outputs=out, bias=True),
    )
    return _stack(config, first, last, out)
