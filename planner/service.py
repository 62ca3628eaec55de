"""From a question about a service to a fleet: deployables, search, and the winner simulated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from planner.deployment import resolve
from planner.engines import EngineSettings
from planner.errors import LayoutError, PrecisionError, ScenarioError
from planner.hardware import Hardware
from planner.model import Execution, Model
from planner.model.admission import tensor_parallel_sizes
from planner.scenario import Scenario
from planner.serving.arrivals import ClosedLoop
from planner.serving.economics import Price
from planner.serving.engine_habits import Habits, habits_of
from planner.serving.load_shape import LoadShape, load_shape
from planner.serving.objectives import Objectives
from planner.serving.outcome import Outcome
from planner.serving.replica import ReplicaSettings
from planner.serving.runner import Runner, one_by_one
from planner.serving.search import Candidates, Deployable, Search, SettingsSpace
from planner.serving.simulator import simulate
from planner.serving.site import BLOCK_TOKENS, Confidence, Site
from planner.serving.workload import Workload

MOST_TP = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceQuestion:
    """A model, devices to choose from, a load and what must hold.

    Parameters
    ----------
    model : Model
        The model.
    hardware : tuple of Hardware
        Devices or nodes to choose from.
    workload : Workload
        Peak load; open arrivals.
    objectives : Objectives
        What must hold.
    weights, kv_cache_dtype : tuple of str or None
        Formats to choose from; None is the checkpoint's own.
    tp, pp : tuple of int
        Tensor-parallel sizes, all that the model and one node admit without them, and pipeline
        stages to choose from. [1]
    ep : tuple of int or None
        Expert-parallel sizes to choose from; None cuts experts as everything else. [1]
    cp, attention_dp : tuple of int
        Context-parallel sizes, and numbers of replicas that share experts, to choose from. [1]
    engine : EngineSettings or None
        The engine whose pool it is; caches are contiguous and nothing is set aside without one.
    confidence : {"floor", "p10", "p50", "p90"}
        Which seconds of steps must meet the objectives.
    space : SettingsSpace
        Engine settings to choose from.
    prices : dict
        Price of a device-hour by id of the device.
    """

    model: Model = field(repr=False)
    hardware: tuple[Hardware, ...]
    workload: Workload
    objectives: Objectives = field(default_factory=Objectives)
    weights: tuple[str | None, ...] = (None,)
    kv_cache_dtype: tuple[str | None, ...] = (None,)
    tp: tuple[int, ...] = ()
    pp: tuple[int, ...] = (1,)
    ep: tuple[int | None, ...] = (None,)
    cp: tuple[int, ...] = (1,)
    attention_dp: tuple[int, ...] = (1,)
    engine: EngineSettings | None = None
    confidence: Confidence = "p90"
    space: SettingsSpace = field(default_factory=SettingsSpace)
    prices: dict[str, Price] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A deployment that cannot be, and why.

    Parameters
    ----------
    id : str
        Its name.
    why : str
        One clause.
    """

    id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """The answer: what can be, what is best, and how the best behaves.

    Parameters
    ----------
    question : ServiceQuestion
        The question.
    runner : callable
        Runs searches and simulations.
    """

    question: ServiceQuestion
    runner: Runner = one_by_one

    @property
    def rate_per_s(self) -> float:
        """Peak requests per second. [1/s]."""
        arrivals = self.question.workload.arrivals
        if isinstance(arrivals, ClosedLoop):
            raise ScenarioError(
                "a fleet is sized for a rate of requests",
                where="--users",
                fix="Give --rate, or --think-s with the users.",
            )
        return arrivals.rate_per_s

    @cached_property
    def shape(self) -> LoadShape:
        """The load without its arrivals."""
        return load_shape(self.question.workload, block_tokens=BLOCK_TOKENS)

    @cached_property
    def _deployments(self) -> tuple[tuple[Deployable, ...], tuple[Rejected, ...]]:
        good: list[Deployable] = []
        bad: list[Rejected] = []
        for name, scenario in self._scenarios():
            try:
                good.append(self._deployable(name, scenario))
            except (LayoutError, PrecisionError, ScenarioError) as error:
                bad.append(Rejected(id=name, why=str(error)))
        return tuple(good), tuple(bad)

    @property
    def deployables(self) -> tuple[Deployable, ...]:
        """Every replica that can be."""
        return self._deployments[0]

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Every replica that cannot be, with the reason."""
        return self._deployments[1]

    def _scenarios(self) -> Iterator[tuple[str, Scenario]]:
        question = self.question
        for hardware in question.hardware:
            sizes = product(
                question.tp or self._sizes(hardware),
                question.pp,
                question.ep,
                question.cp,
                question.attention_dp,
            )
            formats = tuple(product(question.weights, question.kv_cache_dtype))
            for (tp, pp, ep, cp, ranks), (weights, cache) in product(sizes, formats):
                scenario = Scenario(
                    model=question.model,
                    hardware=replace(hardware, devices=tp * pp * cp * ranks),
                    tp=tp,
                    pp=pp,
                    dp=ranks,
                    ep=ep,
                    cp=cp,
                    attention_dp=ranks,
                    weights=weights,
                    kv_cache_dtype=cache,
                    context=max(self.shape.longest_tokens, 2),
                    max_num_batched_tokens=max(question.space.max_num_batched_tokens),
                    engine=self._engine(),
                )
                yield _name(scenario), scenario

    def _engine(self) -> EngineSettings | None:
        engine = self.question.engine
        if engine is None:
            return None
        return replace(
            engine,
            max_num_seqs=max(self.question.space.max_num_seqs),
            max_model_len=engine.max_model_len or self.shape.longest_tokens,
        )

    def _habits(self, execution: Execution) -> Habits | None:
        engine = self.question.engine
        if engine is None:
            return None
        return habits_of(engine.engine.partition("@")[0], execution.weights.name)

    def _sizes(self, hardware: Hardware) -> tuple[int, ...]:
        joined = hardware.scale_up
        most = hardware.devices
        if joined is not None and joined.devices is not None:
            most = joined.devices
        return tuple(
            tp for tp in tensor_parallel_sizes(self.question.model, MOST_TP) if tp <= max(most, 1)
        )

    def _deployable(self, name: str, scenario: Scenario) -> Deployable:
        deployment = resolve(scenario)
        device = scenario.hardware.device
        site = Site(
            model=scenario.model,
            execution=deployment.execution,
            device=device,
            links=deployment.links,
            memory=deployment.memory,
            habits=self._habits(deployment.execution),
        )
        space, shape = self.question.space, self.shape
        slots, tokens = max(space.max_num_seqs), max(space.max_num_batched_tokens)
        room = site.pool_bytes(max_num_seqs=slots)
        typical = max(int(shape.resident_tokens), 2)
        pool = site.pool(max(room, 0), short=max(typical // 2, 1), long=typical * 2)
        longest = shape.longest_tokens
        if pool.blocks is not None and pool.of_tokens(longest) > pool.blocks:
            raise ScenarioError(
                "the longest request does not fit beside the weights",
                where=name,
                got=f"{longest:,} tokens",
                allowed=f"{max(pool.tokens, 0):,.0f} tokens of cache",
            )
        price = self.question.prices.get(device.id)
        return Deployable(
            id=name,
            labels={
                "device": device.id,
                "hardware": scenario.hardware.id,
                "tp": scenario.tp,
                "pp": scenario.pp,
                "ep": scenario.ep,
                "cp": scenario.cp,
                "attention_dp": scenario.attention_dp,
                "weights": scenario.weights,
                "kv_cache_dtype": scenario.kv_cache_dtype,
            },
            devices=scenario.hardware.devices // deployment.layout.attention_dp,
            group=deployment.layout.attention_dp,
            times=site.step_table(
                max_batch=slots,
                max_step_tokens=tokens,
                max_context=longest,
                confidence=self.question.confidence,
            ),
            notes=site.notes(),
            request_s=site.request_s,
            pool=pool,
            usd_per_device_h=None if price is None else price.usd_per_h,
            device_power_w=device.power_w,
        )

    @cached_property
    def search(self) -> Search:
        """The closed forms of everything that can be."""
        if not self.deployables:
            raise ScenarioError(
                "no layout can serve this load",
                where="search",
                got="; ".join(f"{each.id}: {each.why}" for each in self.rejected[:3]),
                fix="Offer larger or more devices, or smaller formats.",
            )
        arrivals = self.question.workload.arrivals
        return Search(
            deployables=self.deployables,
            shape=self.shape,
            objectives=self.question.objectives,
            space=self.question.space,
            cv2=getattr(arrivals, "cv2", 1.0),
        )

    @cached_property
    def candidates(self) -> Candidates:
        """Every deployment tried at the peak load."""
        return self.search.at(self.rate_per_s, self.runner)

    def settings_of(self, place: int) -> tuple[Deployable, ReplicaSettings, int]:
        """Return what one candidate is.

        Parameters
        ----------
        place : int
            Which of the candidates.

        Returns
        -------
        Deployable, ReplicaSettings and int
            The replica, how it schedules, and how many of them.
        """
        found = self.candidates
        deployable = self.deployables[int(found.deployable[place])]
        settings = ReplicaSettings(
            max_num_seqs=int(found.max_num_seqs[place]),
            max_num_batched_tokens=int(found.max_num_batched_tokens[place]),
            pool=deployable.pool,
            request_s=deployable.request_s,
        )
        return deployable, settings, int(found.replicas[place])

    def simulated(
        self,
        place: int,
        *,
        requests: int = 4000,
        seed: int = 0,
        replicas: float | None = None,
    ) -> Outcome:
        """Simulate one candidate at the peak load, a replica of it standing for all.

        Parameters
        ----------
        place : int
            Which of the candidates.
        requests : int
            How many requests one replica gets. [1]
        seed : int
            Of the requests.
        replicas : float, optional
            Another number of replicas than the candidate has. [1]

        Returns
        -------
        Outcome
            Of one replica at its part of the load; requests reach replicas at random.
        """
        deployable, settings, own = self.settings_of(place)
        part = self.question.workload.at_rate(self.rate_per_s / (replicas or own))
        return simulate(
            deployable.times, settings, part.draw(requests, seed=seed), runner=self.runner
        )


def _name(scenario: Scenario) -> str:
    """What a replica is called: its device, the sizes beyond one, and formats that are chosen."""
    sizes = {"pp": scenario.pp, "cp": scenario.cp, "adp": scenario.attention_dp}
    beyond = [f"{name}{size}" for name, size in sizes.items() if size and size > 1]
    experts = f"ep{scenario.ep}" if scenario.ep else None
    cache = scenario.kv_cache_dtype and f"cache {scenario.kv_cache_dtype}"
    words = [scenario.hardware.id, f"tp{scenario.tp}", *beyond, experts, scenario.weights, cache]
    return " ".join(filter(None, words))


__all__ = ["Rejected", "Service", "ServiceQuestion"]
