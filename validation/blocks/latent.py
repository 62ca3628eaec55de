"""Multi-head latent attention: expanded for a prompt, absorbed for a single token."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.mixers.latent import LatentAttention
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions


class LatentBlock(nn.Module):
    """Latent attention over all keys, with its cache of latents.

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
        "qk_rope_head_dim", "v_head_dim", "bias", "rotary",
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
        query = self.query(self.norms[0](narrow) if part.q_lora_rank else x)
        query = query.unflatten(-1, (part.query_heads, -1)).transpose(1, 2)
        plain, turned = query.split((part.qk_nope_head_dim, part.qk_rope_head_dim), dim=-1)
        if part.rotary and part.qk_rope_head_dim:
            turned = positions.rotated(turned, part.qk_rope_head_dim)
            shared = positions.rotated(shared[:, None], part.qk_rope_head_dim)[:, 0]
        fresh = torch.cat((self.norms[-1](latent), shared), dim=-1)
        seen = positions.cached + positions.new
        latents[:, positions.cached : seen] = fresh
        if positions.new == 1:
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

    def _absorbed(
        self, plain: torch.Tensor, turned: torch.Tensor, latents: torch.Tensor
    ) -> torch.Tensor:
        """Attention on the latents themselves, one key and value for all heads."""
        part = self.part
        weight = self.expand.weight.unflatten(0, (part.query_heads, -1))
        inward, outward = weight.split((part.qk_nope_head_dim, part.v_head_dim), dim=1)
        query = torch.cat((plain @ inward, turned), dim=-1)
        key = latents[:, None]
        attended = functional.scaled_dot_product_attention(
            query, key, key[..., : part.kv_lora_rank], scale=part.qk_head_dim**-0.5,
            enable_gqa=True,
        )  # fmt: skip
        return attended @ outward.transpose(1, 2)
