"""Publications that only claims rest on, beside those of the engine."""

from __future__ import annotations

from planner.references import REFERENCES
from planner.sources import Source

_OF_CLAIMS: dict[str, Source] = {
    "brown-2020": Source(
        kind="paper",
        title="Language Models are Few-Shot Learners",
        publisher="arXiv:2005.14165",
        date="2020",
    ),
    "touvron-2023": Source(
        kind="paper",
        title="Llama 2: Open Foundation and Fine-Tuned Chat Models",
        publisher="arXiv:2307.09288",
        date="2023",
    ),
    "frantar-2022": Source(
        kind="paper",
        title="GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
        publisher="arXiv:2210.17323",
        date="2022",
    ),
    "kwon-2023": Source(
        kind="paper",
        title="Efficient Memory Management for Large Language Model Serving with PagedAttention",
        publisher="arXiv:2309.06180",
        date="2023",
    ),
    "zhang-2023": Source(
        kind="paper",
        title="H2O: Heavy-Hitter Oracle for Efficient Generative Inference of Large Language "
        "Models",
        publisher="arXiv:2306.14048",
        date="2023",
    ),
    "ding-2023": Source(
        kind="paper",
        title="LongNet: Scaling Transformers to 1,000,000,000 Tokens",
        publisher="arXiv:2307.02486",
        date="2023",
    ),
    "hsieh-2024": Source(
        kind="paper",
        title="RULER: What's the Real Context Size of Your Long-Context Language Models?",
        publisher="arXiv:2404.06654",
        date="2024",
    ),
    "li-2024": Source(
        kind="paper",
        title="Retrieval Augmented Generation or Long-Context LLMs? A Comprehensive Study and "
        "Hybrid Approach",
        publisher="arXiv:2407.16833",
        date="2024",
    ),
    "vllm-2026": Source(
        kind="repository",
        title="vLLM 0.33.0: attention backends and the platforms that select them",
        publisher="vLLM project",
        date="2026",
    ),
    "sglang-2026": Source(
        kind="repository",
        title="SGLang 0.5.23: attention backends",
        publisher="SGLang project",
        date="2026",
    ),
    "tensorrt-llm-2026": Source(
        kind="repository",
        title="TensorRT-LLM: fused attention and XQA kernels",
        publisher="NVIDIA",
        date="2026",
    ),
}

PUBLICATIONS: dict[str, Source] = REFERENCES | _OF_CLAIMS
"""Everything that a card may cite, by id."""
