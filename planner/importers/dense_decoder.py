"""Decoders of attention and dense feed-forward parts; each family names what sets it apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from planner.importers.blocks import Form, arrange
from planner.importers.config import Config
from planner.importers.decoder import Heads, assemble, read_heads, read_hidden, read_layers
from planner.importers.position import usable_context
from planner.importers.registry import Architecture
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm


def read_dense_decoder(
    config: Config,
    *,
    qkv_bias: bool = False,
    output_bias: bool = False,
    mlp_bias: bool = False,
    gated: bool = True,
    intermediate: int | None = None,
    form: Form = "before",
    tied: bool = False,
    head_bias: bool = False,
    experts: MixtureOfExperts | None = None,
    heads: Heads | None = None,
    head_dim: int | None = None,
    context: int | None = None,
    vocabulary: int | None = None,
    windows: Sequence[int | None] | None = None,
    rotary: Sequence[bool] | bool = True,
    norm: Norm | None = None,
    **features: Any,
) -> Architecture:
    """Read a configuration whose blocks are Llama's but for what the arguments say.

    What changes from layer to layer is given as a list; everything else holds for all layers.

    Parameters
    ----------
    config : Config
        The configuration.
    qkv_bias, output_bias, mlp_bias : bool
        Biases of the projections.
    gated : bool
        Whether feed-forward parts are gated.
    intermediate : int, optional
        Their inner width; ``intermediate_size`` without it. [elements]
    form : {"before", "after", "around", "beside"}
        Where norms stand, as in :func:`planner.importers.blocks.arrange`.
    tied : bool
        Whether the token table serves as the head where the file does not say so.
    head_bias : bool
        Whether logits have a bias.
    experts : MixtureOfExperts, optional
        What stands in place of the dense feed-forward parts.
    heads : Heads, optional
        Heads where the family reads them in its own way.
    head_dim : int, optional
        Width of a head where the file does not say it. [elements]
    context : int, optional
        Usable context; as ``max_position_embeddings`` declares without it. [tokens]
    vocabulary : int, optional
        Rows of the token table where ``vocab_size`` is missing. [1]
    windows : sequence, optional
        Window of each layer; none without it. [tokens]
    rotary : bool or sequence of bool
        Whether layers rotate queries and keys: all of them, none, or each as listed.
    norm : Norm, optional
        What a norm is like; RMSNorm without it.
    **features
        Further fields of the attention part.

    Returns
    -------
    Architecture
        Equal layers but for their windows and rotations.

    Raises
    ------
    SpecError
        A figure is missing or unusable.

    Examples
    --------
    >>> config = Config(
    ...     {
    ...         "hidden_size": 64,
    ...         "num_attention_heads": 4,
    ...         "num_hidden_layers": 2,
    ...         "intermediate_size": 128,
    ...         "vocab_size": 100,
    ...         "max_position_embeddings": 512,
    ...     },
    ...     "config.json",
    ... )
    >>> len(read_dense_decoder(config).layers)
    2
    """
    hidden = read_hidden(config)
    heads = heads or read_heads(config, hidden, head_dim=head_dim)
    layers = read_layers(config)
    feed_forward = experts or Dense(
        hidden=hidden,
        intermediate=intermediate or config.size("intermediate_size"),
        gated=gated,
        bias=mlp_bias,
    )
    attention = Attention(
        hidden=hidden,
        query_heads=heads.query,
        kv_heads=heads.kv,
        head_dim=heads.dim,
        qkv_bias=qkv_bias,
        output_bias=output_bias,
        **features,
    )
    turning = [rotary] * layers if isinstance(rotary, bool) else rotary
    pairs = [
        (replace(attention, window=window, rotary=turns), feed_forward)
        for window, turns in zip(windows or [None] * layers, turning, strict=True)
    ]
    like = norm or Norm(kind="rms_norm", width=hidden)
    return assemble(
        config,
        arrange(pairs, like, form),
        hidden=hidden,
        tied=tied,
        head_bias=head_bias,
        vocabulary=vocabulary,
        usable_context=context or usable_context(config),
        norm=like,
    )
