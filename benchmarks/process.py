"""`planner plan` as a process beside the bare import of its dependencies, in turn in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

QUESTION = ["-m", "llama-3.1-70b", "-d", "h100-sxm", "-n", "4", "--context", "8192"]
PLAN = ["-m", "planner", "plan", *QUESTION, "--sequences", "32"]
IMPORTS = ["-c", "import numpy, pydantic, yaml"]


def wall_s(arguments: list[str]) -> float:
    """Return the wall time of one interpreter run.

    Parameters
    ----------
    arguments : list of str
        Arguments of the interpreter.

    Returns
    -------
    float
        Wall time. [s]
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(runs: int = 15) -> None:
    """Print both medians and the median of the paired ratios.

    Parameters
    ----------
    runs : int
        Counted pairs. [1]
    """
    wall_s(PLAN)
    wall_s(IMPORTS)
    pairs = [(wall_s(PLAN), wall_s(IMPORTS)) for _ in range(runs)]
    plan_s = statistics.median(pair[0] for pair in pairs)
    import_s = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{'planner plan':<55} {plan_s * 1e3:12.1f} ms")
    print(f"{'import numpy, pydantic, yaml':<55} {import_s * 1e3:12.1f} ms")
    print(f"{'ratio, pair by pair':<55} {ratio:12.2f}")


if __name__ == "__main__":
    main()
