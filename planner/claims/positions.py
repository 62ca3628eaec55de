"""Claims about positions."""

from __future__ import annotations

import math
from dataclasses import replace

from planner.claims.assumptions import figure
from planner.claims.claim import Claim, Control, Finding, Values
from planner.explanation import Term
from planner.importers import describe_catalog
from planner.model.position import Rotary

_CLAIMED_WALL_TOKENS = 10**6
_CLAIMED_REACH_TOKENS = 131_072


def _longest_wavelength_tokens(rotary: Rotary) -> float:
    """Return the tokens after which the slowest pair of a head has turned once."""
    return float(2 * math.pi / rotary.frequencies(1).min())


def _wall(values: Values) -> Finding:
    base, dim = values["base"], values["head_dim"]
    wave = _longest_wavelength_tokens(Rotary(dim=dim, base=base))
    reaches = {
        entry.name: entry.usable_context for entry in describe_catalog() if entry.usable_context
    }
    farthest = sorted(reaches, key=lambda name: (-reaches[name], name))[:5]
    beyond = wave > _CLAIMED_WALL_TOKENS
    return Finding(
        verdict="false" if beyond else "depends",
        ruling="false, there is no wall" if beyond else "not at a million, but at this base",
        explanation=f"With base {base:,.0f} the slowest of {dim // 2} pairs turns once in "
        f"{wave:,.0f} tokens. No length is special about a million: models without an extension "
        "fail just past the length they were trained at, a few thousand tokens for some, and "
        "models trained at long lengths with a larger base or stretched angles go beyond a "
        "million. LongRoPE reports 2,048K.",
        figures=(
            figure(
                "longest_wavelength",
                wave,
                "tokens",
                "Tokens in which the slowest pair of a head turns once.",
                "2π · base^((d − 2) / d)",
                f"2π · {base:,.0f}^({dim - 2} / {dim})",
                sources=("su-2021",),
            ),
            figure(
                "farthest_reach",
                max(reaches.values()),
                "tokens",
                "Longest context that a model of the catalog declares.",
                "largest usable context",
                f"{len(reaches)} models",
                terms=tuple(Term(label=name, value=reaches[name]) for name in farthest),
            ),
        ),
    )


def _extension(values: Values) -> Finding:
    original, factor = values["original"], values["factor"]
    base, dim = values["base"], values["head_dim"]
    yarn = Rotary(dim=dim, base=base, scaling="yarn", factor=factor, original=original)
    reach = yarn.reach or original
    raised = replace(yarn, scaling="ntk").base_at(original)
    right = reach >= _CLAIMED_REACH_TOKENS
    return Finding(
        verdict="true" if right else "false",
        ruling="true as a published point, not a ceiling" if right else "not with this factor",
        explanation=f"{factor:g} times {original:,} tokens are {reach:,}. YaRN was published with "
        "checkpoints of Llama 2 for 64K and 128K; other models stretch further. Positions that "
        "reach are not quality that lasts: half of the models that claim 32K held it in RULER.",
        figures=(
            figure(
                "reach",
                reach,
                "tokens",
                "Positions that the stretched angles are made for.",
                "factor · original context",
                f"{factor:g} · {original:,}",
                sources=("peng-2023",),
            ),
            figure(
                "attention_factor",
                yarn.attention_factor(),
                "1",
                "By how much YaRN scales queries and keys along with it.",
                "0.1 · ln(factor) + 1",
                f"0.1 · ln({factor:g}) + 1",
                sources=("peng-2023",),
            ),
            figure(
                "ntk_base",
                raised,
                "1",
                "Base that NTK-aware scaling takes for the same factor.",
                "base · factor^(d / (d − 2))",
                f"{base:,.0f} · {factor:g}^({dim} / {dim - 2})",
                sources=("bloc97-2023",),
            ),
        ),
    )


_BASE = Control(
    name="base", label="Base", unit="1", default=500_000.0, least=2, most=1e12, whole=False
)
_HEAD = Control(
    name="head_dim", label="Rotated elements", unit="elements", default=128, least=4, most=4096
)

CLAIMS = (
    Claim(
        id="h1",
        title="A wall at a million tokens",
        said="Rotary positions fail beyond a million tokens.",
        controls=(_BASE, _HEAD),
        find=_wall,
        sources=("su-2021", "ding-2024"),
    ),
    Claim(
        id="h2",
        title="Stretched positions",
        said="YaRN and NTK-aware scaling extend models to 128K tokens.",
        controls=(
            Control(
                name="original",
                label="Trained context",
                unit="tokens",
                default=4096,
                least=1,
                most=2**31,
            ),
            Control(
                name="factor", label="Factor", unit="1", default=32.0, least=1, most=4096,
                whole=False,
            ),
            Control(
                name="base", label="Base", unit="1", default=10_000.0, least=2, most=1e12,
                whole=False,
            ),
            _HEAD,
        ),
        find=_extension,
        sources=("peng-2023", "bloc97-2023", "hsieh-2024"),
    ),
)  # fmt: skip
