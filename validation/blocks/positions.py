"""Where the new tokens of a step stand: what they have behind them, and how they are rotated."""

from __future__ import annotations

from collections.abc import Callable

import torch

Caches = tuple[torch.Tensor, ...]
"""What one part keeps of the tokens so far; changed in place."""

Scores = Callable[[torch.Tensor], torch.Tensor]
"""From what queries are made of to the scores of all keys, ``(batch, new_tokens, keys)``."""

_ROTATION_BASE = 10_000.0


class Positions:
    """Positions of new tokens, with what the layers of one step share: rotations, selections.

    Parameters
    ----------
    cached, new : int
        Tokens seen before, and new ones. [tokens]
    device : torch.device
        Where the tokens are.
    dtype : torch.dtype
        Of queries and keys.
    """

    def __init__(self, cached: int, new: int, device: torch.device, dtype: torch.dtype) -> None:
        self.cached = cached
        self.new = new
        self.ids = torch.arange(cached, cached + new, device=device)
        self._dtype = dtype
        self._rotations: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.scores: Scores | None = None
        self._selection: torch.Tensor | None = None

    def _rotation(self, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        if width not in self._rotations:
            steps = torch.arange(width // 2, device=self.ids.device, dtype=torch.float32)
            angles = self.ids[:, None] * _ROTATION_BASE ** (-steps / (width // 2))
            self._rotations[width] = angles.cos().to(self._dtype), angles.sin().to(self._dtype)
        return self._rotations[width]

    def rotated(self, x: torch.Tensor, width: int) -> torch.Tensor:
        """Turn the first elements of each head by position.

        Parameters
        ----------
        x : torch.Tensor
            Queries or keys, ``(batch, heads, new_tokens, head_dim)``.
        width : int
            How many elements are turned. [elements]

        Returns
        -------
        torch.Tensor
            Same shape.
        """
        cosine, sine = self._rotation(width)
        half = width // 2
        first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        turned = (first * cosine - second * sine, second * cosine + first * sine)
        return torch.cat((*turned, rest), dim=-1)

    def selection(self, latent: torch.Tensor, most: int) -> torch.Tensor:
        """Return which keys each new token attends to.

        Parameters
        ----------
        latent : torch.Tensor
            What queries are made of, ``(batch, new_tokens, width)``.
        most : int
            How many keys at most. [tokens]

        Returns
        -------
        torch.Tensor
            Indices ``(batch, new_tokens, keys)``; those of an earlier layer where no indexer has
            spoken since. Where a token has fewer keys before it, some lie behind it.
        """
        if self.scores is not None:
            scores, self.scores = self.scores(latent), None
            keys = scores.shape[-1]
            seen = band(self.new, keys, None, scores.device)
            scores = scores.masked_fill(~seen, float("-inf"))
            self._selection = scores.topk(min(most, keys), dim=-1).indices
        assert self._selection is not None, "an indexer stands before the first selection"
        return self._selection


def band(
    new: int, keys: int, window: int | None, device: torch.device, *, chunk: int | None = None
) -> torch.Tensor:
    """Return which keys each of the last tokens sees.

    Parameters
    ----------
    new, keys : int
        Queries, the last of them at the last key; and keys. [tokens]
    window : int or None
        Keys a query sees, itself included; None for all before it. [tokens]
    device : torch.device
        Where the mask lives.
    chunk : int, optional
        Where a query sees its own chunk only: tokens of a chunk. [tokens]

    Returns
    -------
    torch.Tensor
        Booleans ``(new, keys)``.
    """
    query = torch.arange(keys - new, keys, device=device)[:, None]
    key = torch.arange(keys, device=device)[None, :]
    seen = (key <= query) & (query - key < (window or keys + 1))
    return seen if chunk is None else seen & (query // chunk == key // chunk)
