"""The parts of a decoder as plain PyTorch modules, sized by the planner's description of a model.

They move the bytes and do the products of the real thing; what changes neither (the activation
function, scales of scores, soft caps) is one choice for all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm

Rotation = tuple[torch.Tensor, torch.Tensor]
"""Cosines and sines of the new positions, ``(new_tokens, width / 2)`` each."""

Caches = tuple[torch.Tensor, ...]


class NormBlock(nn.Module):
    """RMSNorm or LayerNorm.

    Parameters
    ----------
    part : Norm
        Its description.
    """

    def __init__(self, part: Norm, **where: Any) -> None:
        super().__init__()
        self.root = part.kind == "rms_norm"
        self.width = part.width
        self.weight = nn.Parameter(torch.ones(part.width, **where)) if part.weight else None
        biased = part.bias and not self.root
        self.bias = nn.Parameter(torch.zeros(part.width, **where)) if biased else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the last axis."""
        if self.root:
            return functional.rms_norm(x, (self.width,), self.weight, 1e-5)
        return functional.layer_norm(x, (self.width,), self.weight, self.bias, 1e-5)


def rotated(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Turn the first elements of each head by position.

    Parameters
    ----------
    x : torch.Tensor
        Queries or keys, ``(batch, heads, new_tokens, head_dim)``.
    rotation : Rotation
        Cosines and sines.

    Returns
    -------
    torch.Tensor
        Same shape.
    """
    cosine, sine = rotation
    half = cosine.shape[-1]
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return torch.cat((*turned, rest), dim=-1)


class AttentionBlock(nn.Module):
    """Causal attention on ``scaled_dot_product_attention``, with its cache of keys and values.

    Parameters
    ----------
    part : Attention
        Its description.
    """

    def __init__(self, part: Attention, **where: Any) -> None:
        super().__init__()
        self.part = part
        heads = part.query_heads + 2 * part.kv_heads
        width = part.query_heads * part.head_dim
        self.qkv = nn.Linear(part.hidden, heads * part.head_dim, bias=part.qkv_bias, **where)
        self.output = nn.Linear(width, part.hidden, bias=part.output_bias, **where)
        self.norms = nn.ModuleList()
        if part.qk_norm != "none":
            kind = "rms_norm" if part.qk_norm == "head" else "layer_norm"
            norm = Norm(kind=kind, width=part.head_dim)  # type: ignore[arg-type]
            self.norms.extend((NormBlock(norm, **where), NormBlock(norm, **where)))
        self.sinks = nn.Parameter(torch.zeros(part.query_heads, **where)) if part.sinks else None

    def forward(
        self, x: torch.Tensor, caches: Caches, cached: int, rotation: Rotation | None
    ) -> torch.Tensor:
        """Attend from new tokens to all, and keep their keys and values.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            Keys and values, ``(batch, kv_heads, kept tokens, head_dim)``; changed in place.
        cached : int
            Tokens seen before; 0 for more than one new token. [tokens]
        rotation : Rotation or None
            None where positions are not rotated.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, hidden)``.
        """
        part = self.part
        batch, new, _ = x.shape
        heads = self.qkv(x).view(batch, new, -1, part.head_dim).transpose(1, 2)
        query, key, value = heads.split((part.query_heads, part.kv_heads, part.kv_heads), dim=1)
        if len(self.norms):
            query, key = self.norms[0](query), self.norms[1](key)
        if rotation is not None:
            query, key = rotated(query, rotation), rotated(key, rotation)
        key, value = self._remembered(key, value, caches, cached)
        attended = self._attend(query, key, value)
        return self.output(attended.transpose(1, 2).reshape(batch, new, -1))

    def _remembered(
        self, key: torch.Tensor, value: torch.Tensor, caches: Caches, cached: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens into the ring; what the new tokens attend to."""
        new, slots = key.shape[2], caches[0].shape[2]
        if new == 1:
            slot, kept = cached % slots, min(cached + 1, slots)
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

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        part, new, keys = self.part, query.shape[2], key.shape[2]
        if self.sinks is not None:
            return self._materialised(query, key, value)
        grouped = part.query_heads != part.kv_heads
        narrow = part.window is not None and new > part.window
        mask = band(new, keys, part.window, query.device) if narrow else None
        causal = new > 1 and not narrow
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=causal, enable_gqa=grouped
        )

    def _materialised(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        """Scores in memory, with a learned logit per head that takes attention from all keys."""
        assert self.sinks is not None
        batch, heads, new, width = query.shape
        shape = (batch, key.shape[1], -1, width)
        scores = (query.reshape(shape) @ key.transpose(-1, -2)).view(batch, heads, new, -1)
        scores = scores * width**-0.5
        if new > 1:
            mask = band(new, key.shape[2], self.part.window, query.device)
            scores = scores.masked_fill(~mask, float("-inf"))
        sinks = self.sinks.view(1, -1, 1, 1).expand(batch, heads, new, 1)
        weights = torch.softmax(torch.cat((scores, sinks), dim=-1), dim=-1)[..., :-1]
        grouped = weights.reshape(batch, key.shape[1], -1, key.shape[2])
        return (grouped @ value).view(batch, heads, new, width)


def band(new: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor:
    """Return which keys each of the last tokens sees.

    Parameters
    ----------
    new, keys : int
        Queries, the last of them at the last key; and keys. [tokens]
    window : int or None
        Keys a query sees, itself included; None for all before it. [tokens]
    device : torch.device
        Where the mask lives.

    Returns
    -------
    torch.Tensor
        Booleans ``(new, keys)``.
    """
    distance = (
        torch.arange(keys - new, keys, device=device)[:, None]
        - torch.arange(keys, device=device)[None, :]
    )
    return (distance >= 0) & (distance < (window or keys + 1))


class DenseBlock(nn.Module):
    """Two or three matrices; SiLU stands for any activation function.

    Parameters
    ----------
    part : Dense
        Its description.
    """

    def __init__(self, part: Dense, **where: Any) -> None:
        super().__init__()
        self.gated = part.gated
        wide = part.intermediate * (2 if part.gated else 1)
        self.entry = nn.Linear(part.hidden, wide, bias=part.bias, **where)
        self.exit = nn.Linear(part.intermediate, part.hidden, bias=part.bias, **where)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Go in, act, come out."""
        return self.exit(activated(self.entry(x), self.gated))


def activated(x: torch.Tensor, gated: bool) -> torch.Tensor:
    """Apply the activation function.

    Parameters
    ----------
    x : torch.Tensor
        Last axis twice as wide where it is gated.
    gated : bool
        Whether the first half gates the second.

    Returns
    -------
    torch.Tensor
        Last axis of the inner width.
    """
    if not gated:
        return functional.silu(x)
    gate, up = x.chunk(2, dim=-1)
    return functional.silu(gate) * up


class MixtureBlock(nn.Module):
    """Routed experts in stacks, and the experts that all tokens visit.

    Parameters
    ----------
    part : MixtureOfExperts
        Its description.
    """

    def __init__(self, part: MixtureOfExperts, **where: Any) -> None:
        super().__init__()
        self.part = part
        wide = part.intermediate * (2 if part.gated else 1)
        self.router = nn.Linear(part.hidden, part.experts, bias=part.router_bias, **where)
        self.entry = nn.Parameter(torch.empty(part.experts, wide, part.hidden, **where))
        self.exit = nn.Parameter(torch.empty(part.experts, part.hidden, part.intermediate, **where))
        self.biases = nn.ParameterList()
        if part.bias:
            self.biases.append(nn.Parameter(torch.zeros(part.experts, wide, **where)))
            self.biases.append(nn.Parameter(torch.zeros(part.experts, part.hidden, **where)))
        self.shared: DenseBlock | None = None
        self.gate: nn.Linear | None = None
        if part.shared_intermediate:
            width = part.shared_intermediate
            dense = Dense(hidden=part.hidden, intermediate=width, gated=part.gated)
            self.shared = DenseBlock(dense, **where)
        if part.shared_gate:
            self.gate = nn.Linear(part.hidden, 1, bias=False, **where)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Route each token to its experts and add what they say."""
        tokens = x.reshape(-1, x.shape[-1])
        shares, chosen = self.router(tokens).softmax(dim=-1).topk(self.part.top_k, dim=-1)
        visit = self._grouped if x.is_cuda and x.dtype == torch.bfloat16 else self._one_by_one
        result = visit(tokens, shares, chosen)
        if self.shared is not None:
            shared = self.shared(tokens)
            result = result + (shared * self.gate(tokens).sigmoid() if self.gate else shared)
        return result.view_as(x)

    def _bias(self, index: int, expert: int) -> torch.Tensor | None:
        return self.biases[index][expert] if len(self.biases) else None

    def _one_by_one(
        self, tokens: torch.Tensor, shares: torch.Tensor, chosen: torch.Tensor
    ) -> torch.Tensor:
        result = torch.zeros_like(tokens)
        for expert in chosen.unique().tolist():
            rows, place = torch.where(chosen == expert)
            inner = functional.linear(tokens[rows], self.entry[expert], self._bias(0, expert))
            outer = functional.linear(
                activated(inner, self.part.gated), self.exit[expert], self._bias(1, expert)
            )
            result.index_add_(0, rows, outer * shares[rows, place, None])
        return result

    def _grouped(
        self, tokens: torch.Tensor, shares: torch.Tensor, chosen: torch.Tensor
    ) -> torch.Tensor:
        """All experts in one grouped product: nothing waits for the host, a graph can hold it."""
        visits, order = chosen.flatten().sort()
        rows = order // self.part.top_k
        experts = torch.arange(self.part.experts, device=tokens.device)
        ends = torch.searchsorted(visits, experts, right=True).to(torch.int32)
        inner = functional.grouped_mm(tokens[rows], self.entry.transpose(1, 2), offs=ends)
        if len(self.biases):
            inner = inner + self.biases[0][visits]
        outer = functional.grouped_mm(
            activated(inner, self.part.gated), self.exit.transpose(1, 2), offs=ends
        )
        if len(self.biases):
            outer = outer + self.biases[1][visits]
        weighted = outer * shares.flatten()[order, None]
        return torch.zeros_like(tokens).index_add_(0, rows, weighted)
