"""Headers of safetensors and GGUF files: read exactly, refused in a sentence, never trusted."""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.errors import PlannerError, SpecError, UnsupportedConfigError
from planner.importers import load_model, model_from_text
from planner.importers.gguf import gguf_from_bytes
from planner.importers.measured import layer_of
from planner.importers.safetensors import read_header
from planner.model import Model
from planner.model.execution import half
from planner.model.schemes import weight_scheme

CONFIG = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 128, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip
LAYER = {
    "self_attn.q_proj": [64, 64], "self_attn.k_proj": [32, 64], "self_attn.v_proj": [32, 64],
    "self_attn.o_proj": [64, 64], "mlp.gate_proj": [128, 64], "mlp.up_proj": [128, 64],
    "mlp.down_proj": [64, 128], "input_layernorm": [64], "post_attention_layernorm": [64],
}  # fmt: skip
SECOND = 1.0
MEMORY_BYTES = 100 * 2**20
TRACED_BYTES = 2**20  # tracing is slow


def stored(model: Model) -> int:
    return model.weights_bytes(replace(half(), weights=weight_scheme(model, None)))


def names() -> dict[str, list[int]]:
    shapes = {f"model.layers.{i}.{n}.weight": shape for i in range(2) for n, shape in LAYER.items()}
    return {"model.embed_tokens.weight": [100, 64], **shapes, "model.norm.weight": [64]}


def tensors_header(shapes: dict[str, list[int]], kind: str = "BF16", width: int = 2) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        size = width
        for length in shape:
            size *= length
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def put(folder: Path, data: bytes, config: dict[str, Any] | None = None) -> Path:
    file = folder / "model.safetensors"
    file.write_bytes(data)
    (folder / "config.json").write_text(json.dumps(config or CONFIG))
    return file


def refused(call: Callable[[], object], *, traced: bool = True) -> str:
    """The sentence of a typed error that came within a second and took little memory."""
    begun = time.process_time()
    with pytest.raises(SpecError) as caught:
        call()
    assert time.process_time() - begun < SECOND
    if traced:
        tracemalloc.start()
        with pytest.raises(SpecError):
            call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_BYTES
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


# --- safetensors ---


def test_a_file_with_its_configuration(tmp_path: Path) -> None:
    model = load_model(put(tmp_path, tensors_header(names())))
    assert stored(model) == 2 * model.parameters
    assert model.checkpoint.rules == ()
    wide = load_model(put(tmp_path, tensors_header(names(), "F32", 4)))
    assert stored(wide) == 4 * model.parameters


def test_a_named_format_overrides_the_file(tmp_path: Path) -> None:
    file = put(tmp_path, tensors_header(names(), "F32", 4))
    model = load_model(file, weights_given=True)
    assert stored(model) == 2 * model.parameters


def test_without_a_configuration(tmp_path: Path) -> None:
    file = put(tmp_path, tensors_header(names()))
    (tmp_path / "config.json").unlink()
    assert "config.json" in refused(lambda: load_model(file))
    assert "config.json" in refused(lambda: model_from_text(b"", "model.safetensors"))


def test_other_weights_than_described_are_told(tmp_path: Path) -> None:
    deeper = names() | {f"model.layers.{i}.mlp.up_proj.weight": [900, 64] for i in range(2)}
    model = load_model(put(tmp_path, tensors_header(deeper)))
    assert any("weights, its configuration describes" in warning for warning in model.warnings)
    odd = load_model(put(tmp_path, tensors_header({"one.big.tensor": [500, 100]})))
    assert any("could not be told apart" in warning for warning in odd.warnings)
    assert stored(odd) == 100_000


def test_layers_beyond_the_stack_are_counted_apart(tmp_path: Path) -> None:
    more = names() | {"model.layers.2.eh_proj.weight": [64, 128]}
    model = load_model(put(tmp_path, tensors_header(more)))
    assert model.checkpoint.extra_bytes == 2 * 64 * 128


