"""Models of the tiny study, rounded and taught again."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

TREATMENTS = ("as_is", "int8", "int4", "nf4", "relearned")
NET = {"retrain", "original", "boundary-expand", "gradient-ascent", "negmerge"}
CLIP = {"pretrained", "uniform"}
PLACES = [
    *(("clip/digits", name) for name in sorted(CLIP)),
    *(("resnet/trial1", name) for name in sorted(NET)),
]


@pytest.fixture
def records(finished):
    """A function that reads the records of a method, of each rule."""

    def read(folder, place, method):
        path = finished.folder / "results/tiny" / place / folder / f"{method}.json"
        return json.loads(path.read_text())

    return read


@pytest.mark.parametrize(("place", "method"), PLACES)
def test_each_choice_is_scored_under_each_treatment(finished, records, place, method):
    found, chosen = records("durability", place, method), records("scores", place, method)
    items = load_file(finished.folder / "results/tiny" / place / f"durability/{method}.safetensors")
    assert [one["criterion"] for one in found] == [one["criterion"] for one in chosen]
    kept, sizes = ("control", (397, 2000)) if method in CLIP else ("retain", (20, 40))
    for number, (one, score) in enumerate(zip(found, chosen, strict=True)):
        assert (one["vector"], one["coefficient"]) == (score["vector"], score["coefficient"])
        for role, size in zip(("forget", kept), sizes, strict=True):
            for treatment in TREATMENTS:
                counts = one[f"{role}_{treatment}"]
                assert counts["n"] == size
                right = items[f"{number}/{role}_{treatment}"]
                assert (right.sum(), len(right)) == (counts["correct"], size)
        # All images to forget are scored, and in the scenario zero-shot all of the others.
        assert one["forget_as_is"] == score["forget"]
        assert method not in CLIP or one[f"{kept}_as_is"] == score[kept]


def step_of(rows, largest, size):
    """The step of each number of a weight's rows, group by group."""
    steps = np.empty_like(rows)
    for row, numbers in enumerate(rows):
        for start in range(0, len(numbers), size):
            steps[row, start : start + size] = abs(numbers[start : start + size]).max() / largest
    return steps


def states(finished, records, method):
    """The base, and the model that a method chose, from the files of the trial; and its record."""
    folder = finished.folder / "results/tiny/resnet/trial1"
    record = records("durability", "resnet/trial1", method)[0]
    base = load_file(folder / "trained/original.safetensors")
    if method == "retrain":
        return base, load_file(folder / "trained/retrain.safetensors"), record
    vector = load_file(folder / f"merged/{method}.safetensors")
    moved = {key: base[key] - np.float32(record["coefficient"]) * vector[key] for key in vector}
    return base, moved, record


@pytest.mark.parametrize(
    ("method", "form", "largest"), [("negmerge", "int8", 127), ("retrain", "int4", 7)]
)
def test_what_survives_is_counted_from_the_files(finished, records, form, largest, method):
    base, moved, record = states(finished, records, method)
    expected = {"changed": 0, "large": 0, "moved": 0, "change": 0.0, "large_change": 0.0}
    for name, weight in base.items():
        if weight.ndim < 2 or not name.endswith("weight"):
            continue
        rows, after = (one.reshape(len(weight), -1) for one in (weight, moved[name]))
        size, step = abs(after - rows), step_of(rows, largest, 64)
        is_large = (size >= step / 2) & (size > 0)
        expected["changed"] += (size > 0).sum()
        expected["large"] += is_large.sum()
        expected["moved"] += (np.round(rows / step) != np.round(after / step)).sum()
        expected["change"] += size.sum(dtype=np.float64)
        expected["large_change"] += size[is_large].sum(dtype=np.float64)
    # A number that lies half a step away may fall on either side.
    for key, value in expected.items():
        assert record["survival"][form][key] == pytest.approx(value, rel=1e-3), key
    assert (expected["changed"] > 0) == (record["coefficient"] > 0)


def test_the_tables_have_the_ratio_of_relearning_where_there_is_a_retrain(finished):
    folder = finished.folder / "results/tiny/tables"
    clip, net = (pd.read_csv(folder / f"lasting{end}.csv") for end in ("", "-classifier"))
    assert "lasting_relearned" not in set(clip["metric"])
    own = net[(net["metric"] == "lasting_relearned") & (net["method"] == "retrain")]
    assert set(own["value"].dropna()) <= {100.0}
    for frame in (clip, net):
        shares = frame[frame["metric"].str.startswith("lasting_")]["value"]
        assert len(shares)
        assert shares.dropna().between(0, 100).all()
    data = pd.read_csv(finished.folder / "results/tiny/figures/survival.csv")
    assert set(data["method"]) == NET - {"retrain", "original"}
