"""A decoder with random weights, built from the planner's description of a model."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from planner.cost.shapes import NoModelError
from planner.model import Execution, Model
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.mixers.state_space import Mamba2
from planner.model.norm import Norm
from planner.model.part import Part
from validation.allocation import cache_tensors, dtype_of, filled
from validation.blocks.attention import AttentionBlock
from validation.blocks.feed_forward import DenseBlock, MixtureBlock
from validation.blocks.gated_delta import GatedDeltaBlock
from validation.blocks.indexer import IndexerBlock
from validation.blocks.latent import LatentBlock
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions
from validation.blocks.state_space import StateSpaceBlock

_BLOCKS: dict[type, Any] = {
    Attention: AttentionBlock,
    Dense: DenseBlock,
    GatedDeltaNet: GatedDeltaBlock,
    Indexer: IndexerBlock,
    LatentAttention: LatentBlock,
    Mamba2: StateSpaceBlock,
    MixtureOfExperts: MixtureBlock,
    Norm: NormBlock,
}
_BUILT: dict[type, frozenset[str]] = {
    **{part: block.BUILT for part, block in _BLOCKS.items()},
    Embedding: frozenset({"kind", "vocabulary", "width", "hidden", "positions", "norm"}),
    Head: frozenset({"kind", "vocabulary", "width", "hidden", "tied", "bias"}),
}


def _check(part: Any) -> None:
    """Raise unless the modules here are all that a part is made of."""
    name = type(part).__name__
    if type(part) not in _BUILT:
        raise NoModelError("no PyTorch module of this part yet", where=name)
    odd = [
        field.name
        for field in fields(part)
        if field.name not in _BUILT[type(part)] and getattr(part, field.name) != field.default
    ]
    # Learned distances stand in a table apart, and a ring of keys has lost their order.
    by_distance = isinstance(part, Attention) and part.distance_bias
    if by_distance == "relative" or (by_distance == "alibi" and (part.window or part.chunk)):
        odd.append("distance_bias")
    if odd:
        raise NoModelError("no PyTorch module of such a part yet", where=f"{name}.{odd[0]}")


def _block(part: Part, **where: Any) -> nn.Module:
    _check(part)
    if type(part) not in _BLOCKS:
        raise NoModelError("no PyTorch module of this part yet", where=type(part).__name__)
    return cast(nn.Module, _BLOCKS[type(part)](part, **where))


class _Ends(nn.Module):
    """Token table and head, which may share their matrix."""

    def __init__(self, embedding: Embedding, head: Head, **where: Any) -> None:
        super().__init__()
        hidden = embedding.hidden
        self.tokens = nn.Embedding(embedding.vocabulary, embedding.width, **where)
        self.positions: nn.Embedding | None = None
        self.entry: nn.Linear | None = None
        self.norm: NormBlock | None = None
        self.exit: nn.Linear | None = None
        if embedding.positions:
            self.positions = nn.Embedding(embedding.positions, hidden, **where)
        if embedding.width != hidden:
            self.entry = nn.Linear(embedding.width, hidden, bias=False, **where)
        if embedding.norm:
            self.norm = NormBlock(Norm(kind="layer_norm", width=hidden), **where)
        if head.width != hidden:
            self.exit = nn.Linear(hidden, head.width, bias=False, **where)
        shape = (head.vocabulary, head.width)
        self.matrix = None if head.tied else nn.Parameter(torch.empty(shape, **where))
        self.bias = nn.Parameter(torch.zeros(head.vocabulary, **where)) if head.bias else None

    def embed(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids)
        x = x if self.entry is None else self.entry(x)
        x = x if self.positions is None else x + self.positions(positions)
        return x if self.norm is None else self.norm(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.exit is None else self.exit(x)
        return functional.linear(
            x, self.tokens.weight if self.matrix is None else self.matrix, self.bias
        )


class Decoder(nn.Module):
    """The main stack of a model; every layer normalises, mixes and adds to the residual stream.

    Parameters
    ----------
    model : Model
        The planner's description. Towers, which read no text, are not built; nor are layers for
        multi-token prediction, which are no part of the stack.
    execution : Execution
        Gives the dtype of the stream, in which everything is kept, and that of the cache.
    device : torch.device
        Where it lives.

    Raises
    ------
    NoModelError
        A part, or one of its figures, has no module here.
    """

    def __init__(self, model: Model, execution: Execution, device: torch.device) -> None:
        super().__init__()
        self.model = model = replace(model, towers=())
        self.execution = execution
        self.device = device
        where: dict[str, Any] = {"device": device, "dtype": dtype_of(execution.stream)}
        if model.initial:
            raise NoModelError("nothing before the first layer has modules yet", where=model.id)
        _check(model.embedding)
        _check(model.head)
        self.ends = _Ends(model.embedding, model.head, **where)
        layers = (*(part for layer in model.layers for part in layer.parts), *model.final)
        self.parts = layers
        self.blocks = nn.ModuleList(_block(part, **where) for part in layers)

    @torch.no_grad()
    def randomised(self) -> Decoder:
        """Fill every matrix with random numbers.

        Returns
        -------
        Decoder
            Itself.
        """
        for parameter in self.parameters():
            if parameter.dim() > 1:
                parameter.copy_(filled(parameter.shape, parameter.dtype, self.device))
        return self.eval()

    def caches(self, batch: int, context: int) -> list[Caches]:
        """Return empty caches.

        Parameters
        ----------
        batch, context : int
            Sequences, and tokens of each. [1], [tokens]

        Returns
        -------
        list of tuple of torch.Tensor
            One entry per part, empty for those that remember nothing.
        """
        return [
            tuple(
                tensor
                for cache in part.caches()
                for tensor in cache_tensors(
                    cache, self.execution, batch=batch, context=context, device=self.device
                )
            )
            for part in self.parts
        ]

    def forward(self, ids: torch.Tensor, caches: list[Caches], cached: int = 0) -> torch.Tensor:
        """Read new tokens and return the logits after the last of them.

        Parameters
        ----------
        ids : torch.Tensor
            ``(batch, new_tokens)``.
        caches : list of tuple of torch.Tensor
            As :meth:`caches` makes them; changed in place.
        cached : int
            Tokens seen before. [tokens]

        Returns
        -------
        torch.Tensor
            ``(batch, vocabulary)``.
        """
        dtype = dtype_of(self.execution.stream)
        positions = Positions(cached, ids.shape[1], self.device, dtype)
        x = normed = self.ends.embed(ids, positions.ids)
        for part, block, kept in zip(self.parts, self.blocks, caches, strict=True):
            if isinstance(part, Norm):
                normed = block(x)
                continue
            mixed = block(normed, kept, positions) if kept else block(normed)
            if mixed is not None:
                x = normed = x + mixed
        return self.ends.logits(normed[:, -1])
