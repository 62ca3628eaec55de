"""The Mamba-2 mixer as a plain PyTorch module: the chunked scan and the single-token update."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.mixers.state_space import Mamba2
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock
from validation.blocks.positions import Caches, Positions
from validation.blocks.short_convolution import ShortConvolution


class StateSpaceBlock(nn.Module):
    """Mamba-2 with its recurrent state and the last columns of its convolution's input.

    Parameters
    ----------
    part : Mamba2
        Its description.

    References
    ----------
    dao-2024, listing 1
    """

    BUILT = frozenset({
        "kind", "hidden", "heads", "head_dim", "groups", "state_dim", "conv_kernel", "chunk",
        "bias", "conv_bias", "norm", "state_format",
    })  # fmt: skip

    def __init__(self, part: Mamba2, **where: Any) -> None:
        super().__init__()
        self.part = part
        inner = part.heads * part.head_dim
        self.inner = inner
        self.convolved = inner + 2 * part.groups * part.state_dim
        wide = inner + self.convolved + part.heads
        self.entry = nn.Linear(part.hidden, wide, bias=part.bias, **where)
        self.convolution = ShortConvolution(
            self.convolved, part.conv_kernel, bias=part.conv_bias, **where
        )
        self.step_bias = nn.Parameter(torch.zeros(part.heads, **where))
        self.decay_log = nn.Parameter(torch.zeros(part.heads, **where))
        self.skip = nn.Parameter(torch.ones(part.heads, **where))
        norm = Norm(kind="rms_norm", width=inner)
        self.norm = NormBlock(norm, **where) if part.norm else None
        self.output = nn.Linear(inner, part.hidden, bias=part.bias, **where)

    def forward(self, x: torch.Tensor, caches: Caches, positions: Positions) -> torch.Tensor:
        """Scan new tokens and keep the state after them.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, new_tokens, hidden)``.
        caches : tuple of torch.Tensor
            State ``(batch, heads · head_dim, state_dim)`` and columns of the convolution
            ``(batch, channels, conv_kernel - 1)``; changed in place.
        positions : Positions
            Of the new tokens; the state knows what came before.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, hidden)``.
        """
        part, batch, new = self.part, x.shape[0], positions.new
        widths = (self.inner, self.convolved, part.heads)
        gate, mixed, steps = self.entry(x).split(widths, dim=-1)
        mixed = self.convolution.after(caches[1], mixed)
        shared = part.groups * part.state_dim
        values, inward, outward = mixed.split((self.inner, shared, shared), dim=-1)
        values = values.view(batch, new, part.heads, part.head_dim)
        inward = inward.view(batch, new, part.groups, part.state_dim)
        outward = outward.view(batch, new, part.groups, part.state_dim)
        steps = functional.softplus(steps.float() + self.step_bias.float())
        state = caches[0].view(batch, part.heads, part.head_dim, part.state_dim)
        scan = self._update if new == 1 else self._scan
        scanned = scan(values, inward, outward, steps, state)
        scanned = scanned + values * self.skip[:, None]
        gated = scanned.reshape(batch, new, self.inner) * functional.silu(gate)
        return self.output(self.norm(gated) if self.norm is not None else gated)

    def _per_head(self, shared: torch.Tensor, axis: int) -> torch.Tensor:
        return shared.repeat_interleave(self.part.heads // self.part.groups, dim=axis)

    def _update(
        self,
        values: torch.Tensor,
        inward: torch.Tensor,
        outward: torch.Tensor,
        steps: torch.Tensor,
        state: torch.Tensor,
    ) -> torch.Tensor:
        """One token: decay the state, add to it, read it."""
        step = steps[:, 0, :, None, None]
        decay = torch.exp(-step * torch.exp(self.decay_log.float())[:, None, None])
        entering = self._per_head(inward[:, 0], 1)[:, :, None, :]
        addend = (step * values[:, 0, :, :, None]) * entering
        state.mul_(decay.to(state.dtype)).add_(addend.to(state.dtype))
        leaving = self._per_head(outward[:, 0], 1)
        read = (state * leaving[:, :, None, :]).sum(-1)
        return read[:, None].to(values.dtype)

    def _scan(
        self,
        values: torch.Tensor,
        inward: torch.Tensor,
        outward: torch.Tensor,
        steps: torch.Tensor,
        state: torch.Tensor,
    ) -> torch.Tensor:
        """Many tokens in chunks: within a chunk as attention, between chunks as a recurrence."""
        part, (batch, new) = self.part, values.shape[:2]
        size = min(part.chunk, new)
        padding = -new % size

        def chunked(x: torch.Tensor) -> torch.Tensor:
            padded = functional.pad(x.float(), (0, 0) * (x.dim() - 2) + (0, padding))
            return padded.view(batch, -1, size, *x.shape[2:]).transpose(2, 3)

        # (batch, chunks, heads or groups, tokens of a chunk, width); padding has step 0.
        steps = chunked(steps[..., None])[..., 0]
        values, inward, outward = chunked(values), chunked(inward), chunked(outward)
        summed = (-steps * torch.exp(self.decay_log.float())[:, None]).cumsum(-1)
        entering = values * steps[..., None]

        seen = torch.ones(size, size, dtype=torch.bool, device=values.device).tril()
        distance = summed[..., :, None] - summed[..., None, :]
        decay = torch.exp(distance.masked_fill(~seen, float("-inf")))
        scores = self._per_head(outward @ inward.transpose(-1, -2), 2)
        within = (scores * decay) @ entering

        fading = torch.exp(summed[..., -1:] - summed)[..., None]
        added = (entering * fading).transpose(-1, -2) @ self._per_head(inward, 2)
        before = []
        current = state.float()
        for chunk in range(added.shape[1]):
            before.append(current)
            current = current * torch.exp(summed[:, chunk, :, -1])[..., None, None]
            current = current + added[:, chunk]
        state.copy_(current)
        past = self._per_head(outward, 2) @ torch.stack(before, dim=1).transpose(-1, -2)
        scanned = (within + past * torch.exp(summed)[..., None]).transpose(2, 3)
        joined = scanned.reshape(batch, new + padding, part.heads, part.head_dim)
        return joined[:, :new].to(self.skip.dtype)
