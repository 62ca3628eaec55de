"""Versions of the package and of its JSON."""

__version__ = "0.1.0"
SCHEMA_VERSION = 1
