import pytest

from planner import load_model
from planner.errors import UnknownNameError
from planner.model.execution import half
from planner.model.feed_forward import Dense, MixtureOfExperts
from planner.variants import VARIANTS, variant


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gemma-2-9b", "mixtral-8x7b", "mamba2-2.7b"])
def test_variants_keep_the_backbone(name: str) -> None:
    model = load_model(name)
    for kind in VARIANTS:
        other = variant(model, kind)
        assert len(other.layers) == len(model.layers)
        assert other.hidden == model.hidden
        blocks = [
            [p for _, p, _ in m.parts if isinstance(p, Dense | MixtureOfExperts)]
            for m in (model, other)
        ]
        assert blocks[0] == blocks[1]


def test_caches_shrink_from_mha_to_ssm_at_long_context() -> None:
    model = load_model("llama-3.1-8b")
    sizes = [variant(model, name).cache_bytes(131_072, half()) for name in VARIANTS]
    mha, gqa, mqa, swa, ssm = sizes
    assert mha == 32 * mqa == 4 * gqa
    assert swa == variant(model, "GQA").cache_bytes(4096, half())
    assert ssm == variant(model, "SSM").cache_bytes(1, half())


def test_gqa_of_a_gqa_model_is_the_model() -> None:
    model = load_model("llama-3.1-8b")
    assert variant(model, "GQA").parameters == model.parameters


def test_unknown_variant() -> None:
    with pytest.raises(UnknownNameError, match="MHA"):
        variant(load_model("gpt2"), "XYZ")  # type: ignore[arg-type]
