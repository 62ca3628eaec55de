"""Sequence mixers: one file per family."""
