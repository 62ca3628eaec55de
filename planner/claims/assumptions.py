"""Controls that several claims share, and what their values stand for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from planner.claims.claim import Control
from planner.cost.limits import MOST_TOKENS
from planner.explanation import Explanation, Term
from planner.hardware import device_ids
from planner.importers import load_model, model_ids
from planner.model import Execution, Model
from planner.model.execution import half
from planner.model.storage import CACHE_FORMATS

Fitting = Callable[[Model], bool]

REFERENCE_MODELS = (
    "gpt3-175b",
    "llama-2-7b",
    "llama-2-70b",
    "llama-3.1-8b",
    "llama-3.1-405b",
    "qwen2.5-7b",
    "mistral-7b-v0.1",
    "gemma-3-27b",
    "gpt-oss-120b",
    "deepseek-v3",
    "deepseek-v3.2",
    "deepseek-v4-flash",
)
"""Models of the catalog that claims about models in general are held against."""


def keeps_tokens(model: Model) -> bool:
    """Return whether every token leaves something in a cache.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    bool
        False for models that keep a state only, and for encoders.

    Examples
    --------
    >>> keeps_tokens(load_model("gpt2")), keeps_tokens(load_model("mamba2-2.7b"))
    (True, False)
    """
    return bool(model.cache_bytes_per_token(half()) > 0)


def keeps_state(model: Model) -> bool:
    """Return whether a sequence leaves a state of fixed size.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    bool
        True for recurrent models and hybrids.

    Examples
    --------
    >>> keeps_state(load_model("gpt2")), keeps_state(load_model("mamba2-2.7b"))
    (False, True)
    """
    return model.state_bytes(half()) > 0


def any_model(model: Model) -> bool:
    """Return that a model will do.

    Parameters
    ----------
    model : Model
        Not looked at.

    Returns
    -------
    bool
        True.
    """
    del model
    return True


@functools.cache
def _models(ids: tuple[str, ...], fitting: Fitting) -> tuple[str, ...]:
    return tuple(name for name in ids if fitting is any_model or fitting(load_model(name)))


def model_control(
    default: str,
    fitting: Fitting = keeps_tokens,
    *,
    name: str = "model",
    label: str = "Model",
) -> Control:
    """Return the choice of a model of the catalog.

    Parameters
    ----------
    default : str
        Its id.
    fitting : callable
        Which models the claim can be about.
    name, label : str
        What it is called.

    Returns
    -------
    Control
        One of the models that fit.

    Examples
    --------
    >>> model_control("gpt3-175b").read("gpt2")
    'gpt2'
    >>> "mamba2-2.7b" in model_control("gpt3-175b").choices()
    False
    """
    return Control(
        name=name,
        label=label,
        unit="",
        default=default,
        choices=lambda: _models(tuple(model_ids()), fitting),
    )


def device_control(default: str = "h100-sxm") -> Control:
    """Return the choice of a device.

    Parameters
    ----------
    default : str
        Its id.

    Returns
    -------
    Control
        Named ``device``.

    Examples
    --------
    >>> device_control().read("l4")
    'l4'
    """
    return Control(
        name="device",
        label="Device",
        unit="",
        default=default,
        choices=lambda: tuple(device_ids()),
    )


def tokens_control(
    default: int, *, name: str = "context", label: str = "Context", most: int = MOST_TOKENS - 1
) -> Control:
    """Return the choice of a length.

    Parameters
    ----------
    default : int
        Its value. [tokens]
    name, label : str
        What it is called.
    most : int
        Largest value. [tokens]

    Returns
    -------
    Control
        At least one token.

    Examples
    --------
    >>> tokens_control(1).read("1M")
    1048576
    """
    return Control(name=name, label=label, unit="tokens", default=default, most=most)


def cache_control(default: str = "bf16") -> Control:
    """Return the choice of a format of keys and values.

    Parameters
    ----------
    default : str
        Its name.

    Returns
    -------
    Control
        Named ``kv_cache_dtype``.

    Examples
    --------
    >>> cache_control().read("fp8")
    'fp8'
    """
    return Control(
        name="kv_cache_dtype",
        label="KV cache",
        unit="",
        default=default,
        choices=lambda: tuple(CACHE_FORMATS),
    )


def cached_in(name: str) -> Execution:
    """Return 16-bit weights and activations with keys and values in a format.

    Parameters
    ----------
    name : str
        Of the cache format.

    Returns
    -------
    Execution
        On one device.

    Examples
    --------
    >>> cached_in("fp8").cache.bits
    8
    """
    return replace(half(), cache=CACHE_FORMATS[name])


def references() -> tuple[Model, ...]:
    """Return the reference models.

    Returns
    -------
    tuple of Model
        In the order of :data:`REFERENCE_MODELS`.

    Examples
    --------
    >>> references()[0].id
    'gpt3-175b'
    """
    return tuple(map(load_model, REFERENCE_MODELS))


def figure(
    name: str,
    value: float | int,
    unit: str,
    meaning: str,
    formula: str,
    substituted: str,
    *,
    terms: tuple[Term, ...] = (),
    sources: tuple[str, ...] = (),
) -> Explanation:
    """Return a figure of a card.

    Parameters
    ----------
    name : str
        Its name.
    value : float or int
        What was computed. [``unit``]
    unit : str
        Its unit.
    meaning, formula, substituted : str
        What it is, how it follows, and from which numbers.
    terms : tuple of Term
        What it is made of, or compared with.
    sources : tuple of str
        References by id.

    Returns
    -------
    Explanation
        The figure.

    Examples
    --------
    >>> figure("x", 2, "1", "m", "1 + 1", "1 + 1").value
    2
    """
    return Explanation(
        figure=name,
        meaning=meaning,
        formula=formula,
        substituted=substituted,
        value=value,
        unit=unit,
        terms=terms,
        sources=sources,
    )
