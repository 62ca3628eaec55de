"""The section on the shipped calibration profiles: errors on the rows that were kept apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.cost.calibration import Calibration, Errors, load_calibrations
from validation.compare import Table
from validation.writers import markdown_table

_TEXT = """## Shipped calibration profiles

Fitted by `scripts/fit_efficiency.py` to published tables of measured kernels; the profiles in
`hardware_specs/calibration/` name their sources. Four rows of five were fitted, chosen by a hash of
the row; what stands here are the errors on the fifth. That fifth was never fitted, but which
curves a profile has was chosen while looking at its errors, so they are somewhat better than those
to expect on rows that nobody has seen. *Datasheet* is every operation at peak rate
and bandwidth; *constant* divides that by the median share that fitted rows of the same kind,
format and device reach; *calibrated* is what plans use. *In band* is the share of rows between p10
and p90; 80 % is aimed at. Figures of several groups are means weighted by rows."""

_HEADER = ["rows", "datasheet", "constant", "calibrated", "p90", "in band"]


def shipped_section() -> str:
    """Return the section.

    Returns
    -------
    str
        Markdown: one table by kind and format, one by kind and device, and devices left out.
    """
    profiles = {profile.id: profile for profile in load_calibrations().values()}
    errors = [error for profile in profiles.values() for error in profile.errors]
    by_format = _table("kind and format", errors, by_device=False)
    by_device = _table("kind and device", errors, by_device=True)
    return (
        "\n\n".join(
            [
                _TEXT,
                markdown_table(by_format),
                markdown_table(by_device),
                "Devices that nobody measured take the curves of their next of kin. Deviations of "
                "measured devices, each left out of the fit in turn with all its rows:",
                markdown_table(_left_out([each for each in profiles.values() if each.errors])),
                "Profiles without rows of their own are derived from others: "
                + "; ".join(
                    f"{', '.join(each.kinds)} ({each.split.rule})"
                    for each in profiles.values()
                    if not each.errors
                )
                + ".",
            ]
        )
        + "\n"
    )


def _table(title: str, errors: Sequence[Errors], *, by_device: bool) -> Table:
    groups: dict[str, list[Errors]] = {}
    for error in errors:
        kind, *middle, device = error.key
        words = (kind, device) if by_device else (kind, *middle)
        groups.setdefault(" ".join(word for word in words if word), []).append(error)
    table = [[title, *_HEADER]]
    for name, members in sorted(groups.items()):
        rows = [member.rows for member in members]
        cells = [
            f"{np.average([getattr(member, field) for member in members], weights=rows):.1%}"
            for field in (
                "floor_fraction", "constant_fraction", "median_fraction", "p90_fraction",
                "in_band_fraction",
            )
        ]  # fmt: skip
        table.append([name, str(sum(rows)), *cells])
    return table


def _left_out(profiles: Sequence[Calibration]) -> Table:
    table = [["profile", "p10", "p90"]]
    for profile in profiles:
        low, high = np.expm1(profile.bands.unmeasured)
        table.append([profile.id, f"{low:+.0%}", f"{high:+.0%}"])
    return table
