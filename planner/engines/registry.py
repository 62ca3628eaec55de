"""The engines that are known, and the one call that asks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.engines.allocation import Allocation
from planner.engines.engine import Engine, Site
from planner.engines.settings import EngineSettings, read_options
from planner.engines.version import parse_engine
from planner.errors import UnknownNameError
from planner.hardware import Hardware, Runtime
from planner.model import Execution, Model
from planner.on_demand import OnDemand

ENGINES: Mapping[str, Engine] = OnDemand(
    {
        "vllm": "planner.engines.vllm:VLLM",
        "sglang": "planner.engines.sglang:SGLANG",
        "tensorrt-llm": "planner.engines.tensorrt_llm:TENSORRT_LLM",
        "llama.cpp": "planner.engines.llama_cpp:LLAMA_CPP",
        "transformers": "planner.engines.transformers:TRANSFORMERS",
    }
)
"""Engine by name."""


def find_engine(name: str) -> Engine:
    """Return the engine of a name.

    Parameters
    ----------
    name : str
        Such as ``"vllm"``.

    Returns
    -------
    Engine
        The engine.

    Raises
    ------
    UnknownNameError
        No engine has this name.

    Examples
    --------
    >>> find_engine("vllm").name
    'vllm'
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    return ENGINES[name]


def casts_fp32(settings: EngineSettings) -> bool:
    """Return whether an engine loads weights in 16 bits that are published in fp32.

    Parameters
    ----------
    settings : EngineSettings
        Names the engine.

    Returns
    -------
    bool
        Whether a format must be named to keep fp32.

    Raises
    ------
    UnknownNameError
        No engine has this name.

    Examples
    --------
    >>> casts_fp32(EngineSettings(engine="vllm"))
    True
    """
    return find_engine(parse_engine(settings.engine)[0]).casts_fp32


def allocate(
    settings: EngineSettings,
    model: Model,
    execution: Execution,
    hardware: Hardware,
    runtime: Runtime,
    *,
    cache_given: bool,
) -> Allocation:
    """Return what an engine takes of the fullest device, and what it leaves for requests.

    Parameters
    ----------
    settings : EngineSettings
        Engine, version and flags.
    model : Model
        The model.
    execution : Execution
        Formats and layout.
    hardware : Hardware
        The devices.
    runtime : Runtime
        What a process takes outside the model.
    cache_given : bool
        Whether a person chose the cache format.

    Returns
    -------
    Allocation
        With a warning where the version is beyond those whose rules are known.

    Raises
    ------
    UnknownNameError
        No engine has this name.
    ScenarioError
        A flag is unknown or impossible.
    """
    name, asked = parse_engine(settings.engine)
    engine = find_engine(name)
    oldest, newest = engine.versions
    version = newest if asked is None else min(max(asked, oldest), newest)
    answer = engine.allocate(
        Site(
            model=model,
            execution=execution,
            hardware=hardware,
            runtime=runtime,
            settings=settings,
            options=read_options(name, engine.options, settings.options),
            version=version,
            cache_given=cache_given,
        )
    )
    if asked is None or asked == version:
        return answer
    note = f"The rules of {name} {asked} are not known; those of {version} are used."
    return replace(answer, version=str(asked), warnings=(note, *answer.warnings))
