import numpy as np
import pytest
from sklearn.svm import SVC

from negmerge.evaluation.outcomes import Outcomes, write_outcomes
from negmerge.files import write_json
from negmerge.scenarios.scoring import on_the_others, score_choices

PLACE = {"experiment": "resnet", "task": "trial1", "method": "negmerge"}


def choice(rule, vector, coefficient):
    return PLACE | {"criterion": rule, "vector": vector, "coefficient": coefficient}


class Scoring:
    """Notes which choices it scored."""

    def __init__(self):
        self.scored = []

    def __call__(self, one):
        self.scored.append((one["vector"], one["coefficient"]))
        right = np.full(3, len(self.scored), np.uint8)
        outcomes = Outcomes(
            ("a", "b", "c"), {"forget": 3}, {"forget_right": right}, one["criterion"]
        )
        return {"forget": {"correct": len(self.scored), "n": 3}}, outcomes


@pytest.fixture
def unchanged(tmp_path):
    """The files of the base as it is."""
    record = PLACE | {"method": "original", "criterion": None, "vector": None, "coefficient": 0.0}
    write_json(tmp_path / "original.json", [record | {"forget": {"correct": 99, "n": 100}}])
    right = np.ones(3, np.uint8)
    place = ("resnet", "trial1", "original")
    outcomes = [Outcomes(place, {"forget": 3}, {"forget_right": right}, None)]
    write_outcomes(tmp_path / "original.safetensors", outcomes)
    return [tmp_path / "original.json", tmp_path / "original.safetensors"]


def test_each_distinct_choice_is_scored_once():
    chosen = [choice("retain", "m", 0.5), choice("gap", "m", 0.5), choice("x", "m", 1.0)]
    scoring = Scoring()
    records, outcomes = score_choices(chosen, scoring)
    assert scoring.scored == [("m", 0.5), ("m", 1.0)]
    assert [record["forget"]["correct"] for record in records] == [1, 1, 2]
    assert [one.criterion for one in outcomes] == ["retain", "gap", "x"]
    assert [one.right("forget")[0] for one in outcomes] == [1, 1, 2]
    for record, one, of in zip(records, chosen, outcomes, strict=True):
        assert record.items() >= one.items()
        assert of.place == ("resnet", "trial1", "negmerge")


def test_a_choice_that_changes_nothing_takes_the_scores_of_the_base(unchanged):
    chosen = [choice("retain", "m", 0.0), choice("gap", "m", 0.5), choice("x", "other", 0.0)]
    scoring = Scoring()
    records, outcomes = score_choices(chosen, scoring, unchanged)
    assert scoring.scored == [("m", 0.5)]
    assert [record["forget"]["correct"] for record in records] == [99, 1, 99]
    assert [(r["method"], r["criterion"], r["vector"]) for r in records] == [
        ("negmerge", "retain", "m"), ("negmerge", "gap", "m"), ("negmerge", "x", "other"),
    ]  # fmt: skip
    assert [(one.place[2], one.criterion) for one in outcomes] == [
        ("negmerge", "retain"), ("negmerge", "gap"), ("negmerge", "x"),
    ]  # fmt: skip


def test_the_others_are_scored_as_if_there_were_no_more():
    random = np.random.default_rng(4)
    sizes, most, arrays, left = {"forget": 9, "retain": 24, "test": 8}, 8, {}, {}
    for role, n in sizes.items():
        arrays[f"{role}_right"] = random.integers(0, 2, n).astype(np.uint8)
        arrays[f"{role}_confidence"] = random.random(n)
        # Of n items those at n k / 8 choose, and every other of these is not scored.
        chosen = {n * k // min(n, most) for k in range(0, min(n, most), 2)}
        left[role] = [place for place in range(n) if place not in chosen]
    whole = Outcomes(("a", "b", "c"), dict.fromkeys(sizes, 10), arrays, None)
    metrics, outcomes = on_the_others(({"relearn": 3, "test": None}, whole), most, seed=0)
    for role, places in left.items():
        right = arrays[f"{role}_right"][places]
        assert metrics[role] == {"correct": right.sum(), "n": len(places)}
        assert np.array_equal(outcomes.right(role), right)
    known, unseen, forget = (
        arrays[f"{role}_confidence"][left[role]][:, None] for role in ("retain", "test", "forget")
    )
    svc = SVC(C=3, kernel="rbf", gamma="auto")
    svc.fit(np.concatenate([known[: len(unseen)], unseen]), [1] * len(unseen) + [0] * len(unseen))
    verdicts = svc.predict(forget) == 0
    assert metrics["membership"] == {"confidence": 100 * verdicts.mean()}
    assert np.array_equal(outcomes.arrays["forget_unseen"], verdicts)
    assert metrics["relearn"] == 3
