"""A decoder with random weights, built from any description that the planner has of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.cost.shapes import NoModelError
from planner.model import Execution, Model
from planner.model.embedding import Embedding, Head
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.mixers.state_space import Mamba2
from planner.model.norm import Norm
from planner.model.part import Part
from validation.allocation import cache_tensors, dtype_of, filled
from validation.blocks import AttentionBlock, Caches, DenseBlock, MixtureBlock, NormBlock, Rotation
from validation.state_space_block import StateSpaceBlock

_BLOCKS: dict[type, Callable[..., nn.Module]] = {
    Attention: AttentionBlock,
    Dense: DenseBlock,
    Mamba2: StateSpaceBlock,
    MixtureOfExperts: MixtureBlock,
    Norm: NormBlock,
}
_ROTATION_BASE = 10_000.0


# Fields of a part that its block builds or that change nothing here; others must be at their
# defaults.
_BUILT: dict[type, frozenset[str]] = {
    Attention: frozenset({
        "kind", "hidden", "query_heads", "kv_heads", "head_dim", "window", "qkv_bias",
        "output_bias", "qk_norm", "rotary", "rotary_dim", "sinks",
    }),
    Dense: frozenset({"kind", "hidden", "intermediate", "gated", "bias", "name"}),
    Mamba2: frozenset({
        "kind", "hidden", "heads", "head_dim", "groups", "state_dim", "conv_kernel", "chunk",
        "bias", "conv_bias", "norm", "state_format",
    }),
    MixtureOfExperts: frozenset({
        "kind", "hidden", "intermediate", "experts", "top_k", "gated", "bias", "router_bias",
        "shared_intermediate", "shared_gate", "correction_bias", "name",
    }),
    Norm: frozenset({"kind", "width", "weight", "bias", "name"}),
    Embedding: frozenset({"kind", "vocabulary", "width", "hidden", "positions", "norm"}),
    Head: frozenset({"kind", "vocabulary", "width", "hidden", "tied", "bias"}),
}  # fmt: skip
_QK_NORMS = ("none", "head", "layer_norm_head")


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
    if isinstance(part, Attention) and part.qk_norm not in _QK_NORMS:
        odd.append("qk_norm")
    if odd:
        raise NoModelError("no PyTorch module of such a part yet", where=f"{name}.{odd[0]}")


def _block(part: Part, **where: Any) -> nn.Module:
    _check(part)
    if type(part) not in _BLOCKS:
        raise NoModelError("no PyTorch module of this part yet", where=type(part).__name__)
    return _BLOCKS[type(part)](part, **where)


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
    """A whole model; every layer normalises, mixes and adds to the residual stream.

    Parameters
    ----------
    model : Model
        The planner's description.
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
        self.model = model
        self.execution = execution
        self.device = device
        where: dict[str, Any] = {"device": device, "dtype": dtype_of(execution.stream)}
        _check(model.embedding)
        _check(model.head)
        self.ends = _Ends(model.embedding, model.head, **where)
        layers = (*(part for layer in model.layers for part in layer.parts), *model.final)
        self.parts = layers
        self.blocks = nn.ModuleList(_block(part, **where) for part in layers)
        self._tables: dict[int, Rotation] = {}

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
        positions = torch.arange(cached, cached + ids.shape[1], device=self.device)
        x = normed = self.ends.embed(ids, positions)
        for part, block, kept in zip(self.parts, self.blocks, caches, strict=True):
            if isinstance(part, Norm):
                normed = block(x)
                continue
            if isinstance(part, Attention):
                mixed = block(normed, kept, cached, self._rotation(part, positions))
            elif kept:
                mixed = block(normed, kept, cached)
            else:
                mixed = block(normed)
            x = normed = x + mixed
        return self.ends.logits(normed[:, -1])

    def _rotation(self, part: Attention, positions: torch.Tensor) -> Rotation | None:
        if not part.rotary:
            return None
        half = (part.rotary_dim or part.head_dim) // 2
        steps = torch.arange(half, device=self.device, dtype=torch.float32)
        angles = positions[:, None] * _ROTATION_BASE ** (-steps / half)
        dtype = dtype_of(self.execution.stream)
        return angles.cos().to(dtype), angles.sin().to(dtype)
