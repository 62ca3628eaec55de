"""One case from beginning to end: right first, then how long, and what the planner says.

Nothing that goes wrong here ends a run: it becomes a row with its reason.
"""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from planner.cost.shapes import execution_of
from planner.errors import PlannerError
from planner.hardware import Device
from validation import kernels, steps
from validation.cases import MEMORY_KINDS, STEP_KINDS, Case
from validation.effort import NORMAL, Effort
from validation.entries import Check, Correctness, Environment, Prediction, Row, Status, Timing
from validation.flop import check_flop, counted_flop
from validation.kernels.kernel import DTYPES, Kernel, compare, held_bytes, tensors, verify
from validation.measure import COLD_CACHES, buffer_sets, measure
from validation.memory import CHECKS
from validation.predict import Forecast, forecast

_REASON_CHARACTERS = 400
_SPARE_FRACTION = 0.2
_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all cases of a run share.

    Parameters
    ----------
    device : torch.device
        Where they run.
    environment : Environment
        What that is.
    planned : Device or None
        The same as the planner sees it.
    seed : int
        First seed of the inputs.
    effort : Effort
        How much time one measurement may take.
    """

    device: torch.device
    environment: Environment
    planned: Device | None
    seed: int
    effort: Effort = NORMAL


def try_case(case: Case, setting: Setting) -> Row:
    """Run a case and return its row, whatever happens.

    Parameters
    ----------
    case : Case
        The case.
    setting : Setting
        Where and how.

    Returns
    -------
    Row
        ``ok``, ``wrong``, ``failed`` or ``out_of_memory``.
    """
    begin = time.perf_counter()
    found: dict[str, Any] = {}
    status: Status = "ok"
    reason = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _runner(case)(case, setting, found)
        status, reason = _judged(found)
    except kernels.KernelUnavailableError as error:
        status, reason = "unsupported", str(error)
    except Exception as error:
        status = "out_of_memory" if _is_out_of_memory(error) else "failed"
        reason = f"{type(error).__name__}: {error}"
    _clean_up(case, setting.device, failed=status != "ok")
    return Row(
        id=case.id,
        kind=case.kind,
        kernel=case.kernel,
        backend=case.backend,
        dtype=case.dtype,
        variant=case.variant,
        shape=dict(case.shape),
        seed=case.seed(setting.seed),
        status=status,
        reason=" ".join(reason.split())[:_REASON_CHARACTERS],
        took_s=round(time.perf_counter() - begin, 3),
        **found,
    )


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in _NO_MEMORY)


def _judged(found: dict[str, Any]) -> tuple[Status, str]:
    """A row is right where its result and all its counts are."""
    faults = [found.pop("fault")] if found.get("fault") else []
    found.pop("fault", None)
    for check in found.get("checks", ()):
        if not check.passed:
            found_it = f"{check.measured:,.0f} {check.unit}"
            faults.append(f"{check.name}: {found_it}, predicted {check.predicted:,.0f}")
    return ("wrong", "; ".join(faults)) if faults else ("ok", "")


def _clean_up(case: Case, device: torch.device, *, failed: bool) -> None:
    if failed or case.kind not in STEP_KINDS:
        steps.forget()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


Found = dict[str, Any]


def _runner(case: Case) -> Callable[[Case, Setting, Found], None]:
    if case.kind in MEMORY_KINDS:
        return _run_check
    if case.kind in STEP_KINDS:
        return _run_step
    return _run_kernel


def _run_check(case: Case, setting: Setting, found: Found) -> None:
    check = check_flop if case.kind == "flop" else CHECKS[case.kind]
    found["checks"] = check(case.columns, case.dtype, setting.device)
    found["untimed"] = "a count, not a time"
    found["unpredicted"] = "see the checks"


def _run_step(case: Case, setting: Setting, found: Found) -> None:
    prepared = steps.prepare(case.kind, case.kernel, case.columns, case.dtype, setting.device)
    found["checks"] = prepared.checks
    predict(case, setting, found, model=prepared.model)
    cache_bytes = setting.environment.cache_bytes or 0
    weights = next(check.measured for check in prepared.checks if check.name == "weights")
    found["timing"] = measure(
        [prepared.call],
        setting.device,
        cold=weights >= COLD_CACHES * cache_bytes,
        effort=setting.effort,
    )


def predict(case: Case, setting: Setting, found: Found, *, model: Any = None) -> Forecast | None:
    """Put the planner's prediction of a case into its row, or why there is none.

    Parameters
    ----------
    case : Case
        The case.
    setting : Setting
        Gives the device.
    found : dict
        The row so far; changed in place.
    model : Model, optional
        The model of a whole step.

    Returns
    -------
    Forecast or None
        None where the planner has no model of it.
    """
    try:
        said = forecast(
            case.kind, case.columns, execution_of(case.dtype), setting.planned, model=model
        )
    except PlannerError as error:
        found["unpredicted"] = error.what
        return None
    prediction: Prediction = said.prediction()
    found["prediction"] = prediction
    if prediction.floor_s is None:
        found["unpredicted"] = "the catalog has no such device"
    return said


def _run_kernel(case: Case, setting: Setting, found: Found) -> None:
    kernel = kernels.load(case.kernel)
    dtype, device = DTYPES[case.dtype], setting.device
    usable, reason = kernel.usable(case.columns, dtype, device)
    if not usable:
        raise kernels.KernelUnavailableError(reason, where=case.kernel)
    predict(case, setting, found)
    seed = case.seed(setting.seed)
    inputs = kernel.make_inputs(case.columns, dtype, device, seed)
    correctness, fault = gate(kernel, inputs, dtype)
    found["correctness"], found["fault"] = correctness, fault
    if fault:
        return
    if case.kind == "gemm" and device.type == "cpu":
        found["checks"] = _counted(kernel, inputs, found.get("prediction"))
    if case.untimed:
        found["untimed"] = case.untimed
        return
    found["timing"] = time_kernel(kernel, case, setting, inputs)


def gate(kernel: Kernel, inputs: Any, dtype: torch.dtype) -> tuple[Correctness, str]:
    """Run a kernel into poisoned outputs and compare with its equation in double precision.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    inputs : object
        Fresh inputs; a state among them is used up.
    dtype : torch.dtype
        Names the tolerance.

    Returns
    -------
    (Correctness, str)
        The errors, and what is wrong; empty where nothing is.
    """
    with torch.no_grad():
        result = verify(kernel, inputs, dtype)
    tolerance = result.tolerance
    correctness = Correctness(
        overall_error=result.overall_error,
        row_error=result.row_error,
        overall_tolerance=tolerance.overall,
        row_tolerance=tolerance.row,
        reason=tolerance.reason,
    )
    return correctness, "" if result.correct else result.reason or "wrong"


def _counted(kernel: Kernel, inputs: Any, prediction: Prediction | None) -> tuple[Check, ...]:
    if prediction is None:
        return ()
    counted = counted_flop(lambda: kernel.run(inputs, None))
    return (
        Check(name="FLOP by the counter", predicted=prediction.flop, measured=counted, unit="FLOP"),
    )


def time_kernel(kernel: Kernel, case: Case, setting: Setting, inputs: Any) -> Timing:
    """Time a kernel on as many sets of inputs as keep them out of the caches.

    Parameters
    ----------
    kernel : Kernel
        A kernel that has passed the gate.
    case : Case
        Its case.
    setting : Setting
        Where and how.
    inputs : object
        One set of inputs.

    Returns
    -------
    Timing
        Of one call.
    """
    size = held_bytes(inputs) + held_bytes(kernel.make_outputs(inputs))
    cache_bytes = setting.environment.cache_bytes
    spare = int(_SPARE_FRACTION * (setting.environment.memory_bytes or 0))
    count = buffer_sets(size, cache_bytes, spare)
    dtype, seed = DTYPES[case.dtype], case.seed(setting.seed)
    sets = [inputs]
    for number in range(1, count):
        sets.append(kernel.make_inputs(case.columns, dtype, setting.device, seed + number))
    run = _fastest(kernel, inputs) if setting.device.type == "cuda" else kernel.run

    def call_on(each: Any) -> Callable[[], object]:
        out = kernel.make_outputs(each) or None
        return lambda: run(each, out)

    cold = count * size >= COLD_CACHES * (cache_bytes or 0)
    return measure(
        [call_on(each) for each in sets], setting.device, cold=cold, effort=setting.effort
    )


def _fastest(kernel: Kernel, inputs: Any) -> Callable[..., Any]:
    """The launch settings that are fastest on this device, among those that are right."""
    candidates = kernel.candidates(inputs)
    if kernel.run_with is None or len(candidates) < 2:
        return kernel.run
    device = next(tensors(inputs)).device
    out = kernel.make_outputs(inputs) or None
    reference = kernel.reference(inputs)
    tolerance = kernel.tolerance(next(tensors(inputs)).dtype)
    times: list[tuple[float, Any]] = []
    short = Effort(warmup_s=0.02, least_s=0.02, most_s=0.1)
    for candidate in candidates:
        try:
            result = kernel.run_with(inputs, out, candidate)
            if "state" not in result and not compare(result, reference, tolerance).correct:
                continue

            def call(candidate: Any = candidate) -> object:
                return kernel.run_with(inputs, out, candidate)  # type: ignore[misc]

            timing = measure([call], device, cold=False, effort=short)
        except RuntimeError:
            continue
        times.append((timing.measured_s, candidate))
    if not times:
        return kernel.run
    best = min(times, key=lambda pair: pair[0])[1]
    return lambda each, into: kernel.run_with(each, into, best)  # type: ignore[misc]
