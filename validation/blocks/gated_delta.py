"""The gated DeltaNet mixer: the rule in chunks for a prompt, one update for a single token."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.mixers.linear_delta import GatedDeltaNet
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions
from validation.blocks.short_convolution import ShortConvolution


class GatedDeltaBlock(nn.Module):
    """Gated DeltaNet with its matrix state and the last columns of its convolution's input.

    Parameters
    ----------
    part : GatedDeltaNet
        Its description.

    References
    ----------
    yang-2024, equation 10 and the chunked form of section 3.3
    """

    BUILT = frozenset({
        "kind", "hidden", "key_heads", "value_heads", "key_dim", "value_dim", "conv_kernel",
        "chunk", "state_format",
    })  # fmt: skip

    def __init__(self, part: GatedDeltaNet, **where: Any) -> None:
        super().__init__()
        self.part = part
        keys, values = part.key_heads * part.key_dim, part.value_heads * part.value_dim
        self.convolved = (keys, keys, values)
        self.widths = (2 * keys + values, values, part.value_heads, part.value_heads)
        self.entry = nn.Linear(part.hidden, sum(self.widths), bias=False, **where)
        self.convolution = ShortConvolution(
            sum(self.convolved), part.conv_kernel, bias=False, **where
        )
        self.step_bias = nn.Parameter(torch.zeros(part.value_heads, **where))
        self.decay_log = nn.Parameter(torch.zeros(part.value_heads, **where))
        self.norm = NormBlock(Norm(kind="rms_norm", width=part.value_dim), **where)
        self.output = nn.Linear(values, part.hidden, bias=False, **where)

    def forward(self, x: torch.Tensor, caches: Caches, positions: Positions) -> torch.Tensor:
        """Apply the rule to new tokens and keep the state after them.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            State ``(batch, value_heads · value_dim, key_dim)`` and columns of the convolution
            ``(batch, channels, conv_kernel - 1)``; changed in place.
        positions : Positions
            Of the new tokens; the state knows what came before.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, hidden)``.
        """
        part = self.part
        mixed, gate, strength, step = self.entry(x).split(self.widths, dim=-1)
        mixed = self.convolution.after(caches[1], mixed)
        query, key, value = (
            each.unflatten(-1, (-1, width)).transpose(1, 2).float()
            for each, width in zip(
                mixed.split(self.convolved, dim=-1),
                (part.key_dim, part.key_dim, part.value_dim),
                strict=True,
            )
        )
        group = part.value_heads // part.key_heads
        query, key = (
            functional.normalize(each, dim=-1).repeat_interleave(group, dim=1)
            for each in (query, key)
        )
        query = query * part.key_dim**-0.5
        fading = functional.softplus(step.float() + self.step_bias.float())
        fading = -torch.exp(self.decay_log.float()) * fading
        strength = strength.float().sigmoid().transpose(1, 2)
        state = caches[0].unflatten(1, (part.value_heads, part.value_dim))
        rule = self._update if positions.new == 1 else self._chunks
        found = rule(query, key, value, fading.transpose(1, 2), strength, state)
        found = self.norm(found.transpose(1, 2).to(x.dtype))
        return self.output(found.flatten(2) * functional.silu(gate))

    def _update(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        fading: torch.Tensor,
        strength: torch.Tensor,
        state: torch.Tensor,
    ) -> torch.Tensor:
        """One token: decay the state, replace what it says about the key, read it."""
        state.mul_(torch.exp(fading)[..., None].to(state.dtype))
        said = (state * key).sum(-1)
        correction = (value[:, :, 0] - said) * strength
        state.add_((correction[..., None] * key).to(state.dtype))
        return (state * query).sum(-1)[:, :, None]

    def _chunks(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        fading: torch.Tensor,
        strength: torch.Tensor,
        state: torch.Tensor,
    ) -> torch.Tensor:
        """Many tokens: corrections within a chunk solve a triangular system."""
        new = query.shape[2]
        size = min(self.part.chunk, new)

        def chunked(x: torch.Tensor) -> torch.Tensor:
            padded = functional.pad(x, (0, 0, 0, -new % size))
            return padded.unflatten(2, (-1, size))

        # (batch, heads, chunks, tokens of a chunk, width); padding has no strength and no decay.
        query, key, value = chunked(query), chunked(key), chunked(value)
        strength, summed = chunked(strength[..., None]), chunked(fading[..., None]).cumsum(-2)
        decay = torch.exp(summed - summed.transpose(-1, -2)).tril()
        system = (key * strength @ key.transpose(-1, -2) * decay).tril(-1)
        wanted = torch.cat((value * strength, key * strength * torch.exp(summed)), dim=-1)
        solved = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
        fresh, replaced = solved.split((value.shape[-1], key.shape[-1]), dim=-1)
        scores = query @ key.transpose(-1, -2) * decay
        entering = key * torch.exp(summed[..., -1:, :] - summed)
        query = query * torch.exp(summed)
        current, found = state.float().transpose(-1, -2), []
        for chunk in range(query.shape[2]):
            corrected = fresh[:, :, chunk] - replaced[:, :, chunk] @ current
            found.append(query[:, :, chunk] @ current + scores[:, :, chunk] @ corrected)
            current = current * torch.exp(summed[:, :, chunk, -1:])
            current = current + entering[:, :, chunk].transpose(-1, -2) @ corrected
        state.copy_(current.transpose(-1, -2))
        return torch.cat(found, dim=2)[:, :, :new]
