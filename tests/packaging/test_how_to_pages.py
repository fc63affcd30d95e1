"""The examples of the how-to pages work as they are written there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from workflow_text import PACKAGE, ROOT

from negmerge.models.classifiers import KINDS
from negmerge.settings.study import load_study
from tiny_study import Checkout

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63600000000200014873a4870000000049454e44ae426082"
)


def blocks(page, language):
    """Take the code blocks of one language out of a page."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


METHOD_PAGE = "docs/dev/add-a-method.md"
TABLE_PAGE = "docs/dev/add-a-table-or-figure.md"
DATA_PAGE = "docs/dev/add-a-data-set-or-model.md"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Copy the library, and put the examples of the pages into it, with their tests beside it."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(PACKAGE, folder / "negmerge", ignore=shutil.ignore_patterns("__pycache__"))
    for page, *places in (
        (
            METHOD_PAGE,
            "merging/methods/median",
            "../test_median",
            "unlearning/methods/cf_last",
            "../test_cf_last",
        ),
        (TABLE_PAGE, "reporting/tables/search", "../test_search"),
        (DATA_PAGE, "data/sources/class_folders"),
    ):
        for place, block in zip(places, blocks(page, "python"), strict=True):
            (folder / "negmerge" / f"{place}.py").write_text(block)
    return folder


def run(library, *arguments):
    """Run Python with the copy of the library before all others."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=library,
        env={"PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_methods_and_the_kind_of_table_pass_their_own_tests(library):
    tests = sorted(path.name for path in library.glob("test_*.py"))
    assert tests == ["test_cf_last.py", "test_median.py", "test_search.py"]
    out = run(library, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    assert "5 passed" in out


IN_A_STUDY = """
from negmerge import paths
from negmerge.cli import main
from negmerge.settings.study import load_study
from negmerge.unlearning import METHODS
study = load_study("config", "demo")
print(study.tables["table1"].model_dump()["rows"]["median"])
print(study.tables["table2"].model_dump()["rows"]["cf-last"])
experiment = study.experiments["mini-resnet"]
print(experiment.methods["cf-last-search"].grid, experiment.is_searched("cf-last-search"))
# Its defaults say where they are from.
method = METHODS["cf-last"]
for field in method.options.model_fields.values():
    assert "choice" in field.description
print(method.check("cf-last", {}).data_used)
print(paths.table_records(study, study.tables["search"])["records"][-1])
print(study.tables["search"].model_dump()["rows"]["negmerge"])
print("search: How much was tried" in type(study.tables["search"]).model_fields["kind"].description)
main(["methods"])
"""


def test_a_study_may_name_the_methods_and_the_kind_of_table(library, change_yaml):
    shutil.copytree(ROOT / "config", library / "config")
    study = library / "config" / "studies" / "demo.yaml"
    (table,) = blocks(TABLE_PAGE, "yaml")
    text = study.read_text()
    assert text.count("\ntables:\n") == 1
    study.write_text(text.replace("\ntables:\n", f"\n{table}\n"))

    def add(experiment, table, methods, rows):
        for name, use in yaml.safe_load(methods)["methods"].items():
            change_yaml(study, f"experiments/{experiment}/methods/{name}", use)
        change_yaml(study, f"tables/{table}/rows", yaml.safe_load(rows)["rows"])

    merge, merge_row, line, row, search = blocks(METHOD_PAGE, "yaml")
    add("mini-clip", "table1", merge, merge_row)
    # A further use of the method stands below the first.
    add("mini-resnet", "table2", line + search, row + "      retrain: Retrain\n")
    printed = run(library, "-c", IN_A_STUDY)
    assert printed.splitlines()[:7] == [
        "Median",
        "Last layer only",
        "{'learning_rate': [0.01, 0.03, 0.1]} True",
        "retain",
        "mini-clip/digits/selected/negmerge.json",
        "NegMerge",
        "True",
    ]
    assert "median: Median\n    Median: the middle value" in printed


def test_a_source_of_ones_own_is_prepared_and_rows_are_valid(library):
    rows, prompts, mirrors, pets = map(yaml.safe_load, blocks(DATA_PAGE, "yaml")[:4])
    cars = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())["cars"]
    assert mirrors["mirrors"] == cars["mirrors"][:1]
    row = pets["pets"] | {"files": {"train": "train", "test": "test"}}
    row |= {"splits": {"train": 3, "test": 2}}
    for place in ("train/cat/1", "train/cat/2", "train/dog/1", "test/cat/1", "test/dog/1"):
        file = library / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG)
    check = f"""
