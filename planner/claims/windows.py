"""Claims about attention over a window, and about what attention looks at."""

from __future__ import annotations

from planner.claims.assumptions import cached_in, figure, model_control, tokens_control
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.cost.attention_orders import materialised_elements
from planner.errors import ScenarioError
from planner.importers import load_model
from planner.model.execution import half
from planner.model.mixers.attention import Attention
from planner.model.mixers.indexer import Indexer
from planner.model.mixers.latent import LatentAttention
from planner.model.mixers.pairs import causal_pairs, visible_keys
from planner.units import format_bytes
from planner.variants import Exchange, variant

_SELECTED = 2048


def _window_control(default: int) -> Control:
    return tokens_control(default, name="window", label="Window", most=2**24)


def _triangle(values: Values) -> Finding:
    tokens, window = values["tokens"], values["window"]
    first = int(causal_pairs(1, 0, window))
    last = int(causal_pairs(1, tokens - 1, window))
    pairs = int(causal_pairs(tokens, 0, window))
    lower = first < last
    return Finding(
        verdict="false" if lower else "true",
        ruling="false" if lower else "the same where each query sees itself only",
        explanation=f"The first of {tokens:,} queries sees {first:,} key, the last {last:,}: each "
        "sees itself and the ones before it, as far back as the window goes. That is a band below "
        "the diagonal; an upper triangle would show the first query the most.",
        figures=(
            figure(
                "first_query_keys",
                first,
                "keys",
                "Keys that the first query sees.",
                "min(1, W)",
                f"W = {window:,}",
            ),
            figure(
                "last_query_keys",
                last,
                "keys",
                "Keys that the last query sees.",
                "min(N, W)",
                f"min({tokens:,}, {window:,})",
            ),
            figure(
                "pairs",
                pairs,
                "pairs",
                "Pairs that the mask admits.",
                "Σ min(i + 1, W) over the queries",
                f"N = {tokens:,}, W = {window:,}",
                sources=("jiang-2023",),
            ),
        ),
    )


def _orders(values: Values) -> Finding:
    model, context = load_model(values["model"]), values["context"]
    execution = half()
    windowed = variant(model, Exchange(name="SWA", size=values["window"]))
    whole = variant(model, "GQA")
    kept, twice = (windowed.cache_bytes(n, execution) for n in (context, 2 * context))
    all_kept, all_twice = (whole.cache_bytes(n, execution) for n in (context, 2 * context))
    square = materialised_elements(2 * context, 128) / materialised_elements(context, 128)
    constant = twice == kept
    verdict: Verdict = "depends" if constant else "false"
    return Finding(
        verdict=verdict,
        ruling="half true" if constant else "the window is not full yet",
        explanation=f"From {context:,} to twice as many tokens the cache under a window of "
        f"{values['window']:,} grows {twice / kept:.3g} times, that of all tokens "
        f"{all_twice / all_kept:.3g} times: linear, not quadratic. Only scores that are written "
        f"out grow {square:.3g} times, and fused kernels write none.",
        figures=(
            figure(
                "windowed_growth",
                twice / kept,
                "1",
                "Cache under the window at twice the context over that at the context.",
                "min(2n, W) / min(n, W)",
                f"n = {context:,}, W = {values['window']:,}",
                sources=("jiang-2023",),
            ),
            figure(
                "whole_growth",
                all_twice / all_kept,
                "1",
                "The same without a window.",
                "2n / n",
                f"n = {context:,}",
            ),
            figure(
                "windowed_bytes",
                int(kept),
                "bytes",
                f"Cache of one sequence of {model.name} under the window.",
                "layers · min(n, W) · kv_heads · (key_dim + value_dim) · bytes",
                f"{format_bytes(all_kept)} without a window",
            ),
        ),
    )


def _reach(values: Values) -> Finding:
    model, window = load_model(values["model"]), values["window"]
    windows = [
        part.window
        for layer in variant(model, Exchange(name="SWA", size=window)).layers
        for part in layer.parts
        if isinstance(part, Attention) and part.window is not None
    ]
    own = [
        part.window for layer in model.layers for part in layer.parts if isinstance(part, Attention)
    ]
    if not windows:
        raise ScenarioError("the model has no attention", where="model", got=model.id)
    field = sum(visible_keys(1, 10**12, each) - 1 for each in windows)
    full = sum(each is None for each in own)
    return Finding(
        verdict="false",
        ruling="false",
        explanation=f"Each of {len(windows)} layers looks {window - 1:,} tokens back, so nothing "
        f"older than {field:,} tokens can reach the output, and far less does so with weight. "
        + (
            f"As published, {full} layers of {model.name} look at everything, and keep everything. "
            if full
            else ""
        )
        + "Keeping first tokens as sinks makes long streams stable; it does not bring back what "
        "the window dropped.",
        figures=(
            figure(
                "receptive_field",
                int(field),
                "tokens",
                "How far back the last layer can see through all the others.",
                "layers · (W − 1)",
                f"{len(windows)} · ({window:,} − 1)",
                sources=("jiang-2023", "xiao-2024"),
            ),
        ),
    )


