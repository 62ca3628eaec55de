"""What of a model is at work: layers for multi-token prediction, a tower that reads images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.cost.limits import MOST_TOKENS
from planner.errors import ScenarioError
from planner.model import Model
from planner.model.mixers.cross_attention import CrossAttention
from planner.model.multi_token import MultiTokenProjection
from planner.scenario import Scenario
from planner.units import parse_count

_VISION = "vision"
_MOST_IMAGES = 65_536


def equipped(scenario: Scenario) -> Scenario:
    """Return a scenario whose model has at work what the scenario asks for.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    Scenario
        The same where it asks for nothing further.

    Raises
    ------
    ScenarioError
        The model has no such layers or tower, or the images are not described.

    Examples
    --------
    >>> from planner import load_hardware, load_model
    >>> v3 = load_model("deepseek-v3")
    >>> asked = Scenario(model=v3, hardware=load_hardware("h200-sxm", 16), mtp=True)
    >>> len(equipped(asked).model.layers), equipped(asked).model.parameters - v3.parameters
    (62, 11610067968)
    """
    model = scenario.model
    if scenario.mtp:
        model = _with_mtp(model)
    if scenario.images:
        model = _with_images(model, scenario)
    elif scenario.image_tokens is not None:
        raise ScenarioError(
            "tokens of images, but no images", where="--image-tokens", got=scenario.image_tokens,
            fix="Give --images too.",
        )  # fmt: skip
    return scenario if model is scenario.model else replace(scenario, model=model)


def _with_mtp(model: Model) -> Model:
    loaded = model.with_mtp()
    if not any(isinstance(part, MultiTokenProjection) for _, part, _ in loaded.parts):
        raise ScenarioError(
            "the model brings no layers for multi-token prediction", where="--mtp", got=model.name
        )
    return loaded


def _with_images(model: Model, scenario: Scenario) -> Model:
    tower = next((tower for tower in model.towers if tower.name == _VISION), None)
    if tower is None:
        raise ScenarioError(
            "the model has no tower that reads images", where="--images", got=model.name
        )
    if scenario.image_tokens is None:
        raise ScenarioError(
            "how many tokens an image takes is not said",
            where="--images",
            got=scenario.images,
            fix="Give --image-tokens, which follows from the size of the image: 576 in LLaVA 1.5, "
            "256 in Gemma 3, about width · height / 784 pixels in Qwen2-VL.",
        )
    images = parse_count(scenario.images, where="--images", most=_MOST_IMAGES)
    each = parse_count(scenario.image_tokens, where="--image-tokens", most=MOST_TOKENS - 1)
    return model.reading(_VISION, each * tower.merged, images)


def image_tokens_in_prompt(scenario: Scenario) -> int:
    """Return the tokens of a prompt that stand for images.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    int
        None where layers attend to the tower instead. [tokens]

    Examples
    --------
    >>> from planner import load_hardware, load_model
    >>> llava, device = load_model("llava-1.5-7b-hf"), load_hardware("h100-sxm")
    >>> asked = Scenario(model=llava, hardware=device, images=2, image_tokens=576)
    >>> image_tokens_in_prompt(asked)
    1152
    """
    attended = any(
        isinstance(part, CrossAttention) and part.source == _VISION
        for _, part, _ in scenario.model.parts
    )
    return 0 if attended else scenario.images * (scenario.image_tokens or 0)


def at_rest(model: Model) -> Iterator[str]:
    """Say what of a model does no work.

    Parameters
    ----------
    model : Model
        As it is planned.

    Yields
    ------
    str
        A sentence each.

    Examples
    --------
    >>> from planner import load_model
    >>> list(at_rest(load_model("deepseek-v3")))
    ['The layers for multi-token prediction (11,610,067,968 parameters) are not loaded.']
    """
    for tower in model.towers:
        if not tower.tokens:
            yield (
                f"The {tower.name} tower ({tower.parameters:,} parameters with what joins it to "
                f"the language model) is held in memory; nobody gave it anything to read."
            )
    if model.mtp:
        yield (
            f"The layers for multi-token prediction ({model.mtp_parameters:,} parameters) are not "
            "loaded."
        )
