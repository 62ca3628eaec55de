"""Equal plans give equal bytes, in every process, without a network."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from planner import Plan, Scenario, load_hardware, load_model, plan
from planner.report import FORMATS, write

ROOT = Path(__file__).resolve().parents[2]

# Every way out is closed before the planner is imported.
PROGRAM = """
import hashlib, json, socket, sys
def closed(*arguments, **settings):
    raise OSError("the network was asked")
socket.socket.connect = socket.socket.connect_ex = closed
socket.create_connection = socket.getaddrinfo = closed
from planner import Scenario, load_hardware, load_model, plan
from planner.report import FORMATS, write
answer = plan(Scenario(model=load_model("gpt2"), hardware=load_hardware("l4"), context=512))
hashes = {form: hashlib.sha256(write(answer, form)).hexdigest() for form in FORMATS}
print(json.dumps(hashes))
"""


def small() -> Plan:
    return plan(Scenario(model=load_model("gpt2"), hardware=load_hardware("l4"), context=512))


def hashes_of_a_process(seed: str, folder: Path) -> dict[str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}", "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_processes_agree(tmp_path: Path) -> None:
    first, second = (hashes_of_a_process(seed, tmp_path) for seed in ("1", "2"))
    answer = small()
    here = {form: hashlib.sha256(write(answer, form)).hexdigest() for form in FORMATS}
    assert first == second == here


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_scenario_gives_the_same_bytes(
    form: str, monkeypatch: pytest.MonkeyPatch, plan_named: Callable[[str], Plan]
) -> None:
    def closed(*arguments: object, **settings: object) -> None:
        raise OSError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", closed)
    monkeypatch.setattr(socket, "getaddrinfo", closed)
    assert write(small(), form) == write(small(), form)
    assert write(small(), form) != write(plan_named("fits"), form)
