"""Claims about quantised weights."""

from __future__ import annotations

from planner.claims.assumptions import any_model, figure, model_control
from planner.claims.claim import Claim, Control, Finding, Values, Verdict
from planner.claims.published import PERPLEXITIES
from planner.cost.memory import explain_weights
from planner.deployment import weight_scheme
from planner.explanation import Term
from planner.importers import load_model
from planner.model import Execution
from planner.model.execution import half
from planner.model.storage import BF16, WEIGHT_FORMATS

_CLAIMED_RATIO = 4.0
_TOLERANCE = 0.05
_CHOICES = ("gptq", "gptq_4_g32", "gptq_4_gall", "gptq_3", "gptq_8", "awq", "nf4_double")


def _perplexities() -> dict[str, float]:
    """Return the relative rise of perplexity that the paper's tables show."""
    return {name: quantised / plain - 1 for name, plain, quantised in PERPLEXITIES.values()}


def _four_times(values: Values) -> Finding:
    model = load_model(values["model"])
    scheme = weight_scheme(model, values["weights"])
    execution = Execution(weights=scheme, activations=BF16, stream=BF16, cache=BF16)
    small = explain_weights(model, execution)
    whole = model.weights_bytes(half())
    ratio = whole / int(small.value or 1)
    losses = _perplexities()
    near = ratio >= _CLAIMED_RATIO * (1 - _TOLERANCE)
    below = [name for name, loss in losses.items() if loss < 0.01]
    verdict: Verdict = "false" if ratio < _CLAIMED_RATIO / 2 else "depends"
    return Finding(
        verdict=verdict,
        ruling="nearly true of the memory"
        if near
        else ("false" if verdict == "false" else "depends on the model"),
        explanation=f"{model.name} in {scheme.name} takes {ratio:.3g} times less than in bf16: "
        "scales come on top of four bits, embeddings and head stay in 16, and keys and values are "
        "not touched. Below 1 % of perplexity is lost by "
        f"{', '.join(below)} only; LLaMA-7B loses {losses['LLaMA-7B']:.1%} without groups.",
        figures=(
            figure(
                "saving",
                ratio,
                "1",
                "Weights in bf16 over weights in the format.",
                "bytes(bf16) / bytes(format)",
                f"{whole:,} / {small.value:,}",
                sources=("frantar-2022",),
            ),
            small,
            figure(
                "least_perplexity_rise",
                min(losses.values()),
                "1",
                "Least relative rise of perplexity on WikiText-2 in the published tables.",
                "quantised / 16 bits − 1",
                ", ".join(f"{name} {loss:.1%}" for name, loss in losses.items()),
                terms=tuple(Term(label=name, value=loss) for name, loss in losses.items()),
                sources=("frantar-2022",),
            ),
        ),
    )


CLAIMS = (
    Claim(
        id="o",
        title="Weights in four bits",
        said="GPTQ in four bits takes a quarter of the memory and loses less than 1 % of "
        "perplexity.",
        controls=(
            model_control("llama-3.1-8b", any_model),
            Control(
                name="weights",
                label="Weights",
                unit="",
                default="gptq",
                choices=lambda: (*_CHOICES, *WEIGHT_FORMATS),
            ),
        ),
        find=_four_times,
        sources=("frantar-2022",),
        quotes=(
            "opt-175b-fp16",
            "opt-175b-gptq",
            "bloom-176b-fp16",
            "bloom-176b-gptq",
            "llama-7b-fp16",
            "llama-7b-gptq",
        ),
    ),
)