def test_an_index_without_files(tmp_path: Path) -> None:
    put(tmp_path, b"")
    index = tmp_path / "model.safetensors.index.json"
    weights = dict.fromkeys(names(), "model-00001-of-00002.safetensors")
    index.write_text(json.dumps({"metadata": {"total_size": 123_457}, "weight_map": weights}))
    assert stored(load_model(index)) == 123_457


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "weight_map"),
        ({"weight_map": {}}, "weight_map"),
        ({"weight_map": {"a": "../../x.safetensors"}}, "beside the index"),
        ({"weight_map": {"a": "/x.safetensors"}}, "beside the index"),
        ({"weight_map": {"a": "x.bin"}}, "beside the index"),
        ({"weight_map": {"a": "x.safetensors"}}, "total_size"),
        ({"weight_map": {"a": "x.safetensors"}, "metadata": {"total_size": 2**63}}, "total_size"),
        ({"weight_map": {"a": 1}}, "beside the index"),
    ],
)
def test_hostile_indices(content: dict[str, Any], said: str, tmp_path: Path) -> None:
    put(tmp_path, b"")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps(content))
    assert said in refused(lambda: load_model(index))


def header(content: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def entry(kind: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, Any]:
    return {"w": {"dtype": kind, "shape": shape, "data_offsets": offsets}}


HOSTILE_SAFETENSORS = {
    "empty": b"",
    "short": b"\x01\x02",
    "a length of 2^63": header({}, length=2**63),
    "a length of 2^64 - 1": header({}, length=2**64 - 1),
    "a length beyond the file": header({}, length=100),
    "not JSON": header(b"{"),
    "not UTF-8": header(b'{"\xff\xfe": 1}'),
    "nested": header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "deep lists": header(b'{"a":' + b"[" * 500_000),
    "a million keys": header(b"{" + b",".join(b'"%d":0' % i for i in range(1_000_000)) + b"}"),
    "twice": header(b'{"w":{},"w":{}}'),
    "a list": header([1]),
    "no object": header({"w": 1}),
    "unknown type": header(entry("F7"), bytes(4)),
    "type that is a list": header(entry(["F32"]), bytes(4)),
    "negative": header(entry(shape=[-1]), bytes(4)),
    "fractions": header(entry(shape=[1.5]), bytes(4)),
    "truths": header(entry(shape=[True]), bytes(4)),
    "huge shape": header(entry(shape=[2**62, 2**62]), bytes(4)),
    "many dimensions": header(entry(shape=[1] * 10_000), bytes(4)),
    "no offsets": header({"w": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "backwards": header(entry(offsets=[4, 0]), bytes(4)),
    "outside": header(entry(offsets=[0, 4])),
    "gap": header(entry(offsets=[4, 8]), bytes(8)),
    "rest": header(entry(), bytes(8)),
    "overlap": header({**entry(), "v": entry()["w"]}, bytes(8)),
    "offsets of 2^63": header(entry(offsets=[2**63, 2**63 + 4]), bytes(4)),
}


@pytest.mark.parametrize("name", HOSTILE_SAFETENSORS)
def test_hostile_safetensors(name: str, tmp_path: Path) -> None:
    data = HOSTILE_SAFETENSORS[name]
    file = put(tmp_path, data)
    said = refused(lambda: load_model(file), traced=len(data) < TRACED_BYTES)
    assert "model.safetensors" in said


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_safetensors(data: st.DataObject, tmp_path: Path) -> None:
    good = bytearray(tensors_header(names()))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 2500))] = data.draw(st.integers(0, 255))
    good = good[: data.draw(st.sampled_from([len(good), 2000, 100]))]
    try:
        model = load_model(put(tmp_path, bytes(good)))
    except PlannerError:
        return
    assert stored(model) > 0


# --- GGUF ---


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def number(name: str, value: int) -> bytes:
    return key(name, 4, struct.pack("<I", value))


