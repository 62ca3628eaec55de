"""What engines take beyond their kernels: constants fitted on published runs of whole services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveFloat

from planner.arrays import Numeric
from planner.spec_folders import folders, read_spec, shown_path, validate

FOLDER = "hardware_specs"
FILE = "served_loads/engines.yaml"
PARTS = ("gemm", "moe", "attention", "communication", "other")
"""Parts of a step that have a pace of their own in a service."""

UNKNOWN_WIDENS = 1.5
"""Factor on the logarithm of a band where engine or precision was never measured."""

_SAME = {"nvfp4": "fp4", "mxfp4": "fp4", "gptq": "int4", "awq": "int4"}
"""Formats of weights whose kernels keep the pace of another name."""

MADE_OF = {"nim": ("tensorrt-llm", "vllm")}
"""Engines without runs of their own: whose steps they have, and whose way to the first token."""

_WAITS = ("request_s", "launch_s", "prompt", "waited_steps", "burst")

Figure = Literal["tpot", "ttft", "throughput"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Constants of one engine with one precision; the fields may be arrays.

    Parameters
    ----------
    parts : tuple of numeric
        Seconds in a service over seconds of the kernels alone, for each of :data:`PARTS`. [1]
    pace : numeric
        Seconds of a whole step over the sum of its parts. [1]
    step_s, layer_s, sequence_s : numeric
        Host time of a step: fixed, for each layer, and for each sequence. [s]
    interleaved : numeric
        Share of the prompts' seconds that decoding sequences wait for. [1]
    request_s : numeric
        From the arrival of a request until the engine has it. [s]
    launch_s : numeric
        Host time of each kernel of a prompt, which no captured graph holds. [s]
    prompt : numeric
        Seconds of a prompt in a service over those of the prompt alone. [1]
    waited_steps : numeric
        Steps that a request waits before its own. [1]
    burst : numeric
        Share of all prompts in flight that a request waits for: all start at once. [1]
    queued : numeric
        Tokens per second with all requests queued over those of the closed form. [1]
    measured : bool
        Whether engine and precision are among those that constants were fitted on.
    """

    parts: tuple[Numeric, ...]
    pace: Numeric
    step_s: Numeric
    layer_s: Numeric
    sequence_s: Numeric
    interleaved: Numeric
    request_s: Numeric
    launch_s: Numeric
    prompt: Numeric
    waited_steps: Numeric
    burst: Numeric
    queued: Numeric = 1.0
    measured: bool = True

    def work_s(self, parts_s: Numeric) -> Numeric:
        """Return the seconds of a step's kernels inside a service.

        Parameters
        ----------
        parts_s : array, shape (parts, ...)
            Seconds of each of :data:`PARTS` as kernels alone take them. [s]

        Returns
        -------
        numeric
            Without the host. [s]
        """
        return self.pace * sum(
            scale * seconds for scale, seconds in zip(self.parts, parts_s, strict=True)
        )

    def step_seconds(self, parts_s: Numeric, layers: Numeric, sequences: Numeric) -> Numeric:
        """Return the seconds of a step in a service.

        Parameters
        ----------
        parts_s : array, shape (parts, ...)
            Seconds of each of :data:`PARTS` as kernels alone take them. [s]
        layers : numeric
            Layers of the model. [1]
        sequences : numeric
            Sequences in the step on one rank. [1]

        Returns
        -------
        numeric
            With the host. [s]
        """
        return self.work_s(parts_s) + self.host_s(layers, sequences)

    def host_s(self, layers: Numeric, sequences: Numeric) -> Numeric:
        """Return what the host adds to a step.

        Parameters
        ----------
        layers : numeric
            Layers of the model. [1]
        sequences : numeric
            Sequences in the step on one rank. [1]

        Returns
        -------
        numeric
            Schedule, launches and samples. [s]
        """
        return self.step_s + self.layer_s * layers + self.sequence_s * sequences


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Engine(_Strict):
    pace: PositiveFloat
    step_s: PositiveFloat
    layer_s: PositiveFloat
    sequence_s: PositiveFloat
    interleaved: PositiveFloat
    request_s: PositiveFloat
    launch_s: PositiveFloat
    prompt: PositiveFloat
    waited_steps: PositiveFloat
    burst: PositiveFloat