def _recent(values: Values) -> Finding:
    model, context = load_model(values["model"]), values["context"]
    execution = cached_in("bf16")
    window = max(round(context * values["recent_share"]), 1)
    whole = variant(model, "GQA").cache_bytes(context, execution)
    recent = variant(model, Exchange(name="SWA", size=window)).cache_bytes(context, execution)
    sparse = LatentAttention(
        hidden=7168, query_heads=128, q_lora_rank=1536, kv_lora_rank=512, qk_nope_head_dim=128,
        qk_rope_head_dim=64, v_head_dim=128, index_topk=_SELECTED,
    )  # fmt: skip
    indexer = Indexer(hidden=7168, query_dim=1536, heads=64, head_dim=128)
    kept = sum(
        cache.sequence_bytes(context, execution, tp=1)
        for part in (sparse, indexer)
        for cache in part.caches()
    )
    attended = int(causal_pairs(1, context - 1, _SELECTED))
    return Finding(
        verdict="false",
        ruling="false",
        explanation="Studies find much weight on the first tokens, which serve as sinks, and on "
        "tokens anywhere that depend on the input; how much falls on recent ones differs from "
        "head to head. Methods that drop by measured importance keep about a fifth, and a pure "
        f"window breaks down. DeepSeek's sparse attention reads {attended:,} of {context:,} tokens "
        f"per query, but keeps all of them, {format_bytes(kept)} per layer, since any may be next.",
        figures=(
            figure(
                "recent_cache_fraction",
                recent / whole,
                "1",
                "Cache of the recent tokens alone over that of all; it says nothing of quality.",
                "min(n, W) / n",
                f"{window:,} of {context:,} tokens",
            ),
            figure(
                "dropped_bytes",
                int(whole - recent),
                "bytes",
                f"What {model.name} would keep less of one sequence.",
                "cache(n) − cache(min(n, W))",
                f"{format_bytes(whole)} − {format_bytes(recent)}",
            ),
            figure(
                "selected_fraction",
                attended / context,
                "1",
                "Share of the tokens that sparse attention of DeepSeek-V3.2 reads per query.",
                "min(n, 2,048) / n",
                f"min({context:,}, {_SELECTED:,}) / {context:,}",
                sources=("deepseek-v3.2-2025",),
            ),
            figure(
                "sparse_cache_bytes",
                int(kept),
                "bytes",
                "What one of its layers keeps of the sequence: all latents and all indexer keys.",
                "n · (latent + indexer key)",
                f"{context:,} tokens",
                sources=("deepseek-v3.2-2025", "flashmla-2025"),
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="g1",
        title="Shape of the window's mask",
        said="The mask of sliding-window attention is an upper triangle of size W.",
        controls=(
            tokens_control(16, name="tokens", label="Tokens", most=2**24),
            _window_control(4),
        ),
        find=_triangle,
        sources=("jiang-2023",),
    ),
    Claim(
        id="g2",
        title="Growth under a window",
        said="A window takes memory from the order of N² to that of W.",
        controls=(
            model_control("mistral-7b-v0.1"),
            tokens_control(32_768, most=2**30),
            _window_control(4096),
        ),
        find=_orders,
        sources=("jiang-2023", "dao-2022"),
    ),
    Claim(
        id="g3",
        title="Reach of a window",
        said="Sliding windows give infinite context.",
        controls=(model_control("mistral-7b-v0.1"), _window_control(4096)),
        find=_reach,
        sources=("jiang-2023", "xiao-2024"),
    ),
    Claim(
        id="i",
        title="Where attention looks",
        said="Most attention falls on the most recent 5 to 10 % of tokens; the rest is wasted.",
        controls=(
            model_control("llama-3.1-8b"),
            tokens_control(131_072, most=2**30),
            Control(
                name="recent_share",
                label="Share taken as recent",
                unit="1",
                default=0.1,
                least=0.0001,
                most=1,
                whole=False,
            ),
        ),
        find=_recent,
        sources=("xiao-2024", "zhang-2023", "deepseek-v3.2-2025"),
        on_record="unsupported",
    ),
)
