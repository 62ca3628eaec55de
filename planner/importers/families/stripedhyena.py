"""StripedHyena and Evo: long convolutions of poles and residues, with attention layers among them.

Defaults of the authors' code that are taken: biases of the attention's projections, one KV group, a
filter of each channel's own, a feed-forward part of eight thirds of the hidden width rounded up to
a multiple of 64.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.decoder import assemble, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.importers.stacks import pre_norm_layers
from planner.model.bounds import MOST_CONTEXT_TOKENS
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.mixers.convolution_modal import ModalHyena
from planner.model.part import Part

_NO_EFFECT = (
    "column_split", "column_split_hyena", "eps", "inference_mode", "log_intermediate_values",
    "make_vocab_size_divisible_by", "max_batch_size", "mlp_activation", "mlp_init_method",
    "mlp_output_init_method", "model_parallel_size", "pipe_parallel_size", "prefill_style",
    "rotary_emb_scaling_factor", "use_flash_attn", "use_flash_attention_2", "use_flash_depthwise",
    "use_flash_rmsnorm", "use_flashfft", "use_interpolated_rotary_pos_emb", "use_laughing_hyena",
    "tokenizer_type", "vocab_file", "split_k0", "hyena_block_dtype", "attn_block_dtype",
    "mlp_dtype", "print_activations", "evo2_style_activations", "low_mem_mode", "seqlen",
)  # fmt: skip


@family("stripedhyena", architectures=("StripedHyenaModelForCausalLM",))
def read(config: Config) -> Architecture:
    """Read a StripedHyena or Evo configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Convolutions and attention at listed places.

    Raises
    ------
    SpecError
        A figure is missing or unusable, or a layer is of no kind or of two.
    """
    hidden, layers = read_hidden(config), read_layers(config)
    config.ignore(*_NO_EFFECT)
    config.require("final_norm", True)
    config.require("smeared_gqa", False)
    context = config.size("max_seqlen", default=8192, most=MOST_CONTEXT_TOKENS)
    attention, convolution = _attention(config, hidden), _convolution(config, hidden)
    mixers: list[tuple[Part, ...]] = [
        (attention if attends else convolution,) for attends in _attending(config, layers)
    ]
    multiple = config.size("inner_size_multiple_of", default=64)
    rounded = -(-int(2 * hidden * 4 / 3) // multiple) * multiple
    wide = config.optional_size("inner_mlp_size") or rounded
    tied = config.flag("tie_embeddings", False)
    decoder = assemble(
        config,
        pre_norm_layers(mixers, [Dense(hidden=hidden, intermediate=wide)] * layers, hidden),
        hidden=hidden,
        tied=tied,
        usable_context=usable_context(config, default=context),
    )
    return replace(decoder, usable_context=context)


def _attending(config: Config, layers: int) -> list[bool]:
    attending = config.entries("attn_layer_idxs") or ()
    convolving = config.entries("hyena_layer_idxs") or ()
    for layer in range(layers):
        if (layer in attending) == (layer in convolving):
            config.refuse(
                "hyena_layer_idxs", f"with attn_layer_idxs, each of {layers:,} layers once"
            )
    return [layer in attending for layer in range(layers)]


def _attention(config: Config, hidden: int) -> Attention:
    heads = config.size("num_attention_heads")
    groups = config.size("proj_groups", default=1)
    if hidden % heads or heads % groups:
        config.refuse("num_attention_heads", f"a divisor of {hidden:,} in whole groups")
    return Attention(
        hidden=hidden,
        query_heads=heads,
        kv_heads=heads // groups,
        head_dim=hidden // heads,
        qkv_bias=config.flag("qkv_proj_bias", True),
        output_bias=config.flag("mha_out_proj_bias", True),
    )


def _convolution(config: Config, hidden: int) -> ModalHyena:
    groups = config.size("hyena_filter_groups", default=1)
    if hidden % groups:
        config.refuse("hyena_filter_groups", f"a divisor of {hidden:,}")
    config.require("num_filters", hidden)
    return ModalHyena(
        hidden=hidden,
        state_dim=config.size("state_size"),
        filter_groups=groups,
        conv_kernel=config.size("short_filter_length", default=3),
        conv_bias=config.flag("short_filter_bias", True),
    )
