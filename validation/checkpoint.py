"""The real model class of ``transformers`` from a published configuration, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from planner.cost.shapes import Shape, execution_of
from planner.errors import UnknownNameError
from planner.importers import import_config, parse_json
from planner.model import Execution, Model
from validation.allocation import dtype_of, filled
from validation.kernels.kernel import tensors

FOLDER = Path(__file__).parent / "configs"
_WARM_TOKENS = 8
# Cut of a model → field of a configuration.
_FIELDS = {"layers": "num_hidden_layers", "vocabulary": "vocab_size", "experts": "num_experts"}
_TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def configuration(shape: Shape) -> dict[str, Any]:
    """Return a published configuration, cut down as a shape says.

    Parameters
    ----------
    shape : mapping
        ``model`` (a file of ``configs``, or the path of a config.json) and cuts.

    Returns
    -------
    dict
        Content of a config.json.

    Raises
    ------
    UnknownNameError
        There is no such configuration.
    """
    name = str(shape["model"])
    path = Path(name) if name.endswith(".json") else FOLDER / f"{name}.json"
    if not path.is_file():
        raise UnknownNameError("configuration", name, [file.stem for file in FOLDER.glob("*.json")])
    config = dict(parse_json(path.read_bytes(), str(path)))
    for cut, field in _FIELDS.items():
        if shape.get(cut) is not None and field in config:
            config[field] = min(int(shape[cut]), config[field])
    if shape.get("vocabulary") is not None:
        # Names of tokens beyond the smaller vocabulary mean nothing.
        config = {key: value for key, value in config.items() if key not in _TOKEN_IDS}
    return config


class CheckpointSteps:
    """Steps of a real model class.

    Parameters
    ----------
    module : torch.nn.Module
        The model with its LM head.
    model : Model
        The planner's view of the same configuration.
    execution : Execution
        Its formats.
    device : torch.device
        Where it lives.
    """

    keeps_extra_column = True

    def __init__(
        self, module: Any, model: Model, execution: Execution, device: torch.device
    ) -> None:
        self.module = module
        self.model = model
        self.execution = execution
        self.device = device

    def parameters(self) -> list[torch.Tensor]:
        """Return its weights.

        Returns
        -------
        list of torch.Tensor
            Each once.
        """
        return list(self.module.parameters())

    def _ids(self, batch: int, tokens: int) -> torch.Tensor:
        most = self.model.embedding.vocabulary
        return torch.randint(0, most, (batch, tokens), device=self.device)

    def _cache(self, context: int) -> Any:
        from transformers import DynamicCache, StaticCache

        config = self.module.config
        if self._recurrent:
            return DynamicCache(config=config)
        return StaticCache(config=config, max_cache_len=context)

    @property
    def _recurrent(self) -> bool:
        return all(cache.kind in ("state", "convolution") for _, cache, _ in self.model.caches)

    def _call(self, ids: torch.Tensor, cache: Any, seen: int) -> torch.Tensor:
        _rewind(cache, seen)
        name = "cache_params" if self._recurrent else "past_key_values"
        options = {} if self._recurrent else {"logits_to_keep": 1}
        return self.module(ids, use_cache=True, **{name: cache}, **options).logits

    def prefill(self, batch: int, new_tokens: int) -> tuple[Any, list[torch.Tensor]]:
        """Return the call that reads prompts, and the caches that it fills.

        Parameters
        ----------
        batch, new_tokens : int
            Sequences and tokens of each. [1], [tokens]

        Returns
        -------
        (callable, list of torch.Tensor)
            Every call begins with the same prompt.
        """
        ids, cache = self._ids(batch, new_tokens), self._cache(new_tokens)
        with torch.no_grad():
            self._call(ids, cache, 0)
        return lambda: self._call(ids, cache, 0), _held(cache)

    def decode(self, batch: int, cached: int) -> tuple[Any, list[torch.Tensor]]:
        """Return the call that makes the next token, and the caches that it reads.

        Parameters
        ----------
        batch, cached : int
            Sequences, and tokens that each has seen. [1], [tokens]

        Returns
        -------
        (callable, list of torch.Tensor)
            Every call writes to the same place; the caches hold random data.
        """
        cache = self._cache(cached + 1)
        with torch.no_grad():
            self._call(self._ids(batch, min(_WARM_TOKENS, cached)), cache, 0)
        held = _held(cache)
        for tensor in held:
            tensor.copy_(filled(tensor.shape, tensor.dtype, tensor.device))
        ids = self._ids(batch, 1)
        return lambda: self._call(ids, cache, cached), held


def _rewind(cache: Any, seen: int) -> None:
    """Let a cache believe that it has seen so many tokens."""
    for layer in cache.layers:
        if isinstance(getattr(layer, "cumulative_length", None), torch.Tensor):
            layer.cumulative_length.fill_(seen)
        if hasattr(layer, "cumulative_length_int"):
            layer.cumulative_length_int = seen


def _held(cache: Any) -> list[torch.Tensor]:
    """Keys, values and states; not the counters beside them."""
    found = [tensor for layer in cache.layers for tensor in tensors(vars(layer))]
    return [tensor for tensor in found if tensor.is_floating_point()]


def load_checkpoint(shape: Shape, dtype: str, device: torch.device) -> CheckpointSteps:
    """Return a real model with random weights.

    Parameters
    ----------
    shape : mapping
        ``model`` and cuts.
    dtype : str
        Of weights, stream and cache.
    device : torch.device
        Where it lives.

    Returns
    -------
    CheckpointSteps
        Ready to do steps.

    Raises
    ------
    UnknownNameError
        There is no such configuration.
    """
    import transformers
    from transformers.initialization import no_init_weights

    transformers.utils.logging.set_verbosity_error()
    fields, execution = configuration(shape), execution_of(dtype)
    model = import_config(json.loads(json.dumps(fields)), where=str(shape["model"]))
    config = transformers.AutoConfig.for_model(**fields)
    with no_init_weights(), torch.device(device):
        module = transformers.AutoModelForCausalLM.from_config(
            config, dtype=dtype_of(execution.stream)
        )
    module.tie_weights()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.copy_(filled(parameter.shape, parameter.dtype, device))
            else:
                parameter.fill_(1.0)
    return CheckpointSteps(module.eval(), model, execution, device)
