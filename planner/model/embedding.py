"""From token ids to vectors, and from vectors to logits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from planner.arrays import Numeric
from planner.model.bounds import Count, Flag, Name, Size
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.operation import Operation, elementwise, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


def _vocabulary(vocabulary: int) -> tuple[Section, ...]:
    return (Section(vocabulary, 1, "vocabulary entries", "pad"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding(Stateless):
    """Token table and, where positions are learned, position table.

    Parameters
    ----------
    vocabulary : int
        Rows of the token table. [1]
    width : int
        Width of a row. [elements]
    hidden : int
        Width of the residual stream; a projection joins the two where they differ. [elements]
    positions : int
        Rows of a learned position table; 0 without one. [tokens]
    types : int
        Rows of a table of token types, as encoders of sentence pairs have; 0 without one. [1]
    norm : bool
        A LayerNorm right after the lookup.
    position_width : int, optional
        Width of positions, types and norm; ``hidden`` without it. [elements]
    projection_bias : bool
        Whether the projection to the residual stream has a bias.
    axes : tuple of (int, int)
        Rows and width of one table per axis, where a position is a point of a grid and its vector
        what the tables say about its coordinates, side by side; empty without. [1], [elements]
    """

    kind: Literal["embedding"] = "embedding"
    vocabulary: Size
    width: Size
    hidden: Size
    positions: Count = 0
    types: Count = 0
    norm: Flag = False
    position_width: Size | None = None
    projection_bias: Flag = False
    axes: Annotated[tuple[tuple[Size, Size], ...], Field(max_length=4)] = ()

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tables.

        Returns
        -------
        tuple of Tensor
            Token table, cut over the vocabulary, and what else there is.

        Examples
        --------
        >>> gpt2 = Embedding(vocabulary=50257, width=768, hidden=768, positions=1024)
        >>> [t.elements for t in gpt2.tensors()]
        [38597376, 786432]
        """
        split = Split(0, _vocabulary(self.vocabulary))
        tensors = [Tensor("embed_tokens.weight", (self.vocabulary, self.width), "embedding", split)]
        beside = self.position_width or self.hidden
        for name, rows in (("embed_positions", self.positions), ("embed_types", self.types)):
            if rows:
                tensors.append(Tensor(f"{name}.weight", (rows, beside), "position"))
        tensors.extend(
            Tensor(f"embed_positions.weights.{axis}", (rows, wide), "position")
            for axis, (rows, wide) in enumerate(self.axes)
        )
        tensors.extend(self._projection())
        if self.norm:
            tensors.append(Tensor("embed_norm.weight", (beside,), "norm"))
            tensors.append(Tensor("embed_norm.bias", (beside,), "norm"))
        return tuple(tensors)

    def _projection(self) -> tuple[Tensor, ...]:
        if self.width == self.hidden:
            return ()
        return linear("project_in", self.hidden, self.width, bias=self.projection_bias)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the lookup: one row per token, no FLOP.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The lookup and, if there is one, the projection.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> table = Embedding(vocabulary=128256, width=4096, hidden=4096)
        >>> table.operations(Step.decode(1, 8192), half())[0].read_bytes
        8192
        """
        rows = [
            replace(table, shape=(1, table.shape[1]), whole_elements=table.elements)
            for table in self.tensors()
            if table.role in ("embedding", "position")
        ]
        lookup = Operation(
            name="embed_tokens",
            kind="embedding",
            precision=execution.stream.precision,
            weight_bytes=step.tokens * sum(execution.weights.tensor_bytes(row) for row in rows),
            output_bytes=step.tokens * self.width * execution.stream_bytes,
            shape={"tokens": step.tokens, "width": self.width},
        )
        project = self._projection()
        return (
            (lookup, gemm("project_in", project, step.tokens, execution)) if project else (lookup,)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTable(Stateless):
    """A further table that is looked up by token, such as one vector per layer and token.

    Parameters
    ----------
    name : str
        Module name.
    vocabulary : int
        Rows. [1]
    width : int
        Width of a row. [elements]
    shared : bool
        Whether it is the table of another stack, which holds it.
    """

    kind: Literal["token_table"] = "token_table"
    name: Name
    vocabulary: Size
    width: Size
    shared: Flag = False

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the table.

        Returns
        -------
        tuple of Tensor
            Cut over the vocabulary; none if another stack holds it.

        Examples
        --------
        >>> e4b = TokenTable(name="embed_tokens_per_layer", vocabulary=262144, width=42 * 256)
        >>> e4b.tensors()[0].elements
        2818572288
        """
        if self.shared:
            return ()
        split = Split(0, _vocabulary(self.vocabulary))
        shape = (self.vocabulary, self.width)
        return (Tensor(f"{self.name}.weight", shape, "embedding", split),)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the lookup: one row per token, no FLOP.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            The lookup.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> e4b = TokenTable(name="embed_tokens_per_layer", vocabulary=262144, width=42 * 256)
        >>> e4b.operations(Step.decode(1, 1), half())[0].read_bytes
        21504
        """
        return (
            Operation(
                name=self.name,
                kind="embedding",
                precision=execution.stream.precision,
                weight_bytes=step.tokens * self.width * (execution.weights.base.bits // 8),
                output_bytes=step.tokens * self.width * execution.stream_bytes,
                shape={"tokens": step.tokens, "width": self.width},
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Head(Stateless):
    """LM head: logits over the vocabulary, for the rows that are sampled from.

    Parameters
    ----------
    vocabulary : int
        Logits per row. [1]
    width : int
        Width of a row of the head. [elements]
    hidden : int
        Width of the residual stream; a projection joins the two where they differ. [elements]
    tied : bool
        Whether the token table serves as the head; it then counts once.
    bias : bool
        Whether logits have a bias.
    projection_bias : bool
        Whether the projection has one.
    norm : bool
        Whether a LayerNorm follows the projection.
    streams : int
        Residual streams side by side that the head reads, as reversible models have. [1]
    """

    kind: Literal["head"] = "head"
    vocabulary: Size
    width: Size
    hidden: Size
    tied: Flag = False
    bias: Flag = False
    projection_bias: Flag = False
    norm: Flag = False
    streams: Size = 1

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the head's own tensors; none of the table's if it is tied.

        Returns
        -------
        tuple of Tensor
            Cut over the vocabulary.

        Examples
        --------
        >>> Head(vocabulary=128256, width=4096, hidden=4096, tied=True).tensors()
        ()
        """
        own = tuple(
            tensor for tensor in self._logits() if not (self.tied and tensor.role == "head")
        )
        norm = tuple(
            Tensor(f"project_out_norm.{suffix}", (self.width,), "norm")
            for suffix in ("weight", "bias")
            if self.norm
        )
        return (*self._projection(), *norm, *own)

    def _logits(self) -> tuple[Tensor, ...]:
        sections = _vocabulary(self.vocabulary)
        return linear(
            "lm_head", self.vocabulary, self.width, bias=self.bias, out=sections, role="head"
        )

    def _projection(self) -> tuple[Tensor, ...]:
        if self.width == self.streams * self.hidden:
            return ()
        return linear("project_out", self.width, self.hidden, bias=self.projection_bias)

    def logit_rows(self, step: Step) -> Numeric:
        """Return the rows of logits of a step.

        Parameters
        ----------
        step : Step
            The forward pass.

        Returns
        -------
        numeric
            ``batch · logit_rows``. [1]

        Examples
        --------
        >>> head = Head(vocabulary=128256, width=4096, hidden=4096)
        >>> head.logit_rows(Step.prefill(2, 8192))
        2
        """
        return step.batch * step.logit_rows

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return the product with the vocabulary and the pass that samples.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            LM head and sampling.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> head = Head(vocabulary=128256, width=4096, hidden=4096)
        >>> head.operations(Step.prefill(1, 8192), half())[0].flop
        1050673152
        """
        rows = self.logit_rows(step)
        logits = gemm("lm_head", self._logits(), rows, execution)
        vocabulary = logits.shape["n"]
        sampling = elementwise("sampling", rows, int(vocabulary), 1, execution)
        if self.width == self.streams * self.hidden:
            return (logits, sampling)
        return (gemm("project_out", self._projection(), rows, execution), logits, sampling)
