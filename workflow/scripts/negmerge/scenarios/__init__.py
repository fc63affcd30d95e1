"""The scenarios, a folder each: `settings.py` has `SCENARIO` and `EXPERIMENT`, `jobs.py` `TASK`."""

from collections.abc import Mapping
from typing import Any

from negmerge import plugins

# By name, each a `base.Scenario`.
SCENARIOS: Mapping[str, Any] = plugins.Registry(plugins.SCENARIO_SETTINGS, "SCENARIO")


def load_task(settings: Mapping, files: Mapping[str, str], device: Any) -> Any:
    """Load the `task.Task` of a job, on a torch device; nothing here imports torch."""
    return plugins.load(plugins.SCENARIO_JOBS, settings["name"]).TASK(settings, files, device)
