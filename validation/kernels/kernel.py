"""What a kernel under validation is: inputs, a run, the equation it computes and its tolerance.

A kernel never says how many FLOP or bytes it takes: those come from the planner, and the point of
running it is to check them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from planner.errors import ScenarioError
from validation.kernels.buffers import poisoned_workspaces

Shape = Mapping[str, Any]
"""Shape columns of the kind, as in a table of operations."""

Outputs = dict[str, torch.Tensor]
"""Named results of one run."""

Answer = tuple[bool, str]
"""Yes or no, and why not."""

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.float8_e4m3fn,
}


class KernelInputError(ScenarioError):
    """A kernel was given tensors or a shape that it does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a result may lie from the reference.

    Parameters
    ----------
    overall : float
        Bound of the relative error of the whole output, ``‖a − r‖ / ‖r‖``. [1]
    row : float
        Bound of the same error of the worst row (last axis): one wrong row of a large output
        moves the overall error little. A row's norm counts as at least a tenth of the root mean
        square of all rows, for a row may cancel to almost nothing. [1]
    reason : str
        Why this and no less.
    """

    overall: float
    row: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One run against its reference.

    Parameters
    ----------
    correct : bool
        Whether every output is finite and within the tolerance.
    overall_error, row_error : float
        The largest over the outputs; infinite where an element is not finite. [1]
    tolerance : Tolerance
        The bounds.
    reason : str
        What is wrong, empty where nothing is.
    """

    correct: bool
    overall_error: float
    row_error: float
    tolerance: Tolerance
    reason: str


def always(device: torch.device) -> Answer:
    """Return that any device will do."""
    return True, ""


