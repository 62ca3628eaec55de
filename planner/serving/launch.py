"""Commands that start one replica in each engine, from the settings of a deployment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

ON_LOADING = ("fp8",)
"""Weight formats that engines make of a 16-bit checkpoint when they load it."""

VERIFIED: Mapping[str, str] = {
    "vLLM": "0.33.0, its own arguments",
    "SGLang": "0.5.23, its own arguments",
    "TensorRT-LLM": "commit 00209af1, options of trtllm-serve",
    "llama.cpp": "commit 00dc8057, README of llama-server",
}
"""Engine → the version whose own code or documentation has every flag that is written here."""

_LLAMA_CPP_CACHES = ("bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What one replica is started with.

    Parameters
    ----------
    model : str
        Hugging Face id, or a path.
    max_num_seqs : int
        Most sequences in flight, on each data-parallel rank. [1]
    max_num_batched_tokens : int
        Most tokens in one step, likewise. [tokens]
    max_model_len : int
        Longest request. [tokens]
    tp, pp, cp : int
        Tensor-parallel ranks, pipeline stages, and ranks that share the tokens of a prompt. [1]
    ep : int
        Expert-parallel ranks. [1]
    attention_dp : int
        Data-parallel ranks that share experts. [1]
    weights, kv_cache_dtype : str or None
        Formats where they differ from the checkpoint's own. Weights that engines do not quantise
        on loading need a checkpoint that is stored so.
    """

    model: str
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    tp: int = 1
    pp: int = 1
    cp: int = 1
    ep: int = 1
    attention_dp: int = 1
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
        words = ["vllm", "serve", self.model, "--tensor-parallel-size", str(self.tp)]
        words += _beyond_one("--pipeline-parallel-size", self.pp)
        words += _beyond_one("--prefill-context-parallel-size", self.cp)
        words += _beyond_one("--data-parallel-size", self.attention_dp)
        words += ["--enable-expert-parallel"] if self.ep > 1 else []
        words += ["--max-num-seqs", str(self.max_num_seqs)]
        words += ["--max-num-batched-tokens", str(self.max_num_batched_tokens)]
        words += ["--max-model-len", str(self.max_model_len)]
        names = {"fp8": "fp8", "bf16": "bfloat16", "fp16": "float16", "nvfp4": "nvfp4"}
        return shlex.join(words + self._formats("--quantization", names))

    def sglang(self) -> str:
        """Return the command of SGLang, whose sizes are those of all data-parallel ranks together.

        Returns
        -------
        str
            Fit for a shell.
        """
        ranks = self.attention_dp
        words = ["python", "-m", "sglang.launch_server", "--model-path", self.model]
        words += ["--tp-size", str(self.tp * self.cp * ranks)]
        words += _beyond_one("--pp-size", self.pp) + _beyond_one("--attn-cp-size", self.cp)
        words += _beyond_one("--dp-size", ranks)
        words += ["--enable-dp-attention"] if ranks > 1 else []
        words += _beyond_one("--ep-size", self.ep)
        words += ["--max-running-requests", str(self.max_num_seqs * ranks)]
        words += ["--chunked-prefill-size", str(self.max_num_batched_tokens * ranks)]
        words += ["--context-length", str(self.max_model_len)]
        names = {"fp8": "fp8_e4m3", "bf16": "bf16", "nvfp4": "nvfp4", "mxfp8": "mxfp8"}
        return shlex.join(words + self._formats("--quantization", names))

    def tensorrt_llm(self) -> str:
        """Return the command of TensorRT-LLM; its checkpoints bring their own formats.

        Returns
        -------
        str
            Fit for a shell.
        """
        words = ["trtllm-serve", self.model, "--tp_size", str(self.tp * self.attention_dp)]
        words += _beyond_one("--pp_size", self.pp) + _beyond_one("--ep_size", self.ep)
        words += ["--max_batch_size", str(self.max_num_seqs)]
        words += ["--max_num_tokens", str(self.max_num_batched_tokens)]
        words += ["--max_seq_len", str(self.max_model_len), "--enable_chunked_prefill"]
        return shlex.join(words)

    def llama_cpp(self) -> str:
        """Return the command of llama.cpp, which shares one context among its slots.

        Returns
        -------
        str
            Fit for a shell; the model is a GGUF file of the weights.
        """
        words = ["llama-server", "--model", f"{self.model.rpartition('/')[2]}.gguf"]
        words += ["--n-gpu-layers", "all", "--parallel", str(self.max_num_seqs)]
        words += ["--ctx-size", str(self.max_num_seqs * self.max_model_len)]
        words += ["--batch-size", str(self.max_num_batched_tokens)]
        if self.tp > 1:
            words += ["--split-mode", "row"]
        elif self.pp > 1:
            words += ["--split-mode", "layer"]
        if (cache := self._llama_cpp_cache) is not None:
            words += ["--cache-type-k", cache, "--cache-type-v", cache]
        return shlex.join(words)

    @property
    def _llama_cpp_cache(self) -> str | None:
        if self.kv_cache_dtype == "fp16":
            return "f16"
        return self.kv_cache_dtype if self.kv_cache_dtype in _LLAMA_CPP_CACHES else None

    def _formats(self, weights_flag: str, caches: Mapping[str, str]) -> list[str]:
        words = [weights_flag, str(self.weights)] if self.weights in ON_LOADING else []
        if self.kv_cache_dtype is not None and self.kv_cache_dtype in caches:
            words += ["--kv-cache-dtype", caches[self.kv_cache_dtype]]
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

    def left_out(self) -> dict[str, tuple[str, ...]]:
        """Return what of the deployment a command does not say.

        Returns
        -------
        dict
            Clauses by engine; engines that say all are absent.
        """
        found: dict[str, list[str]] = {engine: [] for engine in self.commands()}
        checkpoint = self.weights is not None and self.weights not in ON_LOADING
        for engine, clauses in found.items():
            if checkpoint or (self.weights and engine in ("TensorRT-LLM", "llama.cpp")):
                clauses.append(f"the checkpoint must be stored in {self.weights}")
        if self.kv_cache_dtype is not None:
            for engine, said in self._caches_said().items():
                if not said:
                    found[engine].append(f"a cache in {self.kv_cache_dtype} is not asked for")
        if self.attention_dp > 1:
            found["TensorRT-LLM"].append("enable_attention_dp: true belongs in its options file")
        for name, size in (("expert", self.ep), ("data", self.attention_dp)):
            if size > 1:
                found["llama.cpp"].append(f"it has no {name} parallelism")
        if self.cp > 1:
            for engine in ("TensorRT-LLM", "llama.cpp"):
                found[engine].append("context parallelism is not asked for")
        if self.tp > 1 and self.pp > 1:
            found["llama.cpp"].append("rows or layers are split, not both")
        return {engine: tuple(clauses) for engine, clauses in found.items() if clauses}

    def _caches_said(self) -> dict[str, bool]:
        """Whether each engine's command names the format of the caches."""
        return {
            "vLLM": "--kv-cache-dtype" in self.vllm(),
            "SGLang": "--kv-cache-dtype" in self.sglang(),
            "TensorRT-LLM": False,
            "llama.cpp": self._llama_cpp_cache is not None,
        }


def _beyond_one(flag: str, size: int) -> list[str]:
    return [flag, str(size)] if size > 1 else []


__all__ = ["VERIFIED", "Launch"]
