"""Tables of served loads against predictions: TTFT, TPOT and throughput, row by row."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from planner.served_prediction import Predicted, predict_served
from planner.served_table import ServedRow, read_served_table
from planner.tables import align
from validation.writers import markdown_table

FIGURES = {"tpot_s": "TPOT", "ttft_s": "TTFT", "output_tokens_per_s": "throughput"}
ADDED = (
    *(f"predicted_{name}{end}" for name in ("ttft", "tpot") for end in ("_s", "_p10_s", "_p90_s")),
    "predicted_output_tokens_per_s",
    "predicted_output_tokens_per_s_p10",
    "predicted_output_tokens_per_s_p90",
    "fitted",
    "reason",
)
"""Columns that a comparison adds."""

Table = list[list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedErrors:
    """Errors of one figure over some rows.

    Parameters
    ----------
    rows, answered, counted : int
        With a measurement, of these with a prediction, of these not fitted. [1]
    median_fraction, p90_fraction : float or None
        Of the absolute relative error. [1]
    bias : float or None
        Median of predicted over measured. [1]
    in_band_fraction : float or None
        Inside p10 to p90. [1]
    """

    rows: int
    answered: int
    counted: int
    median_fraction: float | None = None
    p90_fraction: float | None = None
    bias: float | None = None
    in_band_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedComparison:
    """A table of served loads with its predictions.

    Parameters
    ----------
    source : str
        The file.
    rows : tuple of ServedRow
        As read.
    answers : tuple of Predicted or str
        The prediction, or why there is none.
    """

    source: str
    rows: tuple[ServedRow, ...]
    answers: tuple[Predicted | str, ...]

    def errors(
        self, figure: str, chosen: Callable[[ServedRow], bool] = lambda row: True,
        *, fitted: bool = False,
    ) -> ServedErrors:  # fmt: skip
        """Return the errors of a figure on rows that no constant was fitted on.

        Parameters
        ----------
        figure : str
            One of :data:`FIGURES`.
        chosen : callable
            Which rows; all without it.
        fitted : bool
            Ask for the fitted rows instead.

        Returns
        -------
        ServedErrors
            Figures are None where nothing counts.
        """
        rows, answered, errors = 0, 0, []
        for row, answer in zip(self.rows, self.answers, strict=True):
            measured = row.measured(figure)
            if measured is None or not chosen(row):
                continue
            rows += 1
            found = None if isinstance(answer, str) else getattr(answer, figure)
            if found is None or isinstance(answer, str):
                continue
            answered += 1
            if answer.fitted == fitted:
                value, low, high = found
                errors.append((value / measured, low <= measured <= high))
        if not errors:
            return ServedErrors(rows=rows, answered=answered, counted=0)
        ratio, inside = np.array(errors).T
        off = np.abs(ratio - 1)
        return ServedErrors(
            rows=rows,
            answered=answered,
            counted=len(errors),
            median_fraction=float(np.median(off)),
            p90_fraction=float(np.quantile(off, 0.9)),
            bias=float(np.median(ratio)),
            in_band_fraction=float(inside.mean()),
        )

    @property
    def median_error(self) -> float | None:
        """Largest of the medians of TTFT, TPOT and throughput. [1]."""
        medians = [self.errors(figure).median_fraction for figure in FIGURES]
        return max((each for each in medians if each is not None), default=None)

    def within(self, tolerance: float) -> bool:
        """Return whether every figure is as near as it should be.

        Parameters
        ----------
        tolerance : float
            Largest median relative error. [1]

        Returns
        -------
        bool
            True where nothing can be counted.
        """
        return self.median_error is None or self.median_error <= tolerance

    @property
    def unanswered(self) -> dict[str, int]:
        """Rows without a prediction by the reason. [1]."""
        return _counted(each for each in self.answers if isinstance(each, str))

    @property
    def notes(self) -> dict[str, int]:
        """Rows by what stands in for a measurement. [1]."""
        notes = (each.note for each in self.answers if not isinstance(each, str))
        return _counted(note for note in notes if note)


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def compare_served(source: Path) -> ServedComparison:
    """Compare a table of served loads with the planner's predictions.

    Parameters
    ----------
    source : pathlib.Path
        A CSV file.

    Returns
    -------
    ServedComparison
        Every row.

    Raises
    ------
    ScenarioError
        The file cannot be read.
    """
    rows = read_served_table(source)
    return ServedComparison(source=source.name, rows=rows, answers=tuple(predict_served(rows)))


def error_table(
    comparison: ServedComparison, groups: Sequence[tuple[str, Callable[[ServedRow], bool]]]
) -> Table:
    """Return the errors of each figure over groups of rows.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.
    groups : sequence of (str, callable)
        Name, and which rows are in it.

    Returns
    -------
    list of list of str
        Header, then one row for each group and figure that has measurements.
    """
    table = [["rows of", "figure", "measured", "answered", "counted", "median error", "p90",
              "predicted/measured", "in band"]]  # fmt: skip
    for name, chosen in groups:
        for figure, title in FIGURES.items():
            found = comparison.errors(figure, chosen)
            if found.rows:
                table.append([name, title, str(found.rows), str(found.answered),
                              str(found.counted), *_figures(found)])  # fmt: skip
    return table


def _figures(found: ServedErrors) -> list[str]:
    if found.median_fraction is None:
        return ["-"] * 4
    return [f"{found.median_fraction:.1%}", f"{found.p90_fraction:.1%}", f"{found.bias:.2f}",
            f"{found.in_band_fraction:.0%}"]  # fmt: skip


def by_kind_and_engine(comparison: ServedComparison) -> Table:
    """Return the errors over all rows, then by kind of load and engine.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.

    Returns
    -------
    list of list of str
        As :func:`error_table`.
    """
    runs = [row.run for row in comparison.rows if row.run is not None]
    pairs = sorted({(run.kind, run.engine) for run in runs})
    groups: list[tuple[str, Callable[[ServedRow], bool]]] = [("all", lambda row: True)]
    for kind, engine in pairs:
        groups.append(
            (
                f"{kind} {engine}".strip(),
                lambda row, kind=kind, engine=engine: (  # type: ignore[misc]
                    row.run is not None and (row.run.kind, row.run.engine) == (kind, engine)
                ),
            )
        )
    return error_table(comparison, groups)


def served_text(comparison: ServedComparison) -> str:
    """Return a comparison for a terminal.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.

    Returns
    -------
    str
        Errors on rows that no constant was fitted on, and what has no prediction.
    """
    fitted = sum(not isinstance(each, str) and each.fitted for each in comparison.answers)
    blocks = [
        f"{comparison.source}: {len(comparison.rows)} served loads; {fitted} fitted rows do not "
        "count",
        align(by_kind_and_engine(comparison), right=range(2, 9)),
    ]
    for title, found in (
        ("Without a prediction", comparison.unanswered),
        ("With a wider band", comparison.notes),
    ):
        lines = [f"  {count} × {reason}" for reason, count in found.items()]
        if lines:
            blocks.append("\n".join([title, *lines]))
    return "\n\n".join(blocks)


def served_csv(comparison: ServedComparison) -> str:
    """Return all rows with their predictions as a table.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.

    Returns
    -------
    str
        The columns as read, then :data:`ADDED`.
    """
    names = dict.fromkeys(name for row in comparison.rows for name in row.cells)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*(name for name in names if name not in ADDED), *ADDED],
                            restval="", extrasaction="ignore", lineterminator="\n")  # fmt: skip
    writer.writeheader()
    for row, answer in zip(comparison.rows, comparison.answers, strict=True):
        writer.writerow({**row.cells, **_cells(answer)})
    return stream.getvalue()


def _cells(answer: Predicted | str) -> dict[str, Any]:
    if isinstance(answer, str):
        return {"reason": answer}
    found: dict[str, Any] = {"fitted": answer.fitted, "reason": answer.note}
    for figure in FIGURES:
        values = getattr(answer, figure) or ("", "", "")
        stem, unit = (figure[:-2], "_s") if figure in ("ttft_s", "tpot_s") else (figure, "")
        for end, value in zip(("", "_p10", "_p90"), values, strict=True):
            cell = f"{value:.6g}" if isinstance(value, float) else value
            found[f"predicted_{stem}{end}{unit}"] = cell
    return found


def served_json(comparison: ServedComparison) -> str:
    """Return errors and rows as data.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.

    Returns
    -------
    str
        One JSON object.
    """
    rows = list(csv.DictReader(io.StringIO(served_csv(comparison))))
    data = {"source": comparison.source, "errors": by_kind_and_engine(comparison),
            "unanswered": comparison.unanswered, "rows": rows}  # fmt: skip
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def served_markdown(comparison: ServedComparison) -> str:
    """Return the errors as a page.

    Parameters
    ----------
    comparison : ServedComparison
        The comparison.

    Returns
    -------
    str
        Markdown.
    """
    lines = [f"- {count} without a prediction: {reason}"
             for reason, count in comparison.unanswered.items()]  # fmt: skip
    return "\n\n".join([f"# {comparison.source}", markdown_table(by_kind_and_engine(comparison)),
                        *(["\n".join(lines)] if lines else [])]) + "\n"  # fmt: skip


SERVED_WRITERS: dict[str, Callable[[ServedComparison], str]] = {
    ".csv": served_csv,
    ".json": served_json,
    ".md": served_markdown,
}
"""By the ending of a file."""
