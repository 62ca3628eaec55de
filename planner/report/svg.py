"""Charts as SVG, written directly: nothing to load, text stays text, equal charts, equal bytes.

Ink, grid and ground are drawn in :data:`INK`, :data:`GRID` and :data:`GROUND` and nothing else is,
so that a page can exchange them for those of its theme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from planner.charts import Chart, Series
from planner.palette import GRID, GROUND, INK, Look, look
from planner.report.scales import Scale, tick_text

_WIDTH = 660.0
_SIZE = 11.0  # of letters
_LEFT, _RIGHT, _TOP = 64.0, 168.0, 10.0  # around lines and points; the legend is at the right
_PLOT_HEIGHT = 230.0
_ROW, _BAR = 46.0, 34.0  # of stacked bars
_EDGE = 16.0
_LABEL_CHARACTERS = 26
_NARROW, _WIDE = frozenset("iljtfrI.,:;|!'()[] "), frozenset("mwMW@%—")
_INSIDE = {"weights": "#fff", "activations": "#fff", "free": INK}  # letters on a fill; else black


def to_svg(chart: Chart, *, prefix: str = "chart", font: str = "", alt: bool = False) -> str:
    """Return a chart as an SVG element.

    Parameters
    ----------
    chart : Chart
        The chart.
    prefix : str
        Begins every id, so that several charts can stand in one page.
    font : str
        Family of the letters; that of the page without it.
    alt : bool
        Whether the element itself is an image with the chart's alternative text.

    Returns
    -------
    str
        ``<svg …>…</svg>``; every series is an element whose id ends in ``series-`` and its number.

    Examples
    --------
    >>> from planner.charts import Axis, Chart, Series
    >>> line = Series(name="a", component="model", mark="line", x=(1, 2), y=(1.0, 4.0))
    >>> chart = Chart(title="t", alt="t", x=Axis(label="x"), y=Axis(label="y"), series=(line,))
    >>> to_svg(chart)[:40]
    '<svg xmlns="http://www.w3.org/2000/svg" '
    """
    body, height = _stacked(chart, prefix) if chart.stacked else _plotted(chart, prefix)
    role = f' role="img" aria-label={quoteattr(chart.alt)}' if alt else ""
    family = f" font-family={quoteattr(font)}" if font else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {height:g}" '
        f'width="{_WIDTH:g}" height="{height:g}"{role}{family} font-size="{_SIZE:g}" '
        f'fill="{INK}">\n' + "\n".join(body) + "\n</svg>"
    )


# --- stacked bars: on their side, so that names are read without turning the head ---


def _stacked(chart: Chart, prefix: str) -> tuple[list[str], float]:
    names = list(dict.fromkeys(x for series in chart.series for x in series.x))
    left = _EDGE if len(names) < 2 else _EDGE + max(_text_width(str(name)) for name in names)
    ends = {
        name: sum(y for s in chart.series for x, y in zip(s.x, s.y, strict=True) if x == name
                  and s.mark == "bar")
        for name in names
    }  # fmt: skip
    values = [*ends.values(), *(y for s in chart.series if s.mark != "bar" for y in s.y), 0.0]
    scale = Scale.around(values, left, _WIDTH - _EDGE, log=False, zero=True)
    bottom = _TOP + _ROW * len(names)
    body = list(_horizontal_axis(scale, _TOP, bottom, chart.y.label))
    body += _bars(chart, prefix, scale, names)
    if len(names) > 1:
        middles = [_TOP + _ROW * (row + 0.5) for row in range(len(names))]
        body += [
            _text(left - 6, y, str(name), "end") for name, y in zip(names, middles, strict=True)
        ]
    legend, end = _legend_below(chart.series, bottom + 52)
    return [*body, *legend], end


def _bars(chart: Chart, prefix: str, scale: Scale, names: Sequence[float | str]) -> Iterator[str]:
    done = dict.fromkeys(names, 0.0)
    for number, series in enumerate(chart.series):
        drawn = look(series.component)
        yield f'<g id="{prefix}-series-{number}">{_title(series.name)}'
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            top = _TOP + _ROW * names.index(x) + (_ROW - _BAR) / 2
            if series.mark == "bar":
                start, end = scale.position(done[x]), scale.position(done[x] + y)
                yield (
                    f'<rect x="{start:.2f}" y="{top:g}" width="{end - start:.2f}" '
                    f'height="{_BAR:g}" fill="{drawn.color}">{_title(_tip(series, index))}</rect>'
                )
                if end - start > 40:
                    color = _INSIDE.get(series.component, "#111")
                    yield _text((start + end) / 2, top + _BAR / 2, f"{y:,.1f}", "middle", color)
                done[x] += y
            else:
                yield from _limit(scale.position(y), top, series, drawn)
        yield "</g>"


def _limit(x: float, top: float, series: Series, drawn: Look) -> Iterator[str]:
    """Draw a mark across a bar, on a halo, so that it is seen on every colour."""
    path = f'd="M{x:.2f} {top - 5:g}V{top + _BAR + 5:g}"'
    yield f'<path {path} stroke="{GROUND}" stroke-width="4.5"/>'
    yield f'<path {path} stroke="{drawn.color}" stroke-width="2.2"{_dashes(series, drawn)}/>'


def _legend_below(series: Sequence[Series], top: float) -> tuple[list[str], float]:
    parts: list[str] = []
    x, y = _EDGE, top
    for each in series:
        width = 36 + _text_width(_short(each.name))
        if x > _EDGE and x + width > _WIDTH - _EDGE:
            x, y = _EDGE, y + 18
        parts += _legend_entry(each, x, y, key=20.0)
        x += width
    return parts, y + 12


# --- lines and points ---


def _plotted(chart: Chart, prefix: str) -> tuple[list[str], float]:
    right, bottom = _WIDTH - _RIGHT, _TOP + _PLOT_HEIGHT
    series = chart.series
    xs = [float(x) for each in series for x in each.x]
    across = Scale.around(xs, _LEFT, right, log=chart.x.log)
    up = Scale.around([y for each in series for y in each.y], bottom, _TOP, log=chart.y.log)
    body = list(_horizontal_axis(across, _TOP, bottom, chart.x.label))
    body += _vertical_axis(up, _LEFT, right, chart.y.label)
    for number, each in enumerate(series):
        body += _marks(each, f"{prefix}-series-{number}", across, up)
    for number, each in enumerate(series):
        body += _legend_entry(each, right + 14, _TOP + 10 + 18 * number, key=30.0)
    return body, bottom + 44


def _marks(series: Series, name: str, across: Scale, up: Scale) -> Iterator[str]:
    drawn = look(series.component)
    points = [
        (across.position(float(x)), up.position(y), index)
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True))
        if (float(x) > 0 or not across.log) and (y > 0 or not up.log)
    ]
    if series.mark == "point":
        yield f'<g id="{name}" fill="{drawn.color}" fill-opacity="0.8">{_title(series.name)}'
        for x, y, index in points:
            yield _marker(drawn, x, y, _title(_tip(series, index)))
        yield "</g>"
        return
    path = " ".join(f"{x:.2f},{y:.2f}" for x, y, _ in points)
    yield (
        f'<polyline id="{name}" points="{path}" fill="none" stroke="{drawn.color}" '
        f'stroke-width="{1.8 if series.dashed else 2.6}" stroke-linejoin="round"'
        f"{_dashes(series, drawn)}>{_title(series.name)}</polyline>"
    )


def _marker(drawn: Look, x: float, y: float, title: str = "") -> str:
    if drawn.marker == "circle":
        return f'<circle cx="{x:.2f}" cy="{y:.2f}" r="3.6">{title}</circle>'
    shapes = {
        "square": ((-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)),
        "diamond": ((0, -4.6), (4.6, 0), (0, 4.6), (-4.6, 0)),
        "triangle": ((0, -4.4), (4.2, 3.4), (-4.2, 3.4)),
    }
    corners = " ".join(f"{x + a:.2f},{y + b:.2f}" for a, b in shapes[drawn.marker])
    return f'<polygon points="{corners}">{title}</polygon>'


# --- axes, legend, letters ---


def _horizontal_axis(scale: Scale, top: float, bottom: float, label: str) -> Iterator[str]:
    for value in scale.ticks():
        x = scale.position(value)
        yield f'<path d="M{x:.2f} {top:g}V{bottom:g}" stroke="{GRID}" stroke-width="0.8"/>'
        yield _text(x, bottom + 13, tick_text(value), "middle")
    yield _line(f"M{scale.start:g} {bottom:g}H{scale.stop:g}")
    yield _text((scale.start + scale.stop) / 2, bottom + 31, label, "middle")


def _vertical_axis(scale: Scale, left: float, right: float, label: str) -> Iterator[str]:
    for value in scale.ticks():
        y = scale.position(value)
        yield f'<path d="M{left:g} {y:.2f}H{right:g}" stroke="{GRID}" stroke-width="0.8"/>'
        yield _text(left - 6, y, tick_text(value), "end")
    yield _line(f"M{left:g} {scale.start:g}V{scale.stop:g}")
    middle = (scale.start + scale.stop) / 2
    yield (
        f'<text x="0" y="0" transform="translate(14 {middle:g}) rotate(-90)" '
        f'text-anchor="middle">{escape(label)}</text>'
    )


def _legend_entry(series: Series, x: float, y: float, *, key: float) -> Iterator[str]:
    drawn = look(series.component)
    if series.mark == "bar":
        yield f'<rect x="{x:.2f}" y="{y - 5:g}" width="{key:g}" height="10" fill="{drawn.color}"/>'
    elif series.mark == "point":
        yield f'<g fill="{drawn.color}">{_marker(drawn, x + key / 2, y)}</g>'
    else:
        yield (
            f'<path d="M{x:.2f} {y:g}h{key:g}" stroke="{drawn.color}" '
            f'stroke-width="2.2"{_dashes(series, drawn)}/>'
        )
    yield _text(x + key + 6, y, _short(series.name), "start")


def _line(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{INK}"/>'


def _dashes(series: Series, drawn: Look) -> str:
    dash = " ".join(map(str, drawn.dash))
    return f' stroke-dasharray="{dash}"' if series.dashed and dash else ""


def _text(x: float, y: float, text: str, anchor: str, color: str = "") -> str:
    """Write letters whose middle lies at ``y``."""
    fill = f' fill="{color}"' if color else ""
    return (
        f'<text x="{x:.2f}" y="{y + 0.35 * _SIZE:.2f}" text-anchor="{anchor}"{fill}>'
        f"{escape(text)}</text>"
    )


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def _tip(series: Series, index: int) -> str:
    return series.texts[index] if index < len(series.texts) else ""


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_CHARACTERS else name[: _LABEL_CHARACTERS - 1] + "…"


def _text_width(text: str) -> float:
    """Estimate a width, on the wide side of common faces."""
    ems = (0.33 if c in _NARROW else 0.9 if c in _WIDE else 0.6 for c in text)
    return _SIZE * sum(ems)
