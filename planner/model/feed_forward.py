"""Feed-forward blocks: mixtures of experts, beside those that are dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, minimum
from planner.model.bounds import Count, Flag, Name, Size
from planner.model.dense import Dense
from planner.model.execution import Execution
from planner.model.layout import Section, Split
from planner.model.messages import all_to_all
from planner.model.operation import Operation, all_reduce, gemm
from planner.model.part import Stateless
from planner.model.step import Step
from planner.model.tensor import Tensor, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureOfExperts(Stateless):
    """A router, experts of which each token visits a few, and experts that all visit.

    Parameters
    ----------
    hidden, intermediate : int
        Width of the residual stream and inside one expert. [elements]
    experts, top_k : int
        Routed experts, and how many a token visits. [1]
    gated : bool
        Whether experts have a gate projection.
    bias : bool
        Whether experts have biases.
    router, router_bias : bool
        Whether the router is one matrix, not a part of its own, and whether that has a bias.
    shared_intermediate : int
        Width of the experts that every token visits, together; 0 without. [elements]
    shared_gate : bool
        Whether a learned gate scales the shared experts.
    correction_bias : bool
        Whether the choice of experts, not their weight, is corrected by a bias per expert that
        training adjusts by rule: a buffer, not a parameter.
    hash_vocabulary : int
        Entries of a table that routes by token id; 0 where scores do. [1]
    zero_experts : int
        Further choices of the router that return their input at no cost. [1]
    latent : int
        Width that tokens are projected to before the routed experts, and back from after them; 0
        for experts on the residual stream. [elements]
    latent_norm : bool
        Whether there are norms before and after the routed experts within the projections.
    name : str
        Module name.
    """

    kind: Literal["moe"] = "moe"
    hidden: Size
    intermediate: Size
    experts: Size
    top_k: Size
    gated: Flag = True
    bias: Flag = False
    router: Flag = True
    router_bias: Flag = False
    shared_intermediate: Count = 0
    shared_gate: Flag = False
    correction_bias: Flag = False
    hash_vocabulary: Count = 0
    zero_experts: Count = 0
    latent: Count = 0
    latent_norm: Flag = False
    name: Name = "mlp"

    @property
    def choices(self) -> int:
        """What the router chooses among: experts and those that cost nothing. [1]."""
        return self.experts + self.zero_experts

    @property
    def expert_hidden(self) -> int:
        """Width of what routed experts read and return. [elements]."""
        return self.latent or self.hidden

    def _at(self, name: str) -> str:
        return f"{self.name}.{name}"

    def _shared_gate(self) -> tuple[Tensor, ...]:
        gated = self.shared_gate
        return linear(self._at("shared_gate"), 1, self.hidden, role="router") if gated else ()

    def _shared(self) -> Dense | None:
        if not self.shared_intermediate:
            return None
        return Dense(
            hidden=self.hidden,
            intermediate=self.shared_intermediate,
            gated=self.gated,
            name=self._at("shared_experts"),
        )

    def _router(self) -> tuple[Tensor, ...]:
        name, bias = self._at("router"), self.router_bias
        return linear(name, self.choices, self.hidden, bias=bias, role="router")[: 2 * self.router]

    def _buffers(self) -> tuple[Tensor, ...]:
        buffers: list[tuple[str, tuple[int, ...]]] = []
        if self.correction_bias:
            buffers.append(("router.e_score_correction_bias", (self.choices,)))
        if self.hash_vocabulary:
            buffers.append(("router.tid2eid", (self.hash_vocabulary, self.top_k)))
        return tuple(Tensor(self._at(name), shape, "buffer") for name, shape in buffers)

    def _latent(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the projections to and from the width of the routed experts."""
        if not self.latent:
            return (), ()
        return (
            linear(self._at("latent_in"), self.latent, self.hidden),
            linear(self._at("latent_out"), self.hidden, self.latent),
        )

    def _latent_norms(self) -> tuple[Tensor, ...]:
        if not self.latent_norm:
            return ()
        return tuple(
            Tensor(self._at(f"{name}.weight"), (self.expert_hidden,), "norm")
            for name in ("pre_expert_norm", "post_expert_norm")
        )

    def _experts(self) -> tuple[Tensor, ...]:
        factor = 2 if self.gated else 1
        visited = (self.top_k, self.choices)
        columns = Section(self.intermediate, factor, "expert columns")
        rows = Section(self.intermediate, 1, "expert columns")
        wide = factor * self.intermediate
        tensors = [
            Tensor(
                self._at("experts.gate_up_proj") if self.gated else self._at("experts.up_proj"),
                (self.experts, wide, self.expert_hidden),
                "expert",
                Split(1, (columns,)),
                visited,
            ),
            Tensor(
                self._at("experts.down_proj"),
                (self.experts, self.expert_hidden, self.intermediate),
                "expert",
                Split(2, (rows,)),
                visited,
            ),
        ]
        if self.bias:
            split = Split(1, (columns,))
            out_bias = (self.experts, self.expert_hidden)
            tensors += [
                Tensor(self._at("experts.in_bias"), (self.experts, wide), "bias", split, visited),
                Tensor(self._at("experts.out_bias"), out_bias, "bias", None, visited),
            ]
        return tuple(tensors)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return router, stacked experts, what leads to and from them, and shared experts.

        Returns
        -------
        tuple of Tensor
            Experts are cut along their inner width.

        References
        ----------
        jiang-2024

        Examples
        --------
        >>> mixtral = MixtureOfExperts(hidden=4096, intermediate=14336, experts=8, top_k=2)
        >>> sum(t.elements for t in mixtral.tensors())
        1409318912
        """
        shared = self._shared()
        into, out_of = self._latent()
        return (
            *self._router(), *self._buffers(), *into, *self._experts(), *self._latent_norms(),
            *out_of, *(shared.tensors() if shared else ()), *self._shared_gate(),
        )  # fmt: skip

    def distinct_experts(self, tokens: Numeric) -> Numeric:
        """Return how many experts a step is expected to visit, routing being uniform.

        Parameters
        ----------
        tokens : numeric
            Tokens of the step. [tokens]

        Returns
        -------
        numeric
            ``experts · (1 - (1 - top_k/choices)^tokens)``. [1]

        Examples
        --------
        >>> v3 = MixtureOfExperts(hidden=7168, intermediate=2048, experts=256, top_k=8)
        >>> round(v3.distinct_experts(32), 1)
        163.3
        """
        return self.experts * (1 - (1 - self.top_k / self.choices) ** tokens)

    def expert_visits(self, tokens: Numeric) -> Numeric:
        """Return how many times a token goes through a routed expert.

        Parameters
        ----------
        tokens : numeric
            Tokens of the step. [tokens]

        Returns
        -------
        numeric
            ``tokens · top_k``, less the expected choices that cost nothing. [1]

        Examples
        --------
        >>> longcat = MixtureOfExperts(
        ...     hidden=6144, intermediate=2048, experts=512, top_k=12, zero_experts=256
        ... )
        >>> longcat.expert_visits(3)
        24
        """
        share, rest = divmod(self.top_k * self.experts, self.choices)
        return tokens * (share + rest / self.choices if rest else share)

    def operations(self, step: Step, execution: Execution) -> tuple[Operation, ...]:
        """Return routing, the visited experts, the shared experts and the sum over ranks.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Returns
        -------
        tuple of Operation
            Weights of the experts expected to be visited are read once.

        Raises
        ------
        LayoutError
            The ranks do not divide an expert's width.

        References
        ----------
        jiang-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> mixtral = MixtureOfExperts(hidden=4096, intermediate=14336, experts=8, top_k=2)
        >>> mixtral.operations(Step.decode(1, 1), half())[1].flop
        704643072
        """
        tokens = step.tokens
        into, out_of = self._latent()
        operations = self._gemms(tokens, execution, router=self._router(), latent_in=into)
        alike = execution.layout.tp * (execution.layout.cp if step.phase == "decode" else 1)
        operations += self._expert_operations(tokens, alike, execution)
        operations += self._gemms(tokens, execution, latent_out=out_of)
        shared = self._shared()
        alone = shared.operations(step, execution) if shared else ()
        operations += [op for op in alone if op.kind != "all_reduce"]
        operations += self._gemms(tokens, execution, shared_gate=self._shared_gate())
        if alike > 1:
            name = self._at("all_reduce")
            operations.append(all_reduce(name, tokens, self.hidden, execution, ranks=alike))
        return tuple(operations)

    def _expert_operations(
        self, tokens: Numeric, alike: int, execution: Execution
    ) -> list[Operation]:
        """Return the experts' products, and what brings tokens of other ranks to them and back.

        So many ranks have the same tokens: each sends its share of them, and every rank that holds
        part of one of the token's experts receives it.
        """
        layout = execution.layout
        products = self._expert_products(tokens * (layout.expert_ranks // alike), execution)
        if layout.expert_ranks == alike:
            return [products]
        copies = min(self.expert_visits(1) * layout.moe_tp, layout.expert_ranks)
        rows = tokens / alike * copies
        operand = execution.operand(execution.weights.format_of(self._experts()[0]))
        width = self.expert_hidden
        return [
            all_to_all(self._at("dispatch"), rows, width, operand, execution),
            products,
            all_to_all(self._at("combine"), rows, width, execution.stream, execution),
        ]

    def _gemms(
        self, tokens: Numeric, execution: Execution, **matrices: tuple[Tensor, ...]
    ) -> list[Operation]:
        """Return the products with those of some matrices that there are."""
        there = ((self._at(name), matrix) for name, matrix in matrices.items() if matrix)
        return [gemm(name, matrix, tokens, execution) for name, matrix in there]

    def _expert_products(self, tokens: Numeric, execution: Execution) -> Operation:
        """Return one rank's share of what experts do for all tokens that they share."""
        layout = execution.layout
        parts = [tensor.on_rank(layout) for tensor in self._experts()]
        operand = execution.operand(execution.weights.format_of(parts[0]))
        wide, narrow = parts[0].shape[1], parts[1].shape[2]
        stored = sum(execution.weights.tensor_bytes(part) for part in parts)
        visits = self.expert_visits(tokens)
        rows = tokens
        if layout.ep > 1:
            visits = visits / layout.ep
            rows = minimum(tokens, visits)
        stream = execution.stream_bytes
        shape = {
            "tokens": tokens, "hidden": self.expert_hidden, "intermediate": self.intermediate,
            "gated": self.gated, "experts": self.experts, "top_k": self.top_k,
            "tp": layout.moe_tp, "ep": layout.ep, "routing": "uniform",
        }  # fmt: skip
        return Operation(
            name=self._at("experts"),
            kind="moe",
            precision=operand.precision,
            flop=2 * visits * self.expert_hidden * (wide + narrow),
            weight_bytes=stored * (self.distinct_experts(tokens) / self.experts),
            input_bytes=rows * self.expert_hidden * operand.bits // 8,
            output_bytes=rows * self.expert_hidden * stream,
            workspace_bytes=visits * (wide + narrow) * stream,
            shape=shape,
        )


__all__ = ["Dense", "MixtureOfExperts"]
