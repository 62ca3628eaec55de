"""How the two parts of a layer, and the norms around them, follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from planner.importers.config import Config
from planner.importers.decoder import block_names, read_layer_types
from planner.model import Layer
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.norm import Norm
from planner.model.part import Part

_PATTERNS = ("sliding_window_pattern", "_sliding_window_pattern", "layer_switch")

Form = Literal["before", "after", "around", "beside"]
Pair = tuple[Attention, Dense | MixtureOfExperts]


def arrange(pairs: Sequence[Pair], norm: Norm, form: Form = "before") -> list[Layer]:
    """Return layers of attention and a feed-forward part with norms at one of the usual places.

    Parameters
    ----------
    pairs : sequence of tuple
        Attention and feed-forward part of each layer, in order.
    norm : Norm
        What a norm of the model is like; named after its place.
    form : {"before", "after", "around", "beside"}
        A norm before each part (Llama); after each (OLMo 2); before and after each (Gemma 2); or
        one norm before both, which run side by side (GPT-J, Cohere).

    Returns
    -------
    list of Layer
        Named after what sets them apart.

    Examples
    --------
    >>> pair = (
    ...     Attention(hidden=8, query_heads=1, kv_heads=1, head_dim=8),
    ...     Dense(hidden=8, intermediate=8),
    ... )
    >>> [
    ...     len(arrange([pair], Norm(kind="rms_norm", width=8), form)[0].parts)
    ...     for form in ("before", "after", "around", "beside")
    ... ]
    [4, 4, 6, 3]
    """
    first, second, third, last = (
        replace(norm, name=f"{place}_layernorm")
        for place in ("input", "post_attention", "pre_feedforward", "post_feedforward")
    )

    def parts(attention: Attention, feed_forward: Dense | MixtureOfExperts) -> tuple[Part, ...]:
        match form:
            case "before":
                return (first, attention, second, feed_forward)
            case "after":
                return (attention, second, feed_forward, last)
            case "around":
                return (first, attention, second, third, feed_forward, last)
            case "beside":
                return (first, attention, feed_forward)

    return named_layers(zip(block_names(pairs), (parts(*pair) for pair in pairs), strict=True))


def named_layers(rows: Iterable[tuple[str, tuple[Part, ...]]]) -> list[Layer]:
    """Return layers, with a number behind the name where different ones would have the same.

    Parameters
    ----------
    rows : iterable of tuple
        Name and parts of each layer, in order.

    Returns
    -------
    list of Layer
        Equal layers have one name, different ones have different names.

    Examples
    --------
    >>> narrow, wide = (Norm(kind="rms_norm", width=width) for width in (8, 16))
    >>> [layer.name for layer in named_layers([("a", (narrow,)), ("a", (wide,)), ("a", (narrow,))])]
    ['a', 'a-2', 'a']
    """
    known: dict[tuple[str, tuple[Part, ...]], Layer] = {}
    often: dict[str, int] = {}
    layers = []
    for name, parts in rows:
        if (name, parts) not in known:
            often[name] = often.get(name, 0) + 1
            number = often[name]
            known[name, parts] = Layer(name if number == 1 else f"{name}-{number}", parts)
        layers.append(known[name, parts])
    return layers


def read_window_pattern(
    config: Config, layers: int, *, period: int | None, window: int | None
) -> list[int | None]:
    """Return the window of each layer where a file gives a list of kinds or a repeating pattern.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]
    period : int or None
        Layers from one without a window to the next where the file says nothing; None where then
        all have one. [1]
    window : int or None
        Keys a query sees where the file does not say it. [tokens]

    Returns
    -------
    list of int or None
        None for a layer that sees everything. [tokens]

    Raises
    ------
    SpecError
        A figure is unusable, or the list of kinds has another length.

    Examples
    --------
    >>> config = Config({"sliding_window": 512, "sliding_window_pattern": "LLG"}, "config.json")
    >>> read_window_pattern(config, 4, period=2, window=None)
    [512, 512, None, 512]
    """
    stated = config.optional_size("sliding_window")
    size = stated if "sliding_window" in config else window
    return [size if slides else None for slides in _sliding_layers(config, layers, period)]


def _sliding_layers(config: Config, layers: int, period: int | None) -> Sequence[bool]:
    name = next((n for n in _PATTERNS if n in config), _PATTERNS[0])
    config.ignore(*_PATTERNS)
    if config.is_text(name):
        letters = config.text(name) or ""
        if not letters or set(letters) - {"L", "G"}:
            config.refuse(name, "a period in layers, or letters L and G")
        pattern = [letter == "L" for letter in letters]
    else:
        repeats = config.optional_size(name, most=MOST_LAYERS) or period or layers + 1
        pattern = [(i + 1) % repeats != 0 for i in range(repeats)]
    listed = read_layer_types(config, layers)
    return listed or [pattern[i % len(pattern)] for i in range(layers)]
