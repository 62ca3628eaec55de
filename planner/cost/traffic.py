"""Device-memory traffic of a layer of softmax attention, as numbers with their conditions.

How much an IO-aware order saves follows from the length, the width of a head, the shared memory of
a multiprocessor and the level-2 cache; it is no constant. No order moves less than every operand
once, which is what remains where keys and values stay in the level-2 cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.arrays import Numeric, ceil_div, maximum, minimum
from planner.cost.attention_orders import (
    Tile,
    attention_tile,
    flash1_elements,
    materialised_elements,
    shared_memory_bytes,
    streamed_keys,
)
from planner.errors import ScenarioError
from planner.explanation import Explanation, Term
from planner.hardware import Device
from planner.model.storage import BF16, Format
from planner.units import format_bytes

_STATISTIC_BYTES = 4
"""Size of one row's log-sum-exp, which is kept in fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionTraffic:
    """What one attention layer of one sequence moves in prefill, by order of computation.

    Parameters
    ----------
    device : Device
        Gives shared memory, level-2 cache and bandwidth.
    tokens : numeric
        Queries and keys. [tokens]
    head_dim : int
        Width of a head. [elements]
    query_heads, kv_heads : int
        Heads of the layer. [1]
    format : Format
        Format of queries, keys, values and outputs.
    causal : bool
        Whether a query sees no later key.
    tile : Tile
        Rows of queries and keys of the kernel.
    on_chip_bytes : int
        On-chip memory that FlashAttention-1 may fill. [bytes]
    packed : bool
        Whether the query heads that share a KV head are in one tile and read it together.
    masks : int
        Further square tensors that the materialised form reads. [1]
    """

    device: Device
    tokens: Numeric
    head_dim: int
    query_heads: int
    kv_heads: int
    format: Format
    causal: bool
    tile: Tile
    on_chip_bytes: int
    packed: bool
    masks: int

    @property
    def element_bytes(self) -> int:
        """Size of one element. [bytes]."""
        return self.format.bits // 8

    @property
    def _readers(self) -> int:
        """Heads that read keys and values of their own accord."""
        return self.kv_heads if self.packed else self.query_heads

    @property
    def statistics_bytes(self) -> Numeric:
        """One fp32 log-sum-exp per query and head, which fused kernels write. [bytes]."""
        return self.tokens * self.query_heads * _STATISTIC_BYTES

    @property
    def materialised_bytes(self) -> Numeric:
        """Scores and probabilities go through device memory; a mask saves nothing. [bytes]."""
        whole = materialised_elements(self.tokens, self.head_dim, self.masks)
        return self.query_heads * whole * self.element_bytes

    @property
    def flash1_bytes(self) -> Numeric:
        """FlashAttention-1 as published, without a mask's saving. [bytes]."""
        on_chip = self.on_chip_bytes // self.element_bytes
        whole = flash1_elements(self.tokens, self.head_dim, on_chip)
        return self.query_heads * whole * self.element_bytes

    @property
    def flash2_bytes(self) -> Numeric:
        """FlashAttention-2 and -3 where no cache helps. [bytes]."""
        return self._ends_bytes + self._streamed_bytes + self.statistics_bytes

    @property
    def compulsory_bytes(self) -> Numeric:
        """Queries, keys, values and outputs once: no order moves less. [bytes]."""
        return self._ends_bytes + self._once_bytes

    @property
    def _ends_bytes(self) -> Numeric:
        return 2 * self.query_heads * self.tokens * self.head_dim * self.element_bytes

    @property
    def _once_bytes(self) -> Numeric:
        return 2 * self.kv_heads * self.tokens * self.head_dim * self.element_bytes

    @property
    def _streamed_bytes(self) -> Numeric:
        keys = streamed_keys(self.tokens, self.tile, causal=self.causal)
        return maximum(
            2 * self._readers * keys * self.head_dim * self.element_bytes, self._once_bytes
        )

    @property
    def working_set_bytes(self) -> Numeric:
        """Keys and values of the heads whose tiles run at the same time. [bytes]."""
        tiles = ceil_div(self.tokens, self.tile.query_rows)
        group = self.query_heads // self.kv_heads
        running = minimum(
            ceil_div(ceil_div(self.device.multiprocessors or 1, tiles), group), self.kv_heads
        )
        return 2 * running * self.tokens * self.head_dim * self.element_bytes

    @property
    def resident_fraction(self) -> Numeric:
        """Share of the working set that the level-2 cache holds; 0 where it is not known. [1]."""
        return minimum(1.0, (self.device.l2_cache_bytes or 0) / self.working_set_bytes)

    @property
    def fused_bytes(self) -> Numeric:
        """FlashAttention-2 and -3 on this device: what the level-2 cache keeps is read once.

        Between nothing and all of the working set, the saving is taken as proportional. [bytes].
        """
        again = self._streamed_bytes - self._once_bytes
        missed = again * (1 - self.resident_fraction)
        return self.compulsory_bytes + self.statistics_bytes + missed

    @property
    def saving(self) -> Numeric:
        """Traffic of materialised attention over that of the fused kernel. [1]."""
        return self.materialised_bytes / self.fused_bytes

    @property
    def materialised_memory_share(self) -> Numeric:
        """Share of materialised attention's time that waits for memory, kernel after kernel.

        Every pair is multiplied, masked or not; arithmetic and traffic do not overlap. [1].
        """
        flop = 4 * self.query_heads * self.tokens * self.tokens * self.head_dim
        compute_s = flop / self.device.rate(self.format.precision)
        memory_s = self.materialised_bytes / self.device.memory_bandwidth_bytes_per_s
        return memory_s / (memory_s + compute_s)

    def explain(self, figure: str) -> Explanation:
        """Return how one of the figures came about.

        Parameters
        ----------
        figure : str
            Name of a property in bytes, ``"saving"`` or ``"materialised_memory_share"``.

        Returns
        -------
        Explanation
            Formula, numbers and conditions.

        Raises
        ------
        KeyError
            No such figure.
        """
        meaning, formula, sources = _FORMULAS[figure]
        value = getattr(self, figure)
        ratio = not figure.endswith("_bytes")
        return Explanation(
            figure=figure,
            meaning=meaning,
            formula=formula,
            substituted=self._conditions(),
            value=float(value) if ratio else int(value),
            unit="1" if ratio else "bytes",
            terms=self._terms(figure),
            sources=sources,
        )

    def _conditions(self) -> str:
        return (
            f"N = {self.tokens:,}, d = {self.head_dim}, {self.query_heads} query heads, "
            f"{self.kv_heads} KV heads, {self.format.name}, "
            f"{'causal' if self.causal else 'every pair'}, tiles of {self.tile.query_rows} × "
            f"{self.tile.key_rows}, {format_bytes(self.on_chip_bytes)} on chip; "
            f"{self.device.name}: {float(self.resident_fraction):.0%} of "
            f"{format_bytes(float(self.working_set_bytes))} stays in level 2"
        )

    def _terms(self, figure: str) -> tuple[Term, ...]:
        parts: dict[str, Numeric] = {}
        if figure in {"flash2_bytes", "fused_bytes", "compulsory_bytes"}:
            parts["queries and outputs, once"] = self._ends_bytes
            rest = getattr(self, figure) - self._ends_bytes
            if figure != "compulsory_bytes":
                parts["statistics of each row"] = self.statistics_bytes
                rest = rest - self.statistics_bytes
            parts["keys and values"] = rest
        return tuple(Term(label=name, value=float(value)) for name, value in parts.items())


