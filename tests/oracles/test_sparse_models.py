"""Small Longformers and Reformers against transformers: parameters, and FLOP as PyTorch counts.

Both compute whole chunks, which is what is planned too: nothing has to be converted.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from planner.importers import import_config  # noqa: E402
from planner.model import Step  # noqa: E402
from planner.model.execution import half  # noqa: E402

pytestmark = pytest.mark.oracle

BATCH, TOKENS = 2, 128
BUCKETS = [{"num_buckets": 4}, {"num_buckets": [2, 4]}]


def compare(model: Any, **inputs: Any) -> None:
    texts = torch.randint(3, 100, (BATCH, TOKENS))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(texts, **inputs)
    planned = import_config(model.config.to_dict(), where="config.json", weights_given=True)
    step = Step(batch=BATCH, new_tokens=TOKENS, cached_tokens=0, phase="prefill", logit_rows=TOKENS)
    flop = sum(count * op.flop for _, op, count in planned.operations(step, half()))
    unique = {parameter.data_ptr(): parameter.numel() for parameter in model.parameters()}
    assert planned.parameters == sum(unique.values())
    assert flop == float(counter.get_total_flops())


@pytest.mark.parametrize("window", [16, 32, [16, 64]])
def test_longformer(window: int | list[int]) -> None:
    config = transformers.LongformerConfig(
        vocab_size=160, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, attention_window=window, max_position_embeddings=TOKENS + 2,
    )  # fmt: skip
    first = torch.zeros(BATCH, TOKENS, dtype=torch.long)
    first[:, 0] = 1
    model = transformers.LongformerForMaskedLM(config).eval()
    compare(model, global_attention_mask=first)


@pytest.mark.parametrize("changes", [*BUCKETS, {"num_buckets": 4, "num_hashes": 3}])
def test_reformer(changes: dict[str, Any]) -> None:
    config = transformers.ReformerConfig(
        is_decoder=True, vocab_size=160, attn_layers=["local", "lsh"], axial_pos_shape=[16, 16],
        lsh_attn_chunk_length=32, local_attn_chunk_length=32, **changes,
    )  # fmt: skip
    model = transformers.ReformerModelWithLMHead(config).eval()
    compare(model, use_cache=False)


def test_a_reformer_keeps_inputs_and_buckets() -> None:
    config = transformers.ReformerConfig(
        is_decoder=True, vocab_size=160, attn_layers=["local", "lsh"], axial_pos_shape=[16, 16],
        lsh_attn_chunk_length=32, local_attn_chunk_length=32, num_hashes=2, num_buckets=4,
    )  # fmt: skip
    model = transformers.ReformerModelWithLMHead(config).to(torch.bfloat16).eval()
    with torch.no_grad():
        kept = model(torch.randint(3, 100, (BATCH, TOKENS))).past_buckets_states
    tensors = (*kept.states_cache, *kept.buckets_cache)
    planned = import_config(config.to_dict(), where="config.json", weights_given=True)
    assert BATCH * planned.cache_bytes(TOKENS, half()) == sum(t.nbytes for t in tensors)
