"""Write the profiles of kinds that nobody measured, from those that were.

Usage: ``python scripts/derive_profiles.py``, after `fit_efficiency.py`.

A message from one rank to another is what an all-to-all of two ranks exchanges, and no faster than
one hop of the ring of an all-gather among as many ranks: NCCL makes both of the same sends. A copy
within a device is a stream, at the share of bandwidth and the fixed time that aiconfigurator takes
for kernels bound by memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from profile_text import text_of

from planner.cost import calibration as form
from planner.cost.efficiency import operation_times
from planner.cost.kind_times import STREAM_FRACTION, STREAM_OVERHEAD_S
from planner.hardware import load_device
from planner.sources import Source

TARGET = Path(__file__).resolve().parent.parent / "hardware_specs" / "calibration"
RANKS = (2, 4, 8)
SPREAD, UNMEASURED = 0.3, (-0.4, 0.5)
"""Logarithmic deviations of p10 and p90: of what is derived, and on devices nobody measured."""

LINE = form.Roofline(overhead_s=1e-5, compute_fraction=1.0, memory_fraction=0.6, norm=1.0)
MESSAGES = form.Axis(of="message", start=8.0, step=1.0, count=21)
MESSAGE_BYTES = 2.0 ** (MESSAGES.start + MESSAGES.step * np.arange(MESSAGES.count))
LARGEST_BYTES = 2.0**29
"""Largest message that was measured; larger ones take as many times as long as they are larger."""

BYTES = form.Axis(of="bytes", start=8.0, step=24.0, count=2)
"""A profile has a curve, though no group of this one bends it."""

AICONFIGURATOR = Source(
    kind="repository", title="aiconfigurator: times of operations bound by memory",
    publisher="NVIDIA ai-dynamo", url="https://github.com/ai-dynamo/aiconfigurator",
    locator="095f58a5", note="Apache-2.0",
)  # fmt: skip


def nccl(kind: str, device: str, ranks: int, message: np.ndarray) -> np.ndarray:
    """Times of a collective by NCCL."""
    texts = {"device": device, "dtype": "bf16", "kernel": "nccl:NCCL"}
    columns = {name: np.full(len(message), text, object) for name, text in texts.items()}
    columns |= {"ranks": np.full(len(message), float(ranks)), "nodes": np.ones(len(message))}
    columns["message_bytes"] = np.minimum(message, LARGEST_BYTES)
    profile = form.load_calibrations()[kind]
    found = operation_times(kind, columns, {device: load_device(device)}, profile).time_s
    return found * message / columns["message_bytes"]


def sent(device: str, ranks: int) -> np.ndarray:
    """Times of messages from rank to rank, at the knots."""
    alone = nccl("all_to_all", device, 2, 2 * MESSAGE_BYTES)
    hop = nccl("all_gather", device, ranks, ranks * MESSAGE_BYTES) / (ranks - 1)
    return np.maximum(alone, hop)


def heights(logarithms: np.ndarray) -> str:
    """Thousandths, as text."""
    return " ".join(str(round(1000 * value)) for value in logarithms)


def bands() -> form.Bands:
    """The same for all rows."""
    return form.Bands(
        by=(), edges=(), p10=(-1.0,), p90=(1.0,), spreads=(), otherwise=SPREAD,
        unmeasured=UNMEASURED,
    )  # fmt: skip


def split(rule: str) -> form.Split:
    """Nothing was fitted, so nothing could be kept apart."""
    return form.Split(rule=rule, fitted_below=0.0, origins=(), fitted=0, tested=0)


def send_recv() -> form.Calibration:
    """Messages from rank to rank."""
    lender = form.load_calibrations()["all_gather"]
    groups: list[form.Group] = []
    for device in lender.devices:
        link = load_device(device).scale_up or load_device(device).host
        assert link is not None
        moved_s = MESSAGE_BYTES / link.per_direction_bytes_per_s
        base = LINE.overhead_s + moved_s / LINE.memory_fraction
        for ranks in RANKS:
            curve = heights(np.log(sent(device, ranks) / base))
            groups.append(form.Group(key=(device, str(ranks)), rows=0, curves={"message": curve}))
    return form.Calibration(
        schema_version=1, kind="calibration", id="send-recv", kinds=("send_recv",),
        devices=lender.devices, formula=lender.formula, rooflines={"send_recv": LINE},
        curves={"message": (MESSAGES,)},
        levels=(form.Level(by=("device", "ranks"), groups=tuple(groups)),),
        bands=bands(), split=split("derived from the profile of collectives, not fitted"),
        errors=(),
        source_note="Derived: the slower of an all-to-all between two ranks and one hop of the "
        "ring of an all-gather among all, both by NCCL.",
        sources=lender.sources,
    )  # fmt: skip


def memory_copy() -> form.Calibration:
    """Copies within a device."""
    lender = form.load_calibrations()["gemm"]
    line = form.Roofline(
        overhead_s=STREAM_OVERHEAD_S, compute_fraction=1.0, memory_fraction=STREAM_FRACTION,
        norm=1.0,
    )  # fmt: skip
    return form.Calibration(
        schema_version=1, kind="calibration", id="memory-copy", kinds=("memory_copy",),
        devices=lender.devices, formula=lender.formula, rooflines={"memory_copy": line},
        curves={"bytes": (BYTES,)}, levels=(), bands=bands(),
        split=split("constants of another planner, not fitted"), errors=(),
        source_note="Derived: a fixed time and a share of bandwidth for kernels bound by memory.",
        sources={"aiconfigurator": AICONFIGURATOR},
    )  # fmt: skip


def main() -> None:
    """Write both."""
    for profile in (send_recv(), memory_copy()):
        (TARGET / f"{profile.id}.json").write_text(text_of(profile), encoding="utf-8")


if __name__ == "__main__":
    main()
