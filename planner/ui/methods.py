"""The page "Methods": how figures are computed, what the words mean, what it rests on."""

from __future__ import annotations

import streamlit as st

from planner.claims.references import PUBLICATIONS
from planner.explain import EXPLAIN
from planner.plan import Plan, plan
from planner.ui import explained, frame, loaded
from planner.ui.details import figure_name
from planner.ui.fields import FIELDS
from planner.ui.markdown import plain, table
from planner.ui.state import build

_IDEA = """
A model is a stack of layers, and each layer answers three questions: **what it holds** (weight
tensors), **what it remembers** (keys, values and states of each sequence) and **what it does**
(the operations of one step on one device). Everything on these pages is a sum over the answers.

- **Memory** is exact for weights and caches: shapes times storage format, scales included, on the
  fullest device. Activations are the most that one step holds at once. The capacity is what the
  driver shows a program, not the figure on the box.
- **Time** starts from a floor: each operation takes as long as the slowest of arithmetic at the
  device's dense peak rate, traffic at its peak memory bandwidth, and messages at its one-way link
  bandwidth. Curves fitted to measured kernels say how much longer real ones take, and how much they
  scatter: the p10–p90 band. The step is the sum.
- **Limits** invert the memory formula: the longest context, the most sequences and the fewest
  devices with which the same total stays within the capacity.

GB is 10⁹ bytes and GiB 2³⁰. A multiply-add counts as two FLOP; rates are without sparsity.
"""

_WORDS = (
    ("Context", "Tokens that one sequence keeps in the cache: prompt and output together."),
    ("Prompt length, ISL", "Input sequence length: tokens of a prompt, read in prefill."),
    ("Output length, OSL", "Output sequence length: tokens generated for a prompt."),
    ("Sequences", "Requests in flight at once, over all replicas; also batch or concurrency."),
    ("Prefill", "The pass that reads prompts and fills the caches; many new tokens at once."),
    ("Decode step", "The pass that writes one token for every sequence in flight."),
    ("KV cache", "Keys and values of past tokens, kept so that they are not computed again."),
    ("State", "What recurrent layers keep of a sequence; the same size at any context."),
    ("MHA, GQA, MQA", "Multi-head, grouped-query and multi-query attention: every query head, a "
     "group of them, or all of them share one key and value head."),
    ("SWA", "Sliding-window attention: keys and values of the last tokens only."),
    ("SSM", "State-space model, such as Mamba-2: a state in place of a cache."),
    ("MoE", "Mixture of experts: each token visits a few of many feed-forward blocks."),
    ("TP", "Tensor parallelism: ranks share each layer of one replica of the model."),
    ("DP", "Data parallelism: independent replicas that share the sequences among them."),
    ("Fullest device", "The one that holds most; the others hold as much or less."),
    ("Activations", "Intermediate results of a step; freed as the step goes on."),
    ("Runtime", "Device memory outside the model: driver context, buffers of collectives."),
    ("Roofline", "The rate that memory bandwidth and peak arithmetic admit at an intensity."),
    ("Arithmetic intensity", "FLOP per byte moved; below the ridge, memory is what binds."),
    ("Bound", "The resource that most of the time waits for: compute, memory or communication."),
)  # fmt: skip


def page() -> None:
    """Draw the page."""
    frame.begin("Methods", "Methods – how figures are computed")
    st.markdown(_IDEA)
    st.header("Formulas", anchor="formulas")
    st.markdown(
        "As the engine itself reports them. On every page, *How computed* shows the same formula "
        "with its numbers."
    )
    st.markdown(_formulas(_example()))
    st.header("Nomenclature", anchor="nomenclature")
    st.markdown(table(["term", "meaning"], _WORDS))
    st.header("Inputs and their names in links", anchor="links")
    rows = [
        [field.label, f"`{field.key}`", f"`{field.flag}`", plain(field.help)]
        for field in FIELDS.values()
    ]
    st.markdown(table(["input", "in links", "command line", "meaning"], rows))
    st.header("References", anchor="references")
    references = [
        [plain(name), explained.citation(source)] for name, source in PUBLICATIONS.items()
    ]
    st.markdown(table(["id", "publication"], references))


@st.cache_resource(show_spinner=False)
def _example() -> Plan:
    """The page's default scenario, for the texts of its explanations."""
    defaults = {key: field.default for key, field in FIELDS.items()}
    return plan(build(defaults, loaded.model, loaded.hardware))


@st.cache_data(show_spinner=False)
def _formulas(_plan: Plan) -> str:
    rows = []
    for path in EXPLAIN:
        explanation = _plan.explain(path)
        rows.append(
            [
                figure_name(path),
                plain(explanation.meaning),
                plain(explanation.formula),
                ", ".join(explanation.sources)
                if set(explanation.sources) <= set(PUBLICATIONS)
                else "",
            ]
        )
    return table(["figure", "meaning", "formula", "references"], rows)
