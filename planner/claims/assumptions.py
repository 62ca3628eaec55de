"""Controls that several claims share, and what their values stand for."""

from __future__ import annotations

from dataclasses import replace

from planner.claims.claim import Control
from planner.cost.limits import MOST_TOKENS
from planner.explanation import Explanation, Term
from planner.hardware import device_ids
from planner.importers import load_model, model_ids
from planner.model import Execution, Model
from planner.model.execution import half
from planner.model.storage import CACHE_FORMATS

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
"""Models that claims about models in general are held against, where the catalog has them."""


def model_control(default: str) -> Control:
    """Return the choice of a model of the catalog.

    Parameters
    ----------
    default : str
        Its id.

    Returns
    -------
    Control
        Named ``model``.

    Examples
    --------
    >>> model_control("gpt3-175b").read("gpt2")
    'gpt2'
    """
    return Control(
        name="model",
        label="Model",
        unit="",
        default=default,
        choices=lambda: tuple(model_ids()),
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
    """Return the reference models that the catalog has.

    Returns
    -------
    tuple of Model
        In the order of :data:`REFERENCE_MODELS`.

    Examples
    --------
    >>> references()[0].id
    'gpt3-175b'
    """
    known = set(model_ids())
    return tuple(load_model(name) for name in REFERENCE_MODELS if name in known)


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
