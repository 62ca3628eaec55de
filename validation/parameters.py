"""How many parameters the planner counts, beside what a published class holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from planner.spec_folders import read_spec, validate
from validation.compare import Table
from validation.writers import markdown_table

RECORD = Path(__file__).parent / "records" / "parameters.yaml"

_GROUPS = {
    "copied": "copied from a public repository",
    "reconstructed": "written from published figures",
    "class default": "defaults of the class that fit a named checkpoint",
}


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PublishedCount(_Entry):
    """A published configuration: its count by its class, and by the planner."""

    model: str
    group: str
    reference: int
    parameters: int | None
    reference_active: int | None = None
    active: int | None = None
    why: str = ""

    @property
    def exact(self) -> bool:
        """Whether both counts of all parameters are the same."""
        return self.parameters == self.reference

    @property
    def active_exact(self) -> bool:
        """Whether both counts of active parameters are the same, where there are two."""
        return self.reference_active is None or self.active == self.reference_active


class ClassCount(_Entry):
    """A class with the configuration it builds by itself."""

    model_type: str
    reference: int
    parameters: int | None = None
    why: str = ""
    alone: bool = False
    """Whether the language model of a kind that is not modelled is planned alone."""

    @property
    def exact(self) -> bool:
        """Whether both counts are the same."""
        return self.parameters == self.reference


class ParameterRecord(_Entry):
    """What ``scripts/record_parameters.py`` found."""

    counted_with: str
    published: list[PublishedCount] = Field(min_length=1)
    classes: list[ClassCount] = Field(default_factory=list)


def load_parameter_record(path: Path = RECORD) -> ParameterRecord:
    """Return the record of counts.

    Parameters
    ----------
    path : pathlib.Path
        Its file.

    Returns
    -------
    ParameterRecord
        Every configuration that was compared.

    Raises
    ------
    SpecError
        The file is malformed.
    """
    return validate(ParameterRecord, read_spec(path), str(path))


def parameter_section(record: ParameterRecord) -> str:
    """Return the section of the page on accuracy.

    Parameters
    ----------
    record : ParameterRecord
        The counts.

    Returns
    -------
    str
        Markdown.
    """
    different = [row for row in record.published if not row.exact or not row.active_exact]
    blocks = [
        "## Parameters of published configurations",
        f"Counted as unique parameters of the published class with {record.counted_with}: a tied "
        "head counts once, layers for multi-token prediction do not count. Active are all but the "
        "routed experts that a token does not visit.",
        markdown_table(_published(record.published)),
        "Not equal, one by one:",
        "\n".join(map(_told, different)),
    ]
    if record.classes:
        blocks += _classes(record.classes)
    return "\n\n".join(blocks) + "\n"


def _published(rows: Sequence[PublishedCount]) -> Table:
    table = [["configurations", "number", "exact", "with active", "exact"]]
    for group, words in [*_GROUPS.items(), ("", "all")]:
        own = [row for row in rows if group in ("", row.group)]
        active = [row for row in own if row.reference_active is not None]
        table.append([
            words, str(len(own)), str(sum(row.exact for row in own)),
            str(len(active)), str(sum(row.active_exact for row in active)),
        ])  # fmt: skip
    return table


def _told(row: PublishedCount) -> str:
    facts = []
    if not row.exact:
        facts.append(f"parameters {_pair(row.parameters, row.reference)}")
    if not row.active_exact:
        facts.append(f"active parameters {_pair(row.active, row.reference_active)}")
    return f"- {row.model}: {'; '.join(facts)}: {row.why}"


def _pair(planned: int | None, reference: int | None) -> str:
    if planned is None or reference is None:
        return "not counted"
    return f"{planned:,} here, {reference:,} there ({planned - reference:+,})"


def _classes(rows: Sequence[ClassCount]) -> list[str]:
    counted = [row for row in rows if row.parameters is not None and not row.alone]
    alone = [row.model_type for row in rows if row.alone]
    left = [row.model_type for row in rows if row.parameters is None and not row.why]
    lines = [
        f"- {row.model_type}: {_pair(row.parameters, row.reference)}: {row.why}"
        for row in rows
        if not row.exact and row.why
    ]
    return [
        "### Defaults of every class",
        f"Of {len(rows)} classes that generate or fill in text and that build from their own "
        f"defaults, {len(counted)} are read and {sum(row.exact for row in rows)} are exact.",
        *(
            ["Not equal, or refused for what their defaults say:", "\n".join(lines)]
            if lines
            else []
        ),
        *(
            [f"Language model alone, as a warning says, {len(alone)}: {_listed(alone)}."]
            if alone
            else []
        ),
        *([f"Refused as not modelled, {len(left)}: {_listed(left)}."] if left else []),
    ]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
