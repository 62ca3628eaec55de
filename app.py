"""The page list. A new page is a file in ``planner/ui`` and a line here."""

import streamlit as st

from planner.ui import catalog, methods, size

PAGES = (
    st.Page(size.page, title="Size", url_path="size", default=True),
    st.Page(catalog.page, title="Catalog", url_path="catalog"),
    st.Page(methods.page, title="Methods", url_path="methods"),
)

st.navigation(PAGES, position="top").run()
