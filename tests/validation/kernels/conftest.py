"""Kernels run in Triton's interpreter where no CUDA device is, which must be asked for first."""

from __future__ import annotations

import importlib.util
import os


def _has_cuda() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


if not _has_cuda():
    os.environ["TRITON_INTERPRET"] = "1"
