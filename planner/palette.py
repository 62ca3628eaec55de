"""One look for every component, on the page and in reports: colour, dash, marker.

Colours are those of Okabe and Ito, which people with any common colour vision can tell apart; no
component is told by its colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from planner.charts import Component

Marker = Literal["circle", "square", "diamond", "triangle"]

INK, DARK_INK = "#1f2933", "#e6e9ec"
"""Text and axes on a light and on a dark ground."""
GROUND, DARK_GROUND = "#ffffff", "#14181c"
"""The ground itself, light and dark."""
GRID, DARK_GRID = "#d5dae0", "#3d4650"
"""Grid lines on a light and on a dark ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How one component is drawn.

    Parameters
    ----------
    color : str
        On a light ground.
    dark_color : str
        On a dark ground.
    dash : tuple of int
        Lengths of strokes and gaps; empty for a solid line. [px]
    marker : {"circle", "square", "diamond", "triangle"}
        Shape of a point.
    """

    color: str
    dark_color: str
    dash: tuple[int, ...] = ()
    marker: Marker = "circle"


def _same(color: str, *dash: int, marker: Marker = "circle") -> Look:
    return Look(color=color, dark_color=color, dash=dash, marker=marker)


_ORANGE, _SKY, _GREEN, _YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
_BLUE, _VERMILLION, _PURPLE = "#0072B2", "#D55E00", "#CC79A7"
_GRAY = "#7B8794"

PALETTE: Mapping[Component, Look] = {
    "weights": _same(_BLUE),
    "cache": _same(_ORANGE),
    "activations": _same(_GREEN),
    "runtime": _same(_PURPLE),
    "graphs": _same(_YELLOW),
    "reserve": _same(_GRAY),
    "free": Look(color="#e4e7eb", dark_color="#3d4650"),
    "capacity": _same(_VERMILLION, 6, 3),
    "model": Look(color=INK, dark_color=DARK_INK),
    "MHA": _same(_VERMILLION, 8, 3, marker="triangle"),
    "GQA": _same(_BLUE, 5, 2, marker="square"),
    "MQA": _same(_SKY, 2, 2, marker="diamond"),
    "MLA": _same(_ORANGE, 12, 2, marker="triangle"),
    "SWA": _same(_GREEN, 8, 2, 2, 2, marker="diamond"),
    "SSM": _same(_PURPLE, 4, 2, 1, 2, 1, 2, marker="circle"),
    "HYBRID": _same(_GRAY, 3, 1, marker="square"),
    "prefill": _same(_BLUE, 6, 3, marker="circle"),
    "decode": _same(_ORANGE, 2, 2, marker="square"),
    "roof": Look(color=INK, dark_color=DARK_INK),
}
"""Component → its look."""


def look(component: Component) -> Look:
    """Return how a component is drawn.

    Parameters
    ----------
    component : str
        What a series stands for.

    Returns
    -------
    Look
        Colours, dash and marker.

    Examples
    --------
    >>> look("weights").color
    '#0072B2'
    """
    return PALETTE[component]
