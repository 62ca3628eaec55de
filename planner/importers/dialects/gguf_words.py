"""GGUF metadata and tensor names in the words of configurations and checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from planner.errors import UnsupportedConfigError
from planner.importers.gguf import Gguf, Value
from planner.importers.measured import FileTensor
from planner.importers.registry import model_types

_LAYER = re.compile(r"^blk\.(\d{1,6})\.")
_WORDS = {
    "token_embd": "embed_tokens", "output": "lm_head", "output_norm": "norm",
    "position_embd": "embed_positions", "token_embd_norm": "embed_norm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_sinks": "self_attn.sinks", "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    "ffn_gate_exps": "mlp.experts.gate_proj", "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_gate_up_exps": "mlp.experts.gate_up_proj", "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_inp": "mlp.router", "ffn_gate_inp_shexp": "mlp.shared_gate",
    "ffn_gate_shexp": "mlp.shared_experts.gate_proj", "ffn_up_shexp": "mlp.shared_experts.up_proj",
    "ffn_down_shexp": "mlp.shared_experts.down_proj", "attn_q_a": "self_attn.q_a_proj",
    "attn_q_b": "self_attn.q_b_proj", "attn_kv_a_mqa": "self_attn.kv_a_proj_with_mqa",
    "attn_kv_b": "self_attn.kv_b_proj", "attn_q_a_norm": "self_attn.q_a_layernorm",
    "attn_kv_a_norm": "self_attn.kv_a_layernorm", "ssm_in": "mixer.in_proj",
    "ssm_out": "mixer.out_proj",
}  # fmt: skip
_BIASES = {"gate_proj": "in_bias", "up_proj": "in_bias", "gate_up_proj": "in_bias",
           "down_proj": "out_bias"}  # fmt: skip


_FUSED_QKV = frozenset({
    "bloom", "chatglm", "dbrx", "falcon", "RefinedWeb", "RefinedWebModel", "gpt2", "gpt_bigcode",
    "gpt_neox", "mpt", "persimmon", "phi3", "phi3_v", "qwen",
})  # fmt: skip
"""Kinds whose GGUF files hold queries, keys and values of a layer as one matrix."""


def fuses_qkv(kind: str | None) -> bool:
    """Return whether GGUF files hold queries, keys and values of a layer as one matrix.

    Parameters
    ----------
    kind : str or None
        ``model_type`` of a configuration.

    Returns
    -------
    bool
        True where converters leave the one matrix of the checkpoint as it is.

    Examples
    --------
    >>> fuses_qkv("phi3"), fuses_qkv("llama")
    (True, False)
    """
    return kind in _FUSED_QKV


def translated(header: Gguf) -> list[FileTensor]:
    """Return the tensors of a file under the names that checkpoints use.

    Parameters
    ----------
    header : Gguf
        The file's header.

    Returns
    -------
    list of FileTensor
        Names without a translation are left as they are.
    """
    return [
        FileTensor(
            name=_name(tensor.name),
            format=tensor.type.format_name,
            elements=tensor.elements,
            stored_bytes=tensor.stored_bytes,
        )
        for tensor in header.tensors.values()
    ]


def _name(name: str) -> str:
    found = _LAYER.match(name)
    lead, rest = (f"layers.{found.group(1)}.", name[found.end() :]) if found else ("", name)
    stem, _, last = rest.rpartition(".")
    word = _WORDS.get(stem)
    if word is None:
        return name.replace("blk.", "layers.", 1) if found else name
    if last == "bias" and ".experts." in word:
        head, _, leaf = word.rpartition(".")
        return f"{lead}{head}.{_BIASES[leaf]}"
    return f"{lead}{word}" if last in ("", "weight") else f"{lead}{word}.{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How an architecture's metadata read as a configuration.

    Parameters
    ----------
    model_type : str
        The configuration's kind.
    keys : mapping
        Further fields: key of the metadata, name in the configuration.
    fixed : mapping
        Fields that the architecture implies.
    without : tuple of str
        Fields that its configurations do not have.
    """

    model_type: str
    keys: Mapping[str, str] | None = None
    fixed: Mapping[str, object] | None = None
    without: tuple[str, ...] = ()


_BASE = {
    "embedding_length": "hidden_size", "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads", "context_length": "max_position_embeddings",
    "attention.key_length": "head_dim",
}  # fmt: skip
_MOE = {"expert_count": "num_experts", "expert_used_count": "num_experts_per_tok",
        "expert_feed_forward_length": "moe_intermediate_size"}  # fmt: skip
