"""The workflow in a folder of somebody's own: by `module`, and with --directory."""

import shutil

import pytest
import yaml

from tiny_study import Checkout

IMAGES = "data/tiny-fashion/images.safetensors"
VECTOR = "results/tiny/clip/digits/vectors/m1.safetensors"
MINE = """
extends: tiny
title: Of my own
experiments: {clip: {pool: {grid: {m: [1, 2, 10]}}}}
"""


def module(name: str, workflow: Checkout, *lines: str) -> str:
    """Write the statements that import all rules of the workflow."""
    source = f'snakefile: "{workflow.folder}/workflow/Snakefile"'
    body = "".join(f"    {line}\n" for line in (source, *lines))
    return f"module {name}:\n{body}\n\nuse rule * from {name} as {name}_*\n"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A function that makes a folder with a Snakefile of somebody's own."""
    # A library of that name which must not be taken for the workflow's.
    other = tmp_path / "other" / "negmerge"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise ImportError('another negmerge')\n")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))

    def make(*statements: str) -> Checkout:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / "Snakefile").write_text("\n".join(statements))
        return Checkout(folder)

    return make


def test_what_a_clone_has_made_is_taken_as_it_is(own, checkout, finished):
    # Nothing is made again only if each code, setting and input counts as the same.
    mine = own(module("negmerge", checkout))
    for name in ("results/tiny", "data", ".snakemake/metadata"):
        shutil.copytree(finished.folder / name, mine.folder / name)
    target = "results/tiny/report.html"
    (mine.folder / target).unlink()
    assert mine.make(target) == ["report"]


def test_two_modules_with_two_studies_stand_side_by_side(own, checkout, finished):
    both = own(
        module("first", checkout, 'config: {"study": "tiny"}', 'prefix: "one"'),
        module("second", checkout, 'config: {"study": "demo", "data": "sets"}', 'prefix: "two"'),
        "rule all:\n    default_target: True\n"
        "    input: rules.first_all.input, rules.second_all.input",
    )
    # Read as it lies there, whatever the prefix of what is made.
    shutil.copytree(checkout.folder / "config/published", both.folder / "config/published")
    studies = (checkout.planned(f"results/{name}/report.html") for name in ("tiny", "demo"))
    assert both.planned() == set.union(*studies)
    # What comes before a vector is there; with a prefix, the vector's seed is the same.
    for name in ("results/tiny", "data"):
        shutil.copytree(finished.folder / name, both.folder / "one" / name)
    places = {f"one/{VECTOR}": VECTOR, f"one/{IMAGES}": IMAGES}
    for target in places:
        (both.folder / target).unlink()
    places["two/sets/digits/images.safetensors"] = "data/digits/images.safetensors"
    assert sorted(both.make(*places)) == ["finetune", "prepare", "prepare"]
    for target, place in places.items():
        assert (both.folder / target).read_bytes() == (finished.folder / place).read_bytes()


def test_settings_in_the_working_folder_go_before_the_shipped_ones(own, checkout):
    mine = own(module("negmerge", checkout))
    for name, text in {
        "config/config.yaml": "study: mine",
        "config/studies/mine.yaml": MINE,
        "config/models.yaml": yaml.safe_dump({"tiny-clip": {"title": "?"}}),
    }.items():
        (mine.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (mine.folder / name).write_text(text)
    run = mine.snakemake("--dry-run")
    assert "error: config/models.yaml: the key tiny-clip.architecture is missing" in run.stderr
    (mine.folder / "config/models.yaml").unlink()
    assert "finetune: clip, digits, m2" in mine.planned()


def test_with_directory_a_clone_works_elsewhere_and_with_what_is_there(checkout, tmp_path):
    place = tmp_path / "config/studies/mine.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(MINE)
    target = "results/mine/report.html"
    run = checkout.snakemake("--dry-run", "--directory", str(tmp_path), "--", target)
    assert run.returncode == 0, run.stderr
    assert "finetune: clip, digits, m2\n" in run.stdout + run.stderr


def test_two_versions_in_one_run_end_with_one_line(own, checkout, tmp_path):
    other = checkout.copy(tmp_path / "later")
    run = own(module("old", checkout), module("new", other)).snakemake("--dry-run")
    assert run.returncode == 1
    line = run.stderr.splitlines()[-1]
    assert line.startswith("error: two versions of the workflow in one run"), run.stderr
