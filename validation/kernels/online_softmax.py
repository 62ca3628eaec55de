"""Softmax-weighted sums in one pass, a tile of keys at a time.

References
----------
Milakov and Gimelshein (2018), Online normalizer calculation for softmax, arXiv:1805.02867
"""

from validation.kernels.launch import dot, narrow, tl, triton

# A score that no other can be below: finite, so that a row that sees nothing in a tile stays
# finite too, and is washed out by the first key that it sees.
MASKED = tl.constexpr(-1.0e30)


@triton.jit
def absorb(attended, peak, total, scores, value, scale_log2):
    """Take a tile of keys into a running softmax.

    ``peak`` is the largest scaled score so far and ``total`` the sum of ``2 ** (score − peak)``;
    scores are scaled here, one multiply-add per element, positive ``scale_log2`` given.
    """
    higher = tl.maximum(peak, tl.max(scores, 1) * scale_log2)
    weights = tl.exp2(scores * scale_log2 - higher[:, None])
    fade = tl.exp2(peak - higher)
    total = total * fade + tl.sum(weights, 1)
    attended = dot(narrow(weights, value.dtype), value, attended * fade[:, None])
    return attended, higher, total
