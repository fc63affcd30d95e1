"""With `checkpoints: needed` each goes as soon as no job needs it, and nothing else changes."""

import pytest

from negmerge.jobs.verification import verify
from negmerge.planning.jobs import list_jobs
from negmerge.planning.plan import make_plan

TASK = "results/tiny/clip/digits"
TARGETS = ["results/tiny/tables/sparsity.csv", f"{TASK}/scores/negmerge.json"]


@pytest.fixture(scope="module")
def lean(checkout, tmp_path_factory):
    """A copy in which a table and a score were made that way."""
    copy = checkout.copy(tmp_path_factory.mktemp("lean") / "workflow")
    copy.edit("config/config.yaml", "checkpoints: all", "checkpoints: needed")
    run = copy.snakemake("--cores", "2", "--", *TARGETS)
    assert run.returncode == 0, run.stdout + run.stderr
    return copy


def test_table_and_score_are_the_same(lean, finished):
    for place in TARGETS:
        assert (lean.folder / place).read_bytes() == (finished.folder / place).read_bytes()


def test_only_the_base_with_its_heads_and_what_single_images_gave_are_left(lean):
    left = {str(path.relative_to(lean.folder)) for path in lean.folder.rglob("*.safetensors")}
    assert {place for place in left if place.startswith("results/")} == {
        "results/tiny/clip/base.safetensors",
        "results/tiny/clip/text.safetensors",
        "results/tiny/clip/heads/digits.safetensors",
        "results/tiny/clip/heads/fashion.safetensors",
        "results/tiny/clip/digits/outcomes/negmerge.safetensors",
        "results/tiny/clip/digits/outcomes/pretrained.safetensors",
    }


def test_what_went_is_not_missed(lean, monkeypatch):
    assert lean.planned(*TARGETS) == set()
    monkeypatch.chdir(lean.folder)
    jobs = list_jobs(TARGETS)
    assert {job.rule for job in jobs} >= {"finetune", "merge", "evaluate"}
    assert not [job for job in jobs if job.to_do]
    plan = make_plan("tiny", "sparsity")
    assert plan["hours"]["cpu"] == {"estimate": 0, "at_most": 0}
    assert plan["done"]["jobs"] > 6
    assert plan["done"]["hours"] > 0
    # What is still to come would go again.
    more = make_plan("tiny", f"{TASK}/scores/uniform.json")["disk"]
    assert 0 < more["dropped"] <= more["gigabytes"]


def test_what_is_asked_for_stays(lean, tmp_path):
    copy = lean.copy(tmp_path / "workflow")
    place = f"{TASK}/vectors/m1.safetensors"
    assert copy.planned(place) == {"finetune: clip, digits, m1"}
    run = copy.snakemake("--cores", "2", "--", place)
    assert run.returncode == 0, run.stderr
    # All that the job makes of which a file is asked for.
    assert (copy.folder / place).is_file()
    assert (copy.folder / f"{TASK}/finetuned/m1.safetensors").is_file()


def test_the_records_of_what_went_still_link_the_rest(lean):
    report = verify(lean.folder / "results/tiny")
    assert report["fits"]
    assert report["dropped"] >= 6
