"""Whether the parts of a model fit together."""

from __future__ import annotations

from planner.errors import PrecisionError, SpecError
from planner.model.even import check_even
from planner.model.feed_forward import MixtureOfExperts
from planner.model.mixers.attention import Attention
from planner.model.model import Checkpoint, Model
from planner.model.norm import Norm
from planner.model.part import Part
from planner.model.storage import weight_format


def check_model(model: Model, where: str) -> None:
    """Raise unless the parts of a model fit together.

    Parameters
    ----------
    model : Model
        The model.
    where : str
        Its file, for errors.

    Raises
    ------
    SpecError
        Widths differ, heads are not evenly shared, or a format is unknown.
    """
    for layer, part, _ in model.with_mtp().parts:
        place = f"{where}: {layer}"
        if _width(part, model.hidden) != model.hidden:
            raise SpecError(
                "another width than the residual stream's",
                where=place,
                got=_width(part, model.hidden),
                allowed=f"{model.hidden:,}, as the embedding says",
            )
        _check_part(part, place)
    for tower in model.towers:
        for layer, part, _ in tower.parts:
            _check_part(part, f"{where}: {layer}")
    if model.head.width != model.embedding.width and model.head.tied:
        raise SpecError("a tied head as wide as no token table", where=f"{where}: head.width")
    if model.head.vocabulary != model.embedding.vocabulary and model.head.tied:
        raise SpecError("a tied head of another vocabulary", where=f"{where}: head.vocabulary")
    _check_checkpoint(model.checkpoint, f"{where}: checkpoint")


def _width(part: Part, hidden: int) -> int:
    """Return the width of the stream that a part works on; norms within a part may be narrower."""
    if isinstance(part, Norm):
        return part.width if part.vectors == 1 else hidden
    return int(getattr(part, "hidden", hidden))


def _check_part(part: Part, place: str) -> None:
    check_even(part, place)
    if isinstance(part, Attention) and (part.rotary_dim or 0) > part.head_dim:
        raise SpecError("more rotated than a head is wide", where=place, got=part.rotary_dim)
    if isinstance(part, MixtureOfExperts) and part.top_k > part.choices:
        raise SpecError(
            "more experts per token than there are",
            where=place,
            got=part.top_k,
            allowed=f"at most {part.choices:,}",
        )


def _check_checkpoint(checkpoint: Checkpoint, place: str) -> None:
    ruled = (rule.format for rule in checkpoint.rules)
    for name in filter(None, (checkpoint.dtype, checkpoint.quantised, *ruled)):
        try:
            weight_format(name)
        except PrecisionError as error:
            raise SpecError(
                "unknown format", where=place, got=name, allowed=error.allowed
            ) from error
