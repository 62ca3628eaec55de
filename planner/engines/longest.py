"""The longest request an engine is to admit, where it has no rule of its own."""

from __future__ import annotations

from planner.engines.engine import Site
from planner.engines.settings import LONGEST
from planner.errors import ScenarioError
from planner.units import parse_count

MOST_POSITIONS = 2**31 - 1


def longest_request(site: Site) -> tuple[int, int]:
    """Return the longest request asked for, and the longest that the positions admit.

    Parameters
    ----------
    site : Site
        Flags and model.

    Returns
    -------
    tuple of int
        The first may be -1, for the longest that fits. [tokens]

    Raises
    ------
    ScenarioError
        Neither a flag nor the model says how long a request may be.
    """
    usable = site.model.usable_context
    length = site.settings.max_model_len or usable
    if length is None:
        raise ScenarioError(
            f"nothing says how long a request of {site.model.name} may be",
            where="--max-model-len",
            got=None,
            allowed="a number of tokens, or -1 for the longest that fits",
            fix="Add --max-model-len.",
        )
    if length != LONGEST:
        length = parse_count(length, where="--max-model-len")
    return length, usable or MOST_POSITIONS
