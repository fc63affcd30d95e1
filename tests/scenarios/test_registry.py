"""A scenario is a folder: one more is known to studies and jobs, and nothing else is touched."""

import json
import os
import shutil
import subprocess
import sys

from negmerge import plugins

SETTINGS = """
import dataclasses
from typing import ClassVar, Literal

from pydantic import Field

from negmerge.scenarios.base import Scenario
from negmerge.scenarios.language.scenario import SCENARIO
from negmerge.settings.experiment import Experiment


class Toy(Experiment):
    SCENARIO: ClassVar[Scenario] = dataclasses.replace(SCENARIO, kinds=("base", "merge"))

    scenario: Literal["toy-model"] = Field(description="A toy forgets.")

    @property
    def base_place(self):
        return "base.safetensors"

    @property
    def task_names(self):
        return ["toys"]

    @property
    def datasets(self):
        return []

    def job(self, task, known):
        return {"name": self.scenario, "roles": list(self.SCENARIO.roles)}

    def inputs(self, task, roles):
        return {}

    def image_counts(self, task, known):
        counts = dict.fromkeys(("train", "select", "score"), 9)
        return dict.fromkeys(self.SCENARIO.roles, counts)

    def check_counts(self, where, task, known):
        return self.image_counts(task, known)

    def check(self, where, known):
        pass


EXPERIMENT = Toy
"""
JOBS = """
class Toy:
    def __init__(self, settings, files, device):
        self.roles = settings["roles"]


TASK = Toy
"""
EXPERIMENT = {
    "scenario": "toy-model",
    "model": "m",
    "finetune": {"epochs": 1, "warmup_steps": 0},
    "pool": {"points": {"a": {}}},
    "methods": {"original": {}, "negmerge": {}},
    "selection": {"rule": "retain"},
}
STUDY = json.dumps({"title": "x", "experiments": {"one": EXPERIMENT}})
CODE = f"""
from negmerge.scenarios import load_task
from negmerge.settings.study import Study
study = Study.model_validate_json({STUDY!r})
one = study.experiments["one"]
one.check_sizes("one", None)
print(type(one).__name__, load_task(one.job("toys", None), {{}}, None).roles)
"""


def test_choices_may_be_folders():
    names = plugins.names(plugins.SCENARIO_SETTINGS)
    assert names == plugins.names(plugins.SCENARIO_JOBS) == ("classifier", "language", "zero-shot")
    path = plugins.path(plugins.SCENARIO_JOBS, "zero-shot")
    assert path == plugins.PACKAGE / "scenarios" / "zero_shot" / "jobs.py"


def test_a_new_folder_is_a_scenario(tmp_path):
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(plugins.PACKAGE, tmp_path / "negmerge", ignore=ignore)
    folder = tmp_path / "negmerge" / "scenarios" / "toy_model"
    folder.mkdir()
    for name, text in (("__init__", ""), ("settings", SETTINGS), ("jobs", JOBS)):
        (folder / f"{name}.py").write_text(text)
    found = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.stdout == "Toy ['forget', 'retain']\n", found.stderr
