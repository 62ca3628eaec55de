"""Whole steps of a model: prefill and decode, timed against the plan, with true sizes beside.

Two makers of a step: our own decoder, built from the planner's description, and the real class of
``transformers``, built from a published configuration. Both have random weights.
"""

from __future__ import annotations

import gc
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch

from planner.cost.shapes import Shape, execution_of
from planner.errors import ScenarioError
from planner.model import Execution, Model
from validation.allocation import filled, storage_bytes
from validation.decoder import Decoder
from validation.entries import Check
from validation.reduction import CUTS, model_of

Call = Callable[[], torch.Tensor]


class Steps(Protocol):
    """Something that can do the steps of a model.

    Parameters
    ----------
    model : Model
        The planner's view of it.
    execution : Execution
        Its formats.
    keeps_extra_column : bool
        Whether a convolution's cache has a column per tap, the newest included.
    """

    model: Model
    execution: Execution
    keeps_extra_column: bool

    def parameters(self) -> list[torch.Tensor]:
        """Return its weights, shared ones once."""
        ...

    def prefill(self, batch: int, new_tokens: int) -> tuple[Call, list[torch.Tensor]]:
        """Return the call that reads prompts, and the caches that it fills."""
        ...

    def decode(self, batch: int, cached: int) -> tuple[Call, list[torch.Tensor]]:
        """Return the call that makes the next token, and the caches that it reads."""
        ...


@dataclass(frozen=True, slots=True)
class OwnSteps:
    """Steps of our own decoder.

    Parameters
    ----------
    decoder : Decoder
        The decoder.
    """

    decoder: Decoder

    @property
    def keeps_extra_column(self) -> bool:
        """Whether a convolution's cache has a column per tap: it has one less."""
        return False

    @property
    def model(self) -> Model:
        """The planner's view of it."""
        return self.decoder.model

    @property
    def execution(self) -> Execution:
        """Its formats."""
        return self.decoder.execution

    def parameters(self) -> list[torch.Tensor]:
        """Return its weights.

        Returns
        -------
        list of torch.Tensor
            Each once.
        """
        return list(self.decoder.parameters())

    def _ids(self, batch: int, tokens: int) -> torch.Tensor:
        most = self.model.embedding.vocabulary
        return torch.randint(0, most, (batch, tokens), device=self.decoder.device)

    def prefill(self, batch: int, new_tokens: int) -> tuple[Call, list[torch.Tensor]]:
        """Return the call that reads prompts, and the caches that it fills.

        Parameters
        ----------
        batch, new_tokens : int
            Sequences and tokens of each. [1], [tokens]

        Returns
        -------
        (callable, list of torch.Tensor)
            Every call begins with the same prompt.
        """
        ids, caches = self._ids(batch, new_tokens), self.decoder.caches(batch, new_tokens)
        return lambda: self.decoder(ids, caches), [x for kept in caches for x in kept]

    def decode(self, batch: int, cached: int) -> tuple[Call, list[torch.Tensor]]:
        """Return the call that makes the next token, and the caches that it reads.

        Parameters
        ----------
        batch, cached : int
            Sequences, and tokens that each has seen. [1], [tokens]

        Returns
        -------
        (callable, list of torch.Tensor)
            Every call writes to the same place; the caches hold random data.
        """
        ids, caches = self._ids(batch, 1), self.decoder.caches(batch, cached + 1)
        kept = [x for each in caches for x in each]
        for cache in kept:
            cache.copy_(filled(cache.shape, cache.dtype, cache.device))
        return lambda: self.decoder(ids, caches, cached), kept


def transformers_available() -> tuple[bool, str]:
    """Return whether the real classes can be had.

    Returns
    -------
    (bool, str)
        Yes or no, and why not.
    """
    if importlib.util.find_spec("transformers") is None:
        return False, "transformers is not installed"
    return True, ""


