"""The workflow in a folder of somebody's own: by snakedeploy, by `module`, and with --directory."""

import shutil
import sys
from functools import cache

import pytest
import yaml

from deployed_workflow import module

TAG = 'tag="v1"'
IMAGES = "data/tiny-fashion/images.safetensors"
TABLE = "results/tiny/tables/sparsity"
VECTOR = "results/tiny/clip/digits/vectors/m1.safetensors"
MINE = """
extends: tiny
title: Of my own
experiments: {clip: {pool: {grid: {m: [1, 2, 10]}}}}
"""


@pytest.fixture(scope="module")
def planned(checkout):
    """A function that gives the jobs of a clone, by the report's study."""
    return cache(lambda study: checkout.planned(f"results/{study}/report.html"))


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="snakedeploy needs an older Python")
def test_snakedeploy_fills_an_empty_folder_in_which_a_study_runs(hub, finished, tmp_path):
    deployed = hub.deploy(tmp_path / "deployed")
    run = deployed.snakemake("--cores", "2", "--", f"{TABLE}.md", IMAGES)
    assert run.returncode == 0, run.stdout + run.stderr
    made = sorted((deployed.folder / "results/tiny").rglob("*.safetensors"))
    places = [path.relative_to(deployed.folder) for path in made]
    assert {"base", "m1", "m10", "negmerge"} <= {place.stem for place in places}
    for place in [*places, IMAGES, f"{TABLE}.md", f"{TABLE}.csv", f"{TABLE}.tex"]:
        assert (deployed.folder / place).read_bytes() == (finished.folder / place).read_bytes()


def test_what_a_clone_has_made_is_taken_as_it_is(hub, finished, tmp_path):
    # Nothing is made again only if each code, setting and input counts as the same.
    deployed = hub.imported(tmp_path, module("negmerge", TAG))
    for name in ("results/tiny", "data", ".snakemake/metadata"):
        shutil.copytree(finished.folder / name, tmp_path / name)
    target = "results/tiny/report.html"
    (tmp_path / target).unlink()
    run = deployed.snakemake("--cores", "1", "--", target)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 of 1 steps" in run.stdout + run.stderr


def test_two_modules_with_two_studies_stand_side_by_side(
    hub, checkout, planned, finished, tmp_path
):
    both = hub.imported(
        tmp_path / "both",
        module("first", TAG, 'config: {"study": "tiny"}', 'prefix: "one"'),
        module("second", TAG, 'config: {"study": "demo", "data": "sets"}', 'prefix: "two"'),
        "rule all:\n    default_target: True\n"
        "    input: rules.first_all.input, rules.second_all.input",
    )
    # Read as it lies there, whatever the prefix of what is made.
    shutil.copytree(checkout.folder / "config/published", both.folder / "config/published")
    assert both.planned() == planned("tiny") | planned("demo")
    # What comes before a vector is there; with a prefix, the vector's seed is the same.
    for name in ("results/tiny", "data"):
        shutil.copytree(finished.folder / name, both.folder / "one" / name)
    places = {f"one/{VECTOR}": VECTOR, f"one/{IMAGES}": IMAGES}
    for target in places:
        (both.folder / target).unlink()
    places["two/sets/digits/images.safetensors"] = "data/digits/images.safetensors"
    run = both.snakemake("--cores", "2", "--", *places)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 of 3 steps" in run.stdout + run.stderr
    for target, place in places.items():
        assert (both.folder / target).read_bytes() == (finished.folder / place).read_bytes()


def test_settings_in_the_working_folder_go_before_the_shipped_ones(hub, planned, tmp_path):
    own = hub.imported(tmp_path / "own", module("negmerge", 'branch="main"'))
    for name, text in {
        "config/config.yaml": "study: mine",
        "config/studies/mine.yaml": MINE,
        "config/models.yaml": yaml.safe_dump({"tiny-clip": {"title": "?"}}),
    }.items():
        (own.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (own.folder / name).write_text(text)
    run = own.snakemake("--dry-run")
    assert "error: config/models.yaml: the key tiny-clip.architecture is missing" in run.stderr
    (own.folder / "config/models.yaml").unlink()
    assert "finetune: clip, digits, m2" in own.planned()
    assert own.planned("results/tiny/report.html") == planned("tiny")


def test_with_directory_a_clone_works_elsewhere_and_with_what_is_there(checkout, tmp_path):
    place = tmp_path / "config/studies/mine.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(MINE)
    target = "results/mine/report.html"
    run = checkout.snakemake("--dry-run", "--directory", str(tmp_path), "--", target)
    assert run.returncode == 0, run.stderr
    assert "finetune: clip, digits, m2\n" in run.stdout + run.stderr


def test_a_new_version_makes_nothing_again_that_it_leaves_as_it_was(hub, tmp_path):
    own = hub.imported(tmp_path, module("negmerge", TAG))
    run = own.snakemake("--cores", "1", "--", IMAGES)
    assert run.returncode == 0, run.stdout + run.stderr
    hub.release("v2", "docs/news.md", "nothing", time="2090-01-01T00:00:00Z")
    hub.imported(tmp_path, module("negmerge", 'tag="v2"'))
    run = own.snakemake("--dry-run", "--", IMAGES)
    assert "Nothing to be done" in run.stdout, run.stdout + run.stderr
    assert (tmp_path / ".snakemake/workflows/github.com/owner/negmerge/v2/docs/news.md").exists()


def test_what_cannot_work_ends_with_one_line(hub, tmp_path):
    hub.release("v3", "docs/news.md", "other")
    for modules, message in {
        (module("negmerge", TAG, path="Snakefile"),): 'taken by `path="workflow/Snakefile"`',
        (module("old", TAG), module("new", 'tag="v3"')): "two versions of the workflow in one run",
    }.items():
        run = hub.imported(tmp_path, *modules).snakemake("--dry-run")
        assert run.returncode == 1
        assert message in run.stderr.splitlines()[-1], run.stdout + run.stderr


def test_two_runs_that_start_together_share_one_copy(hub, tmp_path):
    # Snakemake itself cannot make the first clone of a repository twice at once.
    hub.imported(tmp_path / "before", module("negmerge", TAG)).planned(IMAGES)
    own = hub.imported(tmp_path / "own", module("negmerge", TAG))
    runs = [own.start("--dry-run", "--", IMAGES) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    copies = own.folder / ".snakemake/workflows/github.com/owner/negmerge"
    assert [path.name for path in copies.iterdir()] == ["v1"]
