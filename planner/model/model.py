"""A model: a stack of layers between an embedding and a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from planner.arrays import Numeric
from planner.errors import UnknownNameError
from planner.model.cache import Cache
from planner.model.checkpoint import AS_PUBLISHED, Checkpoint
from planner.model.embedding import Embedding, Head
from planner.model.execution import Execution
from planner.model.layer import Layer, count_layers
from planner.model.layout import SINGLE, Group, Layout, Section
from planner.model.messages import between_stages
from planner.model.mixers.cross_attention import attending
from planner.model.operation import Operation
from planner.model.part import Part
from planner.model.placement import StoredPart, counted_tensors, split_by
from planner.model.position import Positions
from planner.model.step import Step
from planner.model.storage import WeightScheme
from planner.model.streaming import streamed
from planner.model.tensor import Tensor
from planner.model.token_ranks import part_operations
from planner.model.tower import Tower
from planner.sources import Source


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A whole model.

    Parameters
    ----------
    id, name : str
        Identifier and printed name.
    embedding : Embedding
        Token table.
    layers : tuple of Layer
        The stack, in order; equal layers may be the same object.
    final : tuple of Part
        What stands between the last layer and the head.
    head : Head
        LM head.
    usable_context : int or None
        Tokens the positions are good for; None where nothing limits them. [tokens]
    initial : tuple of Part
        What stands between the embedding and the first layer.
    towers : tuple of Tower
        Stacks beside the main one: an encoder, towers that read images or sound.
    positions : Positions or None
        What ``usable_context`` rests on, where it is known.
    checkpoint : Checkpoint
        How the published weights are stored.
    architecture, hf_id : str or None
        Class that the configuration names, by which engines run it; name on Hugging Face.
    aliases : tuple of str
        Further Hugging Face names of the same architecture.
    sources : mapping
        Where the description comes from.
    warnings : tuple of str
        What the reader of the description should know.
    mtp : tuple of Layer
        Layers for multi-token prediction, counted apart; :meth:`with_mtp` puts them in the stack.
    first_layer : int
        Place of ``layers[0]`` in the whole stack: 0 but for a later pipeline stage. [1]
    first, last : bool
        Whether embedding and towers, and final norm and head, stand here: an earlier or later
        pipeline stage leaves them to others.
    """

    id: str
    name: str
    embedding: Embedding
    layers: tuple[Layer, ...]
    final: tuple[Part, ...]
    head: Head
    usable_context: int | None
    initial: tuple[Part, ...] = ()
    towers: tuple[Tower, ...] = ()
    positions: Positions | None = None
    checkpoint: Checkpoint = AS_PUBLISHED
    architecture: str | None = None
    hf_id: str | None = None
    aliases: tuple[str, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mtp: tuple[Layer, ...] = ()
    first_layer: int = 0
    first: bool = True
    last: bool = True

    @cached_property
    def groups(self) -> tuple[tuple[Layer, int], ...]:
        """Distinct layers with how often each occurs, in order of first occurrence."""
        return count_layers(self.layers)

    @cached_property
    def parts(self) -> tuple[tuple[str, Part, int], ...]:
        """Every distinct part of the main stack with its layer's name and how often it occurs."""
        inner = [(layer.name, part, n) for layer, n in self.groups for part in layer.parts]
        return (*self.entry, *inner, *self.exit)

    @cached_property
    def distinct_parts(self) -> tuple[Part, ...]:
        """Each distinct part of the main stack once, whatever its layers, but for the head."""
        every = dict.fromkeys(part for _, part, _ in self.parts)
        return tuple(part for part in every if part is not self.head)

    @property
    def entry(self) -> tuple[tuple[str, Part, int], ...]:
        """What stands before the layers, as in ``parts``: nothing on a later pipeline stage."""
        if not self.first:
            return ()
        return ("embedding", self.embedding, 1), *(("initial", part, 1) for part in self.initial)

    @property
    def exit(self) -> tuple[tuple[str, Part, int], ...]:
        """What stands behind the layers, as in ``parts``: nothing on an earlier pipeline stage."""
        if not self.last:
            return ()
        return *(("final", part, 1) for part in self.final), ("head", self.head, 1)

    @cached_property
    def _stored_parts(self) -> dict[WeightScheme, tuple[StoredPart, ...]]:
        """What :meth:`stored_parts` found for each scheme so far."""
        return {}

    def stored_parts(self, scheme: WeightScheme) -> tuple[StoredPart, ...]:
        """Return every distinct part under a storage scheme.

        Parameters
        ----------
        scheme : WeightScheme
            How weights are stored; equal layers that it stores differently stand apart.

        Returns
        -------
        tuple of StoredPart
            Layer name, part, occurrences and the scheme within these layers.
        """
        known = self._stored_parts.get(scheme)
        if known is None:
            known = self._stored_parts[scheme] = tuple(split_by(self, scheme))
        return known

    @cached_property
    def tensors(self) -> tuple[tuple[str, Tensor, int], ...]:
        """Every distinct tensor, towers included, with its layer's name and its occurrences."""
        main = tuple(
            (layer, tensor, count) for layer, part, count in self.parts for tensor in part.tensors()
        )
        return main + tuple(entry for tower in self.towers for entry in tower.tensors())

    @cached_property
    def caches(self) -> tuple[tuple[str, Cache, int], ...]:
        """Every distinct cache with the name of its layer and how often it occurs."""
        counts: dict[Cache, list[int]] = {}
        names: dict[Cache, str] = {}
        for layer, part, count in self.parts:
            for cache in part.caches():
                counts.setdefault(cache, []).append(count)
                names.setdefault(cache, layer)
        return tuple((names[cache], cache, sum(found)) for cache, found in counts.items())

    @cached_property
    def parameters(self) -> int:
        """All parameters; a tied head counts once. [1]."""
        return sum(tensor.parameters * count for _, tensor, count in self.tensors)

    @cached_property
    def buffers(self) -> int:
        """Stored numbers that are no parameters, such as correction biases of routers. [1]."""
        return sum(
            tensor.elements * count for _, tensor, count in self.tensors if tensor.role == "buffer"
        )

    @cached_property
    def active_parameters(self) -> int:
        """Parameters without the routed experts that a token does not visit. [1]."""
        return sum(tensor.active_elements * count for _, tensor, count in self.tensors)

    @cached_property
    def mtp_parameters(self) -> int:
        """Parameters of the layers for multi-token prediction, in none of the other counts. [1]."""
        parts = [part for layer in self.mtp for part in layer.parts]
        return sum(tensor.parameters for part in parts for tensor in part.tensors())

    def with_mtp(self) -> Model:
        """Return the model with its layers for multi-token prediction loaded.

        Returns
        -------
        Model
            They stand at the end of the stack; the model itself where it has none.
        """
        return replace(self, layers=(*self.layers, *self.mtp), mtp=()) if self.mtp else self

    @property
    def hidden(self) -> int:
        """Width of the residual stream. [elements]."""
        return self.embedding.hidden

    def weights_bytes(self, execution: Execution, *, layout: Layout = SINGLE) -> int:
        """Return the bytes of the weights on one rank.

        Parameters
        ----------
        execution : Execution
            Gives the storage scheme.
        layout : Layout
            Parallel sizes; the whole model, one copy, without.

        Returns
        -------
        int
            Exact size. [bytes]

        Raises
        ------
        LayoutError
            The ranks do not divide the model.
        """
        scheme = execution.weights
        return scheme.extra_bytes + sum(
            own.tensor_bytes(tensor.on_rank(layout)) * count
            for tensor, own, count in counted_tensors(self, scheme)
        )

    def cache_bytes(
        self, context: Numeric, execution: Execution, *, layout: Layout = SINGLE
    ) -> Numeric:
        """Return what one sequence leaves on one rank: keys, values and states.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        execution : Execution
            Gives the cache format.
        layout : Layout
            Parallel sizes; one copy of everything without.

        Returns
        -------
        numeric
            Exact size. [bytes]

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.
        """
        return sum(
            cache.sequence_bytes(cache.share(context, layout.token_ranks), execution, tp=layout.tp)
            * count
            for _, cache, count in self.caches
        )

    def cache_bytes_per_token(
        self, execution: Execution, *, layout: Layout = SINGLE
    ) -> int | float:
        """Return what one token leaves in the caches of all layers, windows not being full yet.

        Parameters
        ----------
        execution : Execution
            Gives the cache format.
        layout : Layout
            Parallel sizes; one copy of everything without.

        Returns
        -------
        int or float
            Zero for models that keep states only; a fraction where entries stand for several
            tokens. [bytes]

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.
        """
        return sum(
            cache.token_bytes(execution, tp=layout.tp) * count for _, cache, count in self.caches
        )

    def state_bytes(self, execution: Execution, *, layout: Layout = SINGLE) -> int:
        """Return what one sequence takes whatever its context.

        Parameters
        ----------
        execution : Execution
            Gives the formats.
        layout : Layout
            Parallel sizes; one copy of everything without.

        Returns
        -------
        int
            Recurrent states and convolution columns. [bytes]

        Raises
        ------
        LayoutError
            The ranks do not divide the heads.
        """
        return int(self.cache_bytes(0, execution, layout=layout))

    def operations(self, step: Step, execution: Execution) -> Iterator[tuple[str, Operation, int]]:
        """Yield every distinct operation of a step with its layer and how often it occurs.

        Parameters
        ----------
        step : Step
            The forward pass.
        execution : Execution
            Formats and layout.

        Yields
        ------
        tuple
            Layer name, operation, occurrences.

        Raises
        ------
        LayoutError
            The ranks do not divide the model.
        """
        known: dict[tuple[Part, WeightScheme], tuple[Operation, ...]] = {}
        for layer, part, count, scheme in self.stored_parts(execution.weights):
            if (part, scheme) not in known:
                stored = replace(execution, weights=scheme)
                known[part, scheme] = tuple(part_operations(part, step, stored))
            for operation in known[part, scheme]:
                yield layer, operation, count
        for tower in self.towers:
            yield from tower.operations(step, execution)
        yield from between_stages(step.tokens, self.hidden, execution)
        yield from streamed(self, step, execution)

    def reading(self, name: str, tokens: int, times: int = 1) -> Model:
        """Return the model with a tower that reads so many tokens of each sequence.

        Parameters
        ----------
        name : str
            The tower, such as ``"encoder"`` or ``"vision"``.
        tokens : int
            What it reads at once; 0 leaves its work out. [tokens]
        times : int
            How often it does, as for several images. [1]

        Returns
        -------
        Model
            What attends to the tower's output sees all these tokens.

        Raises
        ------
        UnknownNameError
            The model has no such tower.
        """
        if name not in [tower.name for tower in self.towers]:
            raise UnknownNameError("tower", name, [tower.name for tower in self.towers])
        read = {layer: attending(layer, name, tokens * times) for layer, _ in self.groups}
        return replace(
            self,
            towers=tuple(
                replace(tower, tokens=tokens, times=times) if tower.name == name else tower
                for tower in self.towers
            ),
            layers=tuple(read[layer] for layer in self.layers),
        )

    def admits(self, layout: Layout) -> bool:
        """Return whether every split of the model divides over the ranks of a layout.

        Parameters
        ----------
        layout : Layout
            Parallel sizes.

        Returns
        -------
        bool
            False where heads, columns or experts would be left over.
        """
        return all(section.divides(layout.ranks(group)) for group, section in self.sections)

    @cached_property
    def sections(self) -> tuple[tuple[Group, Section], ...]:
        """What ranks must divide, each once, with the group of ranks that does."""
        found = (tensor.sections for _, tensor, _ in self.tensors)
        return tuple(dict.fromkeys(pair for pairs in found for pair in pairs))


__all__ = ["Checkpoint", "Layer", "Model"]
