"""The site of a run of a served load: model, devices, formats and layout as a table names them."""

from __future__ import annotations

from functools import lru_cache

from planner.deployment import resolve
from planner.errors import LayoutError
from planner.hardware import load_hardware
from planner.importers import load_model
from planner.model import Model
from planner.scenario import Scenario
from planner.served_table import ServedRun
from planner.serving.site import Site

MODELS = {
    "gpt-oss 120b": "gpt-oss-120b",
    "gpt-oss 20b": "gpt-oss-20b",
    "gpt-j 6b": "gpt-j-6b",
    "mistral-7b": "mistral-7b-v0.1",
    "mistral 7b": "mistral-7b-v0.1",
    "llama 70b": "llama-2-70b",
    "llama v2 7b": "llama-2-7b",
    "llama v2 13b": "llama-2-13b",
    "llama v2 70b": "llama-2-70b",
    "deepseek r1 0528": "deepseek-r1",
    "deepseek-ai/deepseek-r1-0528": "deepseek-r1",
    "meta-llama3-8b-instruct": "llama-3-8b",
    "meta-llama3-70b-instruct": "llama-3-70b",
}
"""Names in published tables that are no one's id; other names are tried with ``-`` for blanks."""

DEVICES = {
    "b200": "b200-sxm", "b300": "b300-sxm", "h100": "h100-sxm", "h200": "h200-sxm",
    "a100": "a100-sxm-80gb", "a100-sxm": "a100-sxm-80gb", "gh200": "gh200-96gb",
    "rtx-pro-6000": "rtx-pro-6000-blackwell-server",
}  # fmt: skip
"""Short names of devices."""

_EIGHT_BIT_CACHE = ("tensorrt-llm", "nim")
"""Engines whose low-precision checkpoints come with a cache in fp8."""


def weights_of(model: Model, precision: str) -> str | None:
    """Return the format of weights that a table's precision means for a model.

    Parameters
    ----------
    model : Model
        The model.
    precision : str
        Such as ``"fp8"`` or ``"fp4"``; empty for the checkpoint's own.

    Returns
    -------
    str or None
        None where the checkpoint's own format is meant.

    Examples
    --------
    >>> from planner import load_model
    >>> weights_of(load_model("llama-3.1-8b"), "fp4")
    'nvfp4'
    """
    own = model.checkpoint.quantised or ""
    if precision in ("fp4", "nvfp4"):
        wanted = "mxfp4" if own == "mxfp4" else "nvfp4"
    elif precision == "fp8":
        wanted = own if own.startswith("fp8") else "fp8"
    elif precision == "int4" and own and "4" in own:
        wanted = own
    else:
        wanted = precision
    return None if wanted in (own, "") else wanted


@lru_cache(maxsize=512)
def _model(name: str) -> Model:
    key = name.lower()
    return load_model(MODELS.get(key) or (name if "/" in name else key.replace(" ", "-")))


@lru_cache(maxsize=1024)
def _site(place: tuple[str | int, ...]) -> Site:
    name, device, precision, engine, tp, pp, dp, ep = place
    model = _model(str(name))
    low = precision not in ("", "bf16", "fp16")
    hardware = load_hardware(DEVICES.get(str(device), str(device)), int(tp) * int(pp) * int(dp))
    sizes = {"tp": int(tp), "pp": int(pp), "dp": int(dp), "attention_dp": int(dp), "ep": int(ep)}
    weights = weights_of(model, str(precision))
    if not low and weights is not None and model.checkpoint.quantised is None:
        weights = str(precision)
    deployment = resolve(
        Scenario(
            model=model,
            hardware=hardware,
            weights=weights,
            kv_cache_dtype="fp8" if low and engine in _EIGHT_BIT_CACHE else None,
            context=2048,
            sequences=int(dp),
            **sizes,  # type: ignore[arg-type]
        )
    )
    return Site(
        model=deployment.scenario.model,
        execution=deployment.execution,
        device=hardware.device,
        links=deployment.links,
        memory=deployment.memory,
    )


def site_of(run: ServedRun) -> Site:
    """Return the site of a run.

    Experts that expert-parallel ranks do not divide are cut within the experts instead, and the
    other way about; a dense model has no expert-parallel ranks.

    Parameters
    ----------
    run : ServedRun
        The run.

    Returns
    -------
    Site
        Of one replica.

    Raises
    ------
    PlannerError
        Model or device are unknown, or the layout does not divide.
    """
    model, device, precision, engine, tp, pp, dp, ep = run.place
    refusal: LayoutError | None = None
    for layout in dict.fromkeys(((dp, ep), (dp, 1), (dp, int(tp) * int(dp)), (1, 1))):
        try:
            return _site((model, device, precision, engine, tp, pp, *layout))
        except LayoutError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


__all__ = ["DEVICES", "MODELS", "site_of", "weights_of"]
