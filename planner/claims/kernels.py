"""Claims about attention kernels: what they move, and what that can save."""

from __future__ import annotations

from planner.claims.assumptions import device_control, figure, tokens_control
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.claims.published import told
from planner.cost.attention_orders import flash1_elements, materialised_elements
from planner.cost.traffic import AttentionTraffic, attention_traffic
from planner.explanation import Term
from planner.hardware import load_device
from planner.model.storage import BF16
from planner.units import KIB, format_bytes

_MOST_TOKENS = 2**24
_CLAIMED_PASSES = 3


def _head_control(default: int) -> Control:
    return Control(
        name="head_dim", label="Head width", unit="elements", default=default, least=16, most=256
    )


def _traffic(values: Values, device: str) -> AttentionTraffic:
    return attention_traffic(
        load_device(device), tokens=values["tokens"], head_dim=values["head_dim"], causal=False
    )


def _waiting(values: Values) -> Finding:
    traffic = _traffic(values, values["device"])
    share = traffic.explain("materialised_memory_share")
    found = float(share.value or 0)
    near = abs(found - 0.8) <= 0.1
    return Finding(
        verdict="depends",
        ruling="plausible in size, not a published figure"
        if near
        else "not under these assumptions",
        explanation=f"Attention that writes its scores out waits for memory {found:.1%} of the "
        f"time on {traffic.device.name} at {values['tokens']:,} tokens and heads of "
        f"{values['head_dim']}, its kernels one after the other. The share is a result of these, "
        "not a constant; decode attention waits for memory nearly always, fused or not.",
        figures=(share, traffic.explain("materialised_bytes")),
    )


def _passes(values: Values) -> Finding:
    tokens, head_dim = values["tokens"], values["head_dim"]
    masks = values["extra_square_tensors"]
    whole = materialised_elements(tokens, head_dim, masks)
    squares = round((whole - 4 * tokens * head_dim) / tokens**2)
    right = squares == _CLAIMED_PASSES
    return Finding(
        verdict="true" if right else "false",
        ruling="true" if right else "imprecise",
        explanation=f"Three kernels run one after the other, but they move {squares} tensors of "
        f"N² elements: scores are written and read, probabilities are written and read"
        + (f", and {masks} more are read for masks and dropout" if masks else "")
        + ". Queries, keys, values and outputs come on top.",
        figures=(
            figure(
                "square_transfers",
                squares,
                "transfers",
                "Transfers of N² elements per head.",
                "(elements moved − 4·N·d) / N²",
                f"({whole:,} − 4·{tokens:,}·{head_dim}) / {tokens:,}²",
                sources=("dao-2022",),
            ),
            figure(
                "moved_elements",
                whole,
                "elements",
                "What one head moves.",
                "(4 + masks)·N² + 4·N·d",
                f"(4 + {masks})·{tokens:,}² + 4·{tokens:,}·{head_dim}",
                sources=("dao-2022",),
            ),
        ),
    )


def _speed_up(values: Values) -> Finding:
    bounds = []
    for chosen in (values["device"], values["other_device"]):
        traffic = _traffic(values, chosen)
        device = traffic.device
        flop = 4 * traffic.tokens**2 * traffic.head_dim
        compute_s = flop / device.rate(traffic.format.precision)
        bandwidth = device.memory_bandwidth_bytes_per_s
        apart = compute_s + traffic.materialised_bytes / bandwidth
        fused = max(compute_s, traffic.fused_bytes / bandwidth)
        bounds.append((device.name, apart / fused))
    (name, first), (other, second) = bounds
    return Finding(
        verdict="false",
        ruling="false attribution",
        explanation="No paper gives this pair of figures. The first paper reports "
        f"{told('flash-attention-kernel')} times for the attention kernel of GPT-2 on an A100 and "
        f"{told('flash-attention-training')} times for training GPT-2 end to end; the third, on "
        f"H100, {told('flash-attention-3-least')} to {told('flash-attention-3-most')} times over "
        "the second. What can be gained depends on length, width and device: the bounds here are "
        "computed, not measured.",
        figures=(
            figure(
                "speed_up_bound",
                first,
                "1",
                f"Bound of the speed-up of attention on {name}.",
                "(arithmetic + materialised traffic) / max(arithmetic, fused traffic)",
                f"N = {values['tokens']:,}, d = {values['head_dim']}",
                sources=("dao-2022", "williams-2009"),
            ),
            figure(
                "other_speed_up_bound",
                second,
                "1",
                f"The same on {other}.",
                "(arithmetic + materialised traffic) / max(arithmetic, fused traffic)",
                f"N = {values['tokens']:,}, d = {values['head_dim']}",
                sources=("dao-2022", "williams-2009"),
            ),
        ),
    )


