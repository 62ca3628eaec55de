"""Towers that read images or sound; one file of readers for each lineage."""
