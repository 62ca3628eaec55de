"""PaLM: one KV head, attention and SwiGLU side by side behind one norm without bias.

Nobody publishes a configuration file; files in this form are written from the paper's tables.
"""

from __future__ import annotations

from planner.importers.config import Config
from planner.importers.decoder import read_hidden
from planner.importers.dense_decoder import read_dense_decoder
from planner.importers.registry import Architecture, family
from planner.model.norm import Norm


@family("palm")
def read(config: Config) -> Architecture:
    """Read a PaLM configuration.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        Tied embeddings, no biases.

    Raises
    ------
    SpecError
        A figure is missing or unusable.
    """
    return read_dense_decoder(
        config,
        form="beside",
        tied=True,
        norm=Norm(kind="layer_norm", width=read_hidden(config), bias=False),
    )
