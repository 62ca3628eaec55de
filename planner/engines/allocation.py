"""What an engine takes of one device: from its label capacity to what requests share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from planner.arrays import Numeric


@dataclass(frozen=True, slots=True, kw_only=True)
class LineItem:
    """One step on the way from a device's capacity to the pool.

    Parameters
    ----------
    name : str
        What it is.
    bytes : int
        What it takes; negative, as it is taken off what is left. A capacity or what remains is
        positive. [bytes]
    rule : str
        How it comes about, with the numbers put in.
    versions : str
        Versions of the engine for which the rule holds.
    source : str
        Id in :data:`planner.software.SOFTWARE`, or of a source of the device.
    """

    name: str
    bytes: int
    rule: str
    versions: str
    source: str


class Pool(Protocol):
    """How an engine lays caches out in its pool; a new engine's pool is one class."""

    @property
    def block_tokens(self) -> int:
        """Tokens of one block, as the engine prints it. [tokens]."""
        ...

    @property
    def blocks(self) -> int:
        """Blocks of the pool. [1]."""
        ...

    @property
    def reported_cache_tokens(self) -> int | None:
        """Tokens of the pool, as the engine prints them. [tokens]."""
        ...

    @property
    def max_concurrency(self) -> float | None:
        """Requests of the longest length at once, as the engine prints it. [1]."""
        ...

    @property
    def max_model_len(self) -> int:
        """Longest request that is admitted. [tokens]."""
        ...

    @property
    def max_context_tokens(self) -> int | None:
        """Longest request that the pool can hold; None where nothing limits it. [tokens]."""
        ...

    @property
    def start_bytes(self) -> int:
        """Room for caches below which the engine does not start. [bytes]."""
        ...

    def need_bytes(self, context: Numeric, sequences: Numeric) -> Numeric:
        """Return what sequences of a length take of the pool, in whole blocks. [bytes]."""
        ...

    def items(self) -> tuple[LineItem, ...]:
        """Return how the pool is cut: bytes of a block, blocks, what requests take."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How an engine arrives at the room for caches of the fullest device.

    Parameters
    ----------
    items : tuple of LineItem
        From the label capacity down to the pool; their sum is the pool.
    weights_bytes, activations_bytes, runtime_bytes, graphs_bytes : int
        What the engine takes besides. [bytes]
    pool_bytes : int
        Room for caches; negative where the rest alone is too much. [bytes]
    warnings, assumptions : tuple of str
        What the reader should know.
    """

    items: tuple[LineItem, ...]
    weights_bytes: int
    activations_bytes: int
    runtime_bytes: int
    graphs_bytes: int
    pool_bytes: int
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The whole answer of an engine.

    Parameters
    ----------
    engine, version : str
        Whose rules these are.
    budget : Budget
        From the capacity to the pool.
    pool : Pool
        How the pool is cut.
    step_tokens : int
        Most tokens in one step. [tokens]
    max_sequences : int
        Most sequences in one step. [1]
    stage : int
        Pipeline stage whose ranks decide; the budget is theirs. [1]
    longest_asked : bool
        Whether the longest request follows from the pool, and not the other way round.
    warnings, assumptions : tuple of str
        What the reader should know.
    """

    engine: str
    version: str
    budget: Budget
    pool: Pool
    step_tokens: int
    max_sequences: int
    stage: int = 0
    longest_asked: bool = False
    warnings: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def inputs(self) -> dict[str, object]:
        """Return the resolved flags.

        Returns
        -------
        dict
            What was given, or the engine's default.
        """
        return {
            "engine": f"{self.engine}@{self.version}",
            "max_model_len": self.pool.max_model_len,
            "max_num_seqs": self.max_sequences,
        }

    def to_dict(self) -> dict[str, object]:
        """Return the answer as plain data.

        Returns
        -------
        dict
            Keys with their units.
        """
        pool = self.pool
        return {
            "name": self.engine,
            "version": self.version,
            "cache_pool_bytes": max(0, self.budget.pool_bytes),
            "block_tokens": pool.block_tokens,
            "blocks": pool.blocks,
            "reported_cache_tokens": pool.reported_cache_tokens,
            "max_concurrency": pool.max_concurrency,
            "max_context_tokens": pool.max_context_tokens,
            "items": [
                {
                    "name": item.name,
                    "bytes": item.bytes,
                    "rule": item.rule,
                    "versions": item.versions,
                    "source": item.source,
                }
                for item in (*self.budget.items, *pool.items())
            ],
        }
