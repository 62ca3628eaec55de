"""Devices, nodes and links from cited spec files."""

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
from planner.hardware.measurements import Measurements
from planner.hardware.node import Hardware, Node
from planner.hardware.runtime import Runtime, load_runtime

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