class _Precision(_Strict):
    gemm: PositiveFloat
    moe: PositiveFloat


class _Band(_Strict):
    low: PositiveFloat
    high: PositiveFloat


class ErrorRow(_Strict):
    """Errors on rows that no constant was fitted on.

    Parameters
    ----------
    rows : int
        How many. [1]
    median_fraction, p90_fraction : float
        Of the absolute relative error. [1]
    in_band_fraction : float
        Share between p10 and p90. [1]
    """

    rows: int
    median_fraction: float
    p90_fraction: float
    in_band_fraction: float


class HabitsFile(_Strict):
    """The file of constants.

    Parameters
    ----------
    source, split : str
        Where the runs are from, and which of them were fitted.
    fitted_rows : int
        How many runs were. [1]
    fitted : tuple of str
        First digits of the hash of each of them.
    """

    source: str
    split: str
    fitted_rows: int
    parts: dict[str, PositiveFloat]
    precisions: dict[str, _Precision]
    engines: dict[str, _Engine]
    queued: PositiveFloat
    bands: dict[str, _Band]
    errors: dict[str, dict[str, ErrorRow]]
    fitted: tuple[str, ...]


@lru_cache(maxsize=8)
def load_habits() -> HabitsFile:
    """Return the shipped constants, or the user's own.

    Returns
    -------
    HabitsFile
        The first found in the folders of specs.

    Raises
    ------
    SpecError
        The file is wrong.

    Examples
    --------
    >>> sorted(load_habits().engines)
    ['sglang', 'tensorrt-llm', 'vllm']
    """
    path = next(root / FILE for root in folders(FOLDER) if (root / FILE).is_file())
    return validate(HabitsFile, read_spec(path), shown_path(path))


def habits_of(engine: str, precision: str) -> Habits:
    """Return the constants of an engine.

    An engine that was never measured has the geometric mean of those that were, or what
    :data:`MADE_OF` says; a precision that was not, the kernels' own pace. Both are said by
    ``measured``.

    Parameters
    ----------
    engine : str
        Such as ``"vllm"``.
    precision : str
        Such as ``"fp8"``; ``"bf16"`` and ``"fp16"`` are the reference.

    Returns
    -------
    Habits
        Scalars.

    Examples
    --------
    >>> habits_of("vllm", "fp8").measured, habits_of("unheard-of", "fp8").measured
    (True, False)
    """
    data = load_habits()
    found = data.engines.get(engine) or _made_of(engine, data.engines)
    wide = precision in ("", "bf16", "fp16")
    scale = _Precision(gemm=1.0, moe=1.0)
    name = "fp8" if precision.startswith("fp8") else _SAME.get(precision, precision)
    scale = data.precisions.get(name, scale)
    parts = [
        data.parts[part] * {"gemm": scale.gemm, "moe": scale.moe}.get(part, 1.0) for part in PARTS
    ]
    known = engine in data.engines and (wide or name in data.precisions)
    return Habits(parts=tuple(parts), queued=data.queued, measured=known, **found.model_dump())


def band_of(figure: Figure, measured: bool) -> tuple[float, float]:
    """Return the factors from a prediction to its p10 and p90.

    Parameters
    ----------
    figure : {"tpot", "ttft", "throughput"}
        Of which.
    measured : bool
        Whether engine and precision were measured.

    Returns
    -------
    (float, float)
        Below and above 1. [1]
    """
    band = load_habits().bands[figure]
    power = 1.0 if measured else UNKNOWN_WIDENS
    return min(band.low, 1.0) ** power, max(band.high, 1.0) ** power


def _made_of(engine: str, engines: Mapping[str, _Engine]) -> _Engine:
    if engine not in MADE_OF:
        return _mean(engines)
    steps, waits = (engines[name] for name in MADE_OF[engine])
    return steps.model_copy(update={name: getattr(waits, name) for name in _WAITS})


def _mean(engines: Mapping[str, _Engine]) -> _Engine:
    figures = {
        name: float(np.exp(np.mean([np.log(getattr(each, name)) for each in engines.values()])))
        for name in _Engine.model_fields
    }
    return _Engine(**figures)


__all__ = ["PARTS", "ErrorRow", "Habits", "HabitsFile", "band_of", "habits_of", "load_habits"]
