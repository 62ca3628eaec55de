"""Where independent pieces of work run: in this process, or as Ray tasks with the same results.

Ray is an optional extra. It schedules the tasks and runs one again whose worker died; results come
back in the order of the pieces, so they do not depend on where each ran.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, Protocol, TypeVar

from planner.errors import ScenarioError

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_RETRIES = 3


class Work(Protocol[Item, Result]):  # type: ignore[misc]
    """A function of a module, which other processes can import."""

    def __call__(self, item: Item, /) -> Result:
        """Do one piece."""
        ...


class Runner(Protocol):
    """Does pieces of work, results in their order."""

    def __call__(self, work: Work[Item, Result], items: Iterable[Item], /) -> list[Result]:
        """Do all pieces."""
        ...


def one_by_one(work: Work[Item, Result], items: Iterable[Item], /) -> list[Result]:
    """Do all pieces in this process.

    Parameters
    ----------
    work : callable
        What to do with each.
    items : iterable
        The pieces.

    Returns
    -------
    list
        Results in the order of the pieces.

    Examples
    --------
    >>> one_by_one(abs, [-1, 2])
    [1, 2]
    """
    return [work(item) for item in items]


class RayRunner:
    """Does pieces as Ray tasks.

    Parameters
    ----------
    address : str
        ``"local"`` or ``"local:WORKERS"`` for this machine, or ``"ray://HOST:PORT"``.
    """

    def __init__(self, address: str) -> None:
        self._ray = _ray()
        name, _, workers = address.partition(":")
        if name == "local":
            if workers and not workers.isdecimal():
                raise _unknown(address)
            count = int(workers) if workers else None
            self._ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False)
        elif address.startswith("ray://"):
            self._ray.init(address, log_to_driver=False)
        else:
            raise _unknown(address)

    def __call__(self, work: Work[Item, Result], items: Iterable[Item], /) -> list[Result]:
        """Do all pieces.

        Parameters
        ----------
        work : callable
            What to do with each.
        items : iterable
            The pieces.

        Returns
        -------
        list
            Results in the order of the pieces.
        """
        task = self._ray.remote(max_retries=MOST_RETRIES)(_forwarded(work))
        found: list[Result] = self._ray.get([task.remote(item) for item in items])
        return found

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


def _forwarded(work: Any) -> Any:
    """A plain function around the work, as Ray wants it."""

    def piece(item: Any) -> Any:
        return work(item)

    return piece


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        raise ScenarioError(
            "Ray is not installed",
            where="--cluster",
            fix="pip install 'llm-capacity-planner[cluster]', or leave --cluster away.",
        ) from error


def _unknown(address: str) -> ScenarioError:
    return ScenarioError(
        "unknown cluster",
        where="--cluster",
        got=address,
        allowed="local, local:WORKERS or ray://HOST:PORT",
    )


def runner_at(address: str | None) -> Runner:
    """Return the runner of an address.

    Parameters
    ----------
    address : str or None
        As of :class:`RayRunner`; None runs here.

    Returns
    -------
    Runner
        Ready to use.

    Raises
    ------
    ScenarioError
        Ray is not installed, or the address is not understood.
    """
    return one_by_one if address is None else RayRunner(address)


__all__ = ["RayRunner", "Runner", "Work", "one_by_one", "runner_at"]
