"""Names of formats as people and engines write them."""

from __future__ import annotations

_ALSO = {
    "f32": "fp32", "float32": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16",
    "fp8_e4m3": "fp8", "fp8_e5m2": "fp8",
}  # fmt: skip
_OF_WEIGHTS = {
    "fp8_channel": "fp8", "f16": "gguf_f16", "bnb_nf4": "nf4", "llm_int8": "bnb_int8",
    "q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m",
}  # fmt: skip
_OF_CACHES = {
    "f16": "fp16", "int8_per_token_head": "int8", "int4_per_token_head": "int4",
}  # fmt: skip


def _plain(name: object, further: dict[str, str]) -> str:
    text = str(name).strip().lower().replace("-", "_")
    return {**_ALSO, **further}.get(text, text)


def weight_name(name: object) -> str:
    """Return the planner's name of a format of weights.

    Parameters
    ----------
    name : object
        Its name in any case; ``F16`` and ``Q4_K`` mean what llama.cpp means by them.

    Returns
    -------
    str
        The name itself where it is no other's.

    Examples
    --------
    >>> weight_name("Q4_K_M"), weight_name("F16"), weight_name("bfloat16")
    ('q4_k_m', 'gguf_f16', 'bf16')
    """
    return _plain(name, _OF_WEIGHTS)


def cache_name(name: object) -> str:
    """Return the planner's name of a format of keys and values, or of operands of a product.

    Parameters
    ----------
    name : object
        Its name in any case, such as an engine's ``fp8_e4m3`` or ``f16``.

    Returns
    -------
    str
        The name itself where it is no other's.

    Examples
    --------
    >>> cache_name("Q8_0"), cache_name("fp8_e5m2"), cache_name("f16")
    ('q8_0', 'fp8', 'fp16')
    """
    return _plain(name, _OF_CACHES)
