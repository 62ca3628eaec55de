"""Megatron-BERT, RoBERTa-PreLayerNorm and XLM-RoBERTa-XL: BERT with norms before each part.

A last norm follows the stack. Defaults of their configuration classes that are taken: two token
types, tied embeddings, and a norm behind the token table in RoBERTa-PreLayerNorm alone.
"""

from __future__ import annotations

from dataclasses import replace

from planner.importers.config import Config
from planner.importers.families.bert import read_bert
from planner.importers.registry import Architecture, family
from planner.model import Layer
from planner.model.norm import Norm


@family(
    "megatron-bert",
    "roberta-prelayernorm",
    "xlm-roberta-xl",
    architectures=(
        "MegatronBertForMaskedLM",
        "RobertaPreLayerNormForMaskedLM",
        "XLMRobertaXLForMaskedLM",
    ),
)
def read(config: Config) -> Architecture:
    """Read a configuration of BERT with norms before each part.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        BERT's parts in another order.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    plain = read_bert(config)
    attention, one, feed_forward, two = plain.layers[0].parts
    row = Layer("encoder", (one, attention, two, feed_forward))
    last = Norm(kind="layer_norm", width=plain.embedding.hidden, name="encoder.norm")
    normed = config.text("model_type") == "roberta-prelayernorm"
    return replace(
        plain,
        embedding=replace(plain.embedding, norm=normed),
        layers=(row,) * len(plain.layers),
        final=(last, *plain.final),
    )
