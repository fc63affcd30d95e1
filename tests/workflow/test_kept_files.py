"""With `checkpoints: needed` each goes as soon as no job needs it, and nothing else changes."""

import shutil

import pytest

from negmerge.jobs.listing import list_jobs
from negmerge.jobs.verification import verify

TASK = "results/tiny/clip/digits"
TARGETS = ["results/tiny/tables/sparsity.csv", f"{TASK}/scores/negmerge.json"]


@pytest.fixture(scope="module")
def lean(finished, tmp_path_factory):
    """A copy in which a table and a score were made that way, from data that were there."""
    copy = finished.copy(tmp_path_factory.mktemp("lean") / "workflow")
    shutil.rmtree(copy.folder / "results")
    copy.edit("config/config.yaml", "checkpoints: all", "checkpoints: needed")
    copy.make(*TARGETS)
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
    assert {job.rule for job in jobs} >= {"finetune", "merge", "score"}
    assert not [job for job in jobs if job.to_do]


def test_what_is_asked_for_stays(lean, tmp_path):
    copy = lean.copy(tmp_path / "workflow")
    place = f"{TASK}/merged/negmerge-1.safetensors"
    assert copy.planned(place) == {"finetune: clip, digits, m1", "merge: clip, digits, negmerge-1"}
    copy.make(place)
    assert (copy.folder / place).is_file()
    for folder in ("finetuned", "vectors"):
        assert not (copy.folder / TASK / folder / "m1.safetensors").exists()


def test_the_records_of_what_went_still_link_the_rest(lean):
    report = verify(lean.folder / "results/tiny")
    assert report["fits"]
    assert report["dropped"] >= 6
