"""Every kind of operation through `planner predict`: answered or refused, never guessed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from planner.cli import run
from planner.coded_columns import CodedColumn
from planner.cost.work import SHAPE_COLUMNS
from planner.hardware import device_ids
from planner.operation_table import OperationTable, predict_table

_LATENT = {"batch": 8, "query_heads": 16, "kv_lora_rank": 512, "qk_rope_head_dim": 64,
           "qk_nope_head_dim": 128, "v_head_dim": 128}  # fmt: skip
_HEADS = {"batch": 8, "query_heads": 32, "kv_heads": 8, "head_dim": 128}
_STATE = {"variant": "kda", "batch": 8, "new_tokens": 1, "hidden": 2048, "heads": 32,
          "head_dim": 128, "groups": 32, "state_dim": 128, "conv_kernel": 4}  # fmt: skip
_RANKS = {"ranks": 2, "message_bytes": 2**20, "nodes": 1}
SHAPES: dict[str, dict[str, object]] = {
    "gemm": {"m": 64, "n": 4096, "k": 4096},
    "attention_prefill": {**_HEADS, "new_tokens": 512, "cached_tokens": 0, "window": ""},
    "attention_decode": {**_HEADS, "cached_tokens": 4096, "window": ""},
    "mla_prefill": {**_LATENT, "new_tokens": 512, "cached_tokens": 0},
    "mla_decode": {**_LATENT, "new_tokens": 1, "cached_tokens": 4096},
    "moe": {"tokens": 64, "hidden": 2048, "intermediate": 768, "gated": "True", "experts": 128,
            "top_k": 8, "tp": 1, "ep": 1, "routing": "balanced"},
    **{f"{kind}_{phase}": _STATE for kind in ("state_space", "short_convolution")
       for phase in ("prefill", "decode", "verify")},
    "elementwise": {"tokens": 64, "width": 4096, "total_bytes": 2**20},
    "memory_copy": {"total_bytes": 2**20},
    **dict.fromkeys(("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"),
                    _RANKS),
}  # fmt: skip


def table_of(*rows: dict[str, object]) -> OperationTable:
    header = tuple(dict.fromkeys(name for row in rows for name in row))
    cells = tuple(tuple(str(row.get(name, "")) for row in rows) for name in header)
    return OperationTable(
        name="rows.csv", header=header, columns=tuple(map(CodedColumn.of_cells, cells))
    )


def row(kind: str, **fields: object) -> dict[str, object]:
    return {"kind": kind, "device": "h100-sxm", "dtype": "bf16", **SHAPES[kind], **fields}


def test_these_are_all_kinds_of_tables() -> None:
    assert set(SHAPES) == set(SHAPE_COLUMNS)


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_every_kind_is_answered_on_every_device_or_refused_in_words(kind: str) -> None:
    names = device_ids()
    times = predict_table(table_of(*(row(kind, device=name) for name in names)))
    for at, name in enumerate(names):
        reason = str(times.reason[at])
        if reason:
            assert np.isnan(times.time_s[at])
            assert any(word in reason for word in ("vendor", "rate", "joins")), reason
        else:
            assert 0 < times.floor_s[at] <= times.p10_s[at] <= times.time_s[at] <= times.p90_s[at]
        if name in ("h100-sxm", "gb200", "b300-sxm", "a40", "h20"):
            assert not reason, (name, reason)


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize(
    "cell", ["", "0", "-1", "1.5", "nan", "inf", "many", "9e15", "1e30", "9" * 40]
)
def test_no_cell_makes_a_traceback_or_a_guess(
    kind: str, cell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for column in SHAPES[kind]:
        table = table_of(row(kind, **{column: cell}))
        path = tmp_path / "rows.csv"
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([table.header, *table.lines()])
        code = run(["predict", str(path)])
        said = capsys.readouterr()
        assert code in (0, 2), said.err
        assert "Traceback" not in said.err
        if code == 2:
            assert said.err.strip()
            assert not said.out
            continue
        (found,) = csv.DictReader(io.StringIO(said.out))
        assert float(found["predicted_s"]) > 0


def test_unknown_columns_and_labels_do_no_harm() -> None:
    plain = predict_table(table_of(row("gemm")))
    odd = predict_table(table_of(row("gemm", mood="fine", backend="mine", kernel="🦊", version="")))
    assert np.allclose(plain.time_s, odd.time_s)


def test_a_blank_cache_format_is_that_of_the_rows() -> None:
    rows = [row("attention_decode"), row("attention_decode", kv_dtype="bf16"),
            row("attention_decode", kv_dtype="fp8")]  # fmt: skip
    blank, wide, narrow = predict_table(table_of(*rows)).time_s
    assert blank == wide
    assert narrow != wide


def test_formats_nobody_measured_are_heard_as_their_likes_more_widely() -> None:
    rows = [row("gemm", dtype=dtype) for dtype in ("sq", "int8", "fp32")]
    times = predict_table(table_of(*rows))
    assert times.time_s[0] == times.time_s[1]
    assert times.p90_s[1] > times.p90_s[0]
    assert "fp32" in times.reason[2]


def test_ranks_beyond_a_link_or_a_node_are_refused() -> None:
    rows = [row("all_reduce", ranks=16), row("all_reduce", ranks=16, nodes=2),
            row("all_reduce", device="8x-h100-sxm", ranks=15, nodes=2),
            row("all_reduce", device="8x-h100-sxm", ranks=64, nodes=2),
            row("all_reduce", device="8x-h100-sxm", ranks=16, nodes=2)]  # fmt: skip
    found = predict_table(table_of(*rows)).reason.tolist()
    words = ("what joins so many", "the network between nodes of h100-sxm", "15 ranks do not",
             "64 ranks do not", "")  # fmt: skip
    for reason, word in zip(found, words, strict=True):
        assert word in reason
        assert bool(reason) == bool(word)


def test_a_box_without_direct_links_is_one() -> None:
    """Eight ranks over PCIe collapse, on devices of any memory, and more of them never help."""
    rows = [row("all_reduce", device=device, ranks=ranks, message_bytes=2**28, kernel="nccl:NCCL")
            for device in ("l4", "h100-pcie") for ranks in (2, 8)]  # fmt: skip
    two, eight, pair, box = predict_table(table_of(*rows)).time_s
    assert eight > 4 * two
    assert box > 20 * pair


@pytest.mark.parametrize("kind", ["all_reduce", "all_gather", "all_to_all", "send_recv"])
def test_a_message_never_takes_longer_than_its_pieces(kind: str) -> None:
    sizes = [2**power for power in range(10, 36)]
    rows = [row(kind, ranks=8, message_bytes=size, kernel="nccl:NCCL") for size in sizes]
    time_s = predict_table(table_of(*rows)).time_s
    assert np.all(time_s[20:] <= 2 * time_s[19:-1] * (1 + 1e-9))


def test_messages_between_nodes_take_longer_than_inside_one() -> None:
    for kind in ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv"):
        rows = [row(kind, device="8x-h100-sxm", ranks=8 * nodes, nodes=nodes, message_bytes=size)
                for size in (2**12, 2**20, 2**28) for nodes in (1, 2, 4)]  # fmt: skip
        time_s = predict_table(table_of(*rows)).time_s.reshape(3, 3)
        assert np.all(np.diff(time_s, axis=1) > 0), kind
