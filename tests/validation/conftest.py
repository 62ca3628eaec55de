"""Records of a made-up host."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.validation.made_up_host import CEILINGS, HOST, product
from validation.cases import Case
from validation.entries import Row
from validation.record import Record

# Support of the tests, no test itself; it needs torch, which a light install has not.
collect_ignore = ["fake_kernels.py"]


@pytest.fixture
def products() -> list[Case]:
    """Forty products of all shapes, none with one row."""
    draw = random.Random(3)
    sizes = [256, 512, 1024, 2048, 4096]
    shapes = {(2 ** draw.randint(1, 10), draw.choice(sizes), draw.choice(sizes)) for _ in range(60)}
    return [product(*shape) for shape in sorted(shapes)[:40]]


@pytest.fixture
def record_of() -> Callable[[Iterable[Row]], Record]:
    """A function that makes a record of the made-up host from rows."""

    def make(rows: Iterable[Row]) -> Record:
        empty = Record.begin(HOST, seed=1).model_copy(update={"ceilings": CEILINGS})
        return empty.adding(*rows)

    return make


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
