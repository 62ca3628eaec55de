"""How weights are stored: which tensor in which format, and the exact bytes that follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from planner.errors import PrecisionError
from planner.model.bounds import MOST_LAYERS, Name
from planner.model.formats.caches import CACHE_FORMATS, cache_format
from planner.model.formats.names import cache_name
from planner.model.formats.number_format import BF16, FP16, FP32, Format, by_name
from planner.model.formats.weights import WEIGHT_FORMATS, weight_format
from planner.model.tensor import Role, Tensor

COMPUTE_FORMATS = by_name(
    FP32,
    BF16,
    FP16,
    Format(name="fp8", precision="fp8", bits=8),
    Format(name="int8", precision="int8", bits=8),
    Format(name="int4", precision="int4", bits=4),
)
"""Formats in which operands enter a matrix product."""

MOST_STORED_BYTES = 2**50

_Index = Annotated[int, Field(strict=True, ge=0, lt=MOST_LAYERS)]
LayerRanges = tuple[tuple[_Index, _Index], ...]


def find_format(kind: str, name: str, known: dict[str, Format]) -> Format:
    """Return a format by name.

    Parameters
    ----------
    kind : str
        What it is for, such as ``"weights"``; named in the error.
    name : str
        Its name.
    known : dict
        The formats to choose from.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    PrecisionError
        No such format.

    Examples
    --------
    >>> find_format("weights", "mxfp4", WEIGHT_FORMATS).bits
    4
    """
    found = known.get(cache_name(name))
    if found is None:
        raise PrecisionError(f"unknown format of {kind}", got=name, allowed=", ".join(known))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRule:
    """Tensors that are stored otherwise than their role says.

    Parameters
    ----------
    tensors : tuple of str
        Names within their layer.
    format : str
        A format of weights.
    layers : tuple of pairs, optional
        First and last layer of each run; empty for what stands around the stack; None for
        wherever a tensor of that name is.
    stored_bytes : int, optional
        Bytes of each whole tensor, where a file was measured. [bytes]
    """

    tensors: Annotated[tuple[Name, ...], Field(min_length=1, max_length=10_000)]
    format: str
    layers: Annotated[LayerRanges, Field(max_length=MOST_LAYERS)] | None = None
    stored_bytes: Annotated[int, Field(strict=True, ge=0, le=MOST_STORED_BYTES)] | None = None

    def holds_in(self, layer: int | None) -> bool:
        """Return whether the rule holds in a layer.

        Parameters
        ----------
        layer : int or None
            Index in the stack; None for what stands around it.

        Returns
        -------
        bool
            True where the rule applies.

        Examples
        --------
        >>> TensorRule(tensors=("a",), format="bf16", layers=((0, 3),)).holds_in(3)
        True
        """
        if self.layers is None:
            return True
        if layer is None:
            return not self.layers
        return any(first <= layer <= last for first, last in self.layers)


def stored_matrices(tensor: Tensor) -> int:
    """Return how many matrices files store where the engine holds one fused tensor.

    Parameters
    ----------
    tensor : Tensor
        A weight tensor.

    Returns
    -------
    int
        Two for fused gate and up projections, else one. [1]

    Examples
    --------
    >>> stored_matrices(Tensor("mlp.experts.gate_up_proj", (8, 28672, 4096), "expert"))
    2
    """
    fused = "gate_up_proj" in tensor.name and tensor.shape[-2] % 2 == 0
    return 2 if fused else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScheme:
    """Which format each weight tensor is stored in.

    Parameters
    ----------
    base : Format
        Format of everything that is not quantised.
    quantised : Format
        Format of the matrices that are; the base itself if none are.
    roles : frozenset of str
        Roles of the quantised tensors.
    rules : tuple of TensorRule
        Tensors that are stored otherwise; the first that names a tensor holds.
    label : str, optional
        Name of the scheme where it is not its format's, such as ``"q4_k_m"``.
    extra_bytes : int
        What a measured file holds beside the model's tensors; a copy on every rank. [bytes]
    """

    base: Format
    quantised: Format
    roles: frozenset[Role] = frozenset({"linear", "expert"})
    rules: tuple[TensorRule, ...] = ()
    label: str | None = None
    extra_bytes: int = 0

    @property
    def name(self) -> str:
        """Name of the scheme."""
        return self.label or self.quantised.name

    @property
    def formats(self) -> tuple[Format, ...]:
        """Every format that some tensor may have, the most common one first."""
        ruled = (weight_format(rule.format) for rule in self.rules)
        return tuple(dict.fromkeys((self.quantised, self.base, *ruled)))

    def in_layer(self, layer: int | None) -> WeightScheme:
        """Return what of the scheme concerns one layer; equal for layers stored alike.

        Parameters
        ----------
        layer : int or None
            Index in the stack; None for what stands around it.

        Returns
        -------
        WeightScheme
            Its rules hold wherever a tensor of their names is.

        Examples
        --------
        >>> rule = TensorRule(tensors=("w",), format="fp8", layers=((1, 1),))
        >>> scheme = WeightScheme(base=BF16, quantised=BF16, rules=(rule,))
        >>> scheme.in_layer(0) == scheme.in_layer(2), len(scheme.in_layer(1).rules)
        (True, 1)
        """
        if not self.rules:
            return self
        held = tuple(replace(rule, layers=None) for rule in self.rules if rule.holds_in(layer))
        return replace(self, rules=held)

    def _rule_of(self, tensor: Tensor) -> TensorRule | None:
        for rule in self.rules:
            if rule.layers is None and tensor.name in rule.tensors:
                return rule
        return None

    def format_of(self, tensor: Tensor) -> Format:
        """Return the format a tensor is stored in.

        Parameters
        ----------
        tensor : Tensor
            A weight tensor.

        Returns
        -------
        Format
            As a rule says; else quantised for matrices of the scheme's roles, fp32 for buffers,
            the base otherwise.

        Examples
        --------
        >>> scheme = WeightScheme(base=BF16, quantised=WEIGHT_FORMATS["fp8"])
        >>> scheme.format_of(Tensor("norm.weight", (4096,), "norm")).name
        'bf16'
        """
        rule = self._rule_of(tensor)
        if rule is not None:
            return weight_format(rule.format)
        if tensor.role == "buffer":
            return FP32
        if tensor.role in self.roles and len(tensor.shape) >= 2:
            return self.quantised
        return self.base

    def tensor_bytes(self, tensor: Tensor) -> int:
        """Return the stored size of a tensor.

        Parameters
        ----------
        tensor : Tensor
            A weight tensor, or a rank's part of one.

        Returns
        -------
        int
            Exact size. [bytes]

        Examples
        --------
        >>> WeightScheme(base=BF16, quantised=BF16).tensor_bytes(Tensor("w", (2, 3), "linear"))
        12
        """
        rule = self._rule_of(tensor)
        if rule is not None and rule.stored_bytes is not None:
            whole = tensor.whole_elements or tensor.elements
            return -(-rule.stored_bytes * tensor.elements // max(whole, 1))
        return format_bytes_of(self.format_of(tensor), tensor)


def format_bytes_of(fmt: Format, tensor: Tensor) -> int:
    """Return the stored size of a tensor in a format.

    Parameters
    ----------
    fmt : Format
        The format.
    tensor : Tensor
        A weight tensor, or a rank's part of one.

    Returns
    -------
    int
        Exact size; matrices that files keep apart count their own scales. [bytes]

    Examples
    --------
    >>> format_bytes_of(WEIGHT_FORMATS["fp8"], Tensor("w", (2, 3), "linear"))
    14
    """
    if len(tensor.shape) < 2 or fmt.is_scalar:
        return int(-(-tensor.elements * fmt.bits // 8))
    *stack, rows, columns = tensor.shape
    parts = stored_matrices(tensor)
    return fmt.matrix_size_bytes(rows // parts, columns, parts * math.prod(stack))


__all__ = [
    "BF16",
    "CACHE_FORMATS",
    "COMPUTE_FORMATS",
    "FP16",
    "FP32",
    "WEIGHT_FORMATS",
    "Format",
    "TensorRule",
    "WeightScheme",
    "cache_format",
    "find_format",
    "format_bytes_of",
    "stored_matrices",
    "weight_format",
]
