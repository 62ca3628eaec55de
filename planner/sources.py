"""Where a figure comes from: bibliographic sources and figures that cite them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.\-]{0,79}$")]
Date = Annotated[str, StringConstraints(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


class Source(BaseModel):
    """One publication, repository, log or computation that figures rest on."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["datasheet", "paper", "documentation", "repository", "log", "article", "derived"]
    title: str
    publisher: str | None = None
    url: str | None = None
    date: Date | None = None
    accessed: Date | None = None
    locator: str | None = None
    note: str | None = None


class Figure(BaseModel):
    """A number as printed in its source; the loader converts it to base units.

    ``verified: false`` marks a figure that nobody has re-read in its source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    value: Annotated[float, Field(allow_inf_nan=False)] | int
    unit: str
    source: Identifier
    note: str | None = None
    verified: bool = True


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
    "dao-2022": Source(
        kind="paper",
        title="FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
        publisher="arXiv:2205.14135",
        date="2022",
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
    "frantar-2022": Source(
        kind="paper",
        title="GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers",
        publisher="arXiv:2210.17323",
        date="2022",
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
}
"""Publications that formulas in the engine rest on, by id."""
