"""One rank's work where several share the tokens of a sequence.

In prefill the ranks of ``cp`` share the new tokens evenly, as a zigzag deal does under a causal
mask: each does the work of a fraction of the batch, and the keys and values of the others pass it
by. In decode the one new token is everywhere; each rank attends to the part of the cache it keeps,
and the partial outputs are combined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from planner.arrays import Numeric
from planner.model.cache import Cache
from planner.model.execution import Execution
from planner.model.operation import Kind, Operation
from planner.model.part import Part
from planner.model.step import Step

_MANY_TOKENS = 2**20
_OVER_TOKENS = frozenset({"attention_decode", "mla_decode", "index_decode"})


def is_shared(cache: Cache) -> bool:
    """Return whether ranks can share the tokens of a cache.

    Parameters
    ----------
    cache : Cache
        A descriptor.

    Returns
    -------
    bool
        False for windows and states, of which every rank keeps all.

    Examples
    --------
    >>> from planner import load_model
    >>> [is_shared(cache) for _, cache, _ in load_model("gemma-3-4b").caches]
    [False, True]
    """
    return bool(cache.share(_MANY_TOKENS, 2) < _MANY_TOKENS)


def part_operations(part: Part, step: Step, execution: Execution) -> Iterator[Operation]:
    """Yield what a part does in a step on one rank.

    Parameters
    ----------
    part : Part
        The part.
    step : Step
        The forward pass of all ranks that share the tokens.
    execution : Execution
        Formats and layout.

    Yields
    ------
    Operation
        In the order of execution; what ranks send one another last.

    Raises
    ------
    LayoutError
        The ranks do not divide the part.

    References
    ----------
    liu-2023-ring

    Examples
    --------
    >>> from planner.model.execution import half
    >>> from planner.model.feed_forward import Dense
    >>> from planner.model.layout import Layout
    >>> block, step = Dense(hidden=4096, intermediate=14336), Step.prefill(1, 8192)
    >>> [sum(op.flop for op in part_operations(block, step, half(Layout(cp=cp)))) for cp in (1, 4)]
    [2886218022912, 721554505728.0]
    """
    layout = execution.layout
    if layout.token_ranks == 1:
        yield from part.operations(step, execution)
    elif step.phase == "prefill":
        yield from part.operations(_share(step, layout.cp), execution)
        yield from _passing(part, step, execution)
    else:
        yield from _attending(part, step, execution)


def _share(step: Step, cp: int) -> Step:
    """Return the work of one of ``cp`` ranks; logits are all made by the rank of the last token."""
    return replace(step, batch=step.batch / cp, logit_rows=step.logit_rows * cp)


def _passing(part: Part, step: Step, execution: Execution) -> Iterator[Operation]:
    """Yield the keys, values and states of other ranks: received, written and read once."""
    layout = execution.layout
    message: Numeric = 0
    for cache in part.caches():
        others = (layout.cp - 1) / layout.cp
        after = step.cached_tokens + step.new_tokens
        message = message + others * cache.sequence_bytes(after, execution, tp=layout.tp)
        if is_shared(cache):
            kept = cache.sequence_bytes(step.cached_tokens, execution, tp=layout.tp)
            message = message + (layout.dcp - 1) / layout.token_ranks * kept
    if not part.caches():
        return
    yield _message("send_recv", "tokens of other ranks", step.batch * message, execution)


def _attending(part: Part, step: Step, execution: Execution) -> Iterator[Operation]:
    """Yield decode over one rank's share of the caches, and the sum of the partial outputs.

    A part that also keeps what is not shared is left as it is: its reads are then not too few.
    """
    layout = execution.layout
    caches = part.caches()
    shared = bool(caches) and all(is_shared(cache) for cache in caches)
    partial: Numeric = 0
    for operation in part.operations(step, execution):
        if not shared or operation.kind not in _OVER_TOKENS:
            yield operation
            continue
        partial = partial + operation.output_bytes * layout.dcp
        yield replace(
            operation,
            flop=operation.flop / layout.cp,
            cache_read_bytes=operation.cache_read_bytes / layout.token_ranks,
            workspace_bytes=operation.workspace_bytes / layout.cp,
        )
    if shared:
        yield _message("all_reduce", "partial outputs", partial, execution)


def _message(kind: Kind, name: str, size: Numeric, execution: Execution) -> Operation:
    layout = execution.layout
    return Operation(
        name=name,
        kind=kind,
        precision=execution.stream.precision,
        input_bytes=size,
        output_bytes=size,
        message_bytes=size,
        shape={
            "ranks": layout.token_ranks, "message_bytes": size, "nodes": 1,
            "span": layout.tp * layout.cp,
        },
    )  # fmt: skip
