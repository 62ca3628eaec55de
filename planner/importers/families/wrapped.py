"""Files of kinds that are not modelled, with a language model of a known kind in a section."""

from __future__ import annotations

from planner.errors import SpecError, printable
from planner.importers.config import Config
from planner.importers.multimodal import read_multimodal
from planner.importers.registry import Architecture, wrapped_section, wrapper

_NAME_CHARACTERS = 80


@wrapper("text_config", "llm_config", "language_config")
def read(config: Config) -> Architecture:
    """Read the language model alone.

    Parameters
    ----------
    config : Config
        The configuration.

    Returns
    -------
    Architecture
        A warning names the kind of the whole and the sections that are left out.

    Raises
    ------
    SpecError
        No section holds a language model, or a figure in it is unusable.
    """
    section = wrapped_section(config)
    if section is None:
        raise SpecError("a required section is missing", where=config.place("text_config"))
    others = [name for name in config.names() if name != section and config.peek(name)]
    config.ignore(*config.names())
    kind = printable(config.text("model_type") or "without a name", _NAME_CHARACTERS)
    left_out = ", ".join(printable(name, _NAME_CHARACTERS) for name in others[:8])
    config.warn(
        f"The kind {kind} is not modelled: the language model in {section} is planned alone, and "
        f"the weights of whatever stands beside it ({left_out or 'nothing named'}) are not counted."
    )
    return read_multimodal(config, default="llama", section=section)