def _constant_saving(values: Values) -> Finding:
    on_chip = values["on_chip_kib"] * KIB // (BF16.bits // 8)
    shapes = {
        f"N = {n:,}, d = {d}": (materialised_elements(n, d), flash1_elements(n, d, on_chip))
        for n, d in ((values["tokens"], values["head_dim"]), (1024, 64))
    }
    saving = {name: naive / fused for name, (naive, fused) in shapes.items()}
    low, high = min(saving.values()), max(saving.values())
    verdict: Verdict = "true" if high / low < 1.2 else "depends"
    return Finding(
        verdict=verdict,
        ruling="the same at these shapes" if verdict == "true" else "depends on d and M",
        explanation="FlashAttention-1 as published reads queries and partial outputs once for "
        "every block of keys; a block holds ⌊M / 4d⌋ of them, so wide heads and small on-chip "
        f"memories leave little gain: {low:.3g} to {high:.3g} times at these shapes. With queries "
        "outside, as in FlashAttention-2, and a level-2 cache, more is gained.",
        figures=(
            figure(
                "saving",
                next(iter(saving.values())),
                "1",
                "Materialised traffic over that of FlashAttention-1.",
                "(4·N² + 4·N·d) / (2·N·d + ⌈N / ⌊M / 4d⌋⌉·(3·N·d + 4·N))",
                f"{next(iter(saving))}, M = {on_chip:,} elements",
                terms=tuple(Term(label=name, value=value) for name, value in saving.items()),
                sources=("dao-2022",),
            ),
            figure(
                "flash1_bytes",
                next(iter(shapes.values()))[1] * BF16.bits // 8,
                "bytes",
                "Traffic of FlashAttention-1, one head.",
                "(2·N·d + ⌈N / Bc⌉·(3·N·d + 4·N)) · 2 bytes",
                f"{next(iter(shapes))}, {format_bytes(values['on_chip_kib'] * KIB)} on chip",
                sources=("dao-2022",),
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="d1",
        title="How long attention waits for memory",
        said="Before fused kernels, 80 % of the time of attention went into memory traffic.",
        controls=(
            device_control("a100-sxm-80gb"),
            tokens_control(1024, name="tokens", label="Tokens", most=_MOST_TOKENS),
            _head_control(64),
        ),
        find=_waiting,
        sources=("dao-2022", "williams-2009"),
    ),
    Claim(
        id="d2",
        title="Passes over memory",
        said="Standard attention makes three large passes over device memory.",
        controls=(
            tokens_control(4096, name="tokens", label="Tokens", most=_MOST_TOKENS),
            _head_control(128),
            Control(
                name="extra_square_tensors",
                label="Masks and dropout",
                unit="1",
                default=0,
                least=0,
                most=4,
            ),
        ),
        find=_passes,
        sources=("dao-2022",),
    ),
    Claim(
        id="d3",
        title="Speed-ups of FlashAttention",
        said="FlashAttention is three times faster on A100 and seven times on H100.",
        controls=(
            device_control("a100-sxm-80gb"),
            Control(
                name="other_device",
                label="Other device",
                unit="",
                default="h100-sxm",
                choices=device_control().choices,
            ),
            tokens_control(2048, name="tokens", label="Tokens", most=_MOST_TOKENS),
            _head_control(64),
        ),
        find=_speed_up,
        sources=("dao-2022", "dao-2023", "shah-2024"),
        quotes=(
            "flash-attention-kernel",
            "flash-attention-training",
            "flash-attention-3-least",
            "flash-attention-3-most",
        ),
        on_record="unsupported",
    ),
    Claim(
        id="d4",
        title="FlashAttention's saving as a constant",
        said="FlashAttention cuts memory traffic by one constant factor.",
        controls=(
            tokens_control(8192, name="tokens", label="Tokens", most=_MOST_TOKENS),
            _head_control(128),
            Control(
                name="on_chip_kib",
                label="On-chip memory",
                unit="KiB",
                default=100,
                least=16,
                most=65_536,
            ),
        ),
        find=_constant_saving,
        sources=("dao-2022", "dao-2023"),
    ),
)
