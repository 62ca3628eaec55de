"""Recompute the predictions of the worked example in docs/serving.md, and write them into it.

The measured figures stand here with their source; nothing is fitted to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from planner import Scenario, load_hardware, load_model
from planner.deployment import resolve
from planner.fleet import Fleet
from planner.service import Service, ServiceQuestion
from planner.serving.arrivals import ClosedLoop, Poisson
from planner.serving.lengths import Empirical, Fixed
from planner.serving.objectives import Objectives
from planner.serving.outcome import Outcome
from planner.serving.replica import ReplicaSettings
from planner.serving.search import SettingsSpace
from planner.serving.simulator import simulate
from planner.serving.site import Confidence, Site
from planner.serving.workload import Workload

PAGE = Path(__file__).resolve().parent.parent / "docs" / "serving.md"
START, END = "<!-- worked example: rows -->", "<!-- worked example: end -->"
HEADER = (
    "| users | TPOT measured | predicted (p10–p90) | output tokens/s measured | predicted "
    "| TTFT measured | predicted |\n|---|---|---|---|---|---|---|"
)
PROMPT, OUTPUT = 1024, 512
MEASURED = (
    (8, 7.42e-3, 0.550),
    (16, 8.35e-3, 0.308),
    (32, 9.88e-3, 0.226),
    (64, 13.10e-3, 0.230),
    (128, 19.26e-3, 0.364),
)
"""Users, TPOT and TTFT of Llama-3.1-8B in bf16 on one H100: TensorRT-LLM 1.0.0rc3, InferenceMAX by
way of aiconfigurator at 095f58a5."""
SLOTS, STEP_TOKENS = 256, 8192


def nominal(tokens: int) -> Empirical:
    """The benchmark draws lengths of 0.8 to 1 of the nominal one."""
    return Empirical(tuple(int(value) for value in np.linspace(0.8 * tokens, tokens, 9)))


def predicted(users: int, confidence: Confidence) -> Outcome:
    """So many users on the device, simulated."""
    model, hardware = load_model("llama-3.1-8b"), load_hardware("h100-sxm")
    deployment = resolve(
        Scenario(model=model, hardware=hardware, context=10_240, max_num_batched_tokens=STEP_TOKENS)
    )
    site = Site(
        model=model,
        execution=deployment.execution,
        device=hardware.device,
        links=deployment.links,
        memory=deployment.memory,
    )
    times = site.step_table(
        max_batch=SLOTS, max_step_tokens=STEP_TOKENS, max_context=16_384, confidence=confidence
    )
    settings = ReplicaSettings(
        max_num_seqs=SLOTS,
        max_num_batched_tokens=STEP_TOKENS,
        pool=site.pool(site.pool_bytes(max_num_seqs=SLOTS), short=500, long=9000),
    )
    load = Workload(prompt=nominal(PROMPT), output=nominal(OUTPUT), arrivals=ClosedLoop(users))
    return simulate(times, settings, load.draw(20 * users + 500, seed=1))


def row(users: int, tpot_s: float, ttft_s: float) -> str:
    """One line of the table."""
    found = {level: predicted(users, level) for level in ("p10", "p50", "p90")}
    tpot = {level: each.percentile("tpot_s", 50) * 1e3 for level, each in found.items()}
    length = nominal(OUTPUT).mean
    measured = users * length / (ttft_s + tpot_s * (length - 1))
    middle = found["p50"]
    return (
        f"| {users} | {tpot_s * 1e3:.2f} ms | {tpot['p50']:.2f} ({tpot['p10']:.2f}–"
        f"{tpot['p90']:.2f}) | {measured:,.0f} | {middle.output_tokens_per_s:,.0f} "
        f"| {ttft_s * 1e3:.0f} ms | {middle.percentile('ttft_s', 50) * 1e3:.0f} ms |"
    )


def fleet(confidence: Confidence) -> Fleet:
    """The fleet for 40 such requests a second at no more than 20 ms per token."""
    return Fleet(
        service=Service(
            question=ServiceQuestion(
                model=load_model("llama-3.1-8b"),
                hardware=(load_hardware("h100-sxm"),),
                workload=Workload(prompt=Fixed(922), output=Fixed(461), arrivals=Poisson(40.0)),
                objectives=Objectives(tpot_s=0.02),
                tp=(1,),
                confidence=confidence,
                space=SettingsSpace(max_num_seqs=(SLOTS,), max_num_batched_tokens=(STEP_TOKENS,)),
            )
        )
    )


def sentence(confidence: Confidence) -> str:
    """What a fleet at a confidence is."""
    data = fleet(confidence).to_dict()
    shown, times = data["fleet"], data["simulation"]
    return (
        f"- `--confidence {confidence}`: {shown['devices']} devices, "
        f"{shown['utilisation_fraction']:.0%} utilised, TPOT p90 {times['tpot_s']['p90'] * 1e3:.1f}"
        " ms"
    )


def text() -> str:
    """Everything between the marks."""
    rows = "\n".join(row(*each) for each in MEASURED)
    fleets = "\n".join(sentence(level) for level in ("p90", "p50"))
    return f"{START}\n{HEADER}\n{rows}\n\nFleets for 40 requests per second:\n\n{fleets}\n{END}"


def written(page: str) -> str:
    """The page with the example recomputed."""
    before, _, rest = page.partition(START)
    return before + text() + rest.partition(END)[2]


def main() -> int:
    """Write the page; return 1 where it changed."""
    old = PAGE.read_text(encoding="utf-8")
    new = written(old)
    PAGE.write_text(new, encoding="utf-8")
    return int(old != new)


if __name__ == "__main__":
    sys.exit(main())
