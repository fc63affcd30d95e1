"""The status at a terminal and as a page, and what a person should look at."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch
from watched_jobs import FOLDER, NOW, finish, job, log, write

from negmerge.checkpoints.states import write_state
from negmerge.evaluation.counts import Accuracy
from negmerge.selection.points import Point, write_points
from negmerge.watching import status as status_of
from negmerge.watching.describing import describe
from negmerge.watching.page import page
from negmerge.watching.warnings import warnings

LABELS = {"experiment": "clip", "task": "a"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def choice(place, **marks):
    one = job("select", f"clip/a/selected/{place}.json")
    method = {"method": place, "vector": "m1", "coefficient": 0.95, "rule": "control"}
    write(one.outputs[0], json.dumps([LABELS | method | marks]), 0)
    return one


def test_choices_at_the_end_of_a_grid_and_models_that_diverged():
    sweep = job("unlearn", "clip/a/sweeps/salun.csv")
    points = [
        Point("base", 0.0, {"forget": Accuracy(1, 2), "retain": Accuracy(1, 2)}),
        Point("learning_rate9.0", 1.0, {}, options={"learning_rate": 9.0}),
    ]
    write_points(sweep.outputs[0], LABELS, points)
    found = warnings(
        [choice("ties", upper_end=True), choice("uniform"), sweep, job("merge", "a/b")]
    )
    assert [(one["about"], one["cells"]) for one in found] == [
        ("upper end", ["clip/a/ties: m1 at 0.95 (rule control)"]),
        ("diverged", ["clip/a/salun: learning_rate9.0"]),
    ]


def test_points_that_diverged_are_told_once_from_vectors_and_scores():
    vector = job("finetune", "clip/a/vectors/m9.safetensors")
    write(vector.outputs[0], "", 0)
    write_state(vector.outputs[0], {}, {"diverged": ["m9"]})
    whole = job("finetune", "clip/a/vectors/m1.safetensors")
    write(whole.outputs[0], "", 0)
    write_state(whole.outputs[0], {"w": torch.ones(1)}, {"point": "m1"})
    score = job("evaluate", "clip/a/scores/ties.json")
    record = LABELS | {"method": "ties", "kind": "merge", "diverged": ["m7", "m9"]}
    write(score.outputs[0], json.dumps([record]), 0)
    gone = job("finetune", "clip/a/vectors/m7.safetensors")
    (found,) = warnings([vector, whole, gone, score])
    assert (found["about"], found["cells"]) == ("diverged", ["clip/a: m9", "clip/a: m7"])


@pytest.fixture
def found(monkeypatch):
    """The status of a study of a hundred jobs, some of each kind."""
    jobs = [job("finetune", f"{number}/x", gpu=True) for number in range(100)]
    for one in jobs[:60]:
        finish(one, 2000, 50)
    for number, one in enumerate(jobs[60:72]):
        log(one, f"step {number}/99  loss 0.1  12 images/s  70 s left\n")
    log(jobs[80], "error: <b>disk</b> is " + "very " * 40 + "full\n")
    select = choice("ties", upper_end=True)
    finish(select, 100, 1)
    monkeypatch.setattr(status_of, "require_workflow", lambda: None)
    monkeypatch.setattr(status_of, "load_study", lambda *_, **__: Study)
    monkeypatch.setattr(status_of, "known_jobs", lambda *_: [*jobs, select])
    return status_of.status("small")


class Study:
    title = "A study"
    tables = figures = ()


def test_a_status_is_made_of_values_for_programs(found):
    assert found["states"] == {"done": 61, "at work": 12, "failed": 1, "stopped": 0, "waiting": 27}
    assert found["failed"][0]["log"] == f"{FOLDER}/logs/finetune/80/x.log"
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("width", [80, 120])
def test_lines_are_no_longer_than_the_terminal(found, width):
    lines = list(describe(found, NOW, width))
    assert max(map(len, lines)) <= width
    text = unwrapped(lines)
    for words in (
        "60 %: 61 of 101 jobs done, 12 at work, 1 failed",
        "GPU h: 0.83 used, 2.8 planned in all",
        "expected end: ",
        "finetune, 80: <b>disk</b> is very",
        "and 4 more; --json lists all",
        "clip/a/ties: m1 at 0.95 (rule control)",
    ):
        assert words in text
    assert "this is a copy, or the run was killed" not in text
    assert "this is a copy, or the run was killed" in unwrapped(describe(found, NOW + 9e4, width))


def unwrapped(lines):
    return " ".join(" ".join(lines).split())


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.asked = [], []

    def handle_starttag(self, tag, attributes):
        self.asked += [value for key, value in attributes if key in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_is_loaded_again(found):
    text = page(found, NOW, 30)
    reader = Reader()
    reader.feed(text)
    assert (reader.open, reader.asked) == ([], [])
    assert "<script" not in text
    assert '<meta http-equiv="refresh" content="30">' in text
    assert "&lt;b&gt;disk&lt;/b&gt;" in text
    assert len(re.findall("<li>finetune, ", text)) == 13
