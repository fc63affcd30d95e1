"""The scenarios: which model forgets, and on which items it is trained, chosen and scored.

A folder each. `settings.py` has `SCENARIO`, what it is, and `EXPERIMENT`, what a study may say of
it; `jobs.py`, with `TASK`, is what its jobs need.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from negmerge import plugins

if TYPE_CHECKING:
    import torch

    from negmerge.scenarios.base import Scenario
    from negmerge.scenarios.task import Task

SCENARIOS: Mapping[str, "Scenario"] = plugins.Registry(plugins.SCENARIO_SETTINGS, "SCENARIO")


def load_task(settings: Mapping, files: Mapping[str, str], device: "torch.device") -> "Task":
    """Load what a job needs of its scenario, for the task that it works on."""
    return plugins.load(plugins.SCENARIO_JOBS, settings["name"]).TASK(settings, files, device)
