"""ModernBERT: rotary positions, gated feed-forward parts, windows; an encoder, or a decoder.

Defaults of ``ModernBertConfig`` that are taken: every third layer sees the whole text, the others
64 tokens to either side, no biases but that of the logits.
"""

from __future__ import annotations

from planner.importers.blocks import named_layers
from planner.importers.config import Config
from planner.importers.decoder import read_heads, read_hidden, read_layer_types, read_layers
from planner.importers.families.bert import ENCODER_WARNING
from planner.importers.position import usable_context
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.bounds import MOST_CONTEXT_TOKENS, MOST_LAYERS
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.projection import Projection

_PERIOD = 3
_WINDOW_TOKENS = 128


@family(
    "modernbert",
    "modernbert-decoder",
    architectures=("ModernBertForMaskedLM", "ModernBertModel", "ModernBertDecoderForCausalLM"),
)
def read(config: Config) -> Architecture:
    """Read a ModernBERT configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A norm before each part but the very first, which the token table's norm serves.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    hidden = read_hidden(config)
    rows = config.size("vocab_size")
    norm = Norm(kind="layer_norm", width=hidden, bias=config.flag("norm_bias", False))
    causal = config.text("model_type") == "modernbert-decoder"
    if not causal:
        config.warn(ENCODER_WARNING)
    config.ignore("classifier_pooling", "classifier_activation", "deterministic_flash_attn")
    config.ignore("sparse_prediction", "sparse_pred_ignore_index", "initializer_cutoff_factor")
    config.ignore("mlp_dropout", "reference_compile", "repad_logits_with_grad")
    config.require("position_embedding_type", "absolute", "rope", None)
    return Architecture(
        embedding=Embedding(vocabulary=rows, width=hidden, hidden=hidden),
        initial=(norm,),
        layers=tuple(_layers(config, hidden, norm, causal=causal)),
        final=(
            norm,
            Projection(
                name="head.dense",
                inputs=hidden,
                outputs=hidden,
                bias=config.flag("classifier_bias", False),
            ),
            norm,
        ),
        head=Head(
            vocabulary=rows,
            width=hidden,
            hidden=hidden,
            tied=config.flag("tie_word_embeddings", True),
            bias=config.flag("decoder_bias", True),
        ),
        usable_context=usable_context(config),
    )


def _layers(config: Config, hidden: int, norm: Norm, *, causal: bool) -> list[Layer]:
    heads = read_heads(config, hidden)
    layers = read_layers(config)
    period = config.size("global_attn_every_n_layers", default=_PERIOD, most=MOST_LAYERS)
    sliding = read_layer_types(config, layers) or [i % period != 0 for i in range(layers)]
    reach = _reach(config, causal=causal)
    bias = config.flag("attention_bias", False)
    attentions = [
        Attention(
            hidden=hidden,
            query_heads=heads.query,
            kv_heads=heads.kv,
            head_dim=heads.dim,
            window=reach if slides else None,
            causal=causal,
            qkv_bias=bias,
            output_bias=bias,
        )
        for slides in sliding
    ]
    feed_forward = Dense(
        hidden=hidden,
        intermediate=config.size("intermediate_size"),
        bias=config.flag("mlp_bias", False),
    )
    return named_layers(
        (
            "sliding" if attention.window else "full",
            (*((norm,) if number else ()), attention, norm, feed_forward),
        )
        for number, attention in enumerate(attentions)
    )


def _reach(config: Config, *, causal: bool) -> int:
    """Return the tokens a layer with a window sees to the left, the own one included."""
    if causal:
        half = config.size("local_attention", default=_WINDOW_TOKENS, most=MOST_CONTEXT_TOKENS) // 2
        return config.size("sliding_window", default=max(half, 1), most=MOST_CONTEXT_TOKENS)
    return config.size("local_attention", "sliding_window", default=_WINDOW_TOKENS) // 2 + 1
