"""What each calibration profile is made of: its tables, coordinates and levels."""

from __future__ import annotations

from dataclasses import dataclass, field

from planner.sources import Source

_AICONFIGURATOR = Source(
    kind="repository",
    title="aiconfigurator: measured kernel and collective times",
    publisher="NVIDIA ai-dynamo",
    url="https://github.com/ai-dynamo/aiconfigurator",
    locator="aic-core/src/aiconfigurator_core/systems at 095f58a5",
    note="Apache-2.0",
)
_VIDUR = Source(
    kind="repository",
    title="Vidur: profiled operations",
    publisher="Microsoft",
    url="https://github.com/microsoft/vidur",
    locator="data/profiling at 7d475133",
    note="MIT",
)
_SOURCES = {"aiconfigurator": _AICONFIGURATOR, "vidur": _VIDUR}
_NOTE = "Measured with the engines' own kernels; quantised products include quantising activations."
_STACK = ("backend", "version", "kernel", "device")


@dataclass(frozen=True, kw_only=True)
class Design:
    """One profile: coordinates of its curves, and its levels with the strength that holds them."""

    id: str
    table: str
    kinds: tuple[str, ...]
    axes: tuple[str, ...]
    levels: tuple[tuple[tuple[str, ...], float], ...]
    bands_by: tuple[str, ...]
    step: float = 1.0
    surfaces: tuple[tuple[str, str], ...] = ()
    surface_step: float = 2.0
    smoothness: float = 10.0
    note: str = _NOTE
    sources: dict[str, Source] = field(default_factory=lambda: _SOURCES)


def _levels(*cells: str) -> tuple[tuple[tuple[str, ...], float], ...]:
    return (
        (cells, 0.1),
        ((*cells, "family"), 0.3),
        ((*cells, "backend", "kernel"), 0.3),
        ((*cells, *_STACK), 0.5),
    )


DESIGNS = (
    Design(
        id="gemm", table="gemm", kinds=("gemm",), axes=("m", "n", "k", "tiles", "waste", "cache"),
        surfaces=(("m", "n"), ("m", "k")), step=1.5,
        levels=_levels("dtype"), bands_by=("dtype", "backend", "device"),
    ),
    Design(
        id="attention-prefill", table="attention_prefill", kinds=("attention_prefill",),
        axes=("batch", "heads", "kv_heads", "share", "head_dim", "new", "cached", "windowed",
              "tiles", "pairs", "waste", "cache"),
        surfaces=(("new", "pairs"),),
        levels=_levels("dtype", "kv_dtype"), bands_by=("dtype", "kv_dtype", "kernel", "device"),
    ),
    Design(
        id="attention-decode", table="attention_decode", kinds=("attention_decode",),
        axes=("batch", "heads", "kv_heads", "share", "head_dim", "seen", "windowed", "tiles",
              "pairs", "waste", "cache"),
        surfaces=(("pairs", "seen"), ("share", "seen"), ("head_dim", "seen")), smoothness=30.0,
        levels=_levels("dtype", "kv_dtype"), bands_by=("dtype", "kv_dtype", "kernel", "device"),
    ),
    Design(
        id="mla-prefill", table="mla", kinds=("mla_prefill",),
        axes=("batch", "heads", "new", "seen", "cached", "tiles", "waste", "cache"),
        levels=_levels("dtype", "kv_dtype"), bands_by=("kv_dtype", "kernel", "device"),
    ),
    Design(
        id="mla-decode", table="mla", kinds=("mla_decode",),
        axes=("batch", "heads", "seen", "tiles", "cache"), surfaces=(("tiles", "seen"),),
        levels=_levels("dtype", "kv_dtype"), bands_by=("kv_dtype", "kernel", "device"),
    ),
    Design(
        id="moe", table="moe", kinds=("moe",), step=1.5,
        axes=("tokens", "visits", "each", "experts", "spread", "top_k", "hidden", "width", "tiles",
              "cache"),
        levels=((("dtype", "routing"), 0.2), (("dtype", "family"), 0.5),
                (("dtype", "backend", "kernel"), 0.5), (("dtype", *_STACK), 1.0)),
        bands_by=("dtype", "backend", "device"),
    ),
    Design(
        id="collectives", table="collectives",
        kinds=("all_reduce", "all_gather", "reduce_scatter", "all_to_all"), axes=("message",),
        levels=((("kind", "kernel"), 0.1), (("kind", "ranks"), 0.2),
                (("kernel", "family", "ranks"), 0.2), (("kind", "kernel", "device", "ranks"), 0.3),
                (("kind", "backend", "version", "kernel", "device"), 0.3)),
        bands_by=("kernel", "device"),
    ),
    Design(
        id="state-space", table="state_space",
        kinds=("state_space_prefill", "state_space_decode", "state_space_verify",
               "short_convolution_prefill", "short_convolution_decode", "short_convolution_verify"),
        axes=("batch", "new", "heads", "tokens", "tiles"), surfaces=(("tiles", "new"),),
        levels=((("kind", "variant"), 0.1), (("kind", "variant", "backend", "kernel"), 0.2),
                (("kind", "device"), 0.2), (("kind", "variant", *_STACK), 0.3)),
        bands_by=("kind", "variant"),
    ),
    Design(
        id="elementwise", table="elementwise", kinds=("elementwise",),
        axes=("bytes",),
        levels=((("kind",), 0.1), (("kernel",), 0.3), (("device", "kernel"), 0.5)),
        bands_by=("device",),
    ),
)  # fmt: skip
