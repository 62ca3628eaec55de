"""Multi-head latent attention: expanded for a prompt, absorbed for a token or a selection."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.mixers.latent import LatentAttention
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions

_QUERIES_AT_ONCE = 64


class LatentBlock(nn.Module):
    """Latent attention over all keys or selected ones, with its cache of latents.

    Parameters
    ----------
    part : LatentAttention
        Its description.

    References
    ----------
    deepseek-v2-2024
    """

    BUILT = frozenset({
        "kind", "hidden", "query_heads", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim",
        "qk_rope_head_dim", "v_head_dim", "index_topk", "bias", "rotary",
    })  # fmt: skip

    def __init__(self, part: LatentAttention, **where: Any) -> None:
        super().__init__()
        self.part = part
        self.down_widths = (part.q_lora_rank or 0, part.kv_lora_rank, part.qk_rope_head_dim)
        self.down = nn.Linear(part.hidden, sum(self.down_widths), bias=part.bias, **where)
        self.norms = nn.ModuleList(
            NormBlock(Norm(kind="rms_norm", width=width), **where)
            for width in self.down_widths[:2]
            if width
        )
        inner = part.q_lora_rank or part.hidden
        self.query = nn.Linear(inner, part.query_heads * part.qk_head_dim, bias=False, **where)
        expanded = part.query_heads * (part.qk_nope_head_dim + part.v_head_dim)
        self.expand = nn.Linear(part.kv_lora_rank, expanded, bias=False, **where)
        width = part.query_heads * part.v_head_dim
        self.output = nn.Linear(width, part.hidden, bias=part.bias, **where)

    def forward(self, x: torch.Tensor, caches: Caches, positions: Positions) -> torch.Tensor:
        """Attend from new tokens to all, and keep their latents.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            Latents with the part that is turned, ``(batch, tokens, latent_dim)``; changed in place.
        positions : Positions
            Of the new tokens; nothing is cached where they are several.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, hidden)``.
        """
        part, (latents,) = self.part, caches
        narrow, latent, shared = self.down(x).split(self.down_widths, dim=-1)
        narrow = self.norms[0](narrow) if part.q_lora_rank else x
        query = self.query(narrow)
        query = query.unflatten(-1, (part.query_heads, -1)).transpose(1, 2)
        plain, turned = query.split((part.qk_nope_head_dim, part.qk_rope_head_dim), dim=-1)
        if part.rotary and part.qk_rope_head_dim:
            turned = positions.rotated(turned, part.qk_rope_head_dim)
            shared = positions.rotated(shared[:, None], part.qk_rope_head_dim)[:, 0]
        fresh = torch.cat((self.norms[-1](latent), shared), dim=-1)
        seen = positions.cached + positions.new
        latents[:, positions.cached : seen] = fresh
        if part.index_topk is not None:
            chosen = positions.selection(narrow, part.index_topk)
            attended = self._selected(plain, turned, latents[:, :seen], chosen, positions.ids)
        elif positions.new == 1:
            attended = self._absorbed(plain, turned, latents[:, :seen])
        else:
            assert positions.cached == 0, "a prefill starts on an empty cache"
            attended = self._expanded(plain, turned, fresh)
        return self.output(attended.transpose(1, 2).flatten(2))

    def _expanded(
        self, plain: torch.Tensor, turned: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor:
        """Attention on the keys and values of all heads."""
        part = self.part
        latent, shared = latents.split((part.kv_lora_rank, part.qk_rope_head_dim), dim=-1)
        both = self.expand(latent).unflatten(-1, (part.query_heads, -1)).transpose(1, 2)
        key, value = both.split((part.qk_nope_head_dim, part.v_head_dim), dim=-1)
        shared = shared[:, None].expand(-1, part.query_heads, -1, -1)
        return functional.scaled_dot_product_attention(
            torch.cat((plain, turned), dim=-1), torch.cat((key, shared), dim=-1), value,
            is_causal=True,
        )  # fmt: skip

    def _halves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The parts of the expansion that make keys and values, per head."""
        part = self.part
        weight = self.expand.weight.unflatten(0, (part.query_heads, -1))
        inward, outward = weight.split((part.qk_nope_head_dim, part.v_head_dim), dim=1)
        return inward, outward.transpose(1, 2)

    def _absorbed(
        self, plain: torch.Tensor, turned: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor:
        """Attention on the latents themselves: each is read once for all heads."""
        inward, outward = self._halves()
        query = torch.cat((plain @ inward, turned), dim=-1)[:, :, 0]
        scores = query @ latents.transpose(1, 2) * self.part.qk_head_dim**-0.5
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)
        attended = weights @ latents[..., : self.part.kv_lora_rank]
        return attended[:, :, None] @ outward

    def _selected(
        self,
        plain: torch.Tensor,
        turned: torch.Tensor,
        latents: torch.Tensor,
        chosen: torch.Tensor,
        ids: torch.Tensor,
    ) -> torch.Tensor:
        """Absorbed attention of each query to keys of its own."""
        inward, outward = self._halves()
        query = torch.cat((plain @ inward, turned), dim=-1).transpose(1, 2)
        found = []
        for first in range(0, query.shape[1], _QUERIES_AT_ONCE):
            some = slice(first, first + _QUERIES_AT_ONCE)
            index = chosen[:, some]
            keys = torch.stack([each[own] for each, own in zip(latents, index, strict=True)])
            scores = query[:, some] @ keys.transpose(-1, -2) * self.part.qk_head_dim**-0.5
            behind = index > ids[some, None]
            scores = scores.masked_fill(behind[:, :, None], float("-inf"))
            weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(scores.dtype)
            found.append(weights @ keys[..., : self.part.kv_lora_rank])
        return torch.cat(found, dim=1).transpose(1, 2) @ outward