def tensor(name: str | bytes, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    return (
        text(name)
        + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        + struct.pack("<IQ", kind, offset)
    )


def gguf(
    keys: list[bytes], tensors: list[bytes], body: int = 0, counts: tuple[int, int] | None = None
) -> bytes:
    count, entries = counts or (len(tensors), len(keys))
    data = b"GGUF" + struct.pack("<IQQ", 3, count, entries) + b"".join([*keys, *tensors])
    return data + bytes(-len(data) % 32) + bytes(body)


FIGURES = {
    "context_length": 128, "embedding_length": 64, "block_count": 2, "feed_forward_length": 128,
    "attention.head_count": 4, "attention.head_count_kv": 2,
}  # fmt: skip
WORDS = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def small_gguf(arch: str = "llama", tokens: int = 100) -> tuple[bytes, int]:
    """A llama of two layers with matrices in Q8_0; the file and its tensors' bytes."""
    keys = [key("general.architecture", 8, text(arch))]
    keys += [number(f"{arch}.{name}", value) for name, value in FIGURES.items()]
    listed = b"".join(text(f"token {i}") for i in range(tokens))
    keys.append(key("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, tokens) + listed))
    keys.append(key("tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, tokens) + bytes(4 * tokens)))
    shapes = {"token_embd.weight": [100, 64], "output_norm.weight": [64]} | {
        f"blk.{i}.{WORDS[n]}.weight": shape for i in range(2) for n, shape in LAYER.items()
    }
    entries, at, held = [], 0, 0
    for name, shape in shapes.items():
        elements = shape[0] * (shape[1] if len(shape) > 1 else 1)
        kind, size = (8, elements // 32 * 34) if len(shape) > 1 else (0, 4 * elements)
        entries.append(tensor(name, tuple(reversed(shape)), kind, at))
        held += size
        at += size + -size % 32
    return gguf(keys, entries, at), held


def test_a_gguf_file(tmp_path: Path) -> None:
    data, held = small_gguf()
    file = tmp_path / "small.gguf"
    file.write_bytes(data)
    model = load_model(file)
    assert stored(model) == held
    assert model.checkpoint.quantised == "ggml_q8_0"
    assert (model.usable_context, model.hidden, model.checkpoint.extra_bytes) == (128, 64, 0)
    assert stored(model_from_text(data, "upload.gguf")) == held
    given = load_model(file, weights_given=True)
    assert stored(given) == 2 * given.parameters


def test_an_unknown_architecture_needs_its_configuration(tmp_path: Path) -> None:
    data, held = small_gguf("strange")
    file = tmp_path / "small.gguf"
    file.write_bytes(data)
    with pytest.raises(UnsupportedConfigError, match="'strange'"):
        load_model(file)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert stored(load_model(file)) == held


def test_a_file_in_parts(tmp_path: Path) -> None:
    whole, held = small_gguf()
    header = gguf_from_bytes(whole, "whole.gguf")
    first, second = dict(list(header.tensors.items())[:9]), dict(list(header.tensors.items())[9:])
    keys = [key("general.architecture", 8, text("llama")), number("split.count", 2)]
    keys += [number(f"llama.{name}", value) for name, value in FIGURES.items()]
    for i, part in enumerate((first, second), 1):
        entries, at = [], 0
        for name, entry in part.items():
            entries.append(tensor(name, entry.shape, entry.type.number, at))
            at += entry.stored_bytes + -entry.stored_bytes % 32
        file = tmp_path / f"m-{i:05d}-of-00002.gguf"
        file.write_bytes(gguf(keys if i == 1 else [], entries, at))
    assert stored(load_model(tmp_path / "m-00002-of-00002.gguf")) == held
    file.unlink()
    assert "2 files" in refused(lambda: load_model(tmp_path / "m-00001-of-00002.gguf"))
    alone = tmp_path / "alone.gguf"
    (tmp_path / "m-00001-of-00002.gguf").rename(alone)
    assert "several files" in refused(lambda: load_model(alone))


def test_large_tokenizers_are_passed_over_quickly() -> None:
    data, _ = small_gguf(tokens=300_000)
    begun = time.process_time()
    found = gguf_from_bytes(data, "large.gguf")
    assert time.process_time() - begun < SECOND
    assert "tokenizer.ggml.tokens" not in found.metadata


ONE = [number("a", 1)]
HUGE = struct.pack("<Q", 2**63)
HOSTILE_GGUF = {
    "empty": b"",
    "short": b"GGU",
    "another magic": b"GGML" + bytes(20),
    "no counts": b"GGUF" + struct.pack("<I", 3),
    "version 1": b"GGUF" + struct.pack("<I", 1) + bytes(40),
    "big endian": b"GGUF" + struct.pack(">I", 3) + bytes(40),
    "2^63 keys": gguf([], [], counts=(0, 2**63)),
    "2^63 tensors": gguf([], [], counts=(2**63, 0)),
    "a million keys": gguf([number(f"k{i}", i) for i in range(1_000_000)], []),
    "more keys than there are": gguf(ONE, [], counts=(0, 3)),
    "more tensors than there are": gguf(ONE, [], counts=(3, 1)),
    "a key of 2^63 bytes": gguf([HUGE + b"x"], [], counts=(0, 1)),
    "a text of 2^63 bytes": gguf([text("a") + struct.pack("<I", 8) + HUGE], []),
    "a list of 2^63": gguf([text("a") + struct.pack("<II", 9, 4) + HUGE], []),
    "a list of many texts": gguf([key("a", 9, struct.pack("<IQ", 8, 999_999))], [], 8_000_100),
    "a list of one long text": gguf([key("a", 9, struct.pack("<IQ", 8, 1) + HUGE)], []),
    "lists of lists": gguf([key("a", 9, struct.pack("<IQ", 9, 1) * 100_000)], []),
    "unknown value": gguf([key("a", 77, b"")], []),
    "not UTF-8": gguf([key("a", 4, bytes(4)), text(b"\xff\xfe") + bytes(8)], []),
    "a key twice": gguf([*ONE, *ONE], []),
    "a tensor twice": gguf([], [tensor("w", (1,), 0, 0), tensor("w", (1,), 0, 32)], 64),
    "a name that is not UTF-8": gguf([], [tensor(b"\xff", (1,), 0, 0)], 32),
    "no dimensions": gguf([], [tensor("w", (), 0, 0)], 32),
    "many dimensions": gguf([], [tensor("w", (1,) * 5, 0, 0)], 32),
    "2^32 dimensions": gguf([], [text("w") + struct.pack("<I", 2**32 - 1)], 32),
    "a dimension of 0": gguf([], [tensor("w", (0,), 0, 0)], 32),
    "dimensions of 2^63": gguf([], [tensor("w", (2**63, 2**63), 0, 0)], 32),
    "a broken block": gguf([], [tensor("w", (33,), 8, 0)], 64),
    "unknown type": gguf([], [tensor("w", (32,), 99, 0)], 64),
    "a removed type": gguf([], [tensor("w", (32,), 4, 0)], 64),
    "outside": gguf([], [tensor("w", (32,), 0, 0)], 32),
    "an offset of 2^63": gguf([], [tensor("w", (1,), 0, 2**63)], 32),
    "off the alignment": gguf([], [tensor("w", (1,), 0, 4)], 64),
    "overlap": gguf([], [tensor("w", (32,), 0, 0), tensor("v", (1,), 0, 32)], 256),
    "an alignment of 0": gguf([number("general.alignment", 0)], [tensor("w", (1,), 0, 0)], 32),
    "an alignment in words": gguf([key("general.alignment", 8, text("x"))], []),
    "no architecture": gguf(ONE, [tensor("w", (1,), 0, 0)], 32),
    "2^31 layers": gguf(
        [key("general.architecture", 8, text("llama")), number("llama.block_count", 2**31)], []
    ),
}


@pytest.mark.parametrize("name", HOSTILE_GGUF)
def test_hostile_gguf(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    data = HOSTILE_GGUF[name]
    file.write_bytes(data)
    assert "model.gguf" in refused(lambda: load_model(file), traced=len(data) < TRACED_BYTES)


@settings(max_examples=300)
@given(data=st.data())
def test_mutated_gguf(data: st.DataObject) -> None:
    good = bytearray(small_gguf(tokens=3)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 2200))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(good), 2000, 300, 30]))
    try:
        model = model_from_text(bytes(good[:cut]), "x.gguf")
    except PlannerError:
        return
    assert stored(model) > 0


@settings(max_examples=200)
@given(data=st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(SpecError):
        gguf_from_bytes(b"GGUF" + struct.pack("<I", 3) + b"\x01" + bytes(7) + data, "x.gguf")
    with pytest.raises(SpecError):
        read_header(io.BytesIO(b"\xff" + data), len(data) + 1, "x.safetensors")


def test_programs_are_not_read(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.write_bytes(b"x")
    assert "programs" in refused(lambda: load_model(file))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model.layers.7.mlp.up_proj.weight", 7),
        ("transformer.h.11.attn.c_attn.weight", 11),
        ("backbone.layers.3.mixer.in_proj.weight", 3),
        ("layers.0.self_attn.q_proj", 0),
        ("vision_tower.encoder.layers.3.fc1.weight", None),
        ("model.visual.blocks.3.attn.weight", None),
        ("lm_head.weight", None),
    ],
)
def test_layers_by_name(name: str, layer: int | None) -> None:
    assert layer_of(name) == layer
