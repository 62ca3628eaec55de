"""Models and hardware for the page: from the catalogs and from uploads, never from a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import streamlit as st

from planner.errors import ScenarioError, UnknownNameError
from planner.hardware import Hardware, device_ids, load_device, load_hardware, load_node, node_ids
from planner.importers import describe_catalog, import_config, load_model, parse_json
from planner.model import Model
from planner.ui.fields import AUTO, UPLOADED
from planner.ui.link import unpack
from planner.ui.state import first_word
from planner.units import GB

_SEVERAL = 32
_MOST_NAME_CHARACTERS = 60
_ODD = re.compile(r"[^\w. -]+")


@st.cache_data(show_spinner=False)
def device_options() -> tuple[str, ...]:
    """Return devices, then nodes, each with the memory its vendor prints.

    Returns
    -------
    tuple of str
        Such as ``"h100-sxm 80 GB"``.
    """
    devices = [(name, load_device(name).vendor_capacity_bytes) for name in device_ids()]
    nodes = [(name, load_node(name)) for name in node_ids()]
    whole = [(name, node.devices * node.device.vendor_capacity_bytes) for name, node in nodes]
    return tuple(f"{name} {size / GB:,.0f} GB" for name, size in (*devices, *whole))


@st.cache_data(show_spinner=False)
def model_names() -> dict[str, str]:
    """Return the id of every model by each name it goes by.

    Returns
    -------
    dict
        Id by id, and by Hugging Face id in lower case.
    """
    names: dict[str, str] = {}
    for entry in describe_catalog():
        for name in (entry.id, entry.hf_id, *entry.aliases):
            if name:
                names.setdefault(name.lower(), entry.id)
    return names


def model_options() -> tuple[str, ...]:
    """Return the ids of the catalog, and the name of an uploaded configuration.

    Returns
    -------
    tuple of str
        Sorted ids first.
    """
    return (*sorted(set(model_names().values())), UPLOADED)


def hardware(name: str, devices: int | None) -> Hardware:
    """Return hardware of the catalog.

    Parameters
    ----------
    name : str
        Id of a device or node; a path is not an id.
    devices : int or None
        How many. [1]

    Returns
    -------
    Hardware
        The hardware.

    Raises
    ------
    UnknownNameError
        Nothing has this id.
    ScenarioError
        The count is out of range.
    """
    known = (*device_ids(), *node_ids())
    if name not in known:
        raise UnknownNameError("device", name, known, fix="The page Catalog lists them all.")
    return load_hardware(name, devices)


def model(values: Mapping[str, str]) -> Model:
    """Return the model that the inputs name.

    Parameters
    ----------
    values : Mapping
        Value by URL key.

    Returns
    -------
    Model
        Of the catalog, or the uploaded one.

    Raises
    ------
    UnknownNameError
        The catalog has no such model.
    ScenarioError
        Nothing has been uploaded.
    SpecError
        The uploaded configuration cannot be used.
    """
    name = values["m"].strip()
    if name == UPLOADED:
        given = values.get("w", AUTO) not in {"", AUTO}
        return from_config(_uploaded(values.get("cfg", "")), weights_given=given)
    names = model_names()
    if name.lower() not in names:
        raise UnknownNameError(
            "model", name, names, fix="Choose one from the list, or upload a config.json."
        )
    return _from_catalog(names[name.lower()])


def is_node(option: str) -> bool:
    """Return whether an option of the device input is a node.

    Parameters
    ----------
    option : str
        Such as ``"8x-h100-sxm 640 GB"``.

    Returns
    -------
    bool
        True for a node.
    """
    return first_word(option) in node_ids()


@st.cache_resource(max_entries=_SEVERAL, show_spinner=False)
def _from_catalog(name: str) -> Model:
    return load_model(name)


def _uploaded(code: str) -> bytes:
    if not code:
        raise ScenarioError(
            "no configuration has been uploaded",
            where="Model",
            fix="Upload a config.json, or choose a model from the list.",
        )
    return (code if code.startswith("{") else unpack(code)).encode()


@st.cache_resource(max_entries=_SEVERAL, show_spinner=False)
def from_config(content: bytes, *, weights_given: bool) -> Model:
    """Return the model that a configuration describes.

    Parameters
    ----------
    content : bytes
        A config.json that anybody may have written.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.

    Returns
    -------
    Model
        Named after the configuration.

    Raises
    ------
    SpecError
        Not JSON, too large, too deep, or not understood.
    """
    config = parse_json(content, UPLOADED)
    where = f"{_name(config)}/{UPLOADED}"
    return import_config(config, where=where, weights_given=weights_given)


def _name(config: Mapping[str, Any]) -> str:
    """What the configuration calls itself, else its class."""
    classes = config.get("architectures")
    names = [config.get("_name_or_path"), *(classes if isinstance(classes, list) else ())]
    for name in names:
        short = _ODD.sub("-", PurePosixPath(str(name or "")).name).strip("-.")
        if short:
            return short[:_MOST_NAME_CHARACTERS]
    return "model"
