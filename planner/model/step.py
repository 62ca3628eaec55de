"""One forward pass, as the model sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, minimum

Phase = Literal["prefill", "decode"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One forward pass of ``batch`` sequences; every field but the phase may be an array.

    Parameters
    ----------
    batch : numeric
        Sequences in the step. [1]
    new_tokens : numeric
        Tokens each sequence brings. [tokens]
    cached_tokens : numeric
        Tokens each sequence has in its cache already. [tokens]
    phase : {"prefill", "decode"}
        Which kernels serve the step: many new tokens, or one (a few with speculation).
    logit_rows : numeric
        Rows per sequence that go through the LM head; 1 unless all logits are asked for. [1]
    """

    batch: Numeric
    new_tokens: Numeric
    cached_tokens: Numeric
    phase: Phase
    logit_rows: Numeric = 1

    @property
    def resumes(self) -> Numeric:
        """Whether states of earlier tokens are read: always in decode, later in prefill. [1]."""
        return 1 if self.phase == "decode" else minimum(self.cached_tokens, 1)

    @property
    def tokens(self) -> Numeric:
        """New tokens of all sequences together. [tokens]."""
        return self.batch * self.new_tokens

    @classmethod
    def prefill(cls, batch: Numeric, new_tokens: Numeric, cached_tokens: Numeric = 0) -> Step:
        """Return the step that reads whole prompts.

        Parameters
        ----------
        batch : numeric
            Sequences. [1]
        new_tokens : numeric
            Prompt tokens that are not cached. [tokens]
        cached_tokens : numeric
            Prompt tokens found in a prefix cache. [tokens]

        Returns
        -------
        Step
            A prefill step with one row of logits per sequence.

        Examples
        --------
        >>> Step.prefill(2, 8192).tokens
        16384
        """
        return cls(batch=batch, new_tokens=new_tokens, cached_tokens=cached_tokens, phase="prefill")

    @classmethod
    def decode(cls, batch: Numeric, context: Numeric) -> Step:
        """Return the step that makes one token each, after which caches hold ``context`` tokens.

        Parameters
        ----------
        batch : numeric
            Sequences. [1]
        context : numeric
            Tokens in each cache once the step is done, the new one included. [tokens]

        Returns
        -------
        Step
            A decode step: one new token on ``context - 1`` cached ones.

        Examples
        --------
        >>> Step.decode(16, 4096).cached_tokens
        4095
        """
        return cls(batch=batch, new_tokens=1, cached_tokens=context - 1, phase="decode")
