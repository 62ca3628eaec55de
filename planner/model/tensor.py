"""Weight tensors as they stand in a checkpoint, and the share of each rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from planner.model.layout import Group, Layout, Section, Split

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
        ``(top_k, choices)``: of a stack of experts, how much one token visits. Experts lie along
        the first axis. [1]
    whole_elements : int, optional
        Of a rank's part, the elements of the tensor that it is part of. [1]
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    split: Split | None = None
    visited: tuple[int, int] | None = None
    whole_elements: int | None = None

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

    @property
    def sections(self) -> tuple[tuple[Group, Section], ...]:
        """What ranks must divide, with the group of ranks that does."""
        return tuple((group, section) for group, cut in self._cuts for section in cut.sections)

    @property
    def _cuts(self) -> tuple[tuple[Group, Split], ...]:
        own = () if self.split is None else (self.split,)
        if self.visited is None:
            return tuple(("tp", cut) for cut in own)
        experts = Split(0, (Section(self.shape[0], 1, "experts"),))
        return ("ep", experts), *(("moe_tp", cut) for cut in own)

    def on_rank(self, layout: Layout) -> Tensor:
        """Return the part of the tensor that the fullest rank holds.

        Parameters
        ----------
        layout : Layout
            Parallel sizes: ``ep`` deals experts to ranks, ``moe_tp`` cuts each of them, and ``tp``
            cuts everything else.

        Returns
        -------
        Tensor
            The same tensor with the cut axes shortened.

        Raises
        ------
        LayoutError
            The ranks do not divide it.

        Examples
        --------
        >>> heads = Split(0, (Section(32, 128, "heads"),))
        >>> Tensor("w", (4096, 4096), "linear", heads).on_rank(Layout(tp=8)).shape
        (512, 4096)
        >>> columns = Split(1, (Section(1024, 1, "columns"),))
        >>> stack = Tensor("experts", (8, 1024, 512), "expert", columns, (2, 8))
        >>> stack.on_rank(Layout(tp=8, ep=4)).shape
        (2, 512, 512)
        """
        shape = list(self.shape)
        for group, cut in self._cuts:
            ranks = layout.ranks(group)
            if ranks > 1:
                shape[cut.axis] = cut.on_rank(ranks)
        if tuple(shape) == self.shape:
            return self
        return Tensor(
            self.name,
            tuple(shape),
            self.role,
            self.split,
            self.visited,
            whole_elements=self.elements,
        )


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
