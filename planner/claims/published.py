"""Figures that others measured and that cards quote beside what they compute."""

from __future__ import annotations

from planner.sources import Figure

PUBLISHED: dict[str, Figure] = {
    "flash-attention-kernel": Figure(value=7.6, unit="1", source="dao-2022", verified=False),
    "flash-attention-training": Figure(value=3, unit="1", source="dao-2022", verified=False),
    "flash-attention-3-least": Figure(value=1.5, unit="1", source="shah-2024", note="Abstract"),
    "flash-attention-3-most": Figure(value=2.0, unit="1", source="shah-2024", note="Abstract"),
    "t5-xxl-mha": Figure(
        value=1.51, unit="s", source="ainslie-2023", note="Table 1", verified=False
    ),
    "t5-xxl-mqa": Figure(
        value=0.24, unit="s", source="ainslie-2023", note="Table 1", verified=False
    ),
    "t5-xxl-gqa-8": Figure(
        value=0.28, unit="s", source="ainslie-2023", note="Table 1", verified=False
    ),
    "opt-175b-fp16": Figure(value=8.34, unit="1", source="frantar-2022", verified=False),
    "opt-175b-gptq": Figure(value=8.37, unit="1", source="frantar-2022", verified=False),
    "bloom-176b-fp16": Figure(value=8.11, unit="1", source="frantar-2022", verified=False),
    "bloom-176b-gptq": Figure(value=8.21, unit="1", source="frantar-2022", verified=False),
    "llama-7b-fp16": Figure(value=5.68, unit="1", source="frantar-2022", verified=False),
    "llama-7b-gptq": Figure(value=6.09, unit="1", source="frantar-2022", verified=False),
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
