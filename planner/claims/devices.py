"""Claims about what a device holds."""

from __future__ import annotations

from planner.claims.assumptions import (
    cache_control,
    cached_in,
    device_control,
    figure,
    model_control,
)
from planner.claims.claim import Claim, Control, Finding, Values
from planner.cost.limits import MOST_TOKENS, largest
from planner.explanation import Term
from planner.hardware import device_ids, load_device
from planner.importers import load_model
from planner.model import Execution, Model
from planner.units import GB, GIB, format_bytes, format_si

_CLAIMED_BYTES = 141 * GB
_CLAIMED_TOKENS = 500_000
_SMALL_CACHE = "qwen2.5-7b"


def _capacity(values: Values) -> Finding:
    device = load_device(values["device"])
    right = abs(device.vendor_capacity_bytes / _CLAIMED_BYTES - 1) < 0.005
    owners = [
        load_device(name)
        for name in device_ids()
        if abs(load_device(name).vendor_capacity_bytes / _CLAIMED_BYTES - 1) < 0.005
    ]
    return Finding(
        verdict="true" if right else "false",
        ruling=f"true of the {device.memory_kind} device {device.id}" if right else "false",
        explanation=f"{device.name} has {device.vendor_capacity_bytes / GB:,.0f} GB of "
        f"{device.memory_kind} at {format_si(device.memory_bandwidth_bytes_per_s, 'B/s')}; a "
        f"program sees {format_bytes(device.capacity_bytes)}. 141 GB belong to "
        + ", ".join(f"{owner.name} ({owner.memory_kind})" for owner in owners)
        + ".",
        figures=(
            figure(
                "vendor_capacity_bytes",
                device.vendor_capacity_bytes,
                "bytes",
                "Memory as the vendor prints it.",
                "as printed",
                f"{device.figures['memory.vendor_capacity'].value} "
                f"{device.figures['memory.vendor_capacity'].unit}",
            ),
            figure(
                "memory_bandwidth_bytes_per_s",
                device.memory_bandwidth_bytes_per_s,
                "bytes/s",
                "Peak memory bandwidth.",
                "as printed",
                f"{device.figures['memory.bandwidth'].value} "
                f"{device.figures['memory.bandwidth'].unit}",
            ),
        ),
    )


def _half_a_million(values: Values) -> Finding:
    device = load_device(values["device"])
    usable = device.capacity_bytes * values["devices"] * values["memory_fraction"]
    overhead = values["overhead_gib"] * GIB * values["devices"]
    chosen = load_model(values["model"])
    cases: list[tuple[Model, Execution]] = [
        (chosen, cached_in(values["kv_cache_dtype"])),
        (chosen, cached_in("fp8")),
        (load_model(_SMALL_CACHE), cached_in(values["kv_cache_dtype"])),
    ]
    longest = {
        f"{model.name} in {execution.cache.name}": _longest(model, execution, usable - overhead)
        for model, execution in cases
    }
    best = max(longest, key=lambda name: longest[name])
    holds = longest[best] > _CLAIMED_TOKENS
    return Finding(
        verdict="false" if holds else "true",
        ruling="false as stated" if holds else "true of these models on this device",
        explanation=f"{values['devices']} × {device.name}, {values['memory_fraction']:.0%} of "
        f"{format_bytes(device.capacity_bytes)} less {values['overhead_gib']:g} GiB and the "
        f"weights: {longest[best]:,} tokens of {best}. What a device holds depends on the model's "
        "bytes per token; what limits long sequences first is time.",
        figures=(
            figure(
                "longest_context",
                max(longest.values()),
                "tokens",
                "Longest sequence of the model that needs least, positions left aside.",
                "largest n with cache(n) ≤ devices · (fraction · capacity − overhead) − weights",
                f"{values['devices']} · ({values['memory_fraction']:g} · "
                f"{format_bytes(device.capacity_bytes)} − {values['overhead_gib']:g} GiB) − "
                "weights",
                terms=tuple(Term(label=name, value=value) for name, value in longest.items()),
            ),
            figure(
                "model_longest_context",
                next(iter(longest.values())),
                "tokens",
                f"The same for {chosen.name} in {values['kv_cache_dtype']}.",
                "largest n with cache(n) ≤ devices · (fraction · capacity − overhead) − weights",
                f"{chosen.cache_bytes_per_token(cases[0][1]):,} bytes per token",
            ),
        ),
    )


def _longest(model: Model, execution: Execution, room: float) -> int:
    free = room - model.weights_bytes(execution)
    return largest(lambda n: bool(model.cache_bytes(n, execution) <= free), MOST_TOKENS)


CLAIMS = (
    Claim(
        id="c1",
        title="Memory of an H100",
        said="An H100 has 141 GB of HBM3.",
        controls=(device_control(),),
        find=_capacity,
        sources=(),
    ),
    Claim(
        id="c2",
        title="Half a million tokens on one device",
        said="Devices of the H100 class cannot hold contexts beyond 500,000 tokens.",
        controls=(
            device_control(),
            Control(name="devices", label="Devices", unit="1", default=1, least=1, most=4096),
            model_control("llama-3.1-8b"),
            cache_control(),
            Control(
                name="memory_fraction",
                label="Share of the memory in use",
                unit="1",
                default=0.92,
                least=0.05,
                most=1,
                whole=False,
            ),
            Control(
                name="overhead_gib",
                label="Activations and runtime",
                unit="GiB",
                default=2.4,
                least=0,
                most=1000,
                whole=False,
            ),
        ),
        find=_half_a_million,
        sources=("ainslie-2023",),
    ),
)
