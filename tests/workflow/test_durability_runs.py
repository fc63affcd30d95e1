"""Models of the tiny study, rounded and taught again."""

import json

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

# A choice of the study whose scores are of half of the images; it lasts as long on all of them.
HALVED = "halves"


@pytest.fixture
def records(finished):
    """A function that reads the records of a method, of each rule."""

    def read(folder, place, method):
        path = finished.folder / "results/tiny" / place / folder / f"{method}.json"
        return json.loads(path.read_text())

    return read


@pytest.mark.parametrize(("place", "method"), PLACES)
def test_each_choice_is_scored_under_each_treatment(finished, records, place, method):
    found = records("durability", place, method)
    scores = {one["criterion"]: one for one in records("scores", place, method)}
    items = load_file(finished.folder / "results/tiny" / place / f"durability/{method}.safetensors")
    # What scores a half of the images is no choice where nothing is chosen.
    assert {one["criterion"] for one in found} >= set(scores) - {HALVED}
    kept, sizes = ("control", (397, 2000)) if method in CLIP else ("retain", (20, 40))
    for number, one in enumerate(found):
        score = scores[one["criterion"]]
        assert (one["vector"], one["coefficient"]) == (score["vector"], score["coefficient"])
        for role, size in zip(("forget", kept), sizes, strict=True):
            for treatment in TREATMENTS:
                counts = one[f"{role}_{treatment}"]
                assert counts["n"] == size
                right = items[f"{number}/{role}_{treatment}"]
                assert (right.sum(), len(right)) == (counts["correct"], size)
        # Every model is compared with its own base, rounded alike.
        changed = {form: one["survival"][form]["changed"] for form in ("int8", "int4")}
        assert all((count > 0) == (one["coefficient"] > 0) for count in changed.values())
        # All images to forget are scored, and in the scenario zero-shot all of the others.
        assert one["criterion"] == HALVED or one["forget_as_is"] == score["forget"]
        assert method not in CLIP or one[f"{kept}_as_is"] == score[kept]


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
