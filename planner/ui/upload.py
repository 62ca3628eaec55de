"""Upload of a config.json: checked before it is kept, and carried by the link where it is short."""

from __future__ import annotations

import json
from pathlib import PurePath

import streamlit as st

from planner.errors import PlannerError, SpecError
from planner.importers import parse_json
from planner.ui import loaded
from planner.ui.fields import FIELDS, UPLOADED
from planner.ui.link import MOST_CODE_CHARACTERS, MOST_CONFIG_BYTES, pack
from planner.ui.markdown import plain

_FILE = "_config_file"
_LARGE = "_large_config"
_PROBLEM = "_upload_problem"
_NAME = "_name_or_path"


def control() -> None:
    """Draw the upload, and what is wrong with the last one."""
    with st.popover("Upload a config.json", icon=":material/upload_file:", width="stretch"):
        st.file_uploader(
            "Configuration of a model",
            type=["json"],
            key=_FILE,
            on_change=_take,
            max_upload_size=1,
            help="The config.json of a Hugging Face checkpoint. It is read as data: nothing is "
            "downloaded, no code runs, no weights are needed.",
        )
        st.text_input(
            FIELDS["cfg"].label,
            key="cfg",
            bind="query-params",
            max_chars=MOST_CODE_CHARACTERS,
            help=FIELDS["cfg"].help,
        )
    if st.session_state.get(_PROBLEM):
        st.error(plain(st.session_state[_PROBLEM]), icon=":material/error:")


def stored(code: str) -> str:
    """Return the uploaded configuration: its code, or its text where it is too large for a link.

    Parameters
    ----------
    code : str
        As the link carries it.

    Returns
    -------
    str
        Code or JSON text; empty where nothing has been uploaded.
    """
    return code or str(st.session_state.get(_LARGE, ""))


def _take() -> None:
    """Keep an upload that can be used; leave everything as it is where it cannot."""
    file = st.session_state.get(_FILE)
    st.session_state[_PROBLEM] = ""
    if file is None:
        return
    try:
        content = _checked(file.getvalue(), file.name)
    except PlannerError as error:
        st.session_state[_PROBLEM] = str(error)
        return
    code = pack(content)
    fits_in_link = len(code) <= MOST_CODE_CHARACTERS
    st.session_state["cfg"] = code if fits_in_link else ""
    st.session_state[_LARGE] = "" if fits_in_link else content
    st.session_state["m"] = UPLOADED


def _checked(content: bytes, file_name: str) -> str:
    """Return the configuration as compact JSON, if a model can be made of it."""
    if len(content) > MOST_CONFIG_BYTES:
        raise SpecError(
            "too large for a configuration",
            where=file_name,
            got=f"{len(content):,} bytes",
            allowed=f"at most {MOST_CONFIG_BYTES:,} bytes",
        )
    config = parse_json(content, file_name)
    stem = PurePath(file_name).stem
    if stem != PurePath(UPLOADED).stem:
        config.setdefault(_NAME, stem)
    compact = json.dumps(config, separators=(",", ":"), ensure_ascii=False)
    loaded.from_config(compact.encode(), weights_given=True)
    return compact
