"""Which layouts a model admits, and what stands in the way of others."""

from __future__ import annotations

from planner.arrays import ceil_div
from planner.errors import LayoutError
from planner.model.cache import Cache
from planner.model.execution import half
from planner.model.layout import Group, Layout, Section
from planner.model.model import Model
from planner.model.stages import layers_per_stage
from planner.model.token_ranks import is_shared

_MOST_LISTED = 64
_MANY_TOKENS = 2**20


def check_layout(model: Model, layout: Layout) -> None:
    """Raise unless a model admits a layout.

    Parameters
    ----------
    model : Model
        The model.
    layout : Layout
        Parallel sizes.

    Raises
    ------
    LayoutError
        Names what does not divide, and the sizes that do.
    """
    layers_per_stage(len(model.layers), layout.pp)
    _check_experts(model, layout)
    for group, section in model.sections:
        if not section.divides(layout.ranks(group)):
            raise _undivided(model, layout, group, section)
    if layout.dcp > 1:
        _check_copies(model, layout)


def tensor_parallel_sizes(model: Model, most: int) -> tuple[int, ...]:
    """Return the tensor-parallel sizes that a model admits.

    Parameters
    ----------
    model : Model
        The model.
    most : int
        Largest size to try. [1]

    Returns
    -------
    tuple of int
        Ascending. [1]

    Examples
    --------
    >>> from planner import load_model
    >>> tensor_parallel_sizes(load_model("llama-3.1-8b"), 16)
    (1, 2, 4, 8, 16)
    """
    return tuple(tp for tp in range(1, most + 1) if model.admits(Layout(tp=tp)))


def _undivided(model: Model, layout: Layout, group: Group, section: Section) -> LayoutError:
    ranks = layout.ranks(group)
    of = f"{section.units:,} {section.what} of {model.name}"
    if group == "ep":
        short = ceil_div(section.units, ranks) * ranks - section.units
        return LayoutError(
            f"{ranks:,} expert-parallel ranks do not divide the {of}: {short:,} experts short of "
            "an even share",
            where="--ep",
            got=ranks,
            allowed=_divisors(section.units, layout.expert_ranks),
            fix="Choose one of these sizes.",
        )
    if group == "moe_tp":
        return LayoutError(
            f"{ranks:,} ranks do not divide the {of}",
            where="--tp",
            got=str(layout),
            allowed=f"divisors of {section.units:,}",
            fix="Raise --ep, so that each rank holds whole experts.",
        )
    sizes = ", ".join(map(str, tensor_parallel_sizes(model, _MOST_LISTED)))
    return LayoutError(
        f"{ranks:,} tensor-parallel ranks do not divide the {of}",
        where="--tp",
        got=ranks,
        allowed=sizes,
        fix="Choose one of these sizes, or spread replicas with --dp.",
    )


def _check_experts(model: Model, layout: Layout) -> None:
    experts = any(group == "ep" for group, _ in model.sections)
    if experts or max(layout.ep, layout.attention_dp) == 1:
        return
    where, got = ("--ep", layout.ep) if layout.ep > 1 else ("--attention-dp", layout.attention_dp)
    raise LayoutError(
        f"{model.name} has no experts to share", where=where, got=got, allowed="1", fix="Leave it."
    )


def _check_copies(model: Model, layout: Layout) -> None:
    """Raise unless ranks that hold the same heads can share their tokens instead."""
    for _, cache, _ in model.caches:
        copies = cache_copies(cache, layout.tp)
        if is_shared(cache) and copies % layout.dcp:
            raise LayoutError(
                f"{layout.dcp:,} parts of the tokens, but {layout.tp:,} tensor-parallel ranks hold "
                f"{copies:,} copies of a {cache.kind} cache of {model.name}",
                where="--dcp",
                got=layout.dcp,
                allowed=_divisors(copies, copies),
                fix="Lower --dcp or raise --tp.",
            )


def cache_copies(cache: Cache, tp: int) -> int:
    """Return how often tensor-parallel ranks hold the same part of a cache.

    Parameters
    ----------
    cache : Cache
        A descriptor.
    tp : int
        Tensor-parallel ranks. [1]

    Returns
    -------
    int
        One where every rank has heads of its own. [1]

    Raises
    ------
    LayoutError
        The ranks do not divide the heads.

    Examples
    --------
    >>> from planner import load_model
    >>> [cache_copies(load_model(name).caches[0][1], 16) for name in ("deepseek-v3", "gemma-3-4b")]
    [16, 4]
    """
    plain = half()
    whole = cache.sequence_bytes(_MANY_TOKENS, plain, tp=1)
    return tp * int(cache.sequence_bytes(_MANY_TOKENS, plain, tp=tp)) // max(int(whole), 1)


def _divisors(number: int, most: int) -> str:
    return ", ".join(str(n) for n in range(1, min(number, most) + 1) if number % n == 0)
