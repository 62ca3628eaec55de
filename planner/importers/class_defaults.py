"""What configuration classes fill in where a section of a file leaves a figure out.

Files of models with towers are written with the figures alone that differ from those of their
sections' classes. Families say what their classes hold, as of transformers 5.23.0.
"""

from __future__ import annotations

from collections.abc import Mapping

_DEFAULTS: dict[str, Mapping[str, int]] = {}


def class_defaults(*kinds: str, **figures: int) -> None:
    """Put the defaults of a class on record.

    Parameters
    ----------
    *kinds : str
        Values of ``model_type`` in a section of that class.
    **figures
        Its fields. [1]

    Examples
    --------
    >>> class_defaults("nothing_known")
    >>> left_out("nothing_known", {})
    {}
    """
    _DEFAULTS.update(dict.fromkeys(kinds, figures))


def left_out(kind: object, section: Mapping[str, object]) -> dict[str, int]:
    """Return the figures of a class that a section does not say.

    Parameters
    ----------
    kind : object
        ``model_type`` of the section.
    section : mapping
        Its fields.

    Returns
    -------
    dict
        Empty for a class whose defaults are not on record.

    Examples
    --------
    >>> class_defaults("spiral", hidden_size=512, num_hidden_layers=6)
    >>> left_out("spiral", {"hidden_size": 768})
    {'num_hidden_layers': 6}
    """
    known = _DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}
    return {name: value for name, value in known.items() if name not in section}
