"""How the inputs become a scenario and a share link, and which input an error is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from planner.engines import LONGEST, EngineSettings
from planner.errors import PlannerError, ScenarioError
from planner.hardware import Hardware
from planner.model import Model
from planner.offloading import parse_offload
from planner.scenario import Scenario
from planner.ui.fields import AUTO, FIELDS, NO_ENGINE, UPLOADED
from planner.ui.link import query
from planner.units import parse_count

_ALWAYS = frozenset({"m", "d", "n", "ctx", "s"})
"""What a share link says even where it is the default."""
_BY_FLAG = {field.flag: field for field in FIELDS.values()}
_BY_WORD = (
    ("engine", "e"), ("weights", "w"), ("KV cache", "kv"), ("activations", "a"), ("rate", "a"),
)  # fmt: skip
_FLAG = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with an input, for people.

    Parameters
    ----------
    key : str
        The input it stands beside.
    text : str
        One paragraph.
    """

    key: str
    text: str


class InputError(Exception):
    """An input that makes no scenario."""

    def __init__(self, key: str, error: PlannerError) -> None:
        super().__init__(str(error))
        self.problem = Problem(key=key, text=in_words(str(error)))


def in_words(text: str) -> str:
    """Return an error's text with the page's labels in place of command-line flags.

    Parameters
    ----------
    text : str
        As the command line prints it.

    Returns
    -------
    str
        For the page.

    Examples
    --------
    >>> in_words("--tp: got 3. Choose a size, or spread replicas with --dp.")
    'Tensor parallel: got 3. Choose a size, or spread replicas with Replicas.'
    """

    def label(match: re.Match[str]) -> str:
        field = _BY_FLAG.get(match[0])
        return field.label if field else match[0]

    return _FLAG.sub(label, text)


def field_of(error: PlannerError) -> str:
    """Return the input that an error of the planner is about.

    Parameters
    ----------
    error : PlannerError
        Raised while a scenario was answered.

    Returns
    -------
    str
        Its URL key; the model's where nothing closer is named.

    Examples
    --------
    >>> field_of(PlannerError("does not divide", where="--tp"))
    'tp'
    """
    for flag in _FLAG.findall(error.where or ""):
        if flag in _BY_FLAG:
            return _BY_FLAG[flag].key
    for word, key in _BY_WORD:
        if word in error.what:
            return key
    return "m"


def first_word(value: str) -> str:
    """Return the id in an option of the device input.

    Parameters
    ----------
    value : str
        An option, or what somebody typed.

    Returns
    -------
    str
        Everything before the first blank, in lower case.

    Examples
    --------
    >>> first_word("H100-SXM 80 GB")
    'h100-sxm'
    """
    return (value.lower().split() or [""])[0]


def count(values: Mapping[str, str], key: str) -> int | None:
    """Read a number that a person wrote.

    Parameters
    ----------
    values : Mapping
        Value by URL key.
    key : str
        The input.

    Returns
    -------
    int or None
        The number; None where the choice is open. [1]

    Raises
    ------
    InputError
        Not a whole number, or out of range.

    Examples
    --------
    >>> count({"ctx": "32K"}, "ctx"), count({"ctx": ""}, "ctx")
    (32768, None)
    """
    text = values.get(key, "").strip()
    if text in {"", AUTO}:
        return None
    try:
        return parse_count(text, where=FIELDS[key].label)
    except PlannerError as error:
        raise InputError(key, error) from error


def _format(values: Mapping[str, str], key: str) -> str | None:
    text = values.get(key, "").strip()
    return None if text in {"", AUTO} else text


def build(
    values: Mapping[str, str],
    model: Callable[[Mapping[str, str]], Model],
    hardware: Callable[[str, int | None], Hardware],
) -> Scenario:
    """Return the scenario that the inputs describe.

    Parameters
    ----------
    values : Mapping
        Value by URL key.
    model : callable
        Finds the model that the inputs name.
    hardware : callable
        Finds a device or node, so many of it.

    Returns
    -------
    Scenario
        Not yet answered.

    Raises
    ------
    InputError
        Names the input that cannot be used.
    """
    try:
        found = model(values)
    except PlannerError as error:
        key = "cfg" if values.get("m") == UPLOADED else "m"
        raise InputError(key, error) from error
    devices = count(values, "n")
    try:
        devices_found = hardware(first_word(values["d"]), devices)
    except PlannerError as error:
        raise InputError("n" if "-n" in (error.where or "") else "d", error) from error
    sequences = count(values, "s")
    step = count(values, "mbt")
    return Scenario(
        model=found,
        hardware=devices_found,
        tp=count(values, "tp"),
        dp=count(values, "dp"),
        pp=count(values, "pp"),
        ep=count(values, "ep"),
        cp=count(values, "cp"),
        dcp=count(values, "dcp"),
        attention_dp=count(values, "adp"),
        offload=parse_offload(
            {"offload_weights": _format(values, "ow"), "offload_cache": _format(values, "oc")},
            layers=len(found.layers),
        ),
        weights=_format(values, "w"),
        activations=_format(values, "a"),
        kv_cache_dtype=_format(values, "kv"),
        context=count(values, "ctx"),
        sequences=1 if sequences is None else sequences,
        isl=count(values, "isl"),
        osl=count(values, "osl"),
        max_num_batched_tokens=step,
        engine=_engine(values),
    )


def _engine(values: Mapping[str, str]) -> EngineSettings | None:
    """The engine and its flags; flags mean nothing without one."""
    name = _format(values, "e")
    if name is None or name == NO_ENGINE:
        return None
    share = _format(values, "u")
    length = _format(values, "mml")
    return EngineSettings(
        engine=name,
        gpu_memory_utilization=None if share is None else _share(share),
        max_model_len=LONGEST if length == str(LONGEST) else count(values, "mml"),
        max_num_seqs=count(values, "mns"),
    )


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        wrong = ScenarioError(
            "not a share of the memory", where=FIELDS["u"].label, got=text, allowed="such as 0.9"
        )
        raise InputError("u", wrong) from error


def changed(change: Mapping[str, int | str]) -> dict[str, str]:
    """Return what a suggestion would put into the inputs.

    Parameters
    ----------
    change : Mapping
        New value by command-line flag.

    Returns
    -------
    dict
        New value by URL key.

    Examples
    --------
    >>> changed({"-n": 8, "--tp": 8})
    {'n': '8', 'tp': '8'}
    """
    return {_BY_FLAG[flag].key: str(value) for flag, value in change.items()}


def share_query(values: Mapping[str, str]) -> str:
    """Return the query that restores every input.

    Parameters
    ----------
    values : Mapping
        Value by URL key.

    Returns
    -------
    str
        Ids without descriptions; what is less often changed is left away at its default.

    Examples
    --------
    >>> share_query(
    ...     {"m": "gpt2", "d": "l4 24 GB", "n": "1", "tp": "auto", "ctx": "", "s": "8", "mbt": "2K"}
    ... )
    '?m=gpt2&d=l4&n=1&ctx=auto&s=8&mbt=2K'
    """
    kept = {}
    for key, field in FIELDS.items():
        value = values.get(key, field.default).strip() or AUTO
        if key == "d":
            value = first_word(value)
        if key == "cfg" and values.get("m") != UPLOADED:
            continue
        if key in _ALWAYS or value != (field.default or AUTO):
            kept[key] = value
    return query(kept)
