"""What a user measured on a device: times that speak for it before any shipped profile does."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from planner.errors import SpecError
from planner.hardware.spec import OWN_CALIBRATION
from planner.spec_folders import own_folders, read_spec, shown_path, validate

FOLDER = "hardware_specs"
SUBFOLDER = "calibration"
SUFFIXES = (".json", ".yaml", ".yml")
SCHEMA_VERSION: Final = 2
MOST_TIMES = 2_000
_MOST_S = 3600.0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Origin(_Part):
    """Where measurements come from.

    Parameters
    ----------
    record, sha256 : str
        The record's file and its hash.
    created : str
        When it was begun, ISO 8601.
    benchmark_version : int
        How it was measured. [1]
    device : str
        As the driver names it.
    spec_id : str or None
        Device of the planner that it is; None for a host.
    torch, triton, driver, planner : str or None
        Versions.
    """

    record: str
    sha256: str
    created: str = ""
    benchmark_version: int
    device: str
    spec_id: str | None = None
    torch: str
    triton: str | None = None
    driver: str | None = None
    planner: str

    @property
    def versions(self) -> str:
        """When and with which software it was measured."""
        named = {"driver": self.driver, "PyTorch": self.torch, "Triton": self.triton}
        parts = [f"{name} {version}" for name, version in named.items() if version]
        return ", ".join([self.created[:10], *parts] if self.created else parts)


class MeasuredTime(_Part):
    """One operation and its time.

    Parameters
    ----------
    kind, dtype, kv_dtype, backend, kernel : str
        As in tables of operations.
    shape : mapping
        Shape columns of the kind.
    measured_s : float
        Median of one call. [s]
    half : {"fit", "test"}
        Whether the fit that is tested has seen it, or is tested on it.
    """

    kind: str = Field(min_length=1, max_length=80)
    dtype: str = Field(min_length=1, max_length=80)
    kv_dtype: str = Field(default="", max_length=80)
    backend: str = Field(default="", max_length=80)
    kernel: str = Field(default="", max_length=80)
    shape: Mapping[str, float | str]
    measured_s: float = Field(gt=0, le=_MOST_S)
    half: Literal["fit", "test"]


class CalibrationFile(_Part):
    """A user's own calibration as a file.

    Parameters
    ----------
    origin : Origin
        Where it comes from.
    times : tuple of MeasuredTime
        What plans and predictions speak from.
    formula, split, groups, errors : Any
        What ``python -m validation compare`` reads; plans do not.
    """

    schema_version: Literal[2]
    kind: Literal["own_calibration"] = "own_calibration"
    origin: Origin
    times: tuple[MeasuredTime, ...] = Field(max_length=MOST_TIMES)
    formula: Any = None
    split: Any = None
    groups: Any = None
    errors: Any = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements:
    """Times that a user measured on one device.

    Parameters
    ----------
    name : str
        The file.
    device : str
        Id of the device.
    origin : Origin
        When, and with what.
    times : tuple of MeasuredTime
        At least one.
    """

    name: str
    device: str
    origin: Origin
    times: tuple[MeasuredTime, ...]


def load_measurements(path: str | Path) -> Measurements:
    """Read what ``python -m validation calibrate`` wrote.

    Parameters
    ----------
    path : str or pathlib.Path
        A YAML or JSON file.

    Returns
    -------
    Measurements
        The same object until the file changes.

    Raises
    ------
    SpecError
        It cannot be read, is no such file or of an older form, or holds no times of a device.
    """
    found = Path(path).expanduser()
    data = read_spec(found)
    stat = found.stat()
    _check_form(data, shown_path(found))
    return _measurements(found, stat.st_mtime_ns, stat.st_size)


def _check_form(data: Mapping[str, Any], where: str) -> None:
    """Tell of files that are mistaken for a calibration in words of their own."""
    again = "Write it with python -m validation calibrate RECORD -o PROFILE."
    if "environment" in data and "rows" in data:
        raise SpecError("a record, not yet a calibration", where=where, fix=again)
    if data.get("kind") != OWN_CALIBRATION and not (
        data.get("kind") == "calibration" and "groups" in data
    ):
        raise SpecError(
            "not a calibration of a device at hand", where=f"{where}: kind", got=data.get("kind"),
            allowed=OWN_CALIBRATION, fix=again,
        )  # fmt: skip
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SpecError(
            "of another version than this planner reads", where=f"{where}: schema_version",
            got=version, allowed=str(SCHEMA_VERSION), fix=again,
        )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _measurements(path: Path, mtime_ns: int, size: int) -> Measurements:
    where = shown_path(path)
    file = validate(CalibrationFile, read_spec(path), where)
    if file.origin.spec_id is None:
        raise SpecError(
            "of a host or of a device without a specification, for which nothing can be planned",
            where=f"{where}: origin", got=file.origin.device,
            fix="Name the device with python -m validation calibrate --spec ID or YAML.",
        )  # fmt: skip
    if not file.times:
        raise SpecError(
            "no times of operations", where=f"{where}: times",
            fix="Run more cases into the record and calibrate it again.",
        )  # fmt: skip
    return Measurements(
        name=path.name, device=file.origin.spec_id, origin=file.origin, times=file.times
    )


def own_measurements(device: str) -> Measurements | None:
    """Return what lies in the user's own folders of specifications for a device.

    Parameters
    ----------
    device : str
        Id of the device.

    Returns
    -------
    Measurements or None
        The file in the first folder that has one.

    Raises
    ------
    SpecError
        A file cannot be used, or two of one folder are of this device.
    """
    for root in own_folders(FOLDER):
        files = sorted(p for p in (root / SUBFOLDER).glob("*") if p.suffix in SUFFIXES)
        own = [
            load_measurements(path)
            for path in files
            if read_spec(path).get("kind") == OWN_CALIBRATION
        ]
        found = [each for each in own if each.device == device]
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise SpecError(
                "more than one calibration of the device",
                where=shown_path(root / SUBFOLDER), got=f"{device}: {names}",
                fix="Keep one of them.",
            )  # fmt: skip
        if found:
            return found[0]
    return None
