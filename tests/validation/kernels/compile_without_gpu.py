"""Compile every Triton kernel for real devices on a machine that has none.

Run as a program, with the interpreter off: a stand-in driver names the device, launches only
compile, and what the assembler says is printed as one JSON line per kernel.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

# Class of tiles and compute capability.
DEVICES = {"hopper": 90, "ampere": 80, "small": 89, "blackwell": 100}
LATENT = {"kv_lora_rank": 512, "qk_rope_head_dim": 64}
STATE = {"batch": 1, "heads": 8, "head_dim": 64, "groups": 1, "state_dim": 128}
HEADS = {"batch": 1, "query_heads": 8, "kv_heads": 1}
SHAPES: list[tuple[str, dict[str, Any]]] = [
    *(
        ("triton_flash_prefill", HEADS | {"head_dim": width, "new_tokens": 512, "window": window})
        for width in (64, 128, 256)
        for window in (None, 100)
    ),
    *(
        ("triton_paged_decode", HEADS | {"head_dim": width, "cached_tokens": 4095, "window": 2000})
        for width in (64, 128, 256)
    ),
    ("triton_paged_decode", HEADS | {"head_dim": 128, "cached_tokens": 511, "block_tokens": 256}),
    *(
        ("triton_mla_decode", LATENT | {"batch": 1, "query_heads": heads, "cached_tokens": 511})
        for heads in (16, 128)
    ),
    ("triton_mamba2_scan", STATE | {"new_tokens": 512, "initial_state": True}),
    ("triton_mamba2_update", STATE),
    ("triton_gated_delta_update", STATE),
]


class StandIn:
    """A driver of a device that is not there."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)


def resources(compiled: Any, folder: Path) -> dict[str, Any]:
    """Registers and stack of one thread, and shared memory, from the assembler."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    binary = folder / "kernel.cubin"
    binary.write_bytes(compiled.asm["cubin"])
    command = [str(tool), "-res-usage", str(binary)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", said)
    assert found, said
    return {
        "kernel": compiled.metadata.name,
        "registers": int(found[1]),
        "stack_bytes": int(found[2]),
        "shared_bytes": compiled.metadata.shared,
        "stages": compiled.metadata.num_stages,
        "bulk_copies": "async_tma_copy_global_to_local" in compiled.asm["ttgir"],
    }


def main(device: str, every: bool, folder: Path) -> None:
    os.environ["TRITON_INTERPRET"] = "0"
    os.environ["TRITON_CACHE_DIR"] = str(folder)
    import torch
    import triton
    from triton.runtime.jit import JITFunction

    from validation.kernels import load

    triton.runtime.driver.set_active(StandIn(DEVICES[device]))
    kernels = {name: load(name) for name, _ in SHAPES}
    stand_ins = {"device_class": lambda where: device, "multiprocessors": lambda where: 132}
    for name, module in sys.modules.copy().items():
        for attribute, answer in stand_ins.items():
            if name.startswith("validation.kernels.") and hasattr(module, attribute):
                setattr(module, attribute, answer)
    run = JITFunction.run
    case: dict[str, Any] = {}

    def compile_only(self: Any, *given: Any, grid: Any, warmup: bool, **options: Any) -> Any:
        compiled = run(self, *given, grid=grid, warmup=True, **options)
        print(json.dumps({"device": device, **case, **resources(compiled, folder)}), flush=True)
        return compiled

    JITFunction.run = compile_only
    host = torch.device("cpu")
    for name, shape in SHAPES:
        kernel = kernels[name]
        inputs = kernel.make_inputs(shape, torch.bfloat16, host, 0)
        for candidate in kernel.candidates(inputs)[: None if every else 1]:
            case = {"name": name, "shape": str(shape), "tile": str(candidate)}
            kernel.run_with(inputs, None, candidate)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "every", Path(sys.argv[3]))
