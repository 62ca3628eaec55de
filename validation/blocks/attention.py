"""Softmax attention on ``scaled_dot_product_attention``, with its cache of keys and values."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions, band


class AttentionBlock(nn.Module):
    """Causal attention over all keys, a window or a chunk of them.

    Parameters
    ----------
    part : Attention
        Its description.
    """

    BUILT = frozenset({
        "kind", "hidden", "query_heads", "kv_heads", "head_dim", "window", "chunk",
        "value_projection", "qkv_bias", "output_bias", "qk_norm", "rotary", "rotary_dim",
        "distance_bias", "sinks", "output_gate",
    })  # fmt: skip

    def __init__(self, part: Attention, **where: Any) -> None:
        super().__init__()
        self.part = part
        width, kv_width = part.query_heads * part.head_dim, part.kv_heads * part.head_dim
        self.widths = (width, kv_width, kv_width)[: 2 + part.value_projection]
        self.entry = nn.Linear(part.hidden, sum(self.widths), bias=part.qkv_bias, **where)
        self.output = nn.Linear(width, part.hidden, bias=part.output_bias, **where)
        self.norms = nn.ModuleList()
        if part.qk_norm != "none":
            whole = part.qk_norm == "full"
            for side in self.widths[:2]:
                norm = Norm(
                    kind="layer_norm" if part.qk_norm == "layer_norm_head" else "rms_norm",
                    width=side if whole else part.head_dim,
                    weight=part.qk_norm != "weightless",
                )
                self.norms.append(NormBlock(norm, **where))
        self.sinks = nn.Parameter(torch.zeros(part.query_heads, **where)) if part.sinks else None
        self.gate: nn.Linear | None = None
        if part.output_gate != "none":
            gates = width if part.output_gate == "element" else part.query_heads
            self.gate = nn.Linear(part.hidden, gates, bias=False, **where)

    def forward(self, x: torch.Tensor, caches: Caches, positions: Positions) -> torch.Tensor:
        """Attend from new tokens to all, and keep their keys and values.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            Keys and values, ``(batch, kv_heads, kept tokens, head_dim)``; changed in place.
        positions : Positions
            Of the new tokens; nothing is cached where they are several.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, hidden)``.
        """
        query, key, value = self._projected(x, positions)
        key, value = self._remembered(key, value, caches, positions)
        mask = self._mask(query.shape[2], key.shape[2], query)
        attended = self._attend(query, key, value, mask).transpose(1, 2)
        if self.gate is not None:
            gates = self.gate(x).view(*attended.shape[:3], -1).sigmoid()
            attended = attended * gates
        return self.output(attended.flatten(2))

    def _projected(
        self, x: torch.Tensor, positions: Positions
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values of the new tokens, normalised and turned."""
        part = self.part
        sides = list(self.entry(x).split(self.widths, dim=-1))
        if part.qk_norm == "full":
            sides[:2] = [norm(side) for norm, side in zip(self.norms, sides, strict=False)]
        sides = [side.unflatten(-1, (-1, part.head_dim)).transpose(1, 2) for side in sides]
        query, key, value = (*sides[:2], sides[-1])
        if len(self.norms) and part.qk_norm != "full":
            query, key = self.norms[0](query), self.norms[1](key)
        if part.rotary:
            width = part.rotary_dim or part.head_dim
            query, key = positions.rotated(query, width), positions.rotated(key, width)
        return query, key, value

    def _remembered(
        self, key: torch.Tensor, value: torch.Tensor, caches: Caches, positions: Positions
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens into the ring; what the new tokens attend to."""
        new, cached, slots = positions.new, positions.cached, caches[0].shape[2]
        if new == 1:
            slot, chunk = cached % slots, self.part.chunk
            kept = min(cached + 1, slots) if chunk is None else cached % chunk + 1
            for cache, fresh in zip(caches, (key, value), strict=True):
                cache[:, :, slot] = fresh[:, :, 0]
            return caches[0][:, :, :kept], caches[1][:, :, :kept]
        assert cached == 0, "a prefill starts on an empty cache"
        kept = min(new, slots)
        for cache, fresh in zip(caches, (key, value), strict=True):
            if new <= slots:
                cache[:, :, :new] = fresh
            else:
                cache.copy_(fresh[:, :, -kept:].roll(new % slots, dims=2))
        return key, value

    def _mask(self, new: int, keys: int, like: torch.Tensor) -> torch.Tensor | None:
        """What queries see, or what is added to scores; None where causality says it all."""
        part = self.part
        reach = part.window or part.chunk
        if part.distance_bias == "none":
            narrow = new > 1 and reach is not None and new > reach
            return band(new, keys, part.window, like.device, chunk=part.chunk) if narrow else None
        heads = torch.arange(1, part.query_heads + 1, device=like.device)
        slopes = torch.exp2(-8.0 * heads / part.query_heads)[:, None, None]
        query = torch.arange(keys - new, keys, device=like.device)[:, None]
        distance = query - torch.arange(keys, device=like.device)
        seen = band(new, keys, None, like.device)
        return (-slopes * distance).masked_fill(~seen, float("-inf")).to(like.dtype)

    def _attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        causal = query.shape[2] > 1 and mask is None
        if self.sinks is not None:
            return self._materialised(query, key, value, mask)
        grouped = self.part.query_heads != self.part.kv_heads
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )

    def _materialised(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Scores in memory, with a learned logit per head that takes attention from all keys."""
        assert self.sinks is not None
        batch, heads, new, width = query.shape
        shape = (batch, key.shape[1], -1, width)
        scores = (query.reshape(shape) @ key.transpose(-1, -2)).view(batch, heads, new, -1)
        scores = scores * width**-0.5
        if new > 1:
            seen = band(new, key.shape[2], None, query.device) if mask is None else mask
            scores = scores.masked_fill(~seen, float("-inf"))
        sinks = self.sinks.view(1, -1, 1, 1).expand(batch, heads, new, 1)
        weights = torch.softmax(torch.cat((scores, sinks), dim=-1), dim=-1)[..., :-1]
        grouped = weights.reshape(batch, key.shape[1], -1, key.shape[2])
        return (grouped @ value).view(batch, heads, new, width)