_FORMULAS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "materialised_bytes": (
        "Traffic of attention that writes scores and probabilities to device memory.",
        "heads · ((4 + masks)·N² + 4·N·d) · bytes",
        ("dao-2022",),
    ),
    "flash1_bytes": (
        "Traffic of FlashAttention-1: keys and values in the outer loop.",
        "heads · (2·N·d + ⌈N / Bc⌉·(3·N·d + 4·N)) · bytes, Bc = ⌊M / 4d⌋",
        ("dao-2022",),
    ),
    "flash2_bytes": (
        "Traffic of FlashAttention-2 and -3 where no cache helps: queries in the outer loop.",
        "heads · (2·N·d + 2·d·Σ⌈hᵢ / Bc⌉·Bc) · bytes + 4·N·heads",
        ("dao-2023", "shah-2024"),
    ),
    "fused_bytes": (
        "Traffic of FlashAttention-2 and -3 on this device, with its level-2 cache.",
        "compulsory + 4·N·heads + (streamed − once) · (1 − share that stays in level 2)",
        ("dao-2023", "shah-2024"),
    ),
    "compulsory_bytes": (
        "Queries, keys, values and outputs once; no order moves less.",
        "2·N·d·(query_heads + kv_heads) · bytes",
        ("dao-2022",),
    ),
    "materialised_memory_share": (
        "Share of materialised attention's time that waits for memory, kernel after kernel.",
        "(traffic / bandwidth) / (traffic / bandwidth + 4·N²·d·heads / rate)",
        ("dao-2022", "williams-2009"),
    ),
    "saving": (
        "By how much the fused kernel cuts the traffic of materialised attention.",
        "materialised / fused",
        ("dao-2022", "dao-2023"),
    ),
}


