"""Names of modules as configurations write them, matched against a model's own tensors.

Entries name modules by their full path, by a part of it, with wildcards, or as a regular
expression behind ``re:``. Expressions are read as wildcards, so that none can be made to run long.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import product

from planner.errors import UnsupportedConfigError
from planner.model.tensor import Tensor

_STACK = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+\*?|\*)(?:\.|$)")
_EXPERT = re.compile(r"\.experts\.(?:\d+|\*)(?=\.|$)")
_AROUND = frozenset(
    {
        "model", "language_model", "transformer", "backbone", "decoder", "text_model", "llm", "*",
    }
)  # fmt: skip
_ALIASES = {
    "self_attn": ("self_attn", "attn", "attention", "self_attention", "mixer"),
    "mlp": ("mlp", "block_sparse_moe", "ffn", "feed_forward", "moe", "mixer"),
    "router": ("router", "gate"),
    "shared_experts": ("shared_experts", "shared_expert", "shared_mlp"),
    "shared_gate": ("shared_gate", "shared_expert_gate"),
    "gate_up_proj": ("gate_up_proj", "gate_proj", "up_proj", "w1", "w3"),
    "gate_proj": ("gate_proj", "w1", "gate_up_proj"),
    "up_proj": ("up_proj", "w3", "gate_up_proj", "fc1"),
    "down_proj": ("down_proj", "w2", "fc2"),
    "q_proj": ("q_proj", "qkv_proj"),
    "k_proj": ("k_proj", "qkv_proj"),
    "v_proj": ("v_proj", "qkv_proj"),
    "o_proj": ("o_proj", "out_proj", "dense"),
    "embed_tokens": ("embed_tokens", "wte", "word_embeddings", "embed"),
    "lm_head": ("lm_head", "head", "embed_out"),
}
_MOST_EXPRESSIONS = 200
_MOST_CHARACTERS = 200


@functools.lru_cache(maxsize=4096)
def spellings(name: str) -> tuple[str, ...]:
    """Return the names that files may give to the module of a tensor.

    Parameters
    ----------
    name : str
        Name of the tensor within its layer.

    Returns
    -------
    tuple of str
        Its own name first.

    Examples
    --------
    >>> spellings("mlp.router.weight")[:2]
    ('mlp.router', 'mlp.gate')
    """
    words = name.removesuffix(".weight").split(".")
    return tuple(".".join(choice) for choice in product(*(_ALIASES.get(w, (w,)) for w in words)))


@functools.lru_cache(maxsize=4096)
def _holders(name: str) -> frozenset[str]:
    """Return the modules that hold a tensor, the layer left out, under all their names."""
    paths = [found.split(".") for found in spellings(name)]
    return frozenset(".".join(path[:end]) for path in paths for end in range(1, len(path) + 1))


@functools.lru_cache(maxsize=4096)
def _stretches(name: str) -> frozenset[str]:
    """Return every run of words of the paths to a tensor."""
    paths = [found.split(".") for found in spellings(name)]
    return frozenset(
        ".".join(path[start:end])
        for path in paths
        for start in range(len(path))
        for end in range(start + 1, len(path) + 1)
    )


def _wildcards(expression: str, place: str) -> Iterator[str]:
    """Yield the wildcard patterns that a simple regular expression stands for."""
    pieces: list[tuple[str, ...]] = []
    rest = expression.removeprefix("^").removesuffix("$")
    while rest:
        simple = re.match(r"\.\*|\.\+|\\d\+|\[0-9\]\+|\\\.|[A-Za-z0-9_\-]+|\.|\^", rest)
        choice = re.match(r"\((?:\?:)?([A-Za-z0-9_|.\-]+)\)", rest)
        if simple:
            text = simple.group()
            wild = {".*": "*", ".+": "?*", r"\d+": "[0-9]*", "[0-9]+": "[0-9]*", r"\.": ".",
                    ".": "?", "^": ""}  # fmt: skip
            pieces.append((wild.get(text, text),))
            rest = rest[simple.end() :]
        elif choice and len(pieces) < _MOST_EXPRESSIONS:
            pieces.append(tuple(choice.group(1).split("|")))
            rest = rest[choice.end() :]
        else:
            break
    count = 1
    for piece in pieces:
        count *= len(piece)
    if rest or count > _MOST_EXPRESSIONS or len(expression) > _MOST_CHARACTERS:
        raise UnsupportedConfigError(
            "a regular expression that is not understood",
            where=place,
            got=f"re:{expression}",
            allowed="names, .*, \\d+ and choices in brackets",
        )
    end = "" if expression.endswith("$") else "*"
    for parts in product(*pieces):
        yield "".join(parts) + end


class ModulePatterns:
    """Entries of one list, ready to be matched.

    Parameters
    ----------
    entries : iterable of str
        The list as the file has it.
    place : str
        File and field, for errors.

    Raises
    ------
    UnsupportedConfigError
        A regular expression that is not understood.
    """

    def __init__(self, entries: Iterable[str], place: str) -> None:
        self._in_layer: dict[str, set[str]] = {}
        self._anywhere: set[str] = set()
        self._full: list[str] = []
        self._known: dict[tuple[str, str], bool] = {}
        for entry in entries:
            if entry.startswith("re:"):
                self._full += _wildcards(entry[3:], place)
            else:
                self._add(_EXPERT.sub(".experts", entry))

    def _add(self, entry: str) -> None:
        found = _STACK.search(entry)
        if found is None:
            self._anywhere.add(_without_wrapper(entry))
            return
        around = [word for word in entry[: found.start()].split(".") if word]
        if not _AROUND.issuperset(around):
            return
        self._in_layer.setdefault(found.group(1), set()).add(entry[found.end() :] or "*")

    def match(self, layer: int | None, tensor: Tensor) -> bool:
        """Return whether an entry names a tensor's module or one that holds it.

        Parameters
        ----------
        layer : int or None
            Index in the stack; None for what stands around it.
        tensor : Tensor
            A weight tensor.

        Returns
        -------
        bool
            True where one does.

        Examples
        --------
        >>> gate = Tensor("mlp.router.weight", (8, 4096), "router")
        >>> ModulePatterns(["model.layers.3.mlp.gate"], "config.json").match(3, gate)
        True
        """
        if self._remembered("", self._anywhere, tensor) or self._full_match(layer, tensor):
            return True
        if layer is None:
            return False
        number = str(layer)
        return any(
            self._remembered(key, patterns, tensor)
            for key, patterns in self._in_layer.items()
            if key == number or (key.endswith("*") and fnmatchcase(number, key))
        )

    def _remembered(self, key: str, patterns: set[str], tensor: Tensor) -> bool:
        known = self._known.get((key, tensor.name))
        if known is None:
            plain, match = (_holders, _inside) if key else (_stretches, _contains)
            wild = [pattern for pattern in patterns if "*" in pattern or "?" in pattern]
            known = not patterns.isdisjoint(plain(tensor.name)) or any(
                match(name, pattern) for pattern in wild for name in spellings(tensor.name)
            )
            self._known[key, tensor.name] = known
        return known

    def _full_match(self, layer: int | None, tensor: Tensor) -> bool:
        if not self._full:
            return False
        numbered = any(re.search(r"\d|layers", pattern) for pattern in self._full)
        key = f"re {layer if numbered else layer is None}"
        known = self._known.get((key, tensor.name))
        if known is None:
            stem = "model." if layer is None else f"model.layers.{layer}."
            names = [stem + name for name in spellings(tensor.name)]
            bare = [name.removeprefix("model.") for name in names]
            known = any(fnmatchcase(n, p) for p in self._full for n in (*names, *bare))
            self._known[key, tensor.name] = known
        return known


def _without_wrapper(entry: str) -> str:
    words = entry.split(".")
    while len(words) > 1 and words[0] in _AROUND - {"*"}:
        words = words[1:]
    return ".".join(words)


def _inside(name: str, pattern: str) -> bool:
    """Whether a pattern below a layer names a module or one that holds it."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _contains(name: str, pattern: str) -> bool:
    """Whether a pattern without a layer names a run of a module's path."""
    lead = "" if pattern.startswith("*") else "*."
    tail = "" if pattern.endswith("*") else ".*"
    return fnmatchcase(f".{name}.", f"{lead}{pattern}{tail}")
