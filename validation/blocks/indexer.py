"""The indexer of sparse attention: scores of all keys, of which a query attends to the best."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from planner.model.mixers.indexer import Indexer
from validation.blocks.positions import Caches, Positions

_GREATEST_FP8 = 448.0


class IndexerBlock(nn.Module):
    """Projections and cached keys of the indexer, the keys in fp8 with a scale each.

    Parameters
    ----------
    part : Indexer
        Its description.

    References
    ----------
    deepseek-v3.2-2025
    """

    BUILT = frozenset({"kind", "hidden", "query_dim", "heads", "head_dim"})

    def __init__(self, part: Indexer, **where: Any) -> None:
        super().__init__()
        self.part = part
        width = part.heads * part.head_dim
        self.query = nn.Linear(part.query_dim, width, bias=False, **where)
        self.entry = nn.Linear(part.hidden, part.head_dim + part.heads, bias=False, **where)
        self.norm = nn.LayerNorm(part.head_dim, **where)

    def forward(self, x: torch.Tensor, caches: Caches, positions: Positions) -> None:
        """Keep the keys of new tokens; the attention that follows asks for the selection.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            Keys ``(batch, tokens, head_dim)`` in fp8, and the bytes of their scales; changed in
            place.
        positions : Positions
            Of the new tokens; is told how to select.
        """
        key, weights = self.entry(x).split((self.part.head_dim, self.part.heads), dim=-1)
        key = positions.rotated(self.norm(key)[:, None], self.part.head_dim)[:, 0].float()
        scale = key.abs().amax(dim=-1, keepdim=True).clamp(min=1e-12) / _GREATEST_FP8
        seen = positions.cached + positions.new
        elements, scales = caches[0], caches[1].flatten(2).view(torch.float32)
        elements[:, positions.cached : seen] = (key / scale).to(elements.dtype)
        scales[:, positions.cached : seen] = scale
        kept = (elements[:, :seen].to(torch.float32) * scales[:, :seen]).to(x.dtype)

        def scores(latent: torch.Tensor) -> torch.Tensor:
            query = self.query(latent).unflatten(-1, (self.part.heads, -1)).transpose(1, 2)
            query = positions.rotated(query, self.part.head_dim)
            products = (query @ kept[:, None].transpose(-1, -2)).relu()
            return (products * weights.transpose(1, 2)[..., None]).sum(dim=1)

        positions.scores = scores
