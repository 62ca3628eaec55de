"""Record what llama.cpp allocates on a CPU: cache, state, model and compute buffers.

Usage: ``python scripts/record_llama_cpp.py OUT.json [NAME ...]``. Needs the packages ``gguf`` and
``llama-cpp-python`` (built from its source package), which nothing else here does. Every model of
``llama_cpp_models.py`` is written to a temporary folder, loaded without mapping, and given contexts
of several lengths, cache types and numbers of sequences; the figures are those of llama.cpp's log.
"""

from __future__ import annotations

import ctypes
import json
import platform
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp_models import CASES, Case, write

SEED = 20261122
_BUFFER = re.compile(
    r"(?P<where>\S+)\s+(?P<kind>model|KV|RS|compute|output) buffer size =\s+(?P<mib>[\d.]+) MiB"
)
_CACHE = re.compile(
    r"llama_kv_cache: size =\s+[\d.]+ MiB \(\s*(?P<cells>\d+) cells,\s+(?P<layers>\d+) layers"
)
_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2, "f32": 0}
_CONTEXTS: tuple[Mapping[str, Any], ...] = (
    {"n_ctx": 4096},
    {"n_ctx": 4096, "flash_attn": False},
    {"n_ctx": 32768},
    {"n_ctx": 32768, "flash_attn": False},
    {"n_ctx": 16384, "n_seq_max": 4},
    {"n_ctx": 16384, "n_seq_max": 4, "kv_unified": True},
    {"n_ctx": 8192, "n_ubatch": 128},
    {"n_ctx": 8192, "n_ubatch": 2048},
    {"n_ctx": 8192, "type_k": "q8_0", "type_v": "q8_0"},
    {"n_ctx": 8192, "type_k": "q8_0", "type_v": "q4_0"},
    {"n_ctx": 16384, "swa_full": True},
    {"n_ctx": 16384, "swa_full": True, "flash_attn": False, "n_seq_max": 2},
)
_DEFAULTS = {
    "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "flash_attn": True, "swa_full": False,
    "kv_unified": False, "type_k": "f16", "type_v": "f16",
}  # fmt: skip


class Log:
    """The lines that llama.cpp has written since the last look."""

    def __init__(self) -> None:
        self.text = ""
        self._callback = llama_cpp.llama_log_callback(self._take)
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, data: object) -> None:
        del level, data
        self.text += text.decode("utf-8", "replace")

    def read(self) -> str:
        """Return the lines and forget them."""
        text, self.text = self.text, ""
        return text


def buffers(text: str) -> dict[str, float]:
    """Return the sizes of the buffers that a log names, summed by kind. [MiB]."""
    found: dict[str, float] = {}
    for match in _BUFFER.finditer(text):
        kind = match["kind"]
        found[kind] = round(found.get(kind, 0.0) + float(match["mib"]), 2)
    return found


def context(model: Any, settings: Mapping[str, Any], log: Log) -> dict[str, Any]:
    """Return what one context of a model allocates."""
    asked = {**_DEFAULTS, **settings}
    params = llama_cpp.llama_context_default_params()
    for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "swa_full", "kv_unified"):
        setattr(params, name, asked[name])
    params.type_k, params.type_v = _TYPES[asked["type_k"]], _TYPES[asked["type_v"]]
    params.flash_attn_type = int(asked["flash_attn"])
    made = llama_cpp.llama_init_from_model(model, params)
    text = log.read()
    if not made:
        return {"settings": asked, "refused": text.strip().splitlines()[-1]}
    llama_cpp.llama_free(made)
    cells = [[int(each["cells"]), int(each["layers"])] for each in _CACHE.finditer(text)]
    return {"settings": asked, "buffers_mib": buffers(text), "cells_and_layers": cells}


def record(case: Case, folder: Path, log: Log) -> dict[str, Any]:
    """Return what a model and its contexts allocate."""
    path = folder / f"{case.name}.gguf"
    write(case, path, SEED)
    params = llama_cpp.llama_model_default_params()
    params.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
    params.use_extra_bufts = False
    log.read()
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    text = log.read()
    if not model:
        raise SystemExit(text)
    found = {
        "name": case.name,
        "weights": case.weights,
        "config": dict(case.config),
        "file_bytes": path.stat().st_size,
        "buffers_mib": buffers(text),
        "contexts": [context(model, settings, log) for settings in _CONTEXTS],
    }
    llama_cpp.llama_model_free(model)
    path.unlink()
    return found


def main(arguments: list[str]) -> int:
    """Write the record."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    out, *names = arguments
    log = Log()
    llama_cpp.llama_backend_init()
    with tempfile.TemporaryDirectory() as folder:
        models = [
            record(case, Path(folder), log) for case in CASES if not names or case.name in names
        ]
    found = {
        "schema_version": 1,
        "versions": {name: version(name) for name in ("llama_cpp_python", "gguf", "numpy")},
        "system": f"{platform.system()} {platform.machine()}, CPU backend",
        "seed": SEED,
        "models": models,
    }
    Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
