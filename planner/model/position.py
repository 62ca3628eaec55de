"""Positions: how far they reach, what that rests on, and what happens beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from planner.model.bounds import MOST_CONTEXT_TOKENS, Flag, Size

Scaling = Literal[
    "none", "linear", "ntk", "dynamic", "yarn", "llama3", "longrope", "proportional"
]  # fmt: skip
Context = Annotated[int, Field(strict=True, ge=1, le=MOST_CONTEXT_TOKENS)]
Positive = Annotated[float, Field(gt=0, lt=1e12)]
Factors = Annotated[tuple[Positive, ...], Field(max_length=4096)]

_NAMES: dict[str, str] = {
    "none": "without scaling",
    "linear": "every angle divided by {factor:g}",
    "ntk": "NTK-aware: the base raised for a factor of {factor:g}",
    "dynamic": "dynamic NTK by {factor:g}: the base rises with the length beyond {original:,}",
    "yarn": "YaRN by {factor:g} from {original:,}",
    "llama3": "Llama-3 scaling by {factor:g} from {original:,}",
    "longrope": "LongRoPE by {factor:g}: other factors beyond {original:,}",
    "proportional": "proportional: {rotated} of {dim} elements turn",
}
_CAUTIONS = {
    "dynamic": "Angles change with the length, so keys cached at one length do not serve another.",
    "yarn": "YaRN is static: it holds at every length and costs some quality on short prompts.",
    "longrope": "A request that passes {original:,} tokens changes the angles of all its keys.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotary:
    r"""Rotary positions: pair ``i`` of a head turns by ``θ_i`` per token.

    .. math::
        \theta_i = b^{-2i/D}

    Parameters
    ----------
    dim : int
        Rotated elements of a head ``D``; for proportional scaling the whole head. [elements]
    base : float
        Base ``b``. [1]
    scaling : str
        How the angles are stretched beyond what the model was first trained on.
    factor : float
        By how much ``s``. [1]
    original : int, optional
        Context of the first training ``L``. [tokens]
    rotated : int, optional
        Elements that turn at all, for proportional scaling. [elements]
    beta_fast, beta_slow : float
        YaRN: turns within ``L`` above which an angle stays, and below which it is divided. [1]
    truncate : bool
        YaRN: whether the two bounds are rounded to whole pairs.
    mscale, mscale_all_dim : float
        YaRN: weights of the logarithm in the attention factor; 0 where not said. [1]
    low_freq_factor, high_freq_factor : float
        Llama-3: turns within ``L`` below which an angle is divided, and above which it stays. [1]
    short_factors, long_factors : tuple of float
        LongRoPE: divisor of each angle up to ``L``, and beyond. [1]
    attention_factor_given : float, optional
        Attention factor where the configuration says it. [1]

    References
    ----------
    su-2021, chen-2023, bloc97-2023, peng-2023, grattafiori-2024, ding-2024
    """

    dim: Size
    base: Positive
    scaling: Scaling = "none"
    factor: Positive = 1.0
    original: Context | None = None
    rotated: Size | None = None
    beta_fast: Positive = 32.0
    beta_slow: Positive = 1.0
    truncate: Flag = True
    mscale: Annotated[float, Field(ge=0, lt=1e3)] = 0.0
    mscale_all_dim: Annotated[float, Field(ge=0, lt=1e3)] = 0.0
    low_freq_factor: Positive = 1.0
    high_freq_factor: Positive = 4.0
    short_factors: Factors = ()
    long_factors: Factors = ()
    attention_factor_given: Positive | None = None

    def frequencies(self, context: int) -> NDArray[np.float64]:
        """Return the angle by which each pair of elements turns per token.

        Parameters
        ----------
        context : int
            Length of the sequence; matters for dynamic and LongRoPE scaling. [tokens]

        Returns
        -------
        numpy.ndarray
            ``dim / 2`` angles. [rad/token]

        References
        ----------
        su-2021

        Examples
        --------
        >>> llama = Rotary(dim=128, base=5e5, scaling="llama3", factor=8.0, original=8192)
        >>> plain = Rotary(dim=128, base=5e5).frequencies(1)
        >>> ratio = plain / llama.frequencies(1)
        >>> [int((ratio == 1).sum()), int((ratio > 7.99).sum())]
        [29, 29]
        """
        pairs = np.arange(0, self.dim, 2, dtype=np.float64)
        plain: NDArray[np.float64] = self.base_at(context) ** (-pairs / self.dim)
        match self.scaling:
            case "linear":
                return plain / self.factor
            case "yarn":
                return self._yarn(plain)
            case "llama3":
                return self._llama3(plain)
            case "longrope":
                beyond = context > (self.original or context)
                divisors = self.long_factors if beyond else self.short_factors
                return plain / np.asarray(divisors, dtype=np.float64)
            case "proportional":
                turning = pairs < 2 * ((self.rotated or self.dim) // 2)
                return np.where(turning, plain, 0.0) / self.factor
        return plain

    def base_at(self, context: int) -> float:
        r"""Return the base from which the angles are made.

        .. math::
            b \, s^{D/(D-2)} \quad\text{(NTK-aware)}, \qquad
            b \, (s n / L - s + 1)^{D/(D-2)} \quad\text{(dynamic)}

        Parameters
        ----------
        context : int
            Length of the sequence; matters for dynamic scaling. [tokens]

        Returns
        -------
        float
            The base itself for the other scalings. [1]

        References
        ----------
        bloc97-2023

        Examples
        --------
        >>> round(Rotary(dim=128, base=1e4, scaling="ntk", factor=8.0).base_at(1))
        82685
        """
        power = self.dim / (self.dim - 2) if self.dim > 2 else 1.0
        if self.scaling == "ntk":
            return float(self.base * self.factor**power)
        if self.scaling == "dynamic":
            original = self.original or context
            stretch = self.factor * max(context, original) / original - (self.factor - 1)
            return float(self.base * stretch**power)
        return self.base

    def yarn_bounds(self) -> tuple[float, float]:
        r"""Return the pairs between which YaRN passes from keeping angles to dividing them.

        .. math::
            D \ln(L / 2\pi r) / (2 \ln b), \quad r = \beta_{fast}, \beta_{slow}

        Returns
        -------
        tuple of float
            First pair that is not kept, first pair that is wholly divided. [1]

        References
        ----------
        peng-2023

        Examples
        --------
        >>> Rotary(dim=128, base=1e4, scaling="yarn", factor=32.0, original=4096).yarn_bounds()
        (20, 46)
        """
        length = self.original or 1

        def pair(turns: float) -> float:
            return self.dim * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(self.base))

        low, high = pair(self.beta_fast), pair(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        return max(low, 0), min(high, self.dim - 1)

    def _yarn(self, plain: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self.yarn_bounds()
        steps = (np.arange(plain.size, dtype=np.float64) - low) / ((high - low) or 0.001)
        ramp = np.clip(steps, 0.0, 1.0)
        blended: NDArray[np.float64] = plain / self.factor * ramp + plain * (1 - ramp)
        return blended

    def _llama3(self, plain: NDArray[np.float64]) -> NDArray[np.float64]:
        turns = (self.original or 1) * plain / (2 * math.pi)
        low, high = self.low_freq_factor, self.high_freq_factor
        kept = np.clip((turns - low) / ((high - low) or 0.001), 0.0, 1.0)
        return plain / self.factor * (1 - kept) + plain * kept

    def attention_factor(self, declared: int | None = None) -> float:
        r"""Return by how much queries and keys are scaled along with the angles.

        .. math::
            0.1 \ln s + 1 \quad\text{(YaRN)}, \qquad \sqrt{1 + \ln s / \ln L} \quad\text{(LongRoPE)}

        Parameters
        ----------
        declared : int, optional
            The whole context, which gives LongRoPE's factor where none is said. [tokens]

        Returns
        -------
        float
            1 for the other scalings. [1]

        References
        ----------
        peng-2023, ding-2024

        Examples
        --------
        >>> yarn = Rotary(dim=128, base=1e4, scaling="yarn", factor=32.0, original=4096)
        >>> phi = Rotary(dim=96, base=1e4, scaling="longrope", factor=32.0, original=4096)
        >>> round(yarn.attention_factor(), 4), round(phi.attention_factor(), 3)
        (1.3466, 1.19)
        """
        if self.attention_factor_given is not None:
            return self.attention_factor_given
        if self.scaling == "yarn":
            if self.mscale and self.mscale_all_dim:
                return _stretch(self.factor, self.mscale) / _stretch(
                    self.factor, self.mscale_all_dim
                )
            return _stretch(self.factor, 1.0)
        if self.scaling == "longrope" and self.original:
            factor = declared / self.original if declared and self.factor == 1 else self.factor
            return math.sqrt(1 + math.log(factor) / math.log(self.original)) if factor > 1 else 1.0
        return 1.0

    @property
    def reach(self) -> int | None:
        """Tokens that the scaling is made for; None where the configuration does not say it."""
        if self.scaling in ("none", "proportional") or self.original is None:
            return None
        return round(self.factor * self.original)

    def describe(self) -> str:
        """Return the scaling in words.

        Returns
        -------
        str
            One clause.

        Examples
        --------
        >>> Rotary(dim=128, base=1e4, scaling="yarn", factor=32.0, original=4096).describe()
        'rotary positions (base 10,000, YaRN by 32 from 4,096)'
        """
        how = _NAMES[self.scaling].format(
            factor=self.factor,
            original=self.original or 0,
            rotated=self.rotated or self.dim,
            dim=self.dim,
        )
        return f"rotary positions (base {self.base:,.12g}, {how})"

    @property
    def caution(self) -> str:
        """What to know when serving with this scaling; empty where there is nothing."""
        return _CAUTIONS.get(self.scaling, "").format(original=self.original or 0)


def _stretch(factor: float, weight: float) -> float:
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """What the usable context of a model rests on.

    Parameters
    ----------
    kind : str
        How the model knows where a token stands.
    declared : int, optional
        Tokens that the configuration declares. [tokens]
    rotations : tuple of Rotary
        Rotary positions, one for each kind of layer.
    """

    kind: Literal["rotary", "learned", "sinusoidal", "relative", "alibi", "none"] = "rotary"
    declared: Context | None = None
    rotations: Annotated[tuple[Rotary, ...], Field(max_length=8)] = ()

    def basis(self) -> str:
        """Return what the usable context rests on.

        Returns
        -------
        str
            One sentence, and cautions where there are any.

        Examples
        --------
        >>> Positions(kind="learned", declared=1024).basis()
        'Declared: 1,024 tokens; a table of learned positions, which ends there.'
        """
        words = {
            "learned": "a table of learned positions, which ends there",
            "sinusoidal": "fixed sinusoids",
            "relative": "a learned bias by distance, the same beyond its last bucket",
            "alibi": "a bias that grows with distance, which nothing ends",
            "none": "no positions, which nothing ends",
            "rotary": "; ".join(dict.fromkeys(each.describe() for each in self.rotations))
            or "rotary positions",
        }
        declared = "no length" if self.declared is None else f"{self.declared:,} tokens"
        cautions = dict.fromkeys(each.caution for each in self.rotations if each.caution)
        return " ".join((f"Declared: {declared}; {words[self.kind]}.", *cautions))

    def beyond(self, context: int) -> str:
        """Return what to expect of a context longer than the usable one.

        Parameters
        ----------
        context : int
            Tokens. [tokens]

        Returns
        -------
        str
            One sentence.

        Examples
        --------
        >>> Positions(kind="learned", declared=1024).beyond(2048)
        'There are no positions beyond 1,024.'
        """
        reach = max((each.reach or 0 for each in self.rotations), default=0)
        if self.kind == "learned":
            return f"There are no positions beyond {self.declared or 0:,}."
        if self.kind in ("alibi", "none", "relative"):
            return "Positions do not end, but the model was not trained on such lengths."
        if context <= reach:
            return f"The scaling reaches {reach:,} tokens, but the configuration declares fewer."
        how = "beyond its scaling" if reach else "without a scaling"
        return f"Angles appear that training never showed; quality falls off {how}."
