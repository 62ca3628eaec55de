"""Publications and programs that formulas in the engine rest on."""

from __future__ import annotations

from planner.software import SOFTWARE
from planner.sources import Source

REFERENCES: dict[str, Source] = {
    "vaswani-2017": Source(
        kind="paper",
        title="Attention Is All You Need",
        publisher="arXiv:1706.03762",
        date="2017",
    ),
    "shazeer-2019": Source(
        kind="paper",
        title="Fast Transformer Decoding: One Write-Head is All You Need",
        publisher="arXiv:1911.02150",
        date="2019",
    ),
    "ainslie-2023": Source(
        kind="paper",
        title="GQA: Training Generalized Multi-Query Transformer Models from Multi-Head "
        "Checkpoints",
        publisher="arXiv:2305.13245",
        date="2023",
    ),
    "jiang-2023": Source(
        kind="paper", title="Mistral 7B", publisher="arXiv:2310.06825", date="2023"
    ),
    "jiang-2024": Source(
        kind="paper", title="Mixtral of Experts", publisher="arXiv:2401.04088", date="2024"
    ),
    "deepseek-v2-2024": Source(
        kind="paper",
        title="DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model",
        publisher="arXiv:2405.04434",
        date="2024",
    ),
    "deepseek-v3-2024": Source(
        kind="paper",
        title="DeepSeek-V3 Technical Report",
        publisher="arXiv:2412.19437",
        date="2024",
    ),
    "deepseek-v3.2-2025": Source(
        kind="paper",
        title="DeepSeek-V3.2: Pushing the Frontier of Open Large Language Models",
        publisher="arXiv:2512.02556",
        date="2025",
    ),
    "deepseek-v4-2026": Source(
        kind="repository",
        title="transformers 5.23.0, models/deepseek_v4: compressed attention, hyper-connections "
        "and hash routing as the modelling code has them",
        publisher="Hugging Face",
        date="2026",
    ),
    "hu-2024": Source(
        kind="paper",
        title="Multi-matrix Factorization Attention",
        publisher="arXiv:2412.19255",
        date="2024",
    ),
    "liu-2023-ring": Source(
        kind="paper",
        title="Ring Attention with Blockwise Transformers for Near-Infinite Context",
        publisher="arXiv:2310.01889",
        date="2023",
    ),
    "dao-2022": Source(
        kind="paper",
        title="FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
        publisher="arXiv:2205.14135",
        date="2022",
    ),
    "dao-2023": Source(
        kind="paper",
        title="FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning",
        publisher="arXiv:2307.08691",
        date="2023",
    ),
    "shah-2024": Source(
        kind="paper",
        title="FlashAttention-3: Fast and Accurate Attention with Asynchrony and Low-precision",
        publisher="arXiv:2407.08608",
        date="2024",
    ),
    "waleffe-2024": Source(
        kind="paper",
        title="An Empirical Study of Mamba-based Language Models",
        publisher="arXiv:2406.07887",
        date="2024",
    ),
    "dao-2024": Source(
        kind="paper",
        title="Transformers are SSMs: Generalized Models and Efficient Algorithms Through "
        "Structured State Space Duality",
        publisher="arXiv:2405.21060",
        date="2024",
    ),
    "williams-2009": Source(
        kind="paper",
        title="Roofline: An Insightful Visual Performance Model for Multicore Architectures",
        publisher="Communications of the ACM 52(4), doi:10.1145/1498765.1498785",
        date="2009",
    ),
    "shoeybi-2019": Source(
        kind="paper",
        title="Megatron-LM: Training Multi-Billion Parameter Language Models Using Model "
        "Parallelism",
        publisher="arXiv:1909.08053",
        date="2019",
    ),
    "lin-2023": Source(
        kind="paper",
        title="AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration",
        publisher="arXiv:2306.00978",
        date="2023",
    ),
    "dettmers-2023": Source(
        kind="paper",
        title="QLoRA: Efficient Finetuning of Quantized LLMs",
        publisher="arXiv:2305.14314",
        date="2023",
    ),
    "egiazarian-2024": Source(
        kind="paper",
        title="Extreme Compression of Large Language Models via Additive Quantization",
        publisher="arXiv:2401.06118",
        date="2024",
    ),
    "liu-2024-kivi": Source(
        kind="paper",
        title="KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache",
        publisher="arXiv:2402.02750",
        date="2024",
    ),
    "patarasuk-2009": Source(
        kind="paper",
        title="Bandwidth optimal all-reduce algorithms for clusters of workstations",
        publisher="Journal of Parallel and Distributed Computing 69(2), "
        "doi:10.1016/j.jpdc.2008.09.002",
        date="2009",
    ),
    "devlin-2019": Source(
        kind="paper",
        title="BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
        publisher="arXiv:1810.04805",
        date="2019",
    ),
    "raffel-2020": Source(
        kind="paper",
        title="Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
        publisher="arXiv:1910.10683",
        date="2020",
    ),
    "press-2022": Source(
        kind="paper",
        title="Train Short, Test Long: Attention with Linear Biases Enables Input Length "
        "Extrapolation",
        publisher="arXiv:2108.12409",
        date="2022",
    ),
    "su-2021": Source(
        kind="paper",
        title="RoFormer: Enhanced Transformer with Rotary Position Embedding",
        publisher="arXiv:2104.09864",
        date="2021",
    ),
    "chen-2023": Source(
        kind="paper",
        title="Extending Context Window of Large Language Models via Positional Interpolation",
        publisher="arXiv:2306.15595",
        date="2023",
    ),
    "peng-2023": Source(
        kind="paper",
        title="YaRN: Efficient Context Window Extension of Large Language Models",
        publisher="arXiv:2309.00071",
        date="2023",
    ),
    "ding-2024": Source(
        kind="paper",
        title="LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens",
        publisher="arXiv:2402.13753",
        date="2024",
    ),
    "grattafiori-2024": Source(
        kind="paper",
        title="The Llama 3 Herd of Models",
        publisher="arXiv:2407.21783",
        date="2024",
    ),
    "xiao-2024": Source(
        kind="paper",
        title="Efficient Streaming Language Models with Attention Sinks",
        publisher="arXiv:2309.17453",
        date="2024",
    ),
    "brandon-2024": Source(
        kind="paper",
        title="Reducing Transformer Key-Value Cache Size with Cross-Layer Attention",
        publisher="arXiv:2405.12981",
        date="2024",
    ),
    "sun-2024": Source(
        kind="paper",
        title="You Only Cache Once: Decoder-Decoder Architectures for Language Models",
        publisher="arXiv:2405.05254",
        date="2024",
    ),
    "warner-2024": Source(
        kind="paper",
        title="Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder for Fast, "
        "Memory Efficient, and Long Context Finetuning and Inference",
        publisher="arXiv:2412.13663",
        date="2024",
    ),
    "baykal-2023": Source(
        kind="paper",
        title="Alternating Updates for Efficient Transformers",
        publisher="arXiv:2301.13310",
        date="2023",
    ),
    "dosovitskiy-2021": Source(
        kind="paper",
        title="An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
        publisher="arXiv:2010.11929",
        date="2021",
    ),
    "meta-2025": Source(
        kind="article",
        title="The Llama 4 herd: The beginning of a new era of natively multimodal AI innovation",
        publisher="Meta",
        date="2025",
    ),
    "bloc97-2023": Source(
        kind="article",
        title="NTK-Aware Scaled RoPE allows LLaMA models to have extended context size",
        publisher="Reddit, r/LocalLLaMA",
        date="2023",
    ),
    "gu-2023": Source(
        kind="paper",
        title="Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
        publisher="arXiv:2312.00752",
        date="2023",
    ),
    "yang-2023": Source(
        kind="paper",
        title="Gated Linear Attention Transformers with Hardware-Efficient Training",
        publisher="arXiv:2312.06635",
        date="2023",
    ),
    "yang-2024": Source(
        kind="paper",
        title="Gated Delta Networks: Improving Mamba2 with Delta Rule",
        publisher="arXiv:2412.06464",
        date="2024",
    ),
    "kimi-linear-2025": Source(
        kind="paper",
        title="Kimi Linear: An Expressive, Efficient Attention Architecture",
        publisher="arXiv:2510.26692",
        date="2025",
    ),
    "minimax-01-2025": Source(
        kind="paper",
        title="MiniMax-01: Scaling Foundation Models with Lightning Attention",
        publisher="arXiv:2501.08313",
        date="2025",
    ),
    "de-2024": Source(
        kind="paper",
        title="Griffin: Mixing Gated Linear Recurrences with Local Attention for Efficient "
        "Language Models",
        publisher="arXiv:2402.19427",
        date="2024",
    ),
    "peng-2023-rwkv": Source(
        kind="paper",
        title="RWKV: Reinventing RNNs for the Transformer Era",
        publisher="arXiv:2305.13048",
        date="2023",
    ),
    "peng-2024-rwkv": Source(
        kind="paper",
        title="Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence",
        publisher="arXiv:2404.05892",
        date="2024",
    ),
    "peng-2025-rwkv": Source(
        kind="paper",
        title='RWKV-7 "Goose" with Expressive Dynamic State Evolution',
        publisher="arXiv:2503.14456",
        date="2025",
    ),
    "beck-2024": Source(
        kind="paper",
        title="xLSTM: Extended Long Short-Term Memory",
        publisher="arXiv:2405.04517",
        date="2024",
    ),
    "lfm2-2025": Source(
        kind="paper",
        title="LFM2 Technical Report",
        publisher="arXiv:2511.23404",
        date="2025",
    ),
    "poli-2023": Source(
        kind="paper",
        title="Hyena Hierarchy: Towards Larger Convolutional Language Models",
        publisher="arXiv:2302.10866",
        date="2023",
    ),
    "massaroli-2023": Source(
        kind="paper",
        title="Laughing Hyena Distillery: Extracting Compact Recurrences From Convolutions",
        publisher="arXiv:2310.18780",
        date="2023",
    ),
    "dao-2022-monarch": Source(
        kind="paper",
        title="Monarch: Expressive Structured Matrices for Efficient and Accurate Training",
        publisher="arXiv:2204.00595",
        date="2022",
    ),
    "fu-2023-monarch": Source(
        kind="paper",
        title="Monarch Mixer: A Simple Sub-Quadratic GEMM-Based Architecture",
        publisher="arXiv:2310.12109",
        date="2023",
    ),
    "beltagy-2020": Source(
        kind="paper",
        title="Longformer: The Long-Document Transformer",
        publisher="arXiv:2004.05150",
        date="2020",
    ),
    "kitaev-2020": Source(
        kind="paper",
        title="Reformer: The Efficient Transformer",
        publisher="arXiv:2001.04451",
        date="2020",
    ),
    "gupta-2021": Source(
        kind="paper",
        title="Memory-efficient Transformers via Top-k Attention",
        publisher="arXiv:2106.06899",
        date="2021",
    ),
    "lu-2025": Source(
        kind="paper",
        title="MoBA: Mixture of Block Attention for Long-Context LLMs",
        publisher="arXiv:2502.13189",
        date="2025",
    ),
    "glorioso-2024": Source(
        kind="paper",
        title="Zamba: A Compact 7B SSM Hybrid Model",
        publisher="arXiv:2405.16712",
        date="2024",
    ),
    "figliolia-2025": Source(
        kind="paper",
        title="Compressed Convolutional Attention: Efficient Attention in a Compressed Latent "
        "Space",
        publisher="arXiv:2510.04476",
        date="2025",
    ),
    "anthony-2025": Source(
        kind="paper",
        title="Training Foundation Models on a Full-Stack AMD Platform: Compute, Networking, and "
        "System Design",
        publisher="arXiv:2511.17127",
        date="2025",
    ),
    "attention-residuals-2026": Source(
        kind="repository",
        title="Kimi-K3: residual connections over depth, latent experts and gated latent attention",
        publisher="Moonshot AI",
        date="2026",
        locator="config.json, and the tensor names of the published checkpoint",
    ),
    "stripedhyena-2023": Source(
        kind="repository",
        title="StripedHyena: filters of poles and residues, and their recurrent form",
        publisher="Together",
        date="2023",
        locator="stripedhyena/model.py and engine.py, commits 1746a0d4 and f2f623d6",
    ),
    **SOFTWARE,
}
"""Publications that formulas in the engine rest on, by id."""
