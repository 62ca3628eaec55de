"""The section on served loads: errors on runs of whole services that were kept apart."""

from __future__ import annotations

from planner.serving.engine_habits import load_habits
from validation.compare import Table
from validation.writers import markdown_table

_TEXT = """## Served loads

TTFT, TPOT and throughput of whole services, from calibrated steps and a few constants that
`scripts/fit_served_loads.py` fits: a pace for each part of a step, for low precisions and for
each engine, and the host's time for a step, a layer and a sequence. There is none for a model or
a device. Source: {source}. {rows:,} runs were fitted; a whole group is on one side: {split}. The
constants see that half alone. Three rules, though, were settled while errors on the other half
and on static batches were known: requests are admitted whole where all are queued, prompts wait
for launches, and a static batch reads its prompts at the pace of a service. Those errors are
somewhat better than on runs that nobody has seen. *Model left out* and *device left out* are runs
of the fitted half, predicted by constants fitted without that model or device. *In band* is the
share of runs between p10 and p90; 80 % is aimed at. AIConfigurator, with its own tables of
kernels, stands at 17.7 % median and 70 % p90 for TPOT and 43 % for TTFT on the runs of the same
source that it can answer."""

_NAMES = {"tpot": "TPOT", "ttft": "TTFT", "throughput": "tokens per second"}


def served_section() -> str:
    """Return the section.

    Returns
    -------
    str
        Markdown.
    """
    data = load_habits()
    table: Table = [["figure", "runs of", "runs", "median error", "p90", "in band"]]
    for figure, errors in data.errors.items():
        for name, row in errors.items():
            table.append(
                [
                    _NAMES[figure],
                    name,
                    f"{row.rows:,}",
                    f"{row.median_fraction:.1%}",
                    f"{row.p90_fraction:.1%}",
                    f"{row.in_band_fraction:.0%}",
                ]
            )
    text = _TEXT.format(source=data.source, rows=data.fitted_rows, split=data.split)
    return "\n\n".join([text, markdown_table(table)]) + "\n"


__all__ = ["served_section"]
