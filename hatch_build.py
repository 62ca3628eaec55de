"""A wheel carries the app file beside the specs, so that `planner ui` works without a clone."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class AppInWheel(BuildHookInterface[Any]):
    """Adds `app.py` to a wheel; an editable install runs the one at the repository root."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the file to add, before the build."""
        if version == "standard":
            build_data["force_include"]["app.py"] = "planner/_data/app.py"
