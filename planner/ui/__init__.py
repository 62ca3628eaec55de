"""The Streamlit pages. One file per page, listed in ``app.py``."""