def any_shape(shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
    """Return that any shape will do."""
    return True, ""


def no_candidates(inputs: Any) -> tuple[Any, ...]:
    """Return that there is nothing to choose among."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An implementation of one kind of operation, with its equation beside it.

    Parameters
    ----------
    name : str
        Its name in the registry.
    kind : str
        Kind of operation, as in the planner and in tables of measurements.
    provider : str
        Who made it: ``triton`` for our own, otherwise the library and its backend.
    make_inputs : callable
        ``(shape, dtype, device, seed) -> inputs``: fresh random data; the same seed gives the same.
    make_outputs : callable
        ``inputs -> outputs`` filled with NaN, or an empty dict where a library allocates its own.
    run : callable
        ``(inputs, out) -> outputs``; ``out`` None allocates. A state in the inputs is updated in
        place, as engines do, and returned among the outputs.
    reference : callable
        ``inputs -> outputs`` by the equation, in double precision; leaves the inputs alone.
    tolerances : mapping
        Bounds by the inputs' dtype; its keys are the dtypes that the kernel takes.
    variant : str
        Which of several things of the kind, such as ``mamba2`` or ``rms_norm``; or empty.
    available : callable
        ``device -> (bool, reason)``.
    supports : callable
        ``(shape, dtype, device) -> (bool, reason)``: whether it takes this shape there.
    candidates : callable
        ``inputs -> launch settings``, the default first; ``run_with`` takes one.
    run_with : callable, optional
        ``(inputs, out, candidate) -> outputs``.
    """

    name: str
    kind: str
    provider: str
    make_inputs: Callable[[Shape, torch.dtype, torch.device, int], Any]
    make_outputs: Callable[[Any], Outputs]
    run: Callable[..., Outputs]
    reference: Callable[[Any], Outputs]
    tolerances: Mapping[torch.dtype, Tolerance]
    variant: str = ""
    available: Callable[[torch.device], Answer] = always
    supports: Callable[[Shape, torch.dtype, torch.device], Answer] = any_shape
    candidates: Callable[[Any], tuple[Any, ...]] = no_candidates
    run_with: Callable[[Any, Outputs | None, Any], Outputs] | None = None

    def tolerance(self, dtype: torch.dtype) -> Tolerance:
        """Return how far results may lie from the reference.

        Parameters
        ----------
        dtype : torch.dtype
            Dtype of the inputs.

        Returns
        -------
        Tolerance
            The named bounds.

        Raises
        ------
        KernelInputError
            The kernel does not take this dtype.
        """
        if dtype not in self.tolerances:
            raise KernelInputError(
                "a dtype that this kernel does not take",
                where=self.name,
                got=str(dtype),
                allowed=", ".join(str(each) for each in self.tolerances),
            )
        return self.tolerances[dtype]

    def usable(self, shape: Shape, dtype: torch.dtype, device: torch.device) -> Answer:
        """Return whether it can run here on this shape, and why not.

        Parameters
        ----------
        shape : mapping
            Shape columns of the kind.
        dtype : torch.dtype
            Dtype of the inputs.
        device : torch.device
            Where it would run.

        Returns
        -------
        (bool, str)
            Yes or no, and the reason.
        """
        if dtype not in self.tolerances:
            return False, f"{self.name} does not take {dtype}"
        here, reason = self.available(device)
        return self.supports(shape, dtype, device) if here else (here, reason)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the plain tensors that inputs hold.

    Parameters
    ----------
    value : object
        Inputs of a kernel: a dataclass, mapping, sequence or tensor.

    Yields
    ------
    torch.Tensor
        Each in the order of the fields; two may be views of one memory.
    """
    if type(value) is torch.Tensor:
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)


def held_bytes(value: Any) -> int:
    """Return the memory that inputs hold, views of one memory counted once.

    Parameters
    ----------
    value : object
        Inputs of a kernel.

    Returns
    -------
    int
        Of plain tensors; a library's own mask objects are not counted. [bytes]
    """
    storages = (each.untyped_storage() for each in tensors(value))
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def relative_errors(actual: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    """Return the relative error of a whole output and of its worst row.

    Parameters
    ----------
    actual, expected : torch.Tensor
        Result and reference of one shape.

    Returns
    -------
    (float, float)
        Infinite where an element is not finite. [1]
    """
    if not actual.numel():
        return 0.0, 0.0
    result = actual.to(expected.device, torch.float64).reshape(-1, actual.shape[-1])
    reference = expected.to(torch.float64).reshape(result.shape)
    if not bool(torch.isfinite(result).all()):
        return math.inf, math.inf
    off = torch.linalg.vector_norm(result - reference, dim=-1)
    size = torch.linalg.vector_norm(reference, dim=-1)
    typical = size.square().mean().sqrt()
    if not float(typical):
        worst = float(off.max())
        return (math.inf, math.inf) if worst else (0.0, 0.0)
    overall = float(torch.linalg.vector_norm(off) / torch.linalg.vector_norm(size))
    return overall, float((off / torch.clamp(size, min=0.1 * float(typical))).max())


def compare(actual: Outputs, expected: Outputs, tolerance: Tolerance) -> Comparison:
    """Return how far results lie from their reference.

    Parameters
    ----------
    actual, expected : dict of str to torch.Tensor
        Outputs by name.
    tolerance : Tolerance
        The bounds.

    Returns
    -------
    Comparison
        The largest errors over the outputs, and what is wrong.
    """
    faults: list[str] = []
    overall = row = 0.0
    for name, reference in expected.items():
        if name not in actual:
            faults.append(f"{name} is missing")
            continue
        result = actual[name]
        if result.shape != reference.shape:
            faults.append(f"{name} has shape {tuple(result.shape)}, not {tuple(reference.shape)}")
            continue
        of_all, of_row = relative_errors(result, reference)
        overall, row = max(overall, of_all), max(row, of_row)
        if math.isinf(of_all):
            count = int((~torch.isfinite(result.float())).sum())
            faults.append(f"{name} has {count} elements that are not finite, or should be zero")
        elif of_all > tolerance.overall:
            faults.append(f"{name} is off by {of_all:.2e}, more than {tolerance.overall:.0e}")
        elif of_row > tolerance.row:
            faults.append(f"a row of {name} is off by {of_row:.2e}, more than {tolerance.row:.0e}")
    return Comparison(
        correct=not faults,
        overall_error=overall,
        row_error=row,
        tolerance=tolerance,
        reason="; ".join(faults),
    )


def verify(kernel: Kernel, inputs: Any, dtype: torch.dtype) -> Comparison:
    """Run a kernel once, into poisoned outputs and workspaces, and hold it to its reference.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    inputs : object
        From its ``make_inputs``; a state in them is updated.
    dtype : torch.dtype
        What they were made with.

    Returns
    -------
    Comparison
        How far off it is.
    """
    expected = kernel.reference(inputs)
    with poisoned_workspaces():
        actual = kernel.run(inputs, kernel.make_outputs(inputs))
    return compare(actual, expected, kernel.tolerance(dtype))
