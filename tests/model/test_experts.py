"""Routers, latent experts, choices that cost nothing, and what counts as a parameter."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from planner.model import Step
from planner.model.execution import half
from planner.model.feed_forward import MixtureOfExperts
from planner.model.operation import Operation

V3 = MixtureOfExperts(
    hidden=7168,
    intermediate=2048,
    experts=256,
    top_k=8,
    shared_intermediate=2048,
    correction_bias=True,
)


def run(part: MixtureOfExperts, tokens: int) -> dict[str, Operation]:
    return {op.name: op for op in part.operations(Step.prefill(1, tokens), half())}


@pytest.mark.parametrize(
    ("tokens", "distinct"), [(1, 8.0), (8, 57.4), (32, 163.3), (64, 222.4), (256, 255.9)]
)
def test_expected_distinct_experts(tokens: int, distinct: float) -> None:
    assert V3.distinct_experts(tokens) == pytest.approx(distinct, abs=0.05)


def test_expected_distinct_experts_equal_a_draw() -> None:
    draw = random.Random(0)
    rounds = 400
    seen = sum(
        len({expert for _ in range(64) for expert in draw.sample(range(256), 8)})
        for _ in range(rounds)
    )
    assert V3.distinct_experts(64) == pytest.approx(seen / rounds, rel=0.005)


def test_weights_of_the_experts_that_are_visited_are_read_once() -> None:
    expert_bytes = 3 * 7168 * 2048 * 2
    for tokens in (1, 64, 4096):
        read = run(V3, tokens)["mlp.experts"].weight_bytes
        assert read == pytest.approx(V3.distinct_experts(tokens) * expert_bytes)


def test_a_correction_bias_is_stored_and_no_parameter() -> None:
    plain = replace(V3, correction_bias=False)
    assert sum(t.parameters for t in V3.tensors()) == sum(t.parameters for t in plain.tensors())
    (bias,) = [t for t in V3.tensors() if t.role == "buffer"]
    assert (bias.elements, bias.active_elements) == (256, 0)
    stored = half().weights.tensor_bytes(bias)
    assert stored == 256 * 4


def test_a_table_of_token_ids_is_a_buffer_too() -> None:
    by_hash = replace(V3, correction_bias=False, hash_vocabulary=1000)
    (table,) = [t for t in by_hash.tensors() if t.role == "buffer"]
    assert table.shape == (1000, 8)


def test_choices_that_cost_nothing_have_a_row_in_the_router_alone() -> None:
    longcat = MixtureOfExperts(
        hidden=6144, intermediate=2048, experts=512, top_k=12, zero_experts=256
    )
    shapes = {t.name: t.shape for t in longcat.tensors()}
    assert shapes["mlp.router.weight"] == (768, 6144)
    assert shapes["mlp.experts.down_proj"] == (512, 6144, 2048)
    per_expert = 3 * 6144 * 2048
    # Two thirds of twelve choices are experts.
    active = sum(t.active_elements for t in longcat.tensors() if t.role == "expert")
    assert active == 8 * per_expert
    assert run(longcat, 10)["mlp.experts"].flop == 2 * 10 * 8 * per_expert


def test_experts_on_a_latent_work_in_its_width() -> None:
    part = MixtureOfExperts(
        hidden=4096,
        intermediate=2688,
        experts=64,
        top_k=4,
        gated=False,
        latent=1024,
        shared_intermediate=5376,
    )
    shapes = {t.name: t.shape for t in part.tensors()}
    assert shapes["mlp.experts.up_proj"] == (64, 2688, 1024)
    assert shapes["mlp.latent_in.weight"] == (1024, 4096)
    assert shapes["mlp.latent_out.weight"] == (4096, 1024)
    operations = run(part, 7)
    assert operations["mlp.experts"].flop == 2 * 7 * 4 * 2 * 1024 * 2688
    assert operations["mlp.latent_in"].flop == 2 * 7 * 4096 * 1024
    assert operations["mlp.experts"].shape["hidden"] == 1024
    norms = replace(part, latent_norm=True)
    more = sum(t.elements for t in norms.tensors()) - sum(t.elements for t in part.tensors())
    assert more == 2 * 1024


def test_shared_experts_have_a_width_of_their_own() -> None:
    part = replace(V3, shared_intermediate=5120)
    assert run(part, 3)["mlp.shared_experts.in"].flop == 2 * 3 * 7168 * 2 * 5120
