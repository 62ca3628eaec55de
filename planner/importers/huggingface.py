"""From the content of a ``config.json`` to a model; no network, no remote code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from planner.importers.config import Config
from planner.importers.dialects.gguf_words import fuses_qkv
from planner.importers.harmless import HARMLESS, check_neutral
from planner.importers.position import read_positions
from planner.importers.quantization import read_checkpoint
from planner.importers.registry import find_reader
from planner.model import Model
from planner.model.consistency import check_model
from planner.sources import Source

_LANGUAGE_MODELS = (
    "ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "ForMaskedLM", "ChatModel", "MTModel",
)  # fmt: skip
_MOST_NAME_CHARACTERS = 80
_CLASS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")


def import_config(
    config: Mapping[str, object],
    *,
    where: str,
    model_id: str | None = None,
    weights_given: bool = False,
    quantisation: Mapping[str, object] | None = None,
) -> Model:
    """Return the model that a configuration describes.

    Parameters
    ----------
    config : mapping
        Content of a ``config.json``.
    where : str
        Its file, for errors and for the name of the model.
    model_id : str, optional
        Name of the model, such as ``"meta-llama/Llama-3.1-8B"``.
    weights_given : bool
        Whether the person names a format of weights, so that the file's own does not matter.
    quantisation : mapping, optional
        Content of a ``hf_quant_config.json`` beside it.

    Returns
    -------
    Model
        Exact to the parameter; what the reader should know is in its warnings.

    Raises
    ------
    SpecError
        A field is missing or unusable; names file, field, value and what is allowed.
    UnsupportedConfigError
        A field is not understood and might change bytes or FLOP.

    Examples
    --------
    >>> smollm = {
    ...     "model_type": "llama",
    ...     "hidden_size": 576,
    ...     "intermediate_size": 1536,
    ...     "num_hidden_layers": 30,
    ...     "num_attention_heads": 9,
    ...     "num_key_value_heads": 3,
    ...     "vocab_size": 49152,
    ...     "max_position_embeddings": 2048,
    ...     "tie_word_embeddings": True,
    ...     "torch_dtype": "bfloat16",
    ... }
    >>> import_config(smollm, where="config.json").parameters
    134515008
    """
    fields = Config(with_quantisation(config, quantisation), where)
    architecture = find_reader(fields)(fields)
    name = model_id or _name(where)
    model = Model(
        id=_identifier(name),
        name=name[:_MOST_NAME_CHARACTERS],
        embedding=architecture.embedding,
        layers=architecture.layers,
        final=architecture.final,
        head=architecture.head,
        usable_context=architecture.usable_context,
        mtp=architecture.mtp,
        initial=architecture.initial,
        towers=architecture.towers,
        positions=architecture.positions or read_positions(fields, architecture),
        architecture=_class(fields),
        hf_id=model_id if model_id and "/" in model_id else None,
        sources={"config": Source(kind="documentation", title=f"Configuration of {name}")},
    )
    checkpoint = read_checkpoint(
        fields, model.with_mtp(), architecture.dtype, weights_given=weights_given
    )
    check_neutral(fields)
    _check_purpose(fields)
    fields.refuse_unread(HARMLESS)
    checkpoint = replace(checkpoint, fused_qkv=fuses_qkv(fields.text("model_type")))
    model = replace(model, checkpoint=checkpoint, warnings=tuple(fields.warnings))
    check_model(model, where)
    return model


def with_quantisation(
    config: Mapping[str, object], beside: Mapping[str, object] | None
) -> Mapping[str, object]:
    """Return a configuration with the section on quantisation that stands in a file beside it.

    Parameters
    ----------
    config : mapping
        Content of a ``config.json``.
    beside : mapping or None
        Content of a ``hf_quant_config.json``.

    Returns
    -------
    mapping
        The configuration itself where it has such a section already.

    Examples
    --------
    >>> with_quantisation({}, {"quantization": {"quant_algo": "FP8"}})
    {'quantization_config': {'quant_method': 'modelopt', 'quant_algo': 'FP8'}}
    """
    inner = (beside or {}).get("quantization")
    if not isinstance(inner, Mapping) or config.get("quantization_config") is not None:
        return config
    return {**config, "quantization_config": {"quant_method": "modelopt", **inner}}


def _classes(config: Config) -> list[str]:
    return [name for name in config.entries("architectures") or () if isinstance(name, str)]


def _class(config: Config) -> str | None:
    """The class that the configuration names, where it is a name."""
    return next((name for name in _classes(config) if _CLASS.fullmatch(name)), None)


def _check_purpose(config: Config) -> None:
    names = _classes(config)
    if names and not any(name.endswith(_LANGUAGE_MODELS) for name in names):
        config.warn(
            f"The configuration is of {names[0][:_MOST_NAME_CHARACTERS]!r}; it is planned with the "
            f"head of a language model."
        )


def _name(where: str) -> str:
    """Files are called config.json in a folder that names the model, or after the model."""
    path = PurePath(where)
    stem = path.stem if path.stem != "config" else path.parent.name
    return stem.rpartition("__")[2] or "model"


def _identifier(name: str) -> str:
    text = re.sub(r"[^a-z0-9.]+", "-", name.rpartition("/")[2].lower()).strip("-.")
    return text[:_MOST_NAME_CHARACTERS] or "model"
