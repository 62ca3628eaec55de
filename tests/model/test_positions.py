"""Positions: published goldens of every scaling, and what a person is told beyond them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planner.model.position import Positions, Rotary

LLAMA2 = {"dim": 128, "base": 1e4, "original": 4096}


def test_plain_angles_fall_from_one() -> None:
    angles = Rotary(dim=128, base=1e4).frequencies(1)
    assert angles.shape == (64,)
    assert angles[0] == 1
    assert math.isclose(angles[-1], 1e4 ** (-126 / 128))


def test_linear_divides_every_angle() -> None:
    plain = Rotary(dim=128, base=1e4).frequencies(1)
    linear = Rotary(**LLAMA2, scaling="linear", factor=8.0).frequencies(1)
    assert np.allclose(plain / linear, 8)


def test_ntk_raises_the_base() -> None:
    angles = Rotary(**LLAMA2, scaling="ntk", factor=8.0).frequencies(1)
    assert round(float(angles[1] ** -64)) == 82_685


def test_dynamic_rises_with_the_length() -> None:
    dynamic = Rotary(**LLAMA2, scaling="dynamic", factor=2.0)
    plain = Rotary(dim=128, base=1e4).frequencies(1)
    assert np.array_equal(dynamic.frequencies(4096), plain)
    base = float(dynamic.frequencies(16_384)[1] ** -64)
    assert math.isclose(base, 1e4 * (2 * 16_384 / 4096 - 1) ** (128 / 126))


def test_yarn_of_llama_2() -> None:
    yarn = Rotary(**LLAMA2, scaling="yarn", factor=32.0)
    assert yarn.yarn_bounds() == (20, 46)
    assert round(yarn.attention_factor(), 4) == 1.3466
    ratio = Rotary(dim=128, base=1e4).frequencies(1) / yarn.frequencies(1)
    assert (ratio[:21] == 1).all()
    assert np.allclose(ratio[46:], 32)
    assert (np.diff(ratio[20:47]) > 0).all()
    assert yarn.reach == 131_072


def test_yarn_with_weights_of_the_logarithm() -> None:
    yarn = Rotary(**LLAMA2, scaling="yarn", factor=40.0, mscale=1.0, mscale_all_dim=1.0)
    assert yarn.attention_factor() == 1
    forced = Rotary(**LLAMA2, scaling="yarn", factor=40.0, attention_factor_given=1.0)
    assert forced.attention_factor() == 1


def test_llama_3_keeps_divides_and_smooths() -> None:
    llama = Rotary(dim=128, base=5e5, scaling="llama3", factor=8.0, original=8192)
    ratio = Rotary(dim=128, base=5e5).frequencies(1) / llama.frequencies(1)
    kept, divided = int((ratio == 1).sum()), int(np.isclose(ratio, 8).sum())
    assert (kept, divided, 64 - kept - divided) == (29, 29, 6)


def test_longrope_has_two_lists() -> None:
    phi = Rotary(
        dim=8,
        base=1e4,
        scaling="longrope",
        factor=32.0,
        original=4096,
        short_factors=(1.0,) * 4,
        long_factors=(1.0, 2.0, 4.0, 8.0),
    )
    plain = Rotary(dim=8, base=1e4).frequencies(1)
    assert np.array_equal(phi.frequencies(4096), plain)
    assert np.allclose(plain / phi.frequencies(4097), [1, 2, 4, 8])
    assert round(phi.attention_factor(), 3) == 1.190


def test_proportional_leaves_a_tail_still() -> None:
    gemma = Rotary(dim=512, base=1e6, scaling="proportional", rotated=128)
    angles = gemma.frequencies(1)
    assert int((angles > 0).sum()) == 64
    assert math.isclose(angles[1], 1e6 ** (-2 / 512))


@pytest.mark.parametrize(
    ("positions", "basis", "beyond"),
    [
        (Positions(kind="learned", declared=1024), "ends there", "no positions beyond 1,024"),
        (Positions(kind="alibi", declared=2048), "grows with distance", "not trained"),
        (Positions(kind="none"), "no length", "not trained"),
        (Positions(kind="relative"), "by distance", "not trained"),
        (Positions(kind="rotary", declared=4096), "rotary positions", "never showed"),
    ],
)
def test_what_a_person_is_told(positions: Positions, basis: str, beyond: str) -> None:
    assert basis in positions.basis()
    assert beyond in positions.beyond(100_000)


def test_cautions_of_scalings() -> None:
    def basis(**fields: object) -> str:
        rotary = Rotary(dim=128, base=1e4, original=32_768, factor=4.0, **fields)  # type: ignore[arg-type]
        return Positions(declared=32_768, rotations=(rotary,)).basis()

    assert "cached at one length" in basis(scaling="dynamic")
    assert "short prompts" in basis(scaling="yarn")
    yarn = Rotary(dim=128, base=1e4, original=32_768, factor=4.0, scaling="yarn")
    said = Positions(declared=32_768, rotations=(yarn,)).beyond(100_000)
    assert "reaches 131,072" in said
    assert "beyond its scaling" in Positions(declared=32_768, rotations=(yarn,)).beyond(200_000)
