"""Caches of vectors that all heads of a layer share: latents, indexer keys, compressed entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from planner.arrays import Numeric, ceil_div, minimum
from planner.model.execution import Execution
from planner.model.storage import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How a kernel packs one vector of an fp8 cache.

    Parameters
    ----------
    plain_dim : int
        Elements left in bf16: the part that is rotated by position. [elements]
    block : int
        fp8 elements that share one scale. [elements]
    scale_bytes : int
        Size of a scale. [bytes]
    align_bytes : int
        What a vector's size is padded to a multiple of. [bytes]
    """

    plain_dim: int
    block: int
    scale_bytes: int
    align_bytes: int = 1

    def vector_bytes(self, dim: int) -> int:
        """Return the stored size of one vector.

        Parameters
        ----------
        dim : int
            All its elements. [elements]

        Returns
        -------
        int
            fp8 elements, scales, bf16 elements, padding. [bytes]

        References
        ----------
        flashmla-2025

        Examples
        --------
        >>> SPARSE_LATENT.vector_bytes(576), COMPRESSED_ENTRY.vector_bytes(512)
        (656, 584)
        """
        packed = dim - self.plain_dim
        scales = ceil_div(packed, self.block) * self.scale_bytes
        size = packed + scales + 2 * self.plain_dim
        return int(ceil_div(size, self.align_bytes) * self.align_bytes)


SPARSE_LATENT = Packing(plain_dim=64, block=128, scale_bytes=4)
COMPRESSED_ENTRY = Packing(plain_dim=64, block=64, scale_bytes=1, align_bytes=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentCache:
    """One vector per entry that all heads share, so that every rank holds a copy.

    Parameters
    ----------
    kind : {"latent", "indexer", "compressed", "sliding"}
        A latent of keys and values, an indexer's key, an entry that stands for several tokens, or
        an entry that leaves with a window.
    dim : int
        Width of the vector. [elements]
    stride : int
        Tokens that one entry stands for. [tokens]
    window : int, optional
        Tokens kept, the newest included; None keeps all. [tokens]
    packing : Packing, optional
        How kernels pack the vector in an fp8 cache; as the cache format says without one.
    format : Format, optional
        Its own format, whatever that of the other caches.
    """

    kind: Literal["latent", "indexer", "compressed", "sliding"]
    dim: int
    stride: int = 1
    window: int | None = None
    packing: Packing | None = None
    format: Format | None = None

    def entries(self, context: Numeric) -> Numeric:
        """Return how many vectors are kept at a context.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]

        Returns
        -------
        numeric
            Whole groups of ``stride`` tokens, at most a window of them. [1]

        Examples
        --------
        >>> LatentCache(kind="compressed", dim=512, stride=128).entries(1000)
        7
        """
        kept = context if self.window is None else minimum(context, self.window)
        return kept // self.stride

    def entry_bytes(self, execution: Execution) -> int:
        """Return the bytes of one vector.

        Parameters
        ----------
        execution : Execution
            Gives the cache format.

        Returns
        -------
        int
            Exact size. [bytes]

        References
        ----------
        deepseek-v2-2024, flashmla-2025

        Examples
        --------
        >>> from planner.model.execution import half
        >>> LatentCache(kind="latent", dim=576).entry_bytes(half())
        1152
        """
        fmt = self.format or execution.cache
        if self.packing is not None and fmt.precision == "fp8":
            return self.packing.vector_bytes(self.dim)
        return int(fmt.vector_bytes(self.dim))

    def share(self, context: Numeric, ranks: int) -> Numeric:
        """Return the context whose cache is what the fullest of several ranks keeps.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        ranks : int
            Ranks that share the tokens of a sequence. [1]

        Returns
        -------
        numeric
            An even share of whole entries; all of it where a window keeps few. [tokens]

        Examples
        --------
        >>> LatentCache(kind="compressed", dim=512, stride=128).share(1000, 2)
        512
        """
        if self.window is not None:
            return context
        return ceil_div(self.entries(context), ranks) * self.stride

    def token_bytes(self, execution: Execution, *, tp: int) -> int | float:
        """Return the bytes that one token leaves on every rank.

        Parameters
        ----------
        execution : Execution
            Gives the cache format.
        tp : int
            Not used: every rank holds a copy. [1]

        Returns
        -------
        int or float
            A share of an entry where it stands for several tokens. [bytes]

        References
        ----------
        deepseek-v2-2024

        Examples
        --------
        >>> from planner.model.execution import half
        >>> LatentCache(kind="latent", dim=576).token_bytes(half(), tp=8)
        1152
        """
        del tp
        whole, rest = divmod(self.entry_bytes(execution), self.stride)
        return whole + rest / self.stride if rest else whole

    def sequence_bytes(self, context: Numeric, execution: Execution, *, tp: int) -> Numeric:
        """Return the bytes of one sequence on every rank.

        Parameters
        ----------
        context : numeric
            Tokens seen. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Not used: every rank holds a copy. [1]

        Returns
        -------
        numeric
            Exact size. [bytes]

        Examples
        --------
        >>> from planner.model.execution import half
        >>> LatentCache(kind="latent", dim=576).sequence_bytes(1024, half(), tp=8)
        1179648
        """
        del tp
        return self.stored_bytes(self.entries(context), execution)

    def stored_bytes(self, entries: Numeric, execution: Execution) -> Numeric:
        """Return the bytes of so many kept vectors.

        Parameters
        ----------
        entries : numeric
            Vectors kept. [1]
        execution : Execution
            Gives the cache format; some keep the newest in 16 bits.

        Returns
        -------
        numeric
            Exact size. [bytes]

        Examples
        --------
        >>> from planner.model.execution import half
        >>> LatentCache(kind="latent", dim=576).stored_bytes(2, half())
        2304
        """
        fmt = self.format or execution.cache
        return fmt.kept_bytes(entries, self.entry_bytes(execution), 2 * self.dim)

    def describe(self, context: int, execution: Execution, *, tp: int) -> str:
        """Return what one layer keeps, in words and figures.

        Parameters
        ----------
        context : int
            Tokens seen. [tokens]
        execution : Execution
            Gives the cache format.
        tp : int
            Tensor-parallel ranks, each with a copy. [1]

        Returns
        -------
        str
            Entries, width and format.

        Examples
        --------
        >>> from planner.model.execution import half
        >>> LatentCache(kind="latent", dim=576).describe(1024, half(), tp=8)
        '1,024 entries × 1,152 B (one vector of 576 in bf16 for all heads, on each of 8 ranks)'
        """
        copies = f", on each of {tp} ranks" if tp > 1 else ""
        fmt = self.format or execution.cache
        return (
            f"{self.entries(context):,} entries × {self.entry_bytes(execution):,} B "
            f"(one vector of {self.dim} in {fmt.name}{fmt.exception} for all heads{copies})"
        )
