"""Mixtures of experts in the dialects of configuration files."""

from __future__ import annotations

from planner.importers.config import Config
from planner.model.bounds import MOST_LAYERS
from planner.model.feed_forward import Dense, MixtureOfExperts

_EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
_TOP_K = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_topk",
    "moe_top_k",
    "moe_k",
    "top_k_experts",
)
_SHARED = ("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts")
_ROUTING = (
    "n_group",
    "topk_group",
    "topk_method",
    "scoring_func",
    "score_func",
    "score_function",
    "routed_scaling_factor",
    "router_scaling_factor",
    "route_scale",
    "route_norm",
    "seq_aux",
    "ep_size",
    "moe_router_dtype",
    "moe_router_topk_scaling_factor",
    "moe_router_enable_expert_bias",
    "num_expert_group",
    "num_expert_groups",
    "num_limited_groups",
    "use_grouped_topk",
    "swiglu_limit",
    "swiglu_alpha",
)
"""How scores become weights: the same bytes and FLOP in every variant."""


def read_mixture(
    config: Config,
    hidden: int,
    *,
    intermediate: int | None = None,
    shared: int | None = None,
    correction_bias: bool = False,
) -> MixtureOfExperts:
    """Return gated routed experts, and shared ones as wide as so many of them.

    Parameters
    ----------
    config : Config
        The configuration.
    hidden : int
        Width of the residual stream. [elements]
    intermediate : int, optional
        Width of one expert; ``moe_intermediate_size`` without it. [elements]
    shared : int, optional
        Shared experts where the field is missing; 0 without it. [1]
    correction_bias : bool
        Whether a buffer corrects the choice of experts.

    Returns
    -------
    MixtureOfExperts
        The router and its experts.

    Raises
    ------
    SpecError
        A figure is missing or out of range.

    Examples
    --------
    >>> deepseek = {
    ...     "n_routed_experts": 256,
    ...     "num_experts_per_tok": 8,
    ...     "moe_intermediate_size": 2048,
    ...     "n_shared_experts": 1,
    ... }
    >>> read_mixture(Config(deepseek, "config.json"), 7168).shared_intermediate
    2048
    """
    width = intermediate or config.size("moe_intermediate_size")
    experts = config.size(*_EXPERTS)
    count = config.optional_size(*_SHARED, least=0, most=MOST_LAYERS)
    if count is None:
        count = shared or 0
    config.ignore(*_ROUTING)
    return MixtureOfExperts(
        hidden=hidden,
        intermediate=width,
        experts=experts,
        top_k=config.size(*_TOP_K, most=experts),
        shared_intermediate=count * width,
        correction_bias=correction_bias,
    )


def read_sparse(config: Config, layers: int, *, dense: int = 0) -> list[bool]:
    """Return which layers have experts.

    ``mlp_layer_types`` lists them, or ``moe_layer_freq`` does with one number per layer; else
    layers are sparse from ``first_k_dense_replace`` on, where ``moe_layer_freq`` divides them.

    Parameters
    ----------
    config : Config
        The configuration.
    layers : int
        Number of layers. [1]
    dense : int
        First layers that are dense where the file says nothing. [1]

    Returns
    -------
    list of bool
        One per layer.

    Raises
    ------
    SpecError
        A list has another length or other entries.

    Examples
    --------
    >>> read_sparse(Config({"first_k_dense_replace": 1}, "config.json"), 3)
    [False, True, True]
    """
    kinds = config.listed("mlp_layer_types", ("dense", "sparse", "moe"), layers)
    if kinds is not None:
        config.ignore("first_k_dense_replace", "moe_layer_freq")
        return [kind != "dense" for kind in kinds]
    if config.is_list("moe_layer_freq"):
        flags = config.listed("moe_layer_freq", (0, 1), layers) or ()
        config.ignore("first_k_dense_replace")
        return [bool(flag) for flag in flags]
    first = config.optional_size("first_k_dense_replace", least=0, most=MOST_LAYERS)
    step = config.size("moe_layer_freq", default=1, most=MOST_LAYERS)
    start = dense if first is None else first
    return [layer >= start and layer % step == 0 for layer in range(layers)]


def read_feed_forward(
    config: Config, experts: MixtureOfExperts, sparse: list[bool]
) -> list[Dense | MixtureOfExperts]:
    """Return the feed-forward part of each layer, dense ones as wide as ``intermediate_size``.

    Parameters
    ----------
    config : Config
        The configuration.
    experts : MixtureOfExperts
        What a sparse layer has.
    sparse : list of bool
        Which layers are.

    Returns
    -------
    list of Dense or MixtureOfExperts
        One per layer.

    Raises
    ------
    SpecError
        A layer is dense and the width is missing.

    Examples
    --------
    >>> experts = MixtureOfExperts(hidden=8, intermediate=8, experts=4, top_k=2)
    >>> config = Config({"intermediate_size": 16}, "config.json")
    >>> [part.kind for part in read_feed_forward(config, experts, [False, True])]
    ['dense', 'moe']
    """
    if all(sparse):
        config.ignore("intermediate_size")
        return [experts] * len(sparse)
    dense = Dense(hidden=experts.hidden, intermediate=config.size("intermediate_size"))
    return [experts if is_sparse else dense for is_sparse in sparse]
