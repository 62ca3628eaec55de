"""Printed start-up figures of engines: the split, the fitted constants, the errors that hold."""

from __future__ import annotations

import statistics

import pytest

from planner import load_model
from planner.engines.vllm.outside import GRAPHS_ESTIMATE_MIB, GRAPHS_MIB, OUTSIDE
from planner.units import GIB
from validation.allocation_page import is_new
from validation.start_up import Compared, compare, fit_graphs, fit_outside, load_rows

ROWS = [row for row in load_rows() if row.engine == "vllm"]


@pytest.fixture(scope="module")
def compared() -> tuple[Compared, ...]:
    return compare(ROWS)[0]


def test_halves_are_about_equal_and_share_no_row() -> None:
    fitted = [row.id for row in ROWS if row.fitted and row.is_complete]
    tested = [row.id for row in ROWS if not row.fitted and row.is_complete]
    assert not set(fitted) & set(tested)
    assert 0.5 < len(fitted) / len(tested) < 2


def test_memory_outside_pytorch_is_the_median_of_the_half_to_fit_on() -> None:
    constants = {str(each.since): each for each in OUTSIDE}
    for since, kinds in fit_outside(ROWS).items():
        held = constants[since]
        ours = {
            "alone": held.alone_gib, "several": held.linked_gib, "staged": held.staged_gib
        }  # fmt: skip
        for kind, median in kinds.items():
            assert ours[kind] == pytest.approx(median, abs=0.02)


def test_graphs_are_the_least_squares_of_the_half_to_fit_on() -> None:
    assert fit_graphs(ROWS, "cuda_graph_gib") == pytest.approx(GRAPHS_MIB, abs=0.06)
    estimated = fit_graphs(ROWS, "cuda_graph_estimate_gib")
    assert estimated == pytest.approx(GRAPHS_ESTIMATE_MIB, abs=0.06)


def test_sorting_samplers_take_what_the_half_to_fit_on_says(
    compared: tuple[Compared, ...],
) -> None:
    beside = [
        (each.row.printed["activation_peak_gib"] - each.activations_gib)
        * GIB
        / (1024 * load_model(each.row.model).head.vocabulary)
        for each in compared
        if each.row.fitted and (each.row.version or "").startswith("0.11")
    ]
    assert beside
    assert abs(statistics.median(beside)) < 0.5  # bytes of a logit, of 38


@pytest.mark.parametrize("fitted", [True, False])
def test_weights_are_those_that_vllm_printed(compared: tuple[Compared, ...], fitted: bool) -> None:
    errors = [
        abs(each.weights_error)
        for each in compared
        if each.weights_error is not None and each.row.fitted == fitted
    ]
    assert sum(error <= 0.01 for error in errors) / len(errors) >= 0.9


@pytest.mark.parametrize("fitted", [True, False])
def test_room_for_caches_is_what_vllm_printed(compared: tuple[Compared, ...], fitted: bool) -> None:
    errors = sorted(
        abs(each.pool_error)
        for each in compared
        if each.pool_error is not None and each.row.fitted == fitted
    )
    assert statistics.median(errors) <= 0.02
    assert errors[int(0.9 * (len(errors) - 1))] <= 0.05


def test_room_is_never_much_too_large_for_new_versions(compared: tuple[Compared, ...]) -> None:
    errors = [
        each.pool_error for each in compared if each.pool_error is not None and is_new(each.row)
    ]
    assert max(errors) <= 0.03
