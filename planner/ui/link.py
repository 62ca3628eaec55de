"""What a share link holds: short public keys, and an uploaded configuration as compact text."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from planner.errors import SpecError

MOST_CODE_CHARACTERS = 6_000
"""Longest configuration code that goes into a link."""
MOST_CONFIG_BYTES = 262_144
"""Largest configuration that is read, unpacked."""

_CODE = re.compile(r"[A-Za-z0-9_-]+")
_FIX = "Upload the config.json again."


def pack(text: str) -> str:
    """Return a configuration as text that a URL can hold.

    Parameters
    ----------
    text : str
        A config.json.

    Returns
    -------
    str
        Base64url of the deflated text, without padding.

    Examples
    --------
    >>> unpack(pack('{"model_type":"llama"}'))
    '{"model_type":"llama"}'
    """
    packed = zlib.compress(text.encode(), level=9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def unpack(code: str) -> str:
    """Return the JSON text behind a code that anybody may have written.

    Parameters
    ----------
    code : str
        What :func:`pack` returned.

    Returns
    -------
    str
        JSON text of at most 262,144 bytes; not yet parsed.

    Raises
    ------
    SpecError
        The code is damaged, or unpacks to more than that.

    Examples
    --------
    >>> unpack("abc")
    Traceback (most recent call last):
        ...
    planner.errors.SpecError: cfg: the configuration in the link is damaged. Upload the \
config.json again.
    """
    damaged = SpecError("the configuration in the link is damaged", where="cfg", fix=_FIX)
    if len(code) > MOST_CODE_CHARACTERS or not _CODE.fullmatch(code):
        raise damaged
    try:
        packed = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        stream = zlib.decompressobj()
        content = stream.decompress(packed, MOST_CONFIG_BYTES)
        if stream.unconsumed_tail:
            raise SpecError(
                "the configuration in the link is too large",
                where="cfg",
                allowed=f"at most {MOST_CONFIG_BYTES:,} bytes",
            )
        if not stream.eof:
            raise damaged
        return content.decode()
    except (binascii.Error, zlib.error, UnicodeDecodeError) as error:
        raise damaged from error


def query(values: Mapping[str, str]) -> str:
    """Return the query of a share link.

    Parameters
    ----------
    values : Mapping
        Value by URL key.

    Returns
    -------
    str
        Starts with ``?``; empty values are left away.

    Examples
    --------
    >>> query({"m": "llama-3.1-8b", "ctx": "32K", "isl": ""})
    '?m=llama-3.1-8b&ctx=32K'
    """
    given = {key: value for key, value in values.items() if value}
    return "?" + urlencode(given, quote_via=quote)
