"""The worked example of docs/your-own-checkpoints.md: its own commands, with less to train."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentence_transformers  # noqa: F401 (what the example's programs import)

DOCS = Path(__file__).parents[2] / "docs"
LESS = {
    "python fine_tune.py": "--runs 2 --steps 2",
    "negmerge unlearn": "--coefficients 0:0.5:0.5 --keep 0.1",
}


def commands():
    """List the commands of the page's example, shortened, without what makes the environment."""
    page = (DOCS / "your-own-checkpoints.md").read_text()
    example = page.partition("## A worked example")[2].partition("\n## ")[0]
    lines = re.sub(r"\\\n\s*", "", "\n".join(re.findall(r"^    (.*)$", example, re.M))).splitlines()
    found = [line for line in lines if line.startswith(("python", "negmerge"))]
    return [
        next((f"{line} {less}" for start, less in LESS.items() if line.startswith(start)), line)
        for line in found
    ]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The folder in which the commands ran, and the output of each by its first two words."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    outputs = {}
    for command in commands():
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        outputs[" ".join(command.split()[:2])] = done.stdout
    return folder, outputs


def test_the_chosen_model_is_scored_best_of_those_that_keep_enough(printed):
    folder, _ = printed
    with open(folder / "unlearned" / "evaluations.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["coefficient"]) for row in rows] == [0, 0.5]
    base, other = ({name: float(row[name]) for name in ("forget", "control")} for row in rows)
    assert other["forget"] < base["forget"]
    assert other["control"] >= 0.1 * base["control"]


def test_the_unseen_half_is_measured_on_the_model_that_loads(printed):
    scores = json.loads(printed[1]["python evaluate.py"].splitlines()[-1])
    assert scores.keys() == {"forget", "control"}
    assert all(0 <= score <= 100 for score in scores.values())


def test_the_pool_is_looked_into(printed):
    assert "all agree in sign on" in printed[1]["negmerge inspect"]
