"""Reproduce: how to get the same plan again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

from planner.layouts import SIZES, flag_of
from planner.offloading import offload_flags
from planner.plan import Plan
from planner.report.blocks import Block, Code, Figure, Figures, Link, Paragraph, Section
from planner.report.material import Material
from planner.scenario import Scenario


def reproduce(material: Material) -> Section:
    """Return the command line, the share link, versions and the hash of the scenario.

    Parameters
    ----------
    material : Material
        The plan.

    Returns
    -------
    Section
        What to run.
    """
    blocks: list[Block] = [
        Code(title="Command line", text=command(material.plan)),
        Paragraph(
            text="A model or device that was read from a file is named by that file.", tone="note"
        ),
    ]
    if material.share_link:
        blocks.append(Link(title="Share link", url=material.share_link))
    data = material.data
    blocks.append(
        Figures(
            figures=(
                _text("Planner version", data["planner_version"], "planner_version"),
                _text("Version of the JSON", data["schema_version"], "schema_version"),
                _text("Scenario hash", scenario_hash(data), ""),
            )
        )
    )
    return Section(title="Reproduce", blocks=tuple(blocks))


def _text(label: str, value: Any, path: str) -> Figure:
    return Figure(label=label, text=str(value), value=value, unit="1", path=path)


def command(plan: Plan) -> str:
    """Return the command line that gives the same plan, choices left open included.

    Parameters
    ----------
    plan : Plan
        The answer.

    Returns
    -------
    str
        Quoted for a POSIX shell.
    """
    scenario = plan.deployment.scenario
    flags: dict[str, object] = {
        "-m": scenario.model.id,
        "-d": scenario.hardware.id,
        "-n": scenario.hardware.devices,
        "--calibration": scenario.hardware.calibration,
        **{flag_of(size): getattr(scenario, size) for size in SIZES},
        **offload_flags(scenario.offload),
        "--weights": scenario.weights,
        "--activations": scenario.activations,
        "--kv-cache-dtype": scenario.kv_cache_dtype,
        "--context": scenario.context,
        "--sequences": scenario.sequences,
        "--isl": scenario.isl,
        "--osl": scenario.osl,
        "--max-num-batched-tokens": scenario.max_num_batched_tokens,
        **_engine_flags(scenario),
    }
    if scenario.images:
        flags |= {"--images": scenario.images, "--image-tokens": scenario.image_tokens}
    words = ["planner", "plan"]
    for flag, value in flags.items():
        if value is not None:
            words += [flag, str(value)]
    for name, value in scenario.engine.options if scenario.engine else ():
        words += ["--engine-option", f"{name}={value}"]
    return shlex.join([*words, "--mtp"] if scenario.mtp else words)


def _engine_flags(scenario: Scenario) -> dict[str, object]:
    settings = scenario.engine
    if settings is None:
        return {}
    return {
        "--engine": settings.engine,
        "--gpu-memory-utilization": settings.gpu_memory_utilization,
        "--max-model-len": settings.max_model_len,
        "--max-num-seqs": settings.max_num_seqs,
        "--block-size": settings.block_size,
        "--kv-pool-bytes": settings.kv_pool_bytes,
    }


def scenario_hash(data: Mapping[str, Any]) -> str:
    """Return a short name of a question: equal for equal inputs on an equal model.

    Parameters
    ----------
    data : mapping
        The plan's JSON.

    Returns
    -------
    str
        Sixteen hexadecimal digits of a SHA-256.
    """
    asked = {"inputs": data["inputs"], "model": data["model"]}
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()[:16]
