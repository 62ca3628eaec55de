"""Scenario → Plan: the one call behind page, command line, reports and API."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from planner.cost.limits import Limit, largest_context, most_sequences
from planner.cost.memory import MemoryUse
from planner.cost.roofline import StepCost, step_cost
from planner.cost.step_times import StepTimes, step_times, time_assumptions
from planner.deployment import Deployment, resolve
from planner.engines.ideal import ideal_answer
from planner.errors import UnknownNameError
from planner.explain import EXPLAIN
from planner.explanation import Explanation
from planner.fewest import Fewest, fewest_devices, fewest_figures
from planner.model import Model, Step
from planner.model.placement import checkpoint_bytes
from planner.offloading import offload_figures, offload_inputs
from planner.phases import phase_figures
from planner.references import REFERENCES
from planner.scenario import Scenario
from planner.sizing import Suggestion, suggestions
from planner.sources import Source
from planner.verdict import sentence
from planner.version import SCHEMA_VERSION, __version__

Limiting = Literal["weights", "cache", "activations"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The answer to a scenario. Figures beyond the verdict are computed when first asked for.

    Parameters
    ----------
    deployment : Deployment
        The scenario with every choice made.
    memory : MemoryUse
        Where the bytes of the fullest rank go.
    prefill, decode : StepCost
        One pass over all prompts, and one step at the full context.
    """

    deployment: Deployment
    memory: MemoryUse
    prefill: StepCost
    decode: StepCost

    @property
    def model(self) -> Model:
        """The model."""
        return self.deployment.scenario.model

    @property
    def capacity_bytes(self) -> int:
        """What the driver shows as total on one device. [bytes]."""
        return self.deployment.memory.capacity_bytes

    @property
    def headroom_bytes(self) -> int:
        """Capacity left on the fullest device; negative if the load does not fit. [bytes]."""
        return int(self.capacity_bytes - self.memory.total_bytes)

    @property
    def fits(self) -> bool:
        """Whether the load fits."""
        return self.headroom_bytes >= 0

    @cached_property
    def largest_context(self) -> Limit:
        """Longest context at the given sequences. [tokens]."""
        return largest_context(self.deployment.memory, self.deployment.replica_sequences)

    @cached_property
    def most_sequences(self) -> Limit:
        """Most sequences of the given context, over all replicas. [1]."""
        limit = most_sequences(self.deployment.memory, self.deployment.load.context)
        if limit.value is None:
            return limit
        return Limit(value=limit.value * self.deployment.layout.dp, limited_by=limit.limited_by)

    @cached_property
    def fewest_devices(self) -> Fewest | None:
        """Fewest devices of this kind that hold the load. [1]."""
        return fewest_devices(self.deployment)

    @cached_property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """What to change; empty where the load fits."""
        return () if self.fits else suggestions(self.deployment)

    @cached_property
    def _times(self) -> tuple[StepTimes, ...] | None:
        return step_times((self.prefill, self.decode), self.deployment.execution)

    @property
    def prefill_times(self) -> StepTimes | None:
        """Calibrated time of the prefill; None where only its floor is known."""
        return self._times[0] if self._times else None

    @property
    def decode_times(self) -> StepTimes | None:
        """Calibrated time of the decode step; None where only its floor is known."""
        return self._times[1] if self._times else None

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the answer takes for granted: of the deployment, then of its times."""
        of_times = time_assumptions(self.decode, self.decode_times, self.prefill_times)
        return (*self.deployment.assumptions, *of_times)

    @property
    def limiting(self) -> Limiting:
        """What takes the room: weights if they alone do not fit, else the largest variable part."""
        fixed = self.memory.weights_bytes + self.memory.runtime_bytes + self.memory.reserve_bytes
        if fixed > self.capacity_bytes:
            return "weights"
        parts: dict[Limiting, float] = {
            "weights": self.memory.weights_bytes,
            "cache": self.memory.cache_bytes,
            "activations": self.memory.activations_bytes,
        }
        if not self.fits:
            del parts["weights"]
        return max(parts, key=lambda name: parts[name])

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        return sentence(self.deployment, self.memory)

    def explain(self, path: str) -> Explanation:
        """Return how a figure came about.

        Parameters
        ----------
        path : str
            Where the figure stands in :meth:`to_dict`, such as ``"memory.per_device.cache_bytes"``.

        Returns
        -------
        Explanation
            Formula, substituted numbers, parts and sources.

        Raises
        ------
        UnknownNameError
            No figure has that path.
        """
        if path not in EXPLAIN:
            raise UnknownNameError("figure", path, EXPLAIN)
        return replace(EXPLAIN[path](self), figure=path)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, ready for JSON.

        Returns
        -------
        dict
            See the README for the keys; every key carries its unit.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "planner_version": __version__,
            "inputs": self.inputs(),
            "warnings": list(self.deployment.warnings),
            "assumptions": list(self.assumptions),
            "sources": self._sources(),
            "model": self._model(),
            "memory": {
                "architectural": self._architectural(),
                "per_device": self._per_device(),
                "stages": self.deployment.memory.to_dict(
                    self.deployment.load.context, self.deployment.replica_sequences
                ),
                "offload": offload_figures(
                    self.deployment.links.offload, self.deployment.execution.offload, self.memory
                ),
            },
            "engine": self._engine(),
            "prefill": phase_figures(self.prefill, self.prefill_times),
            "decode": phase_figures(self.decode, self.decode_times),
            "capacity": self._capacity(),
            "verdict": self._verdict(),
        }

    def inputs(self) -> dict[str, Any]:
        """Return the resolved inputs.

        Returns
        -------
        dict
            Everything needed to ask the same question again.
        """
        deployment = self.deployment
        scenario, load, execution = deployment.scenario, deployment.load, deployment.execution
        return {
            "model": self.model.id,
            "model_name": self.model.name,
            "hf_id": self.model.hf_id,
            "device": scenario.hardware.id,
            "device_name": scenario.hardware.device.name,
            "devices": scenario.hardware.devices,
            "calibration": scenario.hardware.calibration,
            **asdict(execution.layout),
            **offload_inputs(execution.offload),
            "weights": execution.weights.name,
            "activations": execution.activations.name,
            "stream": execution.stream.name,
            "kv_cache_dtype": execution.cache.name,
            "context": load.context,
            "sequences": load.sequences,
            "isl": load.isl,
            "osl": load.osl,
            "max_num_batched_tokens": deployment.memory.step_tokens,
            "mtp": scenario.mtp,
            "images": scenario.images,
            "image_tokens": scenario.image_tokens,
            **(deployment.allocation.inputs() if deployment.allocation else {}),
        }

    def _model(self) -> dict[str, Any]:
        return {
            "id": self.model.id,
            "parameters": self.model.parameters,
            "active_parameters": self.model.active_parameters,
            "layers": len(self.model.layers),
            "usable_context_tokens": self.model.usable_context,
            "checkpoint_bytes": checkpoint_bytes(self.model, self.deployment.execution.weights),
        }

    def _architectural(self) -> dict[str, int | float]:
        execution, load = self.deployment.execution, self.deployment.load
        return {
            "weights_bytes": self.model.weights_bytes(execution),
            "cache_bytes": int(load.sequences * self.model.cache_bytes(load.context, execution)),
            "cache_bytes_per_token": self.model.cache_bytes_per_token(execution),
            "state_bytes_per_sequence": self.model.state_bytes(execution),
        }

    def _per_device(self) -> dict[str, int]:
        memory = self.memory
        return {
            "weights_bytes": memory.weights_bytes,
            "cache_bytes": int(memory.cache_bytes),
            "activations_bytes": int(memory.activations_bytes),
            "runtime_bytes": memory.runtime_bytes,
            "graphs_bytes": memory.graphs_bytes,
            "reserve_bytes": int(memory.reserve_bytes),
            "total_bytes": int(memory.total_bytes),
            "capacity_bytes": self.capacity_bytes,
        }

    @property
    def cache_pool_bytes(self) -> int:
        """What is left for caches on one device; 0 if nothing is. [bytes]."""
        return max(0, self.headroom_bytes + int(self.memory.cache_bytes))

    @property
    def sequence_bytes(self) -> int:
        """What one sequence of the given context takes on the fullest device. [bytes]."""
        context = self.deployment.load.context
        rank = self.deployment.memory.fullest(context, self.deployment.replica_sequences)
        return int(rank.sequence_bytes(context))

    @property
    def max_concurrency(self) -> float | None:
        """Sequences of the given context that the pool of one replica holds. [1]."""
        size = self.sequence_bytes
        return self.cache_pool_bytes / size if size else None

    def _engine(self) -> dict[str, Any]:
        if self.deployment.allocation is not None:
            return self.deployment.allocation.to_dict()
        return ideal_answer(
            pool_bytes=self.cache_pool_bytes,
            concurrency=self.max_concurrency,
            context=self.deployment.load.context,
            longest=self.largest_context.value,
        )

    def _capacity(self) -> dict[str, Any]:
        return {
            "largest_context_tokens": self.largest_context.value,
            "largest_context_limited_by": self.largest_context.limited_by,
            "most_sequences": self.most_sequences.value,
            "most_sequences_limited_by": self.most_sequences.limited_by,
            **fewest_figures(self.fewest_devices),
        }

    def _verdict(self) -> dict[str, Any]:
        return {
            "fits": self.fits,
            "headroom_bytes": self.headroom_bytes,
            "limiting": self.limiting,
            "sentence": self.verdict,
            "suggestions": [
                {"text": s.text, "change": s.change, "total_bytes": s.total_bytes, "fits": s.fits}
                for s in self.suggestions
            ],
        }

    def cited(self) -> dict[str, Source]:
        """Return every source the plan rests on.

        Returns
        -------
        dict
            Source by id: of the model, the device, the runtime and the formulas.
        """
        hardware = self.deployment.scenario.hardware
        return {
            **self.model.sources,
            **hardware.sources,
            **self.deployment.memory.runtime.sources,
            **REFERENCES,
        }

    def _sources(self) -> list[dict[str, Any]]:
        return [
            {"id": name, **source.model_dump(exclude_none=True)}
            for name, source in self.cited().items()
        ]


def plan(scenario: Scenario) -> Plan:
    """Answer a scenario. Pure: no files, no network, no clock.

    Parameters
    ----------
    scenario : Scenario
        The question.

    Returns
    -------
    Plan
        Memory, times, inverse answers, verdict, each with its explanation.

    Raises
    ------
    ScenarioError
        The question is out of range or contradictory.
    LayoutError
        The model or the devices do not admit the layout.
    PrecisionError
        A format is unknown, or the device has no rate for it.

    Examples
    --------
    >>> from planner import load_hardware, load_model
    >>> answer = plan(
    ...     Scenario(
    ...         model=load_model("llama-3.1-8b"),
    ...         hardware=load_hardware("h100-sxm"),
    ...         context=4096,
    ...         sequences=16,
    ...     )
    ... )
    >>> answer.fits, round(float(answer.decode.floor_s) * 1e3, 2)
    (True, 7.1)
    """
    deployment = resolve(scenario)
    load, execution = deployment.load, deployment.execution
    model = deployment.scenario.model
    sequences = deployment.replica_sequences
    device, links = scenario.hardware.device, deployment.links
    return Plan(
        deployment=deployment,
        memory=deployment.memory.use(load.context, sequences),
        prefill=step_cost(model, Step.prefill(sequences, load.isl), execution, device, links),
        decode=step_cost(
            model,
            Step.decode(sequences, load.context),
            execution,
            device,
            links,
        ),
    )


__all__ = ["Plan", "plan"]
