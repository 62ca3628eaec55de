"""RMSNorm and LayerNorm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from planner.model.norm import Norm

EPSILON = 1e-5


class NormBlock(nn.Module):
    """RMSNorm or LayerNorm.

    Parameters
    ----------
    part : Norm
        Its description.
    """

    BUILT = frozenset({"kind", "width", "weight", "bias", "name"})

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
            return functional.rms_norm(x, (self.width,), self.weight, EPSILON)
        return functional.layer_norm(x, (self.width,), self.weight, self.bias, EPSILON)