def attention_traffic(
    device: Device,
    *,
    tokens: Numeric,
    head_dim: int,
    query_heads: int = 1,
    kv_heads: int | None = None,
    fmt: Format = BF16,
    causal: bool = True,
    tile: Tile | None = None,
    on_chip_bytes: int | None = None,
    packed: bool = False,
    masks: int = 0,
) -> AttentionTraffic:
    """Return what one attention layer moves on a device, in every order of computation.

    Parameters
    ----------
    device : Device
        Gives shared memory and level-2 cache.
    tokens : numeric
        Queries and keys of one sequence; may be an array. [tokens]
    head_dim : int
        Width of a head. [elements]
    query_heads : int
        Query heads. [1]
    kv_heads : int, optional
        Heads of keys and values; as many as there are query heads without it. [1]
    fmt : Format
        Format of all operands.
    causal : bool
        Whether a query sees no later key.
    tile : Tile, optional
        Rows of the kernel; what fits into the shared memory without it.
    on_chip_bytes : int, optional
        On-chip memory for FlashAttention-1; the shared memory without it. [bytes]
    packed : bool
        Whether the query heads that share a KV head read it together.
    masks : int
        Further square tensors that the materialised form reads. [1]

    Returns
    -------
    AttentionTraffic
        Bytes by order, and the saving with its conditions.

    Raises
    ------
    ScenarioError
        The device's shared memory is not known or too small, or KV heads do not divide the heads.

    References
    ----------
    dao-2022, dao-2023, shah-2024

    Examples
    --------
    >>> from planner.hardware import load_device
    >>> one = attention_traffic(load_device("h100-sxm"), tokens=8192, head_dim=128)
    >>> round(one.materialised_bytes / 2**20), round(one.fused_bytes / 2**20), round(one.saving, 1)
    (520, 8, 64.7)
    """
    kv_heads = query_heads if kv_heads is None else kv_heads
    if kv_heads < 1 or query_heads % kv_heads:
        raise ScenarioError(
            "KV heads that do not divide the query heads",
            where="kv_heads",
            got=kv_heads,
            allowed=f"a divisor of {query_heads}",
        )
    if on_chip_bytes is None:
        on_chip_bytes = shared_memory_bytes(device)
    return AttentionTraffic(
        device=device,
        tokens=tokens,
        head_dim=head_dim,
        query_heads=query_heads,
        kv_heads=kv_heads,
        format=fmt,
        causal=causal,
        tile=tile or attention_tile(device, head_dim, fmt),
        on_chip_bytes=on_chip_bytes,
        packed=packed,
        masks=masks,
    )
