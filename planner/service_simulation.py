"""One given deployment under a load, simulated, with its closed form beside it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from planner.errors import ScenarioError
from planner.service import Service
from planner.serving.arrivals import ClosedLoop
from planner.serving.capacity import ReplicaCapacity
from planner.serving.outcome import Outcome
from planner.serving.replica import ReplicaSettings
from planner.serving.search import Deployable
from planner.serving.simulator import simulate, simulate_disaggregated
from planner.version import SCHEMA_VERSION, __version__


def simulation(
    service: Service, *, mode: str, replicas: int, prefill_replicas: int, requests: int, seed: int
) -> tuple[dict[str, Any], bool]:
    """Simulate the one deployment that a service leaves open.

    Parameters
    ----------
    service : Service
        With one device, layout and format, and one setting of each kind at most.
    mode : {"continuous", "static", "disaggregated"}
        How requests are batched.
    replicas, prefill_replicas : int
        Replicas, and those that only read prompts. [1]
    requests : int
        How many. [1]
    seed : int
        Of the requests.

    Returns
    -------
    dict
        The outcome, the closed form, overload and missed objectives.
    bool
        Whether all objectives are met.

    Raises
    ------
    ScenarioError
        More than one deployment is possible, or none.
    """
    deployable = _only(service)
    settings = _settings(service, deployable)
    load = service.question.workload
    drawn = load.draw(requests, seed=seed)
    if mode == "disaggregated":
        outcome = simulate_disaggregated(
            (deployable.times, settings, prefill_replicas),
            (deployable.times, settings, replicas),
            drawn,
            runner=service.runner,
        )
    else:
        outcome = simulate(
            deployable.times,
            settings,
            drawn,
            replicas=replicas,
            static=mode == "static",
            runner=service.runner,
        )
    answer = {
        "schema_version": SCHEMA_VERSION,
        "planner_version": __version__,
        "deployment": {
            "deployable": deployable.id,
            **deployable.labels,
            "mode": mode,
            "replicas": replicas,
            "prefill_replicas": prefill_replicas if mode == "disaggregated" else 0,
            "max_num_seqs": settings.max_num_seqs,
            "max_num_batched_tokens": settings.max_num_batched_tokens,
            "pool_blocks": settings.pool.blocks,
            "block_tokens": settings.pool.block_tokens,
        },
        **outcome.to_dict(),
        "closed_form": None,
        "overload": None,
        "unmet": _unmet(service, outcome),
    }
    if mode == "continuous":
        _add_closed_form(service, deployable, settings, replicas, answer)
    if outcome.overloaded and answer["overload"] is None:
        answer["overload"] = "the queue grows without end"
    answer["overloaded"] = answer["overload"] is not None
    return answer, not answer["unmet"] and not answer["overloaded"]


def _only(service: Service) -> Deployable:
    if len(service.deployables) == 1:
        return service.deployables[0]
    if service.deployables:
        raise ScenarioError(
            "more than one deployment is possible",
            where="simulate",
            got=", ".join(each.id for each in service.deployables),
            fix="Give one -d, --tp, --weights and --kv-cache-dtype.",
        )
    raise ScenarioError(
        "no deployment is possible",
        where="simulate",
        got="; ".join(each.why for each in service.rejected),
    )


def _settings(service: Service, deployable: Deployable) -> ReplicaSettings:
    space = service.question.space
    tokens = space.max_num_batched_tokens[min(1, len(space.max_num_batched_tokens) - 1)]
    slots = [each for each in space.max_num_seqs if each <= tokens]
    return ReplicaSettings(
        max_num_seqs=slots[min(5, len(slots) - 1)],
        max_num_batched_tokens=tokens,
        pool=deployable.pool,
        request_s=deployable.request_s,
    )


def _add_closed_form(
    service: Service,
    deployable: Deployable,
    settings: ReplicaSettings,
    replicas: int,
    answer: dict[str, Any],
) -> None:
    arrivals = service.question.workload.arrivals
    closed = ReplicaCapacity.of(deployable.times, service.shape, settings)
    if isinstance(arrivals, ClosedLoop):
        found = closed.at_users(arrivals.users / replicas, think_s=arrivals.think_s)
    else:
        found = closed.at_rate(arrivals.rate_per_s / replicas, cv2=arrivals.cv2)
        most = float(found.most_rate_per_s) * replicas
        if found.utilisation >= 1:
            answer["overload"] = (
                f"{arrivals.rate_per_s:.4g} requests/s are asked and at most {most:.4g} can be "
                f"completed; {found.limited_by} bind"
            )
    answer["closed_form"] = {name: _plain(value) for name, value in asdict(replace(found)).items()}


def _unmet(service: Service, outcome: Outcome) -> list[dict[str, Any]]:
    objectives = service.question.objectives
    found = []
    for name, asked in objectives.bounds().items():
        here = outcome.percentile(name, objectives.percent)
        if here > asked:
            found.append(
                {
                    "objective": name,
                    "asked_s": asked,
                    "nearest_s": here,
                    "excess_fraction": here / asked - 1,
                }
            )
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str) or np.asarray(value).dtype.kind == "U":
        return str(value)
    return float(value) if np.isfinite(value) else None


__all__ = ["simulation"]
