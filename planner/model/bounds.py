"""Ranges of the figures that describe a model, checked wherever a file is read.

A part declares each figure once, with its range; parts made in code are not checked.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MOST_ELEMENTS = 10**7
MOST_LAYERS = 2000
MOST_CONTEXT_TOKENS = 2**31

Size = Annotated[int, Field(strict=True, ge=1, le=MOST_ELEMENTS)]
"""A dimension or a number of things that must be there."""

Count = Annotated[int, Field(strict=True, ge=0, le=MOST_ELEMENTS)]
"""A dimension or a number of things that may be absent."""

Flag = Annotated[bool, Field(strict=True)]
"""Yes or no, never a number or a word for it."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]{0,79}$")]
"""A module's or a block's name."""
