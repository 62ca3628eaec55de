"""Fields of configuration files that were reviewed and change neither bytes nor FLOP.

A section that is not here and that no family reads stops the import: it describes something new.
Any other such field is named in a warning. Families add fields of their own with ``Config.ignore``.
"""

from __future__ import annotations

from planner.importers.config import Config

_TRAINING = """
    attention_dropout attn_pdrop attn_dropout_rate classifier_dropout embd_pdrop embedding_dropout
    dropout dropout_rate activation_dropout expert_dropout attention_probs_dropout_prob
    hidden_dropout hidden_dropout_prob resid_pdrop layerdrop initializer_range initializer_factor
    init_std output_router_logits router_aux_loss_coef router_jitter_noise input_jitter_noise
    router_z_loss_coef gradient_checkpointing selective_checkpoint_enabled
    sequence_parallel_enabled pretraining_tp residual_dropout rescale_prenorm_residual
    aux_loss_alpha
"""
_TOKENS = """
    video_placeholder use_unified_vision_chunk ignore_index prefix begin_suppress_tokens
    suppress_tokens bad_words_ids tokenizer_class
"""
_GENERATION = """
    do_sample temperature top_k top_p typical_p repetition_penalty length_penalty num_beams
    num_beam_groups diversity_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
    early_stopping max_length min_length num_return_sequences exponential_decay_length_penalty
    remove_invalid_values task_specific_params use_cache cache_implementation
"""
_BOOKKEEPING = """
    _name_or_path _from_model_config _note _commit_hash _attn_implementation
    _attn_implementation_autoset
    _flash_attn_2_enabled architectures auto_map transformers_version transformers.js_config
    model_type model_size model_name torchscript torch_dtype dtype id2label label2id num_labels
    problem_type finetuning_task return_dict return_dict_in_generate output_attentions
    output_hidden_states output_scores use_bfloat16 tf_legacy_loss chunk_size_feed_forward
    is_llama_config license prefill_chunk_size context_window_size max_sequence_length
    model_max_length n_ctx summary_activation summary_first_dropout summary_proj_to_labels
    is_composition output_past summary_type summary_use_proj tensor_parallel_degree
    unsloth_version unsloth_fixed
"""
_ARITHMETIC = """
    hidden_act hidden_activation activation_function activation layer_norm_eps layer_norm_epsilon
    layernorm_epsilon layernorm_eps
    rms_norm_eps norm_eps norm_epsilon rope_theta rope_local_base_freq rope_interleaved
    rotary_emb_base query_pre_attn_scalar attn_logit_softcapping final_logit_softcapping
    norm_topk_prob residual_in_fp32 fused_add_norm reorder_and_upcast_attn scale_attn_weights
    scale_attn_by_inverse_layer_idx
"""

HARMLESS = frozenset(" ".join((_TRAINING, _TOKENS, _GENERATION, _BOOKKEEPING, _ARITHMETIC)).split())
"""Training, token ids, generation, bookkeeping, and arithmetic that costs the same either way."""

_NEUTRAL: dict[str, tuple[object, ...]] = {
    "add_cross_attention": (False, None),
    "cross_attention_hidden_size": (None,),
    "cross_attention_layers": (None, []),
    "is_causal": (True, None),
    "is_decoder": (True, False, None),
    "is_encoder_decoder": (False, None),
    "mup_enabled": (False, None),
    "num_kv_shared_layers": (0, None),
    "num_nextn_predict_layers": (0, None),
    "pruned_heads": ({}, None),
    "tie_encoder_decoder": (False, None),
    "use_bidirectional_attention": (False, None),
    "use_cross_attention": (False, None),
    "use_mrope": (False, None),
    "use_sparse_attention": (False, None),
}
"""Fields that mean nothing at these values and are not modelled at any other."""


def check_neutral(config: Config) -> None:
    """Raise if one of the fields that must be switched off is on, and no family answers for it.

    Parameters
    ----------
    config : Config
        The configuration, or its language model's section.

    Raises
    ------
    UnsupportedConfigError
        Names the field.

    Examples
    --------
    >>> check_neutral(Config({"is_causal": True}, "config.json"))
    """
    for name, values in _NEUTRAL.items():
        if not config.was_read(name):
            config.require(name, *values)
