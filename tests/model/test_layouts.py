"""Every rank of any layout: what all hold adds up to the model and the copies that are declared."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import Scenario, load_hardware, plan
from planner.errors import LayoutError
from planner.importers import describe_catalog, load_model
from planner.model import Layer, Layout, Model, Step, Tensor
from planner.model.admission import cache_copies, check_layout
from planner.model.dense import Dense
from planner.model.execution import half
from planner.model.layout import Section
from planner.model.mixers.attention import Attention
from planner.model.shared_block import SharedBlock
from planner.model.stages import layers_per_stage, pipeline_stages
from planner.model.token_ranks import is_shared

CATALOG = [entry.id for entry in describe_catalog()]
SIZES = st.sampled_from((1, 2, 3, 4, 8, 16))


def random_layout(model: Model, draw: random.Random) -> Layout | None:
    """A layout that the model admits, or None where the dice found none."""
    sizes = (1, 1, 2, 3, 4, 8, 16)
    for _ in range(40):
        joined = draw.choice(sizes)
        layout = Layout(
            tp=draw.choice(sizes),
            pp=draw.choice(sizes),
            cp=draw.choice((1, 1, 2)),
            dp=joined * draw.choice((1, 2)),
            attention_dp=joined,
        )
        shared = [n for n in range(1, layout.expert_ranks + 1) if layout.expert_ranks % n == 0]
        layout = replace(layout, ep=draw.choice(shared))
        try:
            check_layout(model, layout)
        except LayoutError:
            continue
        return layout
    return None


def copied(section: Section, ranks: int) -> int:
    """Elements that ranks hold beyond one copy of a section, as its rule declares them."""
    if section.units % ranks == 0:
        return 0
    surplus = {
        "replicate": ranks - section.units,
        "pad": -section.units % ranks,
        "copy": (ranks - 1) * section.units,
    }
    return surplus[section.beyond] * section.width


def held_by_all(tensor: Tensor, layout: Layout) -> int:
    """Elements on all devices of a stage: one copy per group, and what splits add."""
    devices = layout.devices // layout.pp
    ranks = layout.tp if tensor.visited is None else layout.moe_tp
    group = layout.tp if tensor.visited is None else layout.expert_ranks
    if tensor.split is None:
        one = tensor.elements * ranks
    else:
        along = tensor.shape[tensor.split.axis]
        extra = sum(copied(section, ranks) for section in tensor.split.sections)
        one = tensor.elements // along * (along + extra)
    return one * devices // group


def brought_along(model: Model, layout: Layout) -> int:
    """Elements that stages hold again since they stand elsewhere: tied tables, shared blocks."""
    if layout.pp == 1:
        return 0
    table = [t for t in model.embedding.tensors() if t.role == "embedding"]
    found = sum(held_by_all(tensor, layout) for tensor in table if model.head.tied)
    for stage in pipeline_stages(model, layout.pp):
        span = model.layers[stage.first_layer : stage.first_layer + len(stage.layers)]
        blocks = [part for layer in span for part in layer.parts if isinstance(part, SharedBlock)]
        for name in {block.name for block in blocks}:
            mine = [block for block in blocks if block.name == name]
            if not any(block.holds for block in mine):
                with_it, without = replace(mine[0], holds=True), mine[0]
                found += sum(held_by_all(t, layout) for t in with_it.tensors())
                found -= sum(held_by_all(t, layout) for t in without.tensors())
    return found


def check_weights(model: Model, layout: Layout) -> None:
    execution = half(layout)
    stages = pipeline_stages(model, layout.pp)
    devices = layout.devices // layout.pp
    held = sum(stage.weights_bytes(execution, layout=layout) for stage in stages) * devices
    sizes = [
        held_by_all(tensor, layout) * count * execution.weights.format_of(tensor).bits // 8
        for _, tensor, count in model.tensors
    ]
    assert held == sum(sizes) + 2 * brought_along(model, layout)


@pytest.mark.parametrize("name", CATALOG)
def test_all_ranks_hold_the_model_and_the_declared_copies(name: str) -> None:
    model, draw = load_model(name), random.Random(name)
    layouts = {random_layout(model, draw) for _ in range(4)} - {None}
    for layout in layouts:
        assert layout is not None
        check_weights(model, layout)


@pytest.mark.parametrize("name", CATALOG)
def test_caches_of_all_ranks_hold_every_token(name: str) -> None:
    model, draw = load_model(name), random.Random(name)
    layout, context = random_layout(model, draw), draw.randint(1, 100_000)
    if layout is None:
        return
    for _, cache, _ in model.caches:
        copies = cache_copies(cache, layout.tp)
        held = cache.share(context, layout.token_ranks)
        rank = cache.sequence_bytes(held, half(), tp=layout.tp)
        whole = cache.sequence_bytes(context, half(), tp=1)
        ranks = layout.tp * (layout.token_ranks if is_shared(cache) else 1)
        assert rank * ranks >= whole * copies
        stride = getattr(cache, "stride", 1)
        spare = cache.sequence_bytes(layout.token_ranks * stride, half(), tp=1)
        assert rank * ranks <= (whole + spare) * copies


def test_a_block_that_layers_share_is_held_once_by_each_stage_that_runs_it() -> None:
    model = load_model("llama-3.1-8b")
    attention, dense = (p for p in model.layers[0].parts if isinstance(p, Attention | Dense))
    assert isinstance(attention, Attention)
    assert isinstance(dense, Dense)
    block = SharedBlock(hidden=4096, attention=attention, feed_forward=dense)
    first, later = (Layer("shared", (replace(block, holds=holds),)) for holds in (True, False))
    shared = replace(model, layers=(first, *model.layers[:3], later, later, *model.layers[:2]))
    check_weights(shared, Layout(tp=2, pp=2))
    held, used = (sum(t.parameters for t in layer.parts[0].tensors()) for layer in (first, later))
    assert brought_along(shared, Layout(pp=2)) == held - used > 0


@given(st.sampled_from(CATALOG), SIZES, SIZES, SIZES)
@settings(max_examples=60, deadline=None)
def test_more_ranks_never_hold_more_each(name: str, tp: int, pp: int, times: int) -> None:
    model, few = load_model(name), Layout(tp=tp, pp=min(pp, 4))
    many = replace(few, tp=tp * times)
    try:
        check_layout(model, few)
        check_layout(model, many)
    except LayoutError:
        return
    if any(section.beyond == "copy" and section.units % many.tp for _, section in model.sections):
        return  # A tower that ranks do not divide is on every rank, as its sections say.
    for stage in pipeline_stages(model, few.pp):
        sizes = [stage.weights_bytes(half(), layout=layout) for layout in (few, many)]
        assert sizes[1] <= sizes[0]
        caches = [stage.cache_bytes(9999, half(), layout=layout) for layout in (few, many)]
        assert caches[1] <= caches[0]
        shared = stage.cache_bytes(9999, half(), layout=replace(few, cp=times))
        assert shared <= caches[0]


@pytest.mark.parametrize(
    ("layers", "pp", "expected"),
    [
        (61, 2, (31, 30)), (126, 4, (31, 32, 32, 31)), (94, 4, (23, 24, 24, 23)),
        (80, 3, (27, 27, 26)), (27, 2, (14, 13)), (93, 2, (47, 46)), (7, 4, (2, 2, 2, 1)),
    ],
)  # fmt: skip
def test_layers_are_dealt_as_vllm_deals_them(
    layers: int, pp: int, expected: tuple[int, ...]
) -> None:
    """Stages of vLLM 0.33.0 for models of as many layers; the last by its rule."""
    assert layers_per_stage(layers, pp) == expected


@pytest.mark.parametrize(
    ("name", "layout", "printed"),
    [
        ("llama-3.1-8b", Layout(pp=2), (7.51, 7.51)),
        ("llama-3.1-8b", Layout(pp=4), (4.26, 3.28, 3.28, 4.26)),
        ("qwen3-30b-a3b", Layout(tp=1, dp=4, attention_dp=4, ep=4), (16.39,)),
    ],
)
def test_ranks_hold_what_engines_print(
    name: str, layout: Layout, printed: tuple[float, ...]
) -> None:
    """GiB of weights per device, with buffers that engines add to them.

    vLLM 0.19.0, logs of github.com/llm-d-incubation/llm-d-planner pull request 205; SGLang,
    github.com/sgl-project/sglang pull request 17392 (``--tp 4 --dp 4 --ep 4``, attention apart).
    """
    stages = pipeline_stages(load_model(name), layout.pp)
    held = [stage.weights_bytes(half(), layout=layout) / 2**30 for stage in stages]
    assert held == pytest.approx(printed, rel=0.01)


@given(st.integers(1, 200), st.data())
def test_stages_differ_by_one_layer_and_spare_the_ends(layers: int, data: st.DataObject) -> None:
    pp = data.draw(st.integers(1, layers))
    counts = layers_per_stage(layers, pp)
    assert (sum(counts), len(counts)) == (layers, pp)
    assert max(counts) - min(counts) <= 1
    assert counts[-1] == min(counts)
    assert list(counts[:-1]) == sorted(counts[:-1])


@pytest.mark.parametrize("name", ["gemma-2-9b", "deepseek-v3", "mamba2-2.7b", "llama-3.1-8b"])
def test_a_step_through_the_stages_is_a_step_of_the_model_and_what_they_send(name: str) -> None:
    model, step = load_model(name), Step.prefill(2, 777)
    through = half(Layout(pp=3))
    stages = pipeline_stages(model, 3)
    apart = sum(op.flop * n for stage in stages for _, op, n in stage.operations(step, half()))
    whole = list(model.operations(step, through))
    assert sum(op.flop * count for _, op, count in whole) == apart
    ((sent, times),) = [(op, count) for _, op, count in whole if op.kind == "send_recv"]
    assert (sent.message_bytes, times) == (2 * 777 * model.hidden * 2, 2)


EXPERTS = ("mixtral-8x7b", "deepseek-v3", "gpt-oss-120b", "qwen3-30b-a3b")


@pytest.mark.parametrize("name", EXPERTS)
@given(st.sampled_from((1, 2, 4)), st.sampled_from((1, 2, 4)), st.integers(1, 5000), st.data())
@settings(max_examples=15, deadline=None)
def test_ranks_that_share_experts_do_their_work_once(
    name: str, tp: int, joined: int, tokens: int, data: st.DataObject
) -> None:
    model = load_model(name)
    ep = data.draw(st.sampled_from([n for n in (1, 2, 4, 8) if tp * joined % n == 0]))
    layout = Layout(tp=tp, dp=joined, attention_dp=joined, ep=ep)
    step = Step.decode(tokens, 100)
    whole = moe(model, Step.decode(tokens * joined, 100), Layout())
    rank = moe(model, step, layout)
    assert rank["flop"] * layout.expert_ranks == pytest.approx(whole["flop"])
    assert rank["weight_bytes"] * layout.expert_ranks == pytest.approx(
        whole["weight_bytes"], rel=0.02
    )
    kinds = {op.kind for _, op, _ in model.operations(step, half(layout))}
    assert ("all_to_all" in kinds) == (joined > 1)


def moe(model: Model, step: Step, layout: Layout) -> dict[str, float]:
    found = [op for _, op, _ in model.operations(step, half(layout)) if op.kind == "moe"]
    return {name: sum(getattr(op, name) for op in found) for name in ("flop", "weight_bytes")}


def test_dispatch_and_combine_send_what_is_published() -> None:
    """DeepSeek-V3: each token goes to eight ranks in fp8 and comes back in bf16, 172,032 bytes."""
    answer = plan(
        Scenario(
            model=load_model("deepseek-v3"),
            hardware=load_hardware("8x-h200-sxm", 32),
            tp=1,
            ep=32,
            sequences=32,
        )
    )
    sent = [cost.operation for cost in answer.decode.operations if "experts" not in cost.layer]
    messages = {op.name: op.message_bytes for op in sent if op.kind == "all_to_all"}
    assert messages == {"mlp.dispatch": 57_344, "mlp.combine": 114_688}


@given(st.sampled_from(("llama-3.1-8b", "deepseek-v3", "gemma-3-4b")), st.sampled_from((2, 4, 8)))
@settings(max_examples=9, deadline=None)
def test_context_ranks_share_prefill_evenly_and_decode_reads(name: str, cp: int) -> None:
    model, prefill = load_model(name), Step.prefill(1, 32_768)
    one, shared = (model.operations(prefill, half(Layout(cp=n))) for n in (1, cp))
    flop = [sum(op.flop * n for _, op, n in ops) for ops in (one, shared)]
    head = 2 * model.hidden * model.head.vocabulary
    assert flop[1] - head == pytest.approx((flop[0] - head) / cp)
    decode = Step.decode(4, 32_768)
    read = [
        sum(op.cache_read_bytes * n for _, op, n in model.operations(decode, half(Layout(cp=n_cp))))
        for n_cp in (1, cp)
    ]
    assert read[0] / cp <= read[1] <= read[0]


def test_what_does_not_divide_is_said_with_what_is_short() -> None:
    cases = {
        "--pp: 40 pipeline stages for 32 layers: 8 stages would be empty": Layout(pp=40),
        "--tp: 7 tensor-parallel ranks do not divide the 32 query heads": Layout(tp=7),
    }
    model = load_model("llama-3.1-8b")
    for words, layout in cases.items():
        with pytest.raises(LayoutError, match=words):
            check_layout(model, layout)
    with pytest.raises(LayoutError, match="4 experts short of an even share"):
        check_layout(load_model("qwen1.5-moe-a2.7b"), Layout(tp=8, ep=8))
    with pytest.raises(LayoutError, match="no experts to share"):
        check_layout(model, Layout(dp=2, attention_dp=2))
    with pytest.raises(LayoutError, match="hold 1 copies"):
        check_layout(model, Layout(tp=8, dcp=2))
    check_layout(model, Layout(tp=16, dcp=2))
