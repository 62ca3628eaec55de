"""What every plan rests on, and what a layout adds to it, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from planner.cost.memory import RankMemory
from planner.engines.memory import EngineMemory


def standing_assumptions(memory: RankMemory | EngineMemory, tokens: int) -> Iterator[str]:
    """Yield what holds for a plan whatever was asked.

    Parameters
    ----------
    memory : RankMemory or EngineMemory
        Memory of the fullest rank.
    tokens : int
        All tokens in flight. [tokens]

    Yields
    ------
    str
        One sentence each.
    """
    yield (
        "FLOP count matrix products, convolutions and scans; norms, rotations, softmax and "
        "activation functions count as bytes."
    )
    yield "Prefill reads all prompts in one pass and makes logits for the last token of each."
    yield f"Activations are those of a step of {min(memory.step_tokens, tokens):,} tokens."
    if isinstance(memory, EngineMemory):
        yield from memory.allocation.assumptions
    else:
        yield "Caches are contiguous, without pages or padding; no engine's own reserves are added."
    yield from _of_layout(memory)


def _of_layout(memory: RankMemory | EngineMemory) -> Iterator[str]:
    layout = memory.layout
    if layout.pp > 1:
        yield (
            "A step passes the stages one after the other: FLOP, bytes and time are those of one "
            "device of every stage together."
        )
    if layout.attention_dp > 1:
        yield "Tokens visit experts uniformly; what ranks send to experts overlaps with nothing."
    if layout.cp > 1:
        yield (
            "Context-parallel ranks have equal shares of a prompt's work, as a zigzag deal gives "
            "them; keys and values that they pass on overlap with nothing."
        )
    if memory.execution.offload:
        yield (
            "What is offloaded crosses the link at its peak rate, once per step, and overlaps with "
            "nothing."
        )
