"""The sidebar: every input of a scenario, with its message beside it, and the answer to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from planner.engines import ENGINES
from planner.errors import PlannerError
from planner.hardware import Hardware
from planner.model import Layout, Model
from planner.model.storage import CACHE_FORMATS, COMPUTE_FORMATS, WEIGHT_FORMATS
from planner.plan import Plan, plan
from planner.ui import loaded, upload
from planner.ui.fields import AUTO, FIELDS, MOST_CHARACTERS, NO_ENGINE
from planner.ui.markdown import plain
from planner.ui.state import (
    InputError,
    Problem,
    build,
    changed,
    count,
    field_of,
    first_word,
    in_words,
)
from planner.units import format_bytes, format_si

_LAYOUT = ("pp", "ep", "cp", "dcp", "adp")
_COUNTS = ("n", "tp", "ctx", "s", "isl", "osl", "dp", "mbt", "mns", *_LAYOUT)
_PAUSE = "150ms"
"""How long somebody who types must pause before the answer follows."""
_LAST = "_last_answer"
_DEVICE_COUNTS = ("1", "2", "4", "8", "16", "32", "64")
_MOST_TP = 64

Slots = dict[str, DeltaGenerator]
Draw = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The answer to the inputs as they stand, or to the last ones that made sense.

    Parameters
    ----------
    plan : Plan or None
        None where no input has made sense yet.
    values : dict
        The inputs that the plan answers, by URL key.
    problems : tuple of Problem
        What is wrong with the inputs as they stand; empty where the plan answers them.
    """

    plan: Plan | None
    values: dict[str, str]
    problems: tuple[Problem, ...]


def ask() -> Asked:
    """Draw the sidebar and answer what it says.

    Returns
    -------
    Asked
        The plan and what is wrong with the inputs.
    """
    with st.sidebar:
        slots = _draw()
    given = _values()
    problems = _unreadable(given)
    if not problems:
        try:
            answer = plan(build(given, loaded.model, loaded.hardware))
            st.session_state[_LAST] = (answer, given)
        except InputError as error:
            problems = (error.problem,)
        except PlannerError as error:
            problems = (Problem(key=field_of(error), text=in_words(str(error))),)
    for problem in problems:
        slots[problem.key].error(plain(problem.text), icon=":material/error:")
    shown, answered = st.session_state.get(_LAST, (None, given))
    return Asked(plan=shown, values=answered, problems=problems)


def apply(change: dict[str, int | str]) -> None:
    """Put a suggestion into the inputs; for use as a callback.

    Parameters
    ----------
    change : dict
        New value by command-line flag.
    """
    for key, value in changed(change).items():
        st.session_state[key] = value


def _values() -> dict[str, str]:
    kept = {key: st.session_state.get(key) for key in FIELDS}
    given = {key: "" if value is None else str(value) for key, value in kept.items()}
    given["cfg"] = upload.stored(given["cfg"])
    return given


def _unreadable(given: dict[str, str]) -> tuple[Problem, ...]:
    found = []
    for key in _COUNTS:
        try:
            count(given, key)
        except InputError as error:
            found.append(error.problem)
    return tuple(found)


