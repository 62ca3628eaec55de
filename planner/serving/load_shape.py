"""What closed forms need to know of a workload: a few moments, and prompts in bins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from planner.serving.workload import Workload

_DRAWS, _BINS = 4096, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShape:
    """A workload without its arrivals.

    Parameters
    ----------
    new_tokens, cached_tokens : array, shape (bins,)
        Prompts in equally frequent bins: tokens to read, and tokens found in the prefix cache.
        [tokens]
    output_tokens : float
        Mean. [tokens]
    output_cv2 : float
        Squared coefficient of variation of outputs. [1]
    resident_tokens : float
        Mean tokens in the cache of a decoding request, weighted by how long it stays. [tokens]
    resident_std_tokens : float
        Standard deviation of the same. [tokens]
    private_fraction : float
        Share of a resident's cache that it does not share with others. [1]
    longest_tokens : int
        Prompt and output that one in ten thousand exceeds, about. [tokens]
    """

    new_tokens: NDArray[np.float64]
    cached_tokens: NDArray[np.float64]
    output_tokens: float
    output_cv2: float
    resident_tokens: float
    resident_std_tokens: float
    private_fraction: float
    longest_tokens: int

    @property
    def prompt_tokens(self) -> float:
        """Mean prompt, cached part included. [tokens]."""
        return float((self.new_tokens + self.cached_tokens).mean())

    def scaled(self, *, prompt: float = 1.0, output: float = 1.0) -> LoadShape:
        """Return the load with longer or shorter prompts and outputs.

        Parameters
        ----------
        prompt, output : float
            Multiples. [1]

        Returns
        -------
        LoadShape
            With the same relative spread.
        """
        decoded = self.resident_tokens - self.prompt_tokens
        return replace(
            self,
            new_tokens=self.new_tokens * prompt,
            cached_tokens=self.cached_tokens * prompt,
            output_tokens=max(self.output_tokens * output, 1.0),
            resident_tokens=max(self.prompt_tokens * prompt + decoded * output, 1.0),
            resident_std_tokens=self.resident_std_tokens * max(prompt, output),
        )

    @property
    def decode_steps(self) -> float:
        """Mean decode steps of a request: its first token comes with the prompt. [1]."""
        return self.output_tokens - 1


def load_shape(
    workload: Workload, *, prefix_caching: bool = True, block_tokens: int = 1
) -> LoadShape:
    """Return the moments of a workload.

    Prefixes are taken to stay in the cache once read: right where few of them are asked for often.

    Parameters
    ----------
    workload : Workload
        The workload.
    prefix_caching : bool
        Whether shared beginnings are read once.
    block_tokens : int
        Prefixes are found in whole blocks. [tokens]

    Returns
    -------
    LoadShape
        From 4,096 draws of a fixed seed where no closed form exists.

    Examples
    --------
    >>> from planner.serving.arrivals import Poisson
    >>> from planner.serving.lengths import Exponential, Fixed
    >>> load = Workload(prompt=Fixed(1000), output=Exponential(500), arrivals=Poisson(1))
    >>> round(load_shape(load).resident_tokens)
    1500
    """
    requests = workload.draw(_DRAWS, seed=0)
    prompts = np.sort(requests.prompt_tokens).astype(np.float64)
    prompts *= workload.prompt.mean / prompts.mean()
    prompts = prompts.reshape(_BINS, -1).mean(axis=1)
    prefix = workload.prefix
    hit = np.zeros(_BINS)
    if prefix is not None and prefix_caching:
        whole = np.floor(np.minimum(prefix.tokens, prompts - 1) / block_tokens) * block_tokens
        hit = prefix.fraction * np.maximum(whole, 0.0)
    output, second = workload.output.mean, workload.output.second_moment
    resident = workload.resident_tokens if output > 1 else workload.prompt.mean
    return LoadShape(
        new_tokens=prompts - hit,
        cached_tokens=hit,
        output_tokens=output,
        output_cv2=max(second / output**2 - 1, 0.0),
        resident_tokens=resident,
        resident_std_tokens=_resident_std(requests.prompt_tokens, requests.output_tokens),
        private_fraction=1 - float(hit.mean()) / max(resident, 1.0),
        longest_tokens=workload.prompt.longest + workload.output.longest,
    )


def _resident_std(prompts: NDArray[np.int64], outputs: NDArray[np.int64]) -> float:
    """Spread of a cache seen at a random time: requests weighted by their decode steps."""
    steps = np.maximum(outputs - 1, 0).astype(np.float64)
    if not steps.sum():
        return float(prompts.std())
    mean = ((prompts + outputs / 2) * steps).sum() / steps.sum()
    square = prompts**2 + prompts * outputs + outputs.astype(np.float64) ** 2 / 3
    return float(np.sqrt(max((square * steps).sum() / steps.sum() - mean**2, 0.0)))


__all__ = ["LoadShape", "load_shape"]
