"""A calibration profile as a file: the fitted groups, where they come from, and the split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from planner.errors import ScenarioError, SpecError
from validation.efficiency import Errors, Group, Part, key_of, narrowest, terms_of
from validation.observation import Observation

SCHEMA_VERSION = 1
Half = Literal["fit", "test"]


class Origin(Part):
    """Where a profile comes from."""

    record: str
    sha256: str
    benchmark_version: int
    device: str
    spec_id: str | None = None
    torch: str
    triton: str | None = None
    driver: str | None = None
    planner: str


class Split(Part):
    """Which rows were fitted and which were kept apart; by hash, never by their time."""

    rule: str
    fit: tuple[str, ...]
    test: tuple[str, ...]


class Profile(Part):
    """A calibration profile."""

    schema_version: Literal[1]
    kind: Literal["calibration"] = "calibration"
    formula: str = "t = sum of count * (overhead + ((compute/e_c)^p + (memory/e_m)^p)^(1/p))"
    origin: Origin
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
        A YAML file.

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
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return Profile.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=loader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"cannot be read ({error})", where=str(path)) from error
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
        Where to.

    Raises
    ------
    ScenarioError
        It cannot be written.
    """
    data = profile.model_dump(mode="json", exclude_none=True)
    text = yaml.safe_dump(data, sort_keys=False, width=100, allow_unicode=True)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ScenarioError(
            f"cannot be written: {error.strerror}", where="-o", got=str(path)
        ) from error
