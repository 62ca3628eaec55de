"""Kernels that go wrong in every way, registered beside the real ones when this is imported."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import torch

from validation.cases import Case
from validation.kernels import KERNELS as REGISTRY
from validation.kernels import Entry
from validation.kernels.kernel import Kernel, Outputs
from validation.kernels.streams import COPY_TOLERANCES, copy_reference, make_copy_inputs

_MODULE = "fake_kernels_of_the_tests"


def _raises(inputs: Any, out: Outputs | None = None) -> Outputs:
    raise ValueError("an invalid launch\nof some kind")


def _forgets(inputs: Any, out: Outputs | None = None) -> Outputs:
    assert out
    out["out"][:-1].copy_(inputs.source[:-1])
    return out


def _is_off(inputs: Any, out: Outputs | None = None) -> Outputs:
    return {"out": inputs.source * 1.001}


def _runs_out(inputs: Any, out: Outputs | None = None) -> Outputs:
    raise MemoryError("no room for 4 TiB")


def _asks_for_too_much(inputs: Any, out: Outputs | None = None) -> Outputs:
    return {"out": torch.empty(2**60, dtype=torch.uint8)}


def _is_killed(inputs: Any, out: Outputs | None = None) -> Outputs:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def _crashes(inputs: Any, out: Outputs | None = None) -> Outputs:
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("unreachable")


def _hangs(inputs: Any, out: Outputs | None = None) -> Outputs:
    time.sleep(600)
    return {}


def _is_fine(inputs: Any, out: Outputs | None = None) -> Outputs:
    return {"out": inputs.source.clone()}


RUNS = {
    "raises": _raises,
    "forgets": _forgets,
    "is_off": _is_off,
    "runs_out": _runs_out,
    "asks_for_too_much": _asks_for_too_much,
    "is_killed": _is_killed,
    "crashes": _crashes,
    "hangs": _hangs,
    "is_fine": _is_fine,
}


def _outputs(inputs: Any) -> Outputs:
    return {"out": torch.full_like(inputs.source, float("nan"))}


KERNELS = tuple(
    Kernel(
        name=f"fake_{name}", kind="memory_copy", provider="fake", make_inputs=make_copy_inputs,
        make_outputs=_outputs, run=run, reference=copy_reference, tolerances=COPY_TOLERANCES,
    )
    for name, run in RUNS.items()
)  # fmt: skip

sys.modules[f"validation.kernels.{_MODULE}"] = sys.modules[__name__]
REGISTRY.update({each.name: Entry(_MODULE, each.kind, each.provider) for each in KERNELS})


def fake(name: str, size: int = 4096) -> Case:
    """A case of a fake kernel."""
    shape = {"total_bytes": size}
    return Case(kind="memory_copy", kernel=f"fake_{name}", dtype="fp32", shape=shape)
