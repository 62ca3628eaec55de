"""Every Triton kernel compiles for real devices, within their memory and without spilling.

The interpreter accepts much that the compiler does not; no GPU is needed to ask the compiler.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("compile_without_gpu.py")
# Most shared memory of one block, CUDA C++ Programming Guide, table of compute capabilities.
SHARED_KIB = {"hopper": 227, "ampere": 163, "small": 99, "blackwell": 227}
KERNELS = 6


def compiled(device: str, which: str, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), device, which, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(device: str, rows: list[dict[str, Any]]) -> None:
    assert len({row["name"] for row in rows}) == KERNELS
    over = [row for row in rows if row["shared_bytes"] > SHARED_KIB[device] * 1024]
    assert over == []
    # A few registers on the stack cost nothing beside a tile of keys.
    assert [row for row in rows if row["stack_bytes"] > 128] == []


@pytest.mark.parametrize("device", ["hopper", "ampere"])
def test_defaults_compile_without_a_gpu(device: str, tmp_path: Path) -> None:
    rows = compiled(device, "defaults", tmp_path)
    check(device, rows)
    for row in rows:
        if row["kernel"] in ("_paged_decode", "_mla_decode"):
            # Tiles in flight: a load that waits for another would leave room for one tile only.
            assert row["shared_bytes"] > (row["stages"] - 1) * 24 * 1024, row
        if row["kernel"] == "_flash_prefill":
            assert row["bulk_copies"] == (device == "hopper"), row


@pytest.mark.skipif(
    "COMPILE_EVERY_TILE" not in os.environ, reason="takes minutes: set COMPILE_EVERY_TILE=1"
)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("device", SHARED_KIB)
def test_every_candidate_compiles_without_a_gpu(device: str, tmp_path: Path) -> None:
    check(device, compiled(device, "every", tmp_path))
