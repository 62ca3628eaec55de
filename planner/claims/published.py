"""Figures that others measured and that cards quote beside what they compute."""

from __future__ import annotations

from planner.sources import Figure

PERPLEXITIES = {
    "opt-175b": ("OPT-175B", 8.34, 8.37),
    "bloom-176b": ("BLOOM-176B", 8.11, 8.21),
    "llama-7b": ("LLaMA-7B", 5.68, 6.09),
}
"""Perplexity of a model on WikiText-2 in 16 bits, and in 4 by GPTQ."""
_SECONDS = {"mha": ("all heads", 1.51), "mqa": ("one head", 0.24), "gqa-8": ("8 groups", 0.28)}


def _recalled(source: str, value: float, note: str, unit: str = "1") -> Figure:
    return Figure(value=value, unit=unit, source=source, note=note, verified=False)


PUBLISHED: dict[str, Figure] = {
    "flash-attention-kernel": _recalled("dao-2022", 7.6, "attention kernel of GPT-2, times faster"),
    "flash-attention-training": _recalled("dao-2022", 3, "training of GPT-2, times faster"),
    "flash-attention-3-least": Figure(value=1.5, unit="1", source="shah-2024", note="Abstract"),
    "flash-attention-3-most": Figure(value=2.0, unit="1", source="shah-2024", note="Abstract"),
    **{
        f"t5-xxl-{name}": _recalled("ainslie-2023", value, f"Table 1, T5-XXL with {heads}", "s")
        for name, (heads, value) in _SECONDS.items()
    },
    **{
        f"{name}-{kind}": _recalled("frantar-2022", value, f"perplexity of {printed} in {bits}")
        for name, (printed, plain, quantised) in PERPLEXITIES.items()
        for kind, bits, value in (("fp16", "16 bits", plain), ("gptq", "4 bits", quantised))
    },
}
"""Measured figure by name; ``verified`` is false where nobody has re-read it in its source."""


def told(name: str) -> float | int:
    """Return a published figure.

    Parameters
    ----------
    name : str
        A key of :data:`PUBLISHED`.

    Returns
    -------
    float
        As printed. [as printed]

    Examples
    --------
    >>> round(told("t5-xxl-gqa-8") / told("t5-xxl-mqa") - 1, 3)
    0.167
    """
    return PUBLISHED[name].value
