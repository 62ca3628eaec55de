"""How long prompts and outputs are: distributions that can be drawn from and have moments."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from planner.errors import ScenarioError

Tokens = NDArray[np.int64]
LONGEST_TOKENS = 2**24


class Lengths(Protocol):
    """A distribution of whole numbers of tokens, at least 1."""

    @property
    def mean(self) -> float:
        """E[X]. [tokens]."""
        ...

    @property
    def second_moment(self) -> float:
        """E[X²]. [tokens²]."""
        ...

    @property
    def longest(self) -> int:
        """The length that one in ten thousand exceeds, or none. [tokens]."""
        ...

    def draw(self, generator: np.random.Generator, size: int) -> Tokens:
        """Return so many independent lengths. [tokens]."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same length.

    Parameters
    ----------
    tokens : int
        The length. [tokens]
    """

    tokens: int

    def __post_init__(self) -> None:
        _check(self.tokens, "length")

    @property
    def mean(self) -> float:
        """E[X]. [tokens]."""
        return float(self.tokens)

    @property
    def second_moment(self) -> float:
        """E[X²]. [tokens²]."""
        return float(self.tokens) ** 2

    @property
    def longest(self) -> int:
        """The length. [tokens]."""
        return self.tokens

    def draw(self, generator: np.random.Generator, size: int) -> Tokens:
        """Return the same length ``size`` times.

        Parameters
        ----------
        generator : numpy.random.Generator
            Not used.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Lengths. [tokens]
        """
        return np.full(size, self.tokens, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Geometric lengths, the exponential among whole numbers; the standard deviation is the mean.

    Parameters
    ----------
    mean_tokens : float
        Mean before clipping. [tokens]
    most : int
        Longer draws are clipped to it. [tokens]
    """

    mean_tokens: float
    most: int = LONGEST_TOKENS

    def __post_init__(self) -> None:
        _check(self.mean_tokens, "mean length")

    def _moment(self, weight: float) -> float:
        """Σ over k below the clip of (1 + weight · k) · P(X > k)."""
        stay = 1 - 1 / self.mean_tokens
        shown = min(self.most, math.ceil(60 * self.mean_tokens) + 1)
        k = np.arange(shown, dtype=np.float64)
        return float(((1 + weight * k) * stay**k).sum())

    @property
    def mean(self) -> float:
        """E[X]. [tokens]."""
        return self._moment(0.0)

    @property
    def second_moment(self) -> float:
        """E[X²]. [tokens²]."""
        return self._moment(2.0)

    @property
    def longest(self) -> int:
        """The length that one in ten thousand exceeds, or the clip. [tokens]."""
        return min(self.most, math.ceil(self.mean_tokens * math.log(1e4)))

    def draw(self, generator: np.random.Generator, size: int) -> Tokens:
        """Return independent lengths.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Lengths. [tokens]
        """
        return np.minimum(generator.geometric(1 / self.mean_tokens, size), self.most)


@dataclass(frozen=True, slots=True)
class Lognormal:
    """Lognormal lengths, as prompts and outputs of services mostly are.

    Parameters
    ----------
    median : float
        Half of the lengths lie below. [tokens]
    sigma : float
        Standard deviation of the logarithm. [1]
    most : int
        Longer draws are clipped to it. [tokens]
    """

    median: float
    sigma: float
    most: int = LONGEST_TOKENS

    def __post_init__(self) -> None:
        _check(self.median, "median length")
        if not 0 <= self.sigma <= 4:
            raise ScenarioError("out of range", where="sigma", got=self.sigma, allowed="0 to 4")

    @classmethod
    def of(cls, *, mean: float, median: float, most: int = LONGEST_TOKENS) -> Lognormal:
        """Return the lognormal with a mean and a median.

        Parameters
        ----------
        mean, median : float
            Of the lengths before clipping; the mean is the larger. [tokens]
        most : int
            Longer draws are clipped to it. [tokens]

        Returns
        -------
        Lognormal
            σ² = 2 ln(mean / median).

        Examples
        --------
        >>> round(Lognormal.of(mean=211, median=129).sigma, 3)
        0.992
        """
        if mean < median:
            raise ScenarioError(
                "the mean of a lognormal is not below its median",
                where="mean",
                got=mean,
                allowed=f"at least the median, {median:g}",
            )
        return cls(median=median, sigma=math.sqrt(2 * math.log(mean / median)), most=most)

    def _moment(self, power: int) -> float:
        """E[min(X, most)^power], in closed form."""
        if self.sigma == 0:
            return min(self.median, self.most) ** power
        end = (math.log(self.most) - math.log(self.median)) / self.sigma
        whole = self.median**power * math.exp((power * self.sigma) ** 2 / 2)
        below = whole * _normal_cdf(end - power * self.sigma)
        return below + float(self.most) ** power * (1 - _normal_cdf(end))

    @property
    def mean(self) -> float:
        """E[X]. [tokens]."""
        return self._moment(1)

    @property
    def second_moment(self) -> float:
        """E[X²]. [tokens²]."""
        return self._moment(2)

    @property
    def longest(self) -> int:
        """The length that one in ten thousand exceeds, or the clip. [tokens]."""
        return min(self.most, math.ceil(self.median * math.exp(3.719 * self.sigma)))

    def draw(self, generator: np.random.Generator, size: int) -> Tokens:
        """Return independent lengths.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Lengths. [tokens]
        """
        drawn = np.rint(generator.lognormal(math.log(self.median), self.sigma, size))
        return np.clip(drawn, 1, self.most).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Empirical:
    """Lengths drawn from those that were seen.

    Parameters
    ----------
    seen : tuple of int
        Lengths. [tokens]
    """

    seen: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.seen:
            raise ScenarioError("no lengths", where="lengths", allowed="at least one")
        _check(min(self.seen), "length")
        _check(max(self.seen), "length")

    @property
    def mean(self) -> float:
        """E[X]. [tokens]."""
        return float(np.mean(self.seen))

    @property
    def second_moment(self) -> float:
        """E[X²]. [tokens²]."""
        return float(np.mean(np.square(np.array(self.seen, dtype=np.float64))))

    @property
    def longest(self) -> int:
        """The longest seen. [tokens]."""
        return max(self.seen)

    def draw(self, generator: np.random.Generator, size: int) -> Tokens:
        """Return independent draws of what was seen.

        Parameters
        ----------
        generator : numpy.random.Generator
            Source of randomness.
        size : int
            How many. [1]

        Returns
        -------
        array, shape (size,)
            Lengths. [tokens]
        """
        return generator.choice(np.array(self.seen, dtype=np.int64), size)


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _check(value: float, where: str) -> None:
    if not 1 <= value <= LONGEST_TOKENS:
        raise ScenarioError(
            "out of range", where=where, got=value, allowed=f"1 to {LONGEST_TOKENS:,} tokens"
        )


__all__ = ["Empirical", "Exponential", "Fixed", "Lengths", "Lognormal"]
