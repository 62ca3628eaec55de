"""Structured matrices: block-diagonal ones, and Monarch matrices made of two of them.

A Monarch matrix is a product of two block-diagonal matrices with permutations between them. With
``b`` blocks of ``n/b`` it stands for an ``n × n`` matrix with ``2n²/b`` parameters, which is
``2n√n`` at ``b = √n``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, ceil_div
from planner.model.bounds import Flag, Name, Size
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.operation import Operation, elementwise
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor


def block_diagonal(
    name: str, blocks: int, out_features: int, in_features: int, *, what: str = "blocks"
) -> Tensor:
    """Return a stack of square or oblong blocks, each with inputs and outputs of its own.

    Parameters
    ----------
    name : str
        Tensor name.
    blocks : int
        Number of blocks. [1]
    out_features, in_features : int
        Shape of one block. [elements]
    what : str
        What a block belongs to; named where ranks do not divide them.

    Returns
    -------
    Tensor
        Blocks are cut over ranks.

    Examples
    --------
    >>> block_diagonal("gate", 10, 256, 256).elements
    655360
    """
    split = Split(0, (Section(blocks, 1, what),))
    return Tensor(name, (blocks, out_features, in_features), "linear", split)


def block_product(
    name: str, weights: tuple[Tensor, ...], rows: Numeric, execution: Execution
) -> Operation:
    """Return the product of activations with block-diagonal matrices that share their input.

    Parameters
    ----------
    name : str
        Name of the operation.
    weights : tuple of Tensor
        Stacks of blocks, and biases; whole.
    rows : numeric
        Rows of activations. [tokens]
    execution : Execution
        Formats and layout.

    Returns
    -------
    Operation
        Two FLOP per row and parameter of the blocks; the shape is that of one block.

    Raises
    ------
    LayoutError
        The ranks do not divide the blocks.

    References
    ----------
    dao-2022-monarch

    Examples
    --------
    >>> from planner.model.execution import half
    >>> block_product("gate", (block_diagonal("gate", 10, 256, 256),), 1, half()).flop
    1310720
    """
    parts = [tensor.on_rank(execution.layout) for tensor in weights]
    stacks = [part for part in parts if len(part.shape) == 3]
    blocks, _, inner = stacks[0].shape
    outputs = sum(part.shape[1] for part in stacks)
    operand = execution.operand(execution.weights.format_of(weights[0]))
    return Operation(
        name=name,
        kind="gemm",
        precision=operand.precision,
        flop=2 * rows * sum(part.elements for part in stacks),
        weight_bytes=sum(execution.weights.tensor_bytes(part) for part in parts),
        input_bytes=rows * blocks * inner * operand.bits // 8,
        output_bytes=rows * blocks * outputs * execution.stream_bytes,
        shape={"m": rows * blocks, "n": outputs, "k": inner},
    )


def monarch(name: str, out_features: int, in_features: int, blocks: int) -> tuple[Tensor, Tensor]:
    r"""Return the two factors of a Monarch matrix.

    With blocks of ``i = ⌈in/b⌉`` inputs and ``o = ⌈out/b⌉`` outputs, the inner width is the
    smaller of the two:

    .. math::
        b\,(\min(i, o)\,i + o\,\min(i, o))

    Parameters
    ----------
    name : str
        Module name.
    out_features, in_features : int
        Shape of the matrix they stand for. [elements]
    blocks : int
        Blocks of each factor ``b``. [1]

    Returns
    -------
    tuple of Tensor
        Copies on every rank: the permutation between them mixes all blocks.

    References
    ----------
    dao-2022-monarch

    Examples
    --------
    >>> sum(t.elements for t in monarch("fc", 4096, 4096, 64))
    524288
    """
    inputs, outputs = int(ceil_div(in_features, blocks)), int(ceil_div(out_features, blocks))
    inner = min(inputs, outputs)
    first = Tensor(f"{name}.blkdiag1", (blocks, inner, inputs), "linear")
    second = Tensor(f"{name}.blkdiag2", (blocks, outputs, inner), "linear")
    return (first, second)


def monarch_transform_flop(length: Numeric, order: int) -> Numeric:
    r"""Return the FLOP of mixing a sequence with a Monarch matrix of a given order.

    .. math::
        2 \, p \, N^{1 + 1/p}

    Parameters
    ----------
    length : numeric
        Length of the sequence ``N``. [tokens]
    order : int
        Factors ``p``: 2 for blocks of ``√N``, ``log₂ N`` for a fast Fourier transform. [1]

    Returns
    -------
    numeric
        Real multiply-adds of one channel, counted twice. [FLOP]

    References
    ----------
    fu-2023-monarch

    Examples
    --------
    >>> monarch_transform_flop(4096, 2)
    1048576.0
    """
    return 2.0 * order * length ** (1 + 1 / order)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonarchDense(Stateless):
    """A feed-forward block of Monarch matrices.

    Parameters
    ----------
    hidden, intermediate : int
        Width of the residual stream and inside the block. [elements]
    blocks : int
        Blocks of each factor. [1]
    gated : bool
        Whether two input projections are multiplied before the last one.
    bias : bool
        Whether the matrices have biases.
    name : str
        Module name.
    """

    kind: Literal["monarch_dense"] = "monarch_dense"
    hidden: Size
    intermediate: Size
    blocks: Size
    gated: Flag = False
    bias: Flag = False
    name: Name = "mlp"

    def _matrix(self, name: str, out_features: int, in_features: int) -> tuple[Tensor, ...]:
        factors = monarch(f"{self.name}.{name}", out_features, in_features, self.blocks)
        if not self.bias:
            return factors
        return (*factors, Tensor(f"{self.name}.{name}.bias", (out_features,), "bias"))

    def _inputs(self) -> tuple[tuple[Tensor, ...], ...]:
        names = ("gate_proj", "up_proj") if self.gated else ("up_proj",)
        return tuple(self._matrix(name, self.intermediate, self.hidden) for name in names)

    def _output(self) -> tuple[Tensor, ...]:
        return self._matrix("down_proj", self.hidden, self.intermediate)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the factors of every matrix, and biases.

        Returns
        -------
        tuple of Tensor
            A copy on every rank.

        References
        ----------
        dao-2022-monarch

        Examples
        --------
        >>> sum(t.elements for t in MonarchDense(hidden=768, intermediate=3072, blocks=4).tensors())
        1474560
        """
        return tuple(tensor for matrix in (*self._inputs(), self._output()) for tensor in matrix)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return two block-diagonal products for every matrix, and the activation function.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            Every rank does all of it.

        References
        ----------
        dao-2022-monarch

        Examples
        --------
        >>> from planner.model.execution import half
        >>> block = MonarchDense(hidden=4096, intermediate=4096, blocks=64)
        >>> sum(op.flop for op in block.operations(Step.decode(1, 1), half())) == 4 * 2 * 4096 * 64
        True
        """
        wide = self.intermediate * (2 if self.gated else 1)
        operations = [
            block_product(factor.name, (factor, *rest), step.tokens, execution)
            for matrix in self._inputs()
            for factor, *rest in _with_bias_last(matrix)
        ]
        operations.append(
            elementwise(f"{self.name}.activation", step.tokens, wide, self.intermediate, execution)
        )
        operations += [
            block_product(factor.name, (factor, *rest), step.tokens, execution)
            for factor, *rest in _with_bias_last(self._output())
        ]
        return tuple(operations)


def _with_bias_last(matrix: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """Return the first factor alone, and the second with the bias if there is one."""
    return [matrix[:1], matrix[1:]]
