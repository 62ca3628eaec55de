"""The parts of a record: environment, ceilings, and rows of results."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

Status = Literal["ok", "unsupported", "wrong", "failed", "out_of_memory"]
Value = int | float | str | bool | None


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


MaybeFinite = Annotated[float | None, BeforeValidator(_finite), AfterValidator(_rounded)]
"""A figure; None where it was infinite or not a number, for JSON has neither."""

Measured = Annotated[float, AfterValidator(_rounded)]
"""A figure of which no more than six digits mean anything."""


class Entry(BaseModel):
    """Base of everything in a record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Environment(Entry):
    """What a run ran on; every figure that cannot be read is None.

    Parameters
    ----------
    device : str
        As PyTorch names it, such as ``cuda:0``.
    device_name : str
        As the driver or the processor names itself.
    spec_id : str or None
        Device of the planner's catalog that predictions are for; None for a host.
    cores, threads : int
        Cores this process may use, and threads PyTorch uses. [1]
    cache_bytes : int or None
        Last-level cache. [bytes]
    memory_bytes : int or None
        Memory of the device. [bytes]
    clock_hz, most_clock_hz, memory_clock_hz : float or None
        Of the processor or the multiprocessors, and of the memory, at the start. [Hz]
    power_limit_w, temperature_c : float or None
        As the driver reports them at the start. [W], [°C]
    """

    device: str
    device_name: str
    spec_id: str | None = None
    host: str
    cores: int
    threads: int
    ranks: int = 1
    backend: str | None = None
    cache_bytes: int | None = None
    memory_bytes: int | None = None
    clock_hz: float | None = None
    most_clock_hz: float | None = None
    memory_clock_hz: float | None = None
    power_limit_w: float | None = None
    temperature_c: float | None = None
    driver: str | None = None
    cuda: str | None = None
    operating_system: str
    python: str
    torch: str
    triton: str | None = None
    transformers: str | None = None
    planner: str

    def differences(self, other: Environment) -> list[str]:
        """Return what forbids to put measurements of two environments into one record.

        Parameters
        ----------
        other : Environment
            The one to compare with.

        Returns
        -------
        list of str
            ``"name: mine, theirs"``.
        """
        names = ("device_name", "spec_id", "cores", "threads", "ranks", "driver", "cuda", "python",
                 "torch", "triton", "transformers", "planner")  # fmt: skip
        return [
            f"{name}: {getattr(self, name)} in the record, {getattr(other, name)} here"
            for name in names
            if getattr(self, name) != getattr(other, name)
        ]


class CopyRate(Entry):
    """Rate of a copy whose buffers take a given size together; reads and writes both count."""

    total_bytes: int
    bytes_per_s: Measured


class Ceilings(Entry):
    """What a host reaches at best; floors on hosts are made from it.

    Parameters
    ----------
    memory_bytes_per_s : float
        Copy of buffers far larger than the caches. [bytes/s]
    copies : tuple of CopyRate
        Copies by size, buffers staying in the caches where they fit.
    flops_per_s : dict
        Matrix product by dtype. [FLOP/s]
    call_s : float
        Least time of one call into PyTorch. [s]
    link_bytes_per_s : float or None
        One-way rate between two ranks. [bytes/s]
    """

    memory_bytes_per_s: Measured
    copies: tuple[CopyRate, ...] = ()
    flops_per_s: dict[str, Measured]
    call_s: Measured
    link_bytes_per_s: MaybeFinite = None


class Correctness(Entry):
    """A result against its reference in higher precision."""

    overall_error: MaybeFinite
    row_error: MaybeFinite
    overall_tolerance: float
    row_tolerance: float
    reason: str


class Timing(Entry):
    """Seconds of one call: median and spread of many.

    Parameters
    ----------
    measured_s, p10_s, p90_s, least_s : float
        Median, tenth and ninetieth percentile and least of the samples. [s]
    samples : int
        How many. [1]
    calls_per_sample : int
        Calls in one sample, whose time is divided by it. [1]
    buffers : int
        Sets of inputs that the calls went through in turn. [1]
    cold : bool
        Whether the sets together exceed twice the last-level cache, or the cache was flushed.
    disturbed : int
        Samples of a lone thread on a host during which another process took its core; their time
        is that on the core. [1]
    clock : str
        What told the time.
    """

    measured_s: Measured
    p10_s: Measured
    p90_s: Measured
    least_s: Measured
    samples: int
    calls_per_sample: int
    buffers: int
    cold: bool
    disturbed: int = 0
    clock: str


class Prediction(Entry):
    """What the planner of the time said: counts, and the floor on this device."""

    flop: float
    read_bytes: float
    write_bytes: float
    floor_s: float | None
    bound: str | None
    operations: int


class Check(Entry):
    """A count that must come out equal, or at most as large."""

    name: str
    predicted: float
    measured: float
    unit: str
    rule: Literal["equal", "at_most", "shown"] = "equal"
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the rule holds; a figure that is only shown always passes."""
        if self.rule == "equal":
            return self.predicted == self.measured
        return self.rule == "shown" or self.measured <= self.predicted


class Row(Entry):
    """One case: right or not, how long, and what was predicted.

    Parameters
    ----------
    id : str
        Same for the same case everywhere.
    kind, kernel, backend, dtype, variant : str
        What was run; ``backend`` is who made the kernel.
    shape : dict
        Shape columns of the kind, as in tables of operations.
    status : str
        ``ok``; ``unsupported`` where the kernel does not take the shape, the dtype or the device;
        ``wrong`` outside its tolerance or a count that differs; ``failed`` where it raised or
        died; ``out_of_memory``.
    reason : str
        Why it is not ok.
    untimed : str
        Why there is no time although it is ok.
    unpredicted : str
        Why there is no prediction.
    took_s : float
        Time of the whole case. [s]
    """

    id: str
    kind: str
    kernel: str
    backend: str
    dtype: str
    variant: str = ""
    shape: dict[str, Value]
    seed: int
    status: Status
    reason: str = ""
    untimed: str = ""
    unpredicted: str = ""
    correctness: Correctness | None = None
    timing: Timing | None = None
    prediction: Prediction | None = None
    checks: tuple[Check, ...] = ()
    took_s: float = 0.0

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong that ought to be right."""
        return self.status not in ("ok", "unsupported")

    @property
    def hash(self) -> str:
        """Hash of the case, the same on every machine."""
        return hashlib.sha256(self.id.encode()).hexdigest()
