"""Devices, nodes and links from cited spec files."""

from typing import TYPE_CHECKING

from planner.hardware.catalog import (
    Devices,
    calibrated,
    describe_catalog,
    device_ids,
    load_device,
    load_hardware,
    load_node,
    node_ids,
)
from planner.hardware.device import PRECISIONS, Device, Link
from planner.hardware.lint import lint_hardware
from planner.hardware.node import Hardware, Node
from planner.hardware.runtime import Runtime, load_runtime
from planner.on_demand import offered

if TYPE_CHECKING:
    from planner.hardware.measurements import Measurements

__all__ = [
    "Device",
    "Devices",
    "Hardware",
    "Link",
    "Measurements",
    "Node",
    "PRECISIONS",
    "Runtime",
    "calibrated",
    "describe_catalog",
    "device_ids",
    "lint_hardware",
    "load_device",
    "load_hardware",
    "load_node",
    "load_runtime",
    "node_ids",
]

__getattr__ = offered({"Measurements": "planner.hardware.measurements:Measurements"})
