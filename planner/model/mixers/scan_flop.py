"""FLOP of scans over a matrix state, chunked in prefill and token by token in decode.

A state of ``key_dim × value_dim`` per head is decayed, gets a rank-1 update, and is read by a
query. In chunks of ``Q`` tokens, prefill makes matrix products of it: scores among the tokens of a
chunk, their outputs, outputs of the state, and the update of the state. Kernels compute the whole
square of scores, so nothing is halved.
"""

from __future__ import annotations

from planner.arrays import Numeric, minimum
from planner.model.step import Step


def linear_scan_flop(
    step: Step,
    *,
    chunk: int,
    heads: int,
    key_dim: int,
    value_dim: int,
    key_heads: int | None = None,
) -> Numeric:
    r"""Return the FLOP of :math:`S_t = a_t S_{t-1} + k_t v_t^T, \; y_t = S_t^T q_t`.

    Per token 5 per element of the state in decode: decay 1, update 2, read 2. In prefill

    .. math::
        2Q(h_k d_k + h d_v) + 4 h d_k d_v + 2 h d_k d_v / Q

    Parameters
    ----------
    step : Step
        The forward pass.
    chunk : int
        Tokens that prefill handles as one matrix product ``Q``. [tokens]
    heads : int
        Heads on the rank. [1]
    key_dim, value_dim : int
        Width of a head's key and value. [elements]
    key_heads : int, optional
        Heads that keys and queries have, where value heads share them. [1]

    Returns
    -------
    numeric
        Work of the whole step. [FLOP]

    References
    ----------
    dao-2024, yang-2023

    Examples
    --------
    >>> decode = Step.decode(1, 4096)
    >>> linear_scan_flop(decode, chunk=256, heads=80, key_dim=128, value_dim=64, key_heads=1)
    3276800
    """
    state = heads * key_dim * value_dim
    if step.phase == "decode":
        return 5 * step.tokens * state
    size = minimum(step.new_tokens, chunk)
    scores = (key_heads or heads) * key_dim + heads * value_dim
    return step.tokens * (2 * size * scores + 4 * state + 2 * state / size)


def delta_scan_flop(step: Step, *, chunk: int, heads: int, key_dim: int, value_dim: int) -> Numeric:
    r"""Return the FLOP of the gated delta rule, which replaces what a key stood for.

    .. math::
        S_t = a_t S_{t-1} (I - \beta_t k_t k_t^T) + \beta_t k_t v_t^T

    Per token 7 per element of the state in decode: decay 1, prediction 2, update 2, read 2. In
    prefill, per head and token, scores of keys and of queries ``4Qd_k``, the two products with the
    inverse of the triangular system ``2Q(d_k + d_v)`` and its solution ``Q²/3``, outputs ``2Qd_v``,
    and three products with the state ``6d_kd_v``.

    Parameters
    ----------
    step : Step
        The forward pass.
    chunk : int
        Tokens that prefill handles as one matrix product ``Q``. [tokens]
    heads : int
        Value heads on the rank. [1]
    key_dim, value_dim : int
        Width of a head's key and value. [elements]

    Returns
    -------
    numeric
        Work of the whole step. [FLOP]

    References
    ----------
    yang-2024, kimi-linear-2025

    Examples
    --------
    >>> delta_scan_flop(Step.decode(1, 4096), chunk=64, heads=32, key_dim=128, value_dim=128)
    3670016
    """
    state = heads * key_dim * value_dim
    if step.phase == "decode":
        return 7 * step.tokens * state
    size = minimum(step.new_tokens, chunk)
    products = 4 * key_dim + 2 * (key_dim + value_dim) + 2 * value_dim
    return step.tokens * (heads * size * products + 6 * state + heads * size * size / 3)
