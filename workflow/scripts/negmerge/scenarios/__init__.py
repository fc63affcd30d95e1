"""The scenarios: which model forgets, and on which images it is trained, chosen and scored.

A folder per scenario: `settings.py`, with `EXPERIMENT`, says what a study may set and loads no
torch; `jobs.py`, with `SCENARIO` of the form of `scenario.Scenario`, is what its jobs need.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from negmerge import plugins

if TYPE_CHECKING:
    import torch

    from negmerge.scenarios.scenario import Scenario


def load_scenario(
    settings: Mapping, files: Mapping[str, str], device: "torch.device"
) -> "Scenario":
    """Load the scenario of a job."""
    return plugins.load(plugins.SCENARIO_JOBS, settings["name"]).SCENARIO(settings, files, device)
