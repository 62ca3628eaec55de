"""The page list. A new page is a file in ``planner/ui`` and a line here."""

import streamlit as st

from planner.ui import architectures, catalog, claims, compare, methods, serve, size
from validation import page as validation

PAGES = (
    st.Page(size.page, title="Size", url_path="size", default=True),
    st.Page(serve.page, title="Serve", url_path="serve"),
    st.Page(compare.page, title="Compare", url_path="compare"),
    st.Page(architectures.page, title="Architectures", url_path="architectures"),
    st.Page(claims.page, title="Claims", url_path="claims"),
    st.Page(catalog.page, title="Catalog", url_path="catalog"),
    st.Page(validation.page, title="Validation", url_path="validation"),
    st.Page(methods.page, title="Methods", url_path="methods"),
)

st.navigation(PAGES, position="top").run()