from negmerge import plugins
from negmerge.data.images import Images
from negmerge.data.preparation import write_images
from negmerge.settings.catalogue import Prompts
from negmerge.settings.datasets import Dataset
for row in {[*rows.values(), *pets.values()]!r}:
    Dataset.model_validate(row)
Prompts.model_validate({prompts["mnist"]!r})
row = Dataset.model_validate({row!r}).model_dump()
read = plugins.source(row["source"]).read
write_images("images.safetensors", read(row["files"], row), row["splits"], row["classes"])
train = Images("images.safetensors", "train")
print(train.labels.tolist(), train[0].size)
"""
    assert run(library, "-c", check) == "[0, 0, 1] (1, 1)\n"


CHECKPOINTS_PAGE = "docs/your-own-checkpoints.md"


# What a reader may call a model that forgets more of `forget` the smaller its first weight is.
EVALUATION = """
import json, sys
from safetensors.numpy import load_file
weights = load_file(sys.argv[1])["w"].tolist()
print(json.dumps({"forget": weights[0], "control": 1.0 - 0.02 * abs(1.0 - weights[0])}))
"""
PLACES = {"BASE": "base.safetensors", "POOL...": "pool/*.safetensors", "OUT": "out.safetensors"}


def commands(page):
    """Take the commands for a base and a pool out of a page, but for those of parts."""
    lines = re.findall(r"^ {4}(negmerge (?:unlearn|inspect) .*)$", (ROOT / page).read_text(), re.M)
    return [line for line in lines if "BASE" in line and "--part" not in line]


def test_the_commands_for_ones_own_checkpoints_work_on_files(tmp_path):
    (tmp_path / "pool").mkdir()
    save_file({"w": torch.tensor([1.0, 1.0])}, tmp_path / "base.safetensors")
    for number, values in enumerate(([2.0, 0.0], [4.0, 2.0])):
        save_file({"w": torch.tensor(values)}, tmp_path / "pool" / f"{number}.safetensors")
    (tmp_path / "my_eval.py").write_text(EVALUATION)
    found = commands(CHECKPOINTS_PAGE)
    assert len(found) == 3
    assert commands("README.md") == found[:2]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    chosen = []
    for command in found:
        for name, place in PLACES.items():
            command = re.sub(rf"(?<!\S){re.escape(name)}(?!\S)", place, command)
        done = subprocess.run(command, shell=True, cwd=tmp_path, env={"PATH": path}, check=False)
        assert done.returncode == 0, command
        if "unlearn" in command:
            chosen.append(load_file(tmp_path / "out.safetensors")["w"].tolist())
            (tmp_path / "out.safetensors").unlink()
    assert chosen == [pytest.approx([1 - 0.9 * 2, 1.0]), pytest.approx([1 - 1.0 * 2, 1.0])]


def test_the_examples_of_functions_agree_with_each_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks("docs/functions.md", "python"):
        exec(code, names)
    # The README shows some of these lines.
    (shown,) = blocks("README.md", "python")
    assert set(shown.splitlines()) <= set(
        "".join(blocks("docs/functions.md", "python")).splitlines()
    )
    on_disk = load_file("unlearned.safetensors")
    assert all(torch.equal(on_disk[name], tensor) for name, tensor in names["unlearned"].items())
    choice, vector = names["choice"], names["vector"]
    before = load_file("base.safetensors")
    assert len(choice.measurements) == 21
    expected = before["weight"] - choice.coefficient * vector["weight"]
    assert torch.equal(names["base"].weight, expected)
    assert "of 10 numbers change" in capsys.readouterr().out


CLIP, CLASSIFIER, STUDY = blocks(DATA_PAGE, "yaml")[4:]


@pytest.fixture(scope="module")
def workflow(workflow):
    """The workflow with the rows and the study of the page."""
    with open(workflow / "config" / "models.yaml", "a") as stream:
        stream.write(f"\n{CLIP}\n{CLASSIFIER}")
    (workflow / "config" / "studies" / "mine.yaml").write_text(STUDY)
    return workflow


def test_the_page_lists_every_kind_of_classifier_with_its_options():
    text = (ROOT / DATA_PAGE).read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| .*? \| (.*) \|$", text, re.M)
    listed = {kind: set(re.findall(r"`(\w+)`", options)) for kind, options in rows}
    assert listed.keys() == KINDS.keys()
    for kind, (_, options) in KINDS.items():
        assert listed[kind] >= set(options)


def test_the_study_is_planned(workflow):
    assert load_study(workflow / "config", "mine").title in STUDY
    (jobs,) = re.findall(r"The dry run lists (\d+) jobs", (ROOT / DATA_PAGE).read_text())
    assert len(Checkout(workflow).planned("results/mine/report.html")) == int(jobs)
