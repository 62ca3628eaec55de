"""The short convolution of recurrent mixers, with the columns it still sees."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class ShortConvolution(nn.Conv1d):
    """A convolution over time that keeps channels apart, and its activation.

    Parameters
    ----------
    channels, taps : int
        Channels, and tokens that one output sees. [1], [tokens]
    bias : bool
        Whether there is one.
    """

    def __init__(self, channels: int, taps: int, *, bias: bool, **where: Any) -> None:
        super().__init__(channels, channels, taps, groups=channels, bias=bias, **where)

    def after(self, columns: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Convolve behind the kept columns, and keep the last ones.

        Parameters
        ----------
        columns : torch.Tensor
            ``(batch, channels, taps - 1)``; changed in place.
        x : torch.Tensor
            ``(batch, new_tokens, channels)``.

        Returns
        -------
        torch.Tensor
            ``(batch, new_tokens, channels)``.
        """
        whole = torch.cat((columns, x.transpose(1, 2)), dim=-1)
        columns.copy_(whole[..., whole.shape[-1] - columns.shape[-1] :])
        return functional.silu(self(whole)).transpose(1, 2)