@lru_cache(maxsize=1)
def _made(
    maker: str, cuts: tuple[tuple[str, object], ...], dtype: str, device: torch.device
) -> Steps:
    shape = dict(cuts)
    if maker == "decoder":
        return OwnSteps(Decoder(model_of(shape), execution_of(dtype), device).randomised())
    from validation.checkpoint import load_checkpoint

    return load_checkpoint(shape, dtype, device)


def steps_of(maker: str, shape: Shape, dtype: str, device: torch.device) -> Steps:
    """Return what does the steps of a case; the last one made is kept for the next case.

    Parameters
    ----------
    maker : {"decoder", "transformers"}
        Who makes the module.
    shape : mapping
        ``model`` and cuts.
    dtype : str
        Of weights, stream and cache.
    device : torch.device
        Where it runs.

    Returns
    -------
    Steps
        With random weights.

    Raises
    ------
    ScenarioError
        The maker is unknown or not installed.
    """
    if maker not in ("decoder", "transformers"):
        allowed = "decoder, transformers"
        raise ScenarioError("no maker of steps", where="kernel", got=maker, allowed=allowed)
    there, reason = transformers_available() if maker == "transformers" else (True, "")
    if not there:
        raise ScenarioError(reason, where="kernel", got=maker)
    cuts = tuple((name, shape.get(name)) for name in ("model", *CUTS))
    return _made(maker, cuts, dtype, device)


def forget() -> None:
    """Give back the memory of the module that was kept."""
    _made.cache_clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A step that is ready to be timed.

    Parameters
    ----------
    call : callable
        Does the step and returns logits.
    model : Model
        The planner's view.
    checks : tuple of Check
        Parameters, weights and caches.
    """

    call: Call
    model: Model
    checks: tuple[Check, ...]


def prepare(kind: str, maker: str, shape: Shape, dtype: str, device: torch.device) -> Prepared:
    """Make a model and its caches and compare their sizes with the plan.

    Parameters
    ----------
    kind : {"model_prefill", "model_decode"}
        The step.
    maker : {"decoder", "transformers"}
        Who makes the module.
    shape : mapping
        ``model``, cuts, ``batch``, and ``new_tokens`` or ``cached_tokens``.
    dtype : str
        Of weights, stream and cache.
    device : torch.device
        Where it runs.

    Returns
    -------
    Prepared
        Call, model and checks.
    """
    steps = steps_of(maker, shape, dtype, device)
    batch = int(shape["batch"])
    if kind == "model_decode":
        context = int(shape["cached_tokens"]) + 1
        call, caches = steps.decode(batch, context - 1)
    else:
        context = int(shape["new_tokens"])
        call, caches = steps.prefill(batch, context)
    parameters = steps.parameters()
    model, execution = steps.model, steps.execution
    checks = (
        Check(
            name="parameters",
            predicted=model.parameters,
            measured=sum(parameter.numel() for parameter in parameters),
            unit="1",
        ),
        Check(
            name="weights",
            predicted=model.weights_bytes(execution),
            measured=storage_bytes(parameters),
            unit="bytes",
        ),
        *_cache_checks(steps, batch, context, caches),
    )
    return Prepared(call=call, model=model, checks=checks)


def _cache_checks(
    steps: Steps, batch: int, context: int, caches: list[torch.Tensor]
) -> tuple[Check, ...]:
    model, execution = steps.model, steps.execution
    planned = int(batch * model.cache_bytes(context, execution))
    held = storage_bytes(caches)
    extra = 0
    if steps.keeps_extra_column:
        extra = batch * sum(
            count * cache.sequence_bytes(context, execution, tp=1) // cache.shape[0]
            for _, cache, count in model.caches
            if cache.kind == "convolution"
        )
    if not extra:
        return (Check(name="caches", predicted=planned, measured=held, unit="bytes"),)
    note = "the class keeps as many columns as the convolution has taps, one more than it needs"
    return (
        Check(name="caches as planned", predicted=planned, measured=held, unit="bytes",
              rule="shown", note=note),
        Check(name="caches with that column", predicted=planned + extra, measured=held,
              unit="bytes"),
    )  # fmt: skip
