"""Feed-forward blocks: dense, and a mixture of experts."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.norm import Norm
from validation.blocks.norm import NormBlock


class DenseBlock(nn.Module):
    """Two or three matrices; SiLU stands for any activation function.

    Parameters
    ----------
    part : Dense
        Its description.
    """

    BUILT = frozenset({"kind", "hidden", "intermediate", "gated", "bias", "name"})

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

    BUILT = frozenset({
        "kind", "hidden", "intermediate", "experts", "top_k", "gated", "bias", "router_bias",
        "shared_intermediate", "shared_gate", "correction_bias", "latent", "latent_norm", "name",
    })  # fmt: skip

    def __init__(self, part: MixtureOfExperts, **where: Any) -> None:
        super().__init__()
        self.part = part
        wide, inner = part.intermediate * (2 if part.gated else 1), part.expert_hidden
        self.router = nn.Linear(part.hidden, part.experts, bias=part.router_bias, **where)
        self.entry = nn.Parameter(torch.empty(part.experts, wide, inner, **where))
        self.exit = nn.Parameter(torch.empty(part.experts, inner, part.intermediate, **where))
        self.biases = nn.ParameterList()
        if part.bias:
            self.biases.append(nn.Parameter(torch.zeros(part.experts, wide, **where)))
            self.biases.append(nn.Parameter(torch.zeros(part.experts, inner, **where)))
        self.into: nn.Module = nn.Identity()
        self.out_of: nn.Module = nn.Identity()
        if part.latent:
            self.into = nn.Linear(part.hidden, inner, bias=False, **where)
            self.out_of = nn.Linear(inner, part.hidden, bias=False, **where)
        if part.latent_norm:
            norm = Norm(kind="rms_norm", width=inner)
            self.into = nn.Sequential(self.into, NormBlock(norm, **where))
            self.out_of = nn.Sequential(NormBlock(norm, **where), self.out_of)
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
        result = self.out_of(visit(self.into(tokens), shares, chosen))
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
