"""XVERSE, IQuest-Coder, InternLM 3, Helium, Arcee, early Yi, Aquila: Llama under other names.

Defaults that are taken: no biases, heads of 128 where the class says so.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family

_HEAD_DIM = 128


@family("xverse", "iquestcoder", "internlm3", "helium", "arcee", "Yi", "aquila")
def read_plain(config: Config) -> Architecture:
    """Read XVERSE, IQuest-Coder, InternLM 3, Helium, Arcee, early Yi and Aquila.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Llama's; Arcee's feed-forward blocks are not gated.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    kind = config.text("model_type")
    bias = config.flag("attention_bias", False)
    config.require("qkv_bias", False)
    config.require("bias", False)
    config.ignore("max_tokenizer_truncation")
    return read_dense_decoder(
        config,
        qkv_bias=bias,
        output_bias=bias and kind != "helium",
        mlp_bias=config.flag("mlp_bias", False),
        head_dim=_HEAD_DIM if kind in ("helium", "iquestcoder", "internlm3") else None,
        gated=kind != "arcee",
    )
