"""A calibration profile as a file: the fitted groups, where they come from, and the split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from planner.errors import ScenarioError, SpecError
from planner.hardware.measurements import MeasuredTime, Origin
from planner.spec_folders import read_spec
from validation.efficiency import Errors, Group, Part, key_of, narrowest, terms_of
from validation.observation import Observation

Half = Literal["fit", "test"]


class Split(Part):
    """Which rows were fitted and which were kept apart; by hash, never by their time."""

    rule: str
    fit: tuple[str, ...]
    test: tuple[str, ...]


class Profile(Part):
    """A calibration profile: times for plans, and what was fitted for each kernel by itself."""

    schema_version: Literal[2]
    kind: Literal["own_calibration"] = "own_calibration"
    formula: str = "t = sum of count * (overhead + ((compute/e_c)^p + (memory/e_m)^p)^(1/p))"
    origin: Origin
    times: tuple[MeasuredTime, ...] = ()
    split: Split
    groups: tuple[Group, ...]
    errors: dict[str, Errors]

    def half(self, observation: Observation) -> Half | None:
        """Return which half a row was in.

        Parameters
        ----------
        observation : Observation
            A row.

        Returns
        -------
        {"fit", "test"} or None
            None for a row the profile has never seen.
        """
        if observation.hash in self.split.fit:
            return "fit"
        return "test" if observation.hash in self.split.test else None

    def group(self, observation: Observation) -> Group | None:
        """Return the group that speaks for a row: its own, else a wider one.

        Parameters
        ----------
        observation : Observation
            A row.

        Returns
        -------
        Group or None
            None where nothing of the kind was fitted.
        """
        return narrowest(self.groups, key_of(observation))

    def seconds(self, observation: Observation) -> tuple[float, float, float] | None:
        """Return the time of a row with its band.

        Parameters
        ----------
        observation : Observation
            A row with a forecast.

        Returns
        -------
        tuple of float or None
            Prediction, p10 and p90; None where nothing of the kind was fitted. [s]
        """
        found = self.group(observation)
        if found is None or observation.forecast is None or not observation.forecast.costs:
            return None
        terms = terms_of([observation], self.groups)
        time_s = float(found.efficiency.seconds(terms)[0])
        return time_s, time_s * found.p10_ratio, time_s * found.p90_ratio


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Parameters
    ----------
    path : pathlib.Path
        A YAML or JSON file.

    Returns
    -------
    Profile
        Its content.

    Raises
    ------
    SpecError
        It cannot be read or is not a profile.
    """
    try:
        return Profile.model_validate(read_spec(path))
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"not a profile ({first['msg']})", where=f"{path}: {place}") from error


def save_profile(profile: Profile, path: Path) -> None:
    """Write a profile.

    Parameters
    ----------
    profile : Profile
        The profile.
    path : pathlib.Path
        Where to; a name that ends in ``.json`` says JSON, any other YAML.

    Raises
    ------
    ScenarioError
        It cannot be written.
    """
    data = profile.model_dump(mode="json", exclude_none=True)
    if path.suffix == ".json":
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    else:
        text = yaml.safe_dump(data, sort_keys=False, width=100, allow_unicode=True)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            f"cannot be written: {error.strerror}", where="-o", got=str(path)
        ) from error
