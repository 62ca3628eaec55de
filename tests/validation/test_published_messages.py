"""Messages against bus bandwidths that others published; none of them was fitted."""

from __future__ import annotations

import numpy as np
import pytest

from validation.published_messages import Measured, message_section, predicted_messages


def test_bus_bandwidth_becomes_time() -> None:
    fields = {"device": "h100-sxm", "nodes": 1, "message_bytes": 8_000_000_000, "source": "x"}
    all_reduce = Measured(kind="all_reduce", ranks=8, bus_gb_per_s=350.0, **fields)  # type: ignore[arg-type]
    sent = Measured(kind="send_recv", ranks=2, bus_gb_per_s=400.0, **fields)  # type: ignore[arg-type]
    assert all_reduce.measured_s == pytest.approx(0.04)
    assert sent.measured_s == pytest.approx(0.02)


def test_every_figure_is_predicted_and_most_of_them_well() -> None:
    found = predicted_messages()
    assert np.all(np.isfinite(found.time_s))
    assert np.all(found.p10_s <= found.time_s)
    assert np.all(found.time_s <= found.p90_s)
    assert np.median(np.abs(found.errors)) < 0.25
    assert np.max(np.abs(found.errors)) < 0.7


def test_messages_between_nodes_are_near_what_was_published() -> None:
    found = predicted_messages()
    across = np.array([each.nodes > 1 for each in found.record.measured])
    assert across.sum() == 3
    assert np.max(np.abs(found.errors[across])) < 0.15
    assert found.inside[across].all()


def test_the_section_names_every_source() -> None:
    section = message_section()
    for source in predicted_messages().record.sources.values():
        assert source.url in section
