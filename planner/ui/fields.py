"""Every input of a scenario: public URL key, label, command-line flag, default, help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.scenario import DEFAULT_STEP_TOKENS

AUTO = "auto"
"""Stands for an open choice, which the planner makes and names."""
NO_ENGINE = "ideal"
"""Stands for no engine: caches lie one after the other, nothing is set aside."""
UPLOADED = "config.json"
"""Stands for the uploaded configuration among the models."""
MOST_CHARACTERS = 40
"""Longest number that an input takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One input of a scenario.

    Parameters
    ----------
    key : str
        URL key; also the key of the widget. Public: links rest on it.
    label : str
        What the page calls it.
    flag : str
        The same input on the command line, as errors name it.
    default : str
        What holds where a link is silent.
    help : str
        Unit and meaning.
    """

    key: str
    label: str
    flag: str
    default: str
    help: str


_TOKENS = "32K = 32,768 and 32k = 32,000."

FIELDS: Mapping[str, Field] = {
    field.key: field
    for field in (
        Field(
            key="m",
            label="Model",
            flag="--model",
            default="llama-3.1-70b",
            help="Catalog id or Hugging Face id. Type to search; for any other model upload its "
            "config.json.",
        ),
        Field(
            key="d",
            label="Device",
            flag="--device",
            default="h100-sxm 80 GB",
            help="One accelerator, or a node of eight. GB is the vendor's figure; the plan uses "
            "what the driver shows.",
        ),
        Field(
            key="n",
            label="Devices",
            flag="-n",
            default="4",
            help="How many devices there are in all: what TP, PP, CP and DP multiply to.",
        ),
        Field(
            key="tp",
            label="Tensor parallel",
            flag="--tp",
            default=AUTO,
            help="TP: ranks that share one replica of the model. Only sizes that divide the "
            "devices and the model's heads are offered; auto takes the fewest that hold the load.",
        ),
        Field(
            key="w",
            label="Weights",
            flag="--weights",
            default=AUTO,
            help="Storage format of the weights; auto is what the checkpoint says.",
        ),
        Field(
            key="kv",
            label="KV cache",
            flag="--kv-cache-dtype",
            default=AUTO,
            help="Format of keys and values; auto is that of the residual stream.",
        ),
        Field(
            key="ctx",
            label="Context",
            flag="--context",
            default="8192",
            help=f"Tokens in each sequence's cache, prompt and output together. {_TOKENS}",
        ),
        Field(
            key="s",
            label="Sequences",
            flag="--sequences",
            default="32",
            help="Sequences in flight at once, over all replicas.",
        ),
        Field(
            key="isl",
            label="Prompt",
            flag="--isl",
            default="",
            help=f"ISL: tokens of each prompt, read in prefill. {_TOKENS} Empty: what the output "
            "leaves of the context.",
        ),
        Field(
            key="osl",
            label="Output",
            flag="--osl",
            default="",
            help=f"OSL: tokens written for each prompt, one per decode step. {_TOKENS}",
        ),
        Field(
            key="dp",
            label="Replicas",
            flag="--dp",
            default=AUTO,
            help="DP: copies of the model, each with sequences of its own. TP × PP × CP × DP = "
            "devices; auto follows from TP.",
        ),
        Field(
            key="pp",
            label="Pipeline stages",
            flag="--pp",
            default=AUTO,
            help="PP: the layers are dealt to stages, one group of TP ranks each. The first holds "
            "the embedding, the last the head; auto is one stage.",
        ),
        Field(
            key="ep",
            label="Expert parallel",
            flag="--ep",
            default=AUTO,
            help="EP: ranks that share the experts, whole ones each. Beyond TP × CP they join "
            "replicas, which then attend on their own and share one copy of the experts.",
        ),
        Field(
            key="cp",
            label="Context parallel",
            flag="--cp",
            default=AUTO,
            help="CP: ranks that share the tokens of a sequence. Each holds the weights, and a "
            "part of the cache.",
        ),
        Field(
            key="dcp",
            label="Cache parts",
            flag="--dcp",
            default=AUTO,
            help="DCP: parts that tensor-parallel ranks cut the cached tokens into, where they "
            "would else hold copies of the same heads.",
        ),
        Field(
            key="adp",
            label="Attention DP",
            flag="--attention-dp",
            default=AUTO,
            help="Replicas that share one copy of the experts; auto follows from EP.",
        ),
        Field(
            key="ow",
            label="Offload weights",
            flag="--offload-weights",
            default="",
            help="Share of the layers' weights in host memory, streamed in at every step: 0.5, "
            "50% or '20 layers'.",
        ),
        Field(
            key="oc",
            label="Offload cache",
            flag="--offload-cache",
            default="",
            help="Share of the caches in host memory, read over the link at every step.",
        ),
        Field(
            key="a",
            label="Activations",
            flag="--activations",
            default=AUTO,
            help="Format in which activations enter matrix products; auto follows weights and "
            "device.",
        ),
        Field(
            key="mbt",
            label="Tokens per step",
            flag="--max-num-batched-tokens",
            default="",
            help="Most tokens in one step; longer prompts are read in chunks. Bounds the "
            f"activations. {DEFAULT_STEP_TOKENS:,} without an engine. {_TOKENS}",
        ),
        Field(
            key="cfg",
            label="Configuration code",
            flag="cfg",
            default="",
            help="The uploaded config.json, compressed; this is how a share link carries it.",
        ),
        Field(
            key="e",
            label="Engine",
            flag="--engine",
            default=NO_ENGINE,
            help="Whose allocation is planned: pages, reserves, start-up checks. Type a version "
            "behind an @, such as vllm@0.19.0; ideal has none of these.",
        ),
        Field(
            key="u",
            label="Memory share",
            flag="--gpu-memory-utilization",
            default="",
            help="Share of the device's memory that the engine may take, such as 0.9.",
        ),
        Field(
            key="mml",
            label="Longest request",
            flag="--max-model-len",
            default="",
            help="Prompt and output of one request at most; -1 asks for the longest that fits. "
            f"{_TOKENS}",
        ),
        Field(
            key="mns",
            label="Sequences per step",
            flag="--max-num-seqs",
            default="",
            help="Most sequences that the engine runs in one step.",
        ),
    )
}
"""Every input by its URL key."""
