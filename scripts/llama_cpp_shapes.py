"""Layer shapes of real models, in the words of their configurations; few layers each."""

from __future__ import annotations

LLAMA = {
    "model_type": "llama", "hidden_size": 2048, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192, "vocab_size": 128256,
    "num_hidden_layers": 4, "rope_theta": 5e5, "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}  # fmt: skip
GEMMA3 = {
    "model_type": "gemma3_text", "hidden_size": 1152, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 6912, "vocab_size": 262144,
    "num_hidden_layers": 12, "rope_theta": 1e6, "sliding_window": 512,
    "max_position_embeddings": 32768, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "num_attention_heads": 32,
    "num_key_value_heads": 4, "head_dim": 128, "intermediate_size": 6144,
    "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
    "vocab_size": 151936, "num_hidden_layers": 2, "rope_theta": 1e6,
    "max_position_embeddings": 40960, "tie_word_embeddings": False,
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880,
    "num_local_experts": 32, "num_experts_per_tok": 4, "vocab_size": 201088,
    "num_hidden_layers": 2, "rope_theta": 150000.0, "sliding_window": 128,
    "max_position_embeddings": 131072, "tie_word_embeddings": False,
    "attention_bias": True,
}  # fmt: skip
MAMBA2 = {
    "model_type": "mamba2", "hidden_size": 1536, "num_heads": 48, "head_dim": 64,
    "state_size": 128, "expand": 2, "n_groups": 1, "conv_kernel": 4, "vocab_size": 50288,
    "num_hidden_layers": 8, "tie_word_embeddings": True,
}  # fmt: skip
GRANITE = {
    "model_type": "granitemoehybrid", "hidden_size": 1536, "num_attention_heads": 12,
    "num_key_value_heads": 4, "intermediate_size": 512, "shared_intermediate_size": 1024,
    "num_local_experts": 64, "num_experts_per_tok": 6, "mamba_n_heads": 48, "mamba_d_head": 64,
    "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_n_groups": 1,
    "vocab_size": 100352, "max_position_embeddings": 131072, "tie_word_embeddings": True,
    "num_hidden_layers": 6, "layer_types": [*["mamba"] * 5, "attention"],
}  # fmt: skip

LLAMA_2 = {
    "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32,
    "num_key_value_heads": 32, "head_dim": 128, "intermediate_size": 11008, "vocab_size": 32000,
    "num_hidden_layers": 2, "rope_theta": 1e4, "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
}  # fmt: skip
SMOLLM2 = {
    "model_type": "llama", "hidden_size": 576, "num_attention_heads": 9,
    "num_key_value_heads": 3, "head_dim": 64, "intermediate_size": 1536, "vocab_size": 49152,
    "num_hidden_layers": 6, "rope_theta": 1e5, "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}  # fmt: skip
QWEN3 = {
    "model_type": "qwen3", "hidden_size": 5120, "num_attention_heads": 40,
    "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 17408, "vocab_size": 151936,
    "num_hidden_layers": 2, "rope_theta": 1e6, "max_position_embeddings": 40960,
    "tie_word_embeddings": False,
}  # fmt: skip
MIXTRAL = {
    "model_type": "mixtral", "hidden_size": 4096, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 14336, "vocab_size": 32000,
    "num_local_experts": 8, "num_experts_per_tok": 2, "num_hidden_layers": 2, "rope_theta": 1e6,
    "max_position_embeddings": 32768, "tie_word_embeddings": False,
}  # fmt: skip

GEMMA2 = {
    "model_type": "gemma2", "hidden_size": 2304, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 9216, "vocab_size": 256000,
    "num_hidden_layers": 4, "rope_theta": 1e4, "sliding_window": 4096,
    "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
