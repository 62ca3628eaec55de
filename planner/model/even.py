"""Figures of a part that must divide one another, for parts that files describe."""

from __future__ import annotations

from planner.errors import SpecError
from planner.model.part import Part

_EVEN = {
    "attention": ("query_heads", "kv_heads", "query heads"),
    "cross_attention": ("query_heads", "kv_heads", "query heads"),
    "compressed_attention": ("query_heads", "output_groups", "heads"),
    "mamba1": ("inner", "heads", "channels"),
    "mamba2": ("heads", "groups", "heads"),
    "gated_delta_net": ("value_heads", "key_heads", "value heads"),
    "gla": ("heads", "kv_heads", "heads"),
    "rg_lru": ("inner", "blocks", "channels"),
    "rwkv5": ("inner", "head_dim", "channels"),
    "rwkv6": ("inner", "head_dim", "channels"),
    "rwkv7": ("inner", "head_dim", "channels"),
    "slstm": ("hidden", "heads", "channels"),
    "modal_hyena": ("hidden", "filter_groups", "channels"),
    "longformer": ("hidden", "heads", "channels"),
    "top_k_attention": ("query_heads", "kv_heads", "query heads"),
}
"""By kind of part: the figure that is shared, what it is shared among, and its name in words."""


def check_even(part: Part, place: str) -> None:
    """Raise unless what a part shares divides evenly.

    Parameters
    ----------
    part : Part
        The part.
    place : str
        Where it stands, for the error.

    Raises
    ------
    SpecError
        Names the figure and what it must divide.

    Examples
    --------
    >>> from planner.model.mixers.state_space import Mamba2
    >>> check_even(Mamba2(hidden=8, heads=3, head_dim=4, groups=2, state_dim=4), "own.yaml: a")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: own.yaml: a: groups that 3 heads do not divide into; got 2; allowed: \
a divisor of 3.
    """
    shared, among, word = _EVEN.get(getattr(part, "kind", ""), ("", "", ""))
    if not shared:
        return
    whole, pieces = getattr(part, shared), getattr(part, among)
    if whole % pieces:
        raise SpecError(
            f"{among.replace('_', ' ')} that {whole:,} {word} do not divide into",
            where=place,
            got=pieces,
            allowed=f"a divisor of {whole:,}",
        )