_WINDOW = {"attention.sliding_window": "sliding_window"}
_MIXTURE = Dialect(
    model_type="mixtral",
    keys={"expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok"},
)
_LATENT = {
    **_MOE, "expert_count": "n_routed_experts", "expert_shared_count": "n_shared_experts",
    "attention.q_lora_rank": "q_lora_rank", "attention.kv_lora_rank": "kv_lora_rank",
    "rope.dimension_count": "qk_rope_head_dim",
    "leading_dense_block_count": "first_k_dense_replace",
}  # fmt: skip
_DIALECTS = {
    "llama": Dialect(model_type="llama"),
    "qwen2": Dialect(model_type="qwen2", without=("head_dim",)),
    "qwen3": Dialect(model_type="qwen3"),
    "qwen2moe": Dialect(
        model_type="qwen2_moe",
        keys={**_MOE, "expert_shared_feed_forward_length": "shared_expert_intermediate_size"},
        without=("head_dim",),
    ),
    "qwen3moe": Dialect(model_type="qwen3_moe", keys=_MOE),
    "gemma": Dialect(model_type="gemma"),
    "gemma2": Dialect(model_type="gemma2", keys=_WINDOW),
    "gemma3": Dialect(model_type="gemma3_text", keys=_WINDOW),
    "phi3": Dialect(model_type="phi3", keys=_WINDOW, without=("head_dim",)),
    "phi2": Dialect(model_type="phi", without=("head_dim",)),
    "gpt2": Dialect(model_type="gpt2", without=("head_dim", "num_key_value_heads")),
    "deepseek2": Dialect(
        model_type="deepseek_v3", keys=_LATENT, without=("head_dim", "num_key_value_heads")
    ),
    "gpt-oss": Dialect(
        model_type="gpt_oss",
        keys={"expert_count": "num_local_experts", "expert_used_count": "num_experts_per_tok",
              "expert_feed_forward_length": "intermediate_size", **_WINDOW},
    ),
}  # fmt: skip


def configuration(header: Gguf, where: str) -> dict[str, object]:
    """Return the configuration that a file's metadata stand for.

    Parameters
    ----------
    header : Gguf
        The file's header.
    where : str
        The file, for errors.

    Returns
    -------
    dict
        What a ``config.json`` of the model would say.

    Raises
    ------
    UnsupportedConfigError
        An architecture whose metadata are not read.
    """
    name = header.metadata.get("general.architecture")
    dialect = _DIALECTS.get(str(name)) or _of_the_same_name(str(name))
    if dialect is None:
        raise UnsupportedConfigError(
            "an architecture whose GGUF metadata are not read",
            where=f"{where}: general.architecture",
            got=name,
            allowed=", ".join(_DIALECTS),
            fix="Put the model's config.json beside the file.",
        )
    find = _finder(header.metadata, str(name))
    if dialect is _DIALECTS["llama"] and find("expert_count"):
        dialect = _MIXTURE
    config: dict[str, object] = {"model_type": dialect.model_type, **(dialect.fixed or {})}
    for key, said in {**_BASE, **(dialect.keys or {})}.items():
        value = find(key)
        if value is not None and said not in dialect.without:
            config[said] = _single(value)
    if "kv_lora_rank" in config:
        config.update(_latent_widths(find, header))
    table = header.tensors.get("token_embd.weight")
    if table is not None and len(table.shape) == 2:
        config["vocab_size"] = table.shape[1]
    config["tie_word_embeddings"] = "output.weight" not in header.tensors
    if dialect.model_type == "llama" and "blk.0.attn_q.bias" in header.tensors:
        config["attention_bias"] = True
    config["torch_dtype"] = _stream(header)
    return config


def _of_the_same_name(name: str) -> Dialect | None:
    """Return the plain dialect of an architecture that configurations call the same."""
    kind = name.replace("-", "_")
    return Dialect(model_type=kind) if kind in model_types() else None


def _latent_widths(find: Callable[[str], Value | None], header: Gguf) -> dict[str, object]:
    """Return the widths of heads whose keys are made of a latent and a rotated part."""
    key = find("attention.key_length_mla") or find("attention.key_length")
    rotated = find("rope.dimension_count")
    widths: dict[str, object] = {
        "v_head_dim": find("attention.value_length_mla") or find("attention.value_length")
    }
    if isinstance(key, int) and isinstance(rotated, int):
        widths["qk_nope_head_dim"] = key - rotated
    corrected = any(name.endswith("exp_probs_b.bias") for name in header.tensors)
    return {**widths, "model_type": "deepseek_v3" if corrected else "deepseek_v2"}


def _finder(metadata: Mapping[str, Value], name: str) -> Callable[[str], Value | None]:
    return lambda key: metadata.get(f"{name}.{key}")


def _single(value: Value) -> object:
    """Return the one figure of a list that is the same for all layers."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _stream(header: Gguf) -> str:
    names = {tensor.type.name for tensor in header.tensors.values()}
    return "bfloat16" if "bf16" in names else "float32" if names == {"f32"} else "float16"
