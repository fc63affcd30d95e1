"""The scenarios: which model forgets, and on which items it is trained, chosen and scored.

A folder each. `settings.py` has `SCENARIO`, what it is, and `EXPERIMENT`, what a study may say of
it; `jobs.py`, with `TASK`, is what its jobs need.
"""

from collections.abc import Mapping
from typing import Any

from negmerge import plugins

# By name, each a `base.Scenario`.
SCENARIOS: Mapping[str, Any] = plugins.Registry(plugins.SCENARIO_SETTINGS, "SCENARIO")


def load_task(settings: Mapping, files: Mapping[str, str], device: Any) -> Any:
    """Load the `task.Task` of a job, on a torch device; nothing here imports torch."""
    return plugins.load(plugins.SCENARIO_JOBS, settings["name"]).TASK(settings, files, device)
