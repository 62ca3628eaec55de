"""How long configurations take to be read: ``python -m benchmarks.importers FOLDER``."""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from planner.errors import PlannerError
from planner.importers import import_config, read_json

REPEATS = 3
SLOWEST_SHOWN = 5


def fastest_ms(action: Callable[[], object]) -> float:
    """Return the shortest of a few runs, a typed error being an answer too.

    Parameters
    ----------
    action : callable
        What is timed.

    Returns
    -------
    float
        Time of this process. [ms]
    """
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        with contextlib.suppress(PlannerError):
            action()
        times.append(1e3 * (time.process_time() - start))
    return min(times)


def main() -> int:
    """Print the median, the longest and the slowest files.

    Returns
    -------
    int
        0; 2 where the folder holds no configuration. [exit code]
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of config.json files")
    folder = parser.parse_args().folder
    rows = []
    for path in sorted(folder.rglob("*.json")):
        try:
            config = read_json(path)
        except PlannerError:
            continue
        importing = fastest_ms(partial(import_config, config, where=str(path)))
        rows.append((importing, fastest_ms(partial(read_json, path)), path.name))
    if not rows:
        print(f"no configurations in {folder}", file=sys.stderr)
        return 2
    for label, column in (("import", 0), ("parse", 1)):
        times = [float(row[column]) for row in rows]
        median, longest = statistics.median(times), max(times)
        print(f"{label}: {len(times)} files, median {median:.2f} ms, longest {longest:.2f} ms")
    for importing, parsing, name in sorted(rows, reverse=True)[:SLOWEST_SHOWN]:
        print(f"  {importing:6.2f} ms import, {parsing:6.2f} ms parse  {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
