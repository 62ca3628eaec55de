"""Commands that start one replica in each engine, from the settings of a deployment."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

ON_LOADING = ("fp8",)
"""Weight formats that engines make of a 16-bit checkpoint when they load it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What one replica is started with.

    Parameters
    ----------
    model : str
        Hugging Face id, or a path.
    tp : int
        Tensor-parallel ranks. [1]
    max_num_seqs : int
        Most sequences in flight. [1]
    max_num_batched_tokens : int
        Most tokens in one step. [tokens]
    max_model_len : int
        Longest request. [tokens]
    weights, kv_cache_dtype : str or None
        Formats where they differ from the checkpoint's own. Weights that engines do not quantise
        on loading need a checkpoint that is stored so.
    """

    model: str
    tp: int
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    weights: str | None = None
    kv_cache_dtype: str | None = None

    def vllm(self) -> str:
        """Return the command of vLLM.

        Returns
        -------
        str
            Fit for a shell.

        Examples
        --------
        >>> Launch(
        ...     model="a/b", tp=2, max_num_seqs=64, max_num_batched_tokens=2048, max_model_len=4096
        ... ).vllm().split(" --")[:2]
        ['vllm serve a/b', 'tensor-parallel-size 2']
        """
        words = ["vllm", "serve", self.model]
        words += ["--tensor-parallel-size", str(self.tp), "--max-num-seqs", str(self.max_num_seqs)]
        words += ["--max-num-batched-tokens", str(self.max_num_batched_tokens)]
        words += ["--max-model-len", str(self.max_model_len)]
        words += self._formats("--quantization", "--kv-cache-dtype")
        return shlex.join(words)

    def sglang(self) -> str:
        """Return the command of SGLang.

        Returns
        -------
        str
            Fit for a shell.
        """
        words = ["python", "-m", "sglang.launch_server", "--model-path", self.model]
        words += ["--tp", str(self.tp), "--max-running-requests", str(self.max_num_seqs)]
        words += ["--chunked-prefill-size", str(self.max_num_batched_tokens)]
        words += ["--context-length", str(self.max_model_len)]
        fp8 = {"fp8": "fp8_e4m3"}
        words += self._formats("--quantization", "--kv-cache-dtype", caches=fp8)
        return shlex.join(words)

    def tensorrt_llm(self) -> str:
        """Return the command of TensorRT-LLM; its checkpoints bring their own formats.

        Returns
        -------
        str
            Fit for a shell.
        """
        words = ["trtllm-serve", self.model, "--tp_size", str(self.tp)]
        words += ["--max_batch_size", str(self.max_num_seqs)]
        words += ["--max_num_tokens", str(self.max_num_batched_tokens)]
        words += ["--max_seq_len", str(self.max_model_len)]
        return shlex.join(words)

    def llama_cpp(self) -> str:
        """Return the command of llama.cpp, which shares one context among its slots.

        Returns
        -------
        str
            Fit for a shell; the model is a GGUF file of the weights.
        """
        words = ["llama-server", "--model", f"{self.model.rpartition('/')[2]}.gguf"]
        words += ["--n-gpu-layers", "999", "--parallel", str(self.max_num_seqs)]
        words += ["--ctx-size", str(self.max_num_seqs * self.max_model_len)]
        words += ["--batch-size", str(self.max_num_batched_tokens)]
        if self.tp > 1:
            words += ["--split-mode", "row"]
        if self.kv_cache_dtype in ("q8_0", "q4_0", "f16", "bf16"):
            words += ["--cache-type-k", self.kv_cache_dtype, "--cache-type-v", self.kv_cache_dtype]
        return shlex.join(words)

    def _formats(
        self, weights: str, caches_flag: str, caches: dict[str, str] | None = None
    ) -> list[str]:
        words = []
        if self.weights in ON_LOADING:
            words += [weights, str(self.weights)]
        if self.kv_cache_dtype is not None:
            words += [caches_flag, (caches or {}).get(self.kv_cache_dtype, self.kv_cache_dtype)]
        return words

    def commands(self) -> dict[str, str]:
        """Return the command of each engine.

        Returns
        -------
        dict
            Command by engine.
        """
        return {
            "vLLM": self.vllm(),
            "SGLang": self.sglang(),
            "TensorRT-LLM": self.tensorrt_llm(),
            "llama.cpp": self.llama_cpp(),
        }


__all__ = ["Launch"]
