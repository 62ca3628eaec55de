"""The lists of cases: complete, unique, and in an order that may be cut off anywhere."""

from __future__ import annotations

import itertools

import pytest

from planner import load_model
from planner.errors import ScenarioError, UnknownNameError
from validation.cases import (
    COLLECTIVE_KINDS,
    MEMORY_KINDS,
    STEP_KINDS,
    Case,
    Grid,
    cases_of,
    fits,
    interleaved,
)
from validation.kernels import KERNELS

DEVICES = ("cpu", "cuda:0")


@pytest.mark.parametrize("device", DEVICES)
def test_every_case_is_there_once(device: str) -> None:
    found = [*cases_of(device), *cases_of(device, ranks=2)]
    assert len({case.id for case in found}) == len(found) > 150


def test_every_kernel_has_a_case() -> None:
    assert set(KERNELS) <= {case.kernel for case in cases_of("cuda:0")}
    triton = {name for name, entry in KERNELS.items() if entry.provider == "triton"}
    assert triton <= {case.kernel for case in cases_of("cpu")}


@pytest.mark.parametrize("device", DEVICES)
def test_every_case_names_a_kernel_of_its_kind(device: str) -> None:
    others = {*MEMORY_KINDS, *STEP_KINDS}
    for case in cases_of(device):
        if case.kind not in others:
            entry = KERNELS[case.kernel]
            assert (entry.kind, entry.variant) == (case.kind, case.variant), case.id


@pytest.mark.parametrize("device", DEVICES)
def test_every_model_is_in_the_catalog(device: str) -> None:
    for model in {case.shape["model"] for case in cases_of(device) if "model" in case.shape}:
        assert load_model(str(model)).parameters > 0


@pytest.mark.parametrize("device", DEVICES)
def test_the_kinds_that_were_asked_for_are_all_there(device: str) -> None:
    kinds = {case.kind for case in cases_of(device)}
    assert {
        "gemm", "memory_copy", "elementwise", "attention_prefill", "attention_decode", "mla_decode",
        "state_space_prefill", "state_space_decode", "weights", "cache", "paged_cache",
        "attention_peak", "flop", "model_prefill", "model_decode",
    } <= kinds  # fmt: skip
    assert {case.kind for case in cases_of(device, ranks=2)} == set(COLLECTIVE_KINDS)


def test_triton_takes_no_times_on_a_host() -> None:
    for case in cases_of("cpu"):
        assert bool(case.untimed) or not case.kernel.startswith("triton"), case.id


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("device", DEVICES)
def test_a_part_of_the_list_has_every_kind(device: str, share: float) -> None:
    cases = cases_of(device)
    part = cases[: int(share * len(cases))]
    assert {case.kind for case in part} == {case.kind for case in cases}


@pytest.mark.parametrize("device", DEVICES)
def test_the_steps_of_a_model_follow_one_another(device: str) -> None:
    steps = [(case.kernel, case.shape["model"]) for case in cases_of(device)
             if case.kind in STEP_KINDS]  # fmt: skip
    changes = sum(a != b for a, b in itertools.pairwise(steps))
    assert changes == len(set(steps)) - 1


def test_blocks_stay_together() -> None:
    def grid(kernel: str, count: int, block: str = "") -> Grid:
        rows = tuple((number,) for number in range(count))
        return Grid(kind="k", kernels=(kernel,), dtypes=("x",), columns="m", rows=rows, block=block)

    grids = [grid("a", 4), grid("b", 2, "one"), grid("c", 2, "one")]
    assert "".join(case.kernel for case in interleaved(grids)) == "aaabbcca"


def test_ranks_are_part_of_a_collective() -> None:
    case = cases_of("cpu", ["all_reduce"], ranks=4)[0]
    assert (case.shape["ranks"], case.shape["nodes"]) == (4, 1)
    assert "ranks=4" in case.id


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="gem"):
        cases_of("cpu", ["gem"])


@pytest.mark.parametrize(("kinds", "ranks"), [(["all_reduce"], 1), (["gemm"], 2)])
def test_kinds_for_another_number_of_processes_are_refused(kinds: list[str], ranks: int) -> None:
    with pytest.raises(ScenarioError, match="process"):
        cases_of("cpu", kinds, ranks=ranks)


def test_what_does_not_fit_is_left_out() -> None:
    shape = {"model": "llama-3.1-8b", "batch": 1, "new_tokens": 16}
    case = Case(kind="model_prefill", kernel="decoder", dtype="bf16", shape=shape)
    assert fits(case, 24 * 2**30)
    assert not fits(case, 16 * 2**30), "16 GB of weights leave no room on 16 GiB"
    assert fits(Case(kind="gemm", kernel="torch_matmul", dtype="bf16", shape={"m": 1}), 1)


def test_seeds_differ_by_case_and_run() -> None:
    first, second = cases_of("cpu")[:2]
    assert len({first.seed(1), first.seed(2), second.seed(1), second.seed(2)}) == 4
