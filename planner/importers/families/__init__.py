"""Readers of configurations: one file per family, found and registered by being here."""