def _draw() -> Slots:
    """Draw every input; below each row lies a place for messages."""
    slots: Slots = {}
    _choice("m", loaded.model_options())
    model = _found_model()
    if model is not None:
        st.caption(_about_model(model))
    _slot(slots, "m", "cfg")
    upload.control()
    _choice("d", loaded.device_options(), on_change=_node_brings_its_devices)
    hardware = _found_hardware()
    if hardware is not None:
        st.caption(_about_device(hardware))
    _slot(slots, "d")
    _whole_node_of_a_link()
    _row(
        lambda: _choice("n", _DEVICE_COUNTS),
        lambda: _choice("tp", (AUTO, *_sizes(model, _found_hardware()))),
    )
    _slot(slots, "n", "tp")
    _row(lambda: _text("ctx"), lambda: _text("s"))
    _slot(slots, "ctx", "s")
    _row(
        lambda: _choice("w", (AUTO, *WEIGHT_FORMATS)), lambda: _choice("kv", (AUTO, *CACHE_FORMATS))
    )
    _slot(slots, "w", "kv")
    _choice("e", (NO_ENGINE, *ENGINES))
    _slot(slots, "e")
    with st.expander("Advanced"):
        _row(lambda: _text("isl"), lambda: _text("osl"))
        _row(
            lambda: _choice("dp", (AUTO, *_divisors(_found_hardware()))),
            lambda: _choice("a", (AUTO, *COMPUTE_FORMATS)),
        )
        _row(lambda: _text("mbt"), lambda: _text("mns"))
        _row(lambda: _text("u"), lambda: _text("mml"))
        _row(lambda: _share_of_devices("pp"), lambda: _share_of_devices("ep"))
        _row(lambda: _share_of_devices("adp"), lambda: _share_of_devices("cp"))
        _share_of_devices("dcp")
        _row(lambda: _text("ow"), lambda: _text("oc"))
    _slot(slots, "isl", "osl", "dp", "a", "mbt", "mns", "u", "mml", *_LAYOUT, "ow", "oc")
    return slots


def _share_of_devices(key: str) -> None:
    _choice(key, (AUTO, *_divisors(_found_hardware())))


def _slot(slots: Slots, *keys: str) -> None:
    place = st.container()
    for key in keys:
        slots[key] = place


def _row(left: Draw, right: Draw) -> None:
    columns = st.columns(2)
    for column, draw in zip(columns, (left, right), strict=True):
        with column:
            draw()


def _text(key: str) -> None:
    field = FIELDS[key]
    st.text_input(
        field.label,
        value=field.default,
        key=key,
        help=field.help,
        max_chars=MOST_CHARACTERS,
        placeholder=AUTO,
        live=_PAUSE,
        bind="query-params",
    )


def _choice(key: str, options: Sequence[str], on_change: Callable[[], None] | None = None) -> None:
    """Draw a choice that takes what somebody types too, so that a link is never bent silently."""
    field = FIELDS[key]
    index = options.index(field.default) if field.default in options else 0
    given = st.session_state.get(key, st.query_params.get(key))
    if given and given not in options:
        options = (*options, given)
    st.selectbox(
        field.label,
        options,
        index=index,
        key=key,
        help=field.help,
        accept_new_options=True,
        on_change=on_change or "rerun",
        bind="query-params",
    )


def _node_brings_its_devices() -> None:
    """A node chosen anew is taken whole."""
    option = str(st.session_state["d"])
    if loaded.is_node(option):
        st.session_state["n"] = str(loaded.hardware(first_word(option), None).devices)
        for key in ("tp", "dp", *_LAYOUT):
            st.session_state[key] = AUTO


def _whole_node_of_a_link() -> None:
    """A link that names a node and no count means the whole node."""
    if "n" not in st.session_state and "n" not in st.query_params:
        _node_brings_its_devices()


def _found_model() -> Model | None:
    try:
        return loaded.model(_values())
    except PlannerError:
        return None


def _found_hardware() -> Hardware | None:
    given = _values()
    try:
        return loaded.hardware(first_word(given["d"]), count(given, "n"))
    except (InputError, PlannerError):
        return None


def _divisors(hardware: Hardware | None) -> list[str]:
    devices = 1 if hardware is None else min(hardware.devices, 4096)
    return [str(size) for size in range(1, devices + 1) if devices % size == 0]


def _sizes(model: Model | None, hardware: Hardware | None) -> list[str]:
    sizes = [size for size in _divisors(hardware) if int(size) <= _MOST_TP]
    if model is None:
        return sizes
    return [size for size in sizes if model.admits(Layout(tp=int(size)))]


def _about_model(model: Model) -> str:
    parameters = format_si(model.parameters, "", 3).strip().replace("G", "B")
    return f"{plain(model.name)} · {parameters} parameters · {len(model.layers)} layers"


def _about_device(hardware: Hardware) -> str:
    device = hardware.device
    return (
        f"{plain(device.name)} · {format_bytes(device.capacity_bytes)} · "
        f"{format_si(device.memory_bandwidth_bytes_per_s, 'B/s', 3)}"
    )
