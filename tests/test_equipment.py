"""What of a model is at work: layers for multi-token prediction, towers that read images."""

from __future__ import annotations

import json
from typing import Any

import pytest

from planner import Scenario, load_hardware, load_model, plan
from planner.cli import BAD_INPUT, OK, run
from planner.errors import ScenarioError
from planner.plan import Plan

LLAVA = load_model("llava-1.5-7b-hf")
V3 = load_model("deepseek-v3")


def answer(model: Any = LLAVA, devices: int = 1, **options: Any) -> Plan:
    hardware = load_hardware("h200-sxm", devices)
    return plan(Scenario(model=model, hardware=hardware, tp=devices, **options))


def prefill(result: Plan, start: str) -> float:
    operations = result.to_dict()["prefill"]["operations"]
    return float(sum(op["flop"] for op in operations if op["layer"].startswith(start)))


def test_images_are_read_before_the_prompt() -> None:
    text = answer(isl=2000, osl=10)
    two = answer(isl=2000, osl=10, images=2, image_tokens=576)
    one = answer(isl=2000, osl=10, images=1, image_tokens=576)
    assert prefill(text, "vision") == 0
    assert prefill(two, "vision") == 2 * prefill(one, "vision") > 0
    assert two.decode.flop == text.decode.flop
    assert two.to_dict()["memory"]["architectural"] == text.to_dict()["memory"]["architectural"]
    assert any("nobody gave it anything" in each for each in text.deployment.assumptions)
    assert not any("nobody gave it anything" in each for each in two.deployment.assumptions)


def test_two_images_are_two_squares_of_attention_not_one() -> None:
    def attention(images: int, tokens: int) -> float:
        result = answer(isl=2000, images=images, image_tokens=tokens)
        operations = result.to_dict()["prefill"]["operations"]
        kinds = {"attention_prefill"}
        return float(
            sum(
                op["flop"]
                for op in operations
                if op["kind"] in kinds and op["layer"].startswith("vision")
            )
        )

    assert attention(2, 576) == 2 * attention(1, 576) == attention(1, 1152) / 2


def test_merged_patches_are_four_to_a_token() -> None:
    qwen = load_model("qwen2.5-vl-7b-instruct")
    result = answer(qwen, isl=2000, images=1, image_tokens=1000)
    rows = {
        op.operation.name: op.operation.shape["m"]
        for op in result.prefill.operations
        if op.layer.startswith("vision") and op.operation.kind == "gemm"
    }
    assert rows["patch_embed"] == 4000
    assert rows["merger.fc1"] == 1000


def test_patches_that_are_averaged_are_read_all_the_same() -> None:
    result = answer(load_model("gemma-3-4b"), isl=2000, images=1, image_tokens=256)
    (tower,) = result.model.towers
    assert (tower.tokens, tower.merged) == (4096, 16)


def test_layers_that_attend_to_images_keep_them_beside_the_prompt() -> None:
    mllama = load_model("llama-3.2-90b-vision-instruct")
    one, two = (
        answer(mllama, 4, isl=100, images=images, image_tokens=6404) for images in (1, 2)
    )  # fmt: skip
    kept = [each.to_dict()["memory"]["architectural"]["cache_bytes"] for each in (one, two)]
    assert kept[1] - kept[0] == 20 * 6404 * 2 * 8 * 128 * 2


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"images": 1}, "image takes"),
        ({"image_tokens": 576}, "no images"),
        ({"images": 4, "image_tokens": 576, "isl": 2000}, "do not fit"),
        ({"images": 10**9, "image_tokens": 1}, "--images"),
        ({"images": 1, "image_tokens": 0}, "--image-tokens"),
        ({"mtp": True}, "multi-token"),
    ],
)
def test_what_cannot_be_at_work(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ScenarioError, match=where):
        answer(**options)


def test_no_tower_reads_no_images() -> None:
    with pytest.raises(ScenarioError, match="tower"):
        answer(load_model("gpt2"), images=1, image_tokens=10)


def test_layers_for_multi_token_prediction_are_loaded_by_choice() -> None:
    plain, loaded = answer(V3, 16, context=1000), answer(V3, 16, context=1000, mtp=True)
    said, with_it = plain.to_dict(), loaded.to_dict()
    assert said["model"]["parameters"] == 671_026_404_352
    correction_biases = 256  # stored, but no parameters
    assert with_it["model"]["parameters"] == 671_026_404_352 + 11_610_068_224 - correction_biases
    assert said["model"]["checkpoint_bytes"] == with_it["model"]["checkpoint_bytes"]
    per_token = [
        each["memory"]["architectural"]["cache_bytes_per_token"] for each in (said, with_it)
    ]
    assert per_token == [70_272, 70_272 + 1152]
    assert loaded.decode.flop > plain.decode.flop


def call(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["plan", *arguments, "--format", "json"])
    out, err = capfd.readouterr()
    return code, out, err


def test_the_command_line_asks_for_them(capfd: pytest.CaptureFixture[str]) -> None:
    device = ("-d", "h200-sxm", "-n", "16", "--tp", "16")
    code, out, _ = call(capfd, "-m", "deepseek-v3", *device, "--mtp", "--context", "1")
    data = json.loads(out)
    assert (code, data["inputs"]["mtp"]) == (OK, True)
    # The published repository, headers and tokenizer included, holds 688,586,727,753 bytes.
    assert data["model"]["checkpoint_bytes"] == 688_574_839_360
    assert data["model"]["checkpoint_bytes"] == pytest.approx(688_586_727_753, rel=2e-5)
    llava = ("-m", "llava-1.5-7b-hf", "-d", "l4", "--images", "2", "--isl", "2k")
    code, out, err = call(capfd, *llava)
    assert (code, out) == (BAD_INPUT, "")
    assert "--image-tokens" in err
    code, out, _ = call(capfd, *llava, "--image-tokens", "576")
    assert (code, json.loads(out)["inputs"]["image_tokens"]) == (OK, 576)
