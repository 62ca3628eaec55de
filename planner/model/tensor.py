"""Weight tensors as they stand in a checkpoint, and the share of each rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from planner.model.layout import Section, Split

Role = Literal[
    "embedding", "position", "head", "linear", "expert", "router", "norm", "bias", "convolution",
    "state", "buffer", "tower",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One weight tensor.

    Parameters
    ----------
    name : str
        Name within its layer, as checkpoints have it.
    shape : tuple of int
        Matrices are ``(out, in)``, expert stacks ``(experts, out, in)``. [elements]
    role : str
        What it is for; storage formats and active parameters follow from it. A buffer, such as
        the correction bias of a router, stands in the checkpoint but is no parameter.
    split : Split, optional
        The axis that tensor parallelism cuts; a copy on every rank without one.
    visited : tuple of int, optional
        ``(top_k, experts)``: of an expert stack, how much one token visits. [1]
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    split: Split | None = None
    visited: tuple[int, int] | None = None

    @property
    def elements(self) -> int:
        """Stored numbers. [1]."""
        return math.prod(self.shape)

    @property
    def parameters(self) -> int:
        """Stored numbers that were learned by gradient: none of a buffer's. [1]."""
        return 0 if self.role == "buffer" else self.elements

    @property
    def active_elements(self) -> int:
        """Parameters that one token visits. [1]."""
        if self.visited is None:
            return self.parameters
        top_k, experts = self.visited
        return self.parameters // experts * top_k

    def on_rank(self, tp: int) -> Tensor:
        """Return the part of the tensor that the fullest rank holds.

        Parameters
        ----------
        tp : int
            Tensor-parallel ranks. [1]

        Returns
        -------
        Tensor
            The same tensor with the split axis shortened.

        Raises
        ------
        LayoutError
            The ranks do not divide it.

        Examples
        --------
        >>> from planner.model.layout import Section, Split
        >>> Tensor("w", (4096, 4096), "linear", Split(0, (Section(32, 128, "heads"),))).on_rank(
        ...     8
        ... ).shape
        (512, 4096)
        """
        if tp == 1 or self.split is None:
            return self
        axis = self.split.axis
        length = self.split.on_rank(tp)
        shape = (*self.shape[:axis], length, *self.shape[axis + 1 :])
        return Tensor(self.name, shape, self.role, self.split, self.visited)


def linear(
    name: str,
    out_features: int,
    in_features: int,
    *,
    bias: bool = False,
    out: tuple[Section, ...] = (),
    inner: tuple[Section, ...] = (),
    role: Role = "linear",
) -> tuple[Tensor, ...]:
    """Return the tensors of a linear layer ``y = W x + b``.

    Parameters
    ----------
    name : str
        Module name.
    out_features, in_features : int
        Shape of ``W`` is ``(out_features, in_features)``. [elements]
    bias : bool
        Whether ``b`` exists.
    out : tuple of Section
        How ranks cut the outputs (column parallel); the bias follows.
    inner : tuple of Section
        How ranks cut the inputs (row parallel); the bias stays whole.
    role : str
        Role of ``W``.

    Returns
    -------
    tuple of Tensor
        ``W`` and, if there is one, ``b``.

    References
    ----------
    shoeybi-2019

    Examples
    --------
    >>> [t.elements for t in linear("fc", 3072, 768, bias=True)]
    [2359296, 3072]
    """
    split = Split(0, out) if out else Split(1, inner) if inner else None
    weight = Tensor(f"{name}.weight", (out_features, in_features), role, split)
    if not bias:
        return (weight,)
    bias_split = Split(0, out) if out else None
    return (weight, Tensor(f"{name}.bias", (out_features,), "bias", bias_split))
