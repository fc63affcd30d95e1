"""The first five lines of a report: each sentence on made-up records."""

import pytest
from reporting_examples import (
    PAPER,
    ROLES,
    ROWS,
    clip,
    gap_table,
    judged,
    net,
    outcomes,
    published,
    table,
)

from negmerge.reporting.cells import cells
from negmerge.reporting.findings import findings, summary

METHODS = {"negmerge": {}, "uniform": {}}
CLIP = {"scenario": "zero-shot", "methods": METHODS}
NET = {"scenario": "classifier", "methods": METHODS}


def said(tables, **experiments):
    """The five lines, in sentences."""
    study = {"experiments": experiments or {"a": CLIP, "net": NET}}
    return [[one.text for one in line.said] for line in findings(study, tables)]


def of_clip(scores=None, **changes):
    return {"clip": judged(table(**changes), scores or clip())}


def of_net(*trials, scores=None, **changes):
    scores = scores or [one for trial in trials or ["trial1"] for one in net(trial)]
    return {"net": judged(gap_table(rows=ROWS, **changes), scores, ROLES)}


def changed(scores, method, **changes):
    return [one | (changes if one["method"] == method else {}) for one in scores]


def counts(task, kept, models=4, method="negmerge"):
    labels = {"experiment": "a", "task": task, "method": method, "models": models}
    return labels | {"kept": kept, "trainable": 100, "state": 250}


def of_sparsity(records):
    definition = table(kind="sparsity", rows={records[0]["method"]: "a merge"})
    return {"zeros": (definition, cells(definition, records, {}))}


def test_without_retrain_no_method_is_called_the_best():
    rows = {"original": "Original", "negmerge": "NegMerge"}
    definition = gap_table(kind="forgetting", rows=rows)
    shown = {"net": (definition, cells(definition, net("trial1")[1:3], {}))}
    unknown = ["not known, since no Retrain says how much forgetting is right"]
    best, noise, distance, _, limits = said(shown, net=NET)
    assert best == noise == distance == limits == unknown


def test_the_best_method_of_each_column_with_its_error():
    assert said(of_clip() | of_net())[0] == [
        "B/32: Uniform Merge, 20.00 ± 2.83 %",
        "net: NegMerge, 2.00 ± 0.91 points",
    ]


def test_where_nothing_is_better_than_the_unchanged_model_it_says_so():
    scores = changed(clip(), "pretrained", forget={"correct": 30, "n": 200})
    assert said(of_clip(scores))[0] == [
        "B/32: no method, the unchanged model leads (Pre-trained, 15.00 ± 2.52 %)"
    ]


def test_what_is_within_noise_is_named_and_negmerge_among_it():
    assert said(of_clip() | of_net())[1] == [
        "B/32: NegMerge",
        "net: none of the others",
    ]


def test_where_there_is_too_little_to_forget_no_row_ranks():
    lines = said(of_net(scores=net("trial1", retrain=97)))
    assert lines[0][0].startswith("net: no method, too little to forget (NegMerge, ")
    assert lines[1] == ["net: no row ranks, there is too little to forget"]
    assert lines[4][0] == "anything of the order of the rows (too little to forget)"


def test_classifiers_are_compared_with_retrain():
    assert said(of_clip() | of_net())[2] == [
        "net: NegMerge 2.00 points, most in forget accuracy (84.00 %, Retrain 80.00 %); "
        "the unchanged model 10.25 points"
    ]


def test_without_a_classifier_guessing_stands_for_retrain():
    assert said(of_clip())[2] == [
        "no classifier, so no Retrain to compare with",
        "B/32: the base has 80.00 % of the forget images right, NegMerge 22.00 %, guessing 10.00 %",
    ]


def test_the_share_that_the_consensus_kept():
    tables = of_sparsity([counts("digits", 25), counts("letters", 35)])
    assert said(tables)[3] == [
        "B/32: 30.00 % of the trainable numbers",
        "random signs would keep 12.5 % with 4 models",
    ]


def test_one_seed_gives_no_order():
    lines = said(of_net("trial1", "trial2") | of_clip())
    assert "that another training gives the same order (one seed: B/32)" in lines[4]
    lines = said(of_net("trial1", "trial2"))
    assert not [text for text in lines[4] if "one seed" in text]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upper_end": True}, "can do no better (chosen at the upper end of the grid: B/32)"),
        ({"lower_end": True}, "can do no better (chosen at the lower end of the grid: B/32)"),
        ({"searched": False}, "can do no better (one setting, no other tried: B/32)"),
        (
            {"unchanged": True, "coefficient": 0.0},
            "can forget (nothing tried was better than the unchanged model: B/32)",
        ),
    ],
)
def test_what_a_choice_leaves_open(changes, expected):
    found = f"that NegMerge {expected}"
    assert found in said(of_clip(changed(clip(), "negmerge", **changes)))[4]
    assert found not in said(of_clip())[4]


def test_the_rule_gap_needs_a_retrain():
    scores = [one | {"rule": "gap", "keep": 0.95, "vector": "x"} for one in net("trial1")]
    for one in scores:
        one["coefficient"] = 0.5
    text = "that a user without Retrain reaches this (rule gap compares with it)"
    assert text in said(of_net(scores=scores))[4]
    assert text not in said(of_net())[4]


@pytest.mark.parametrize(("comparable", "is_said"), [(False, True), (True, False), (None, False)])
def test_the_papers_numbers_are_of_other_models(comparable, is_said):
    column = {} if comparable is None else {"published": published(comparable=comparable)}
    definition, scores = table(column=column), clip()
    frame = cells(definition, scores, PAPER, [outcomes(one) for one in scores])
    text = "anything of the paper's numbers (another model or other data)"
    assert (text in said({"clip": (definition, frame)})[4]) == is_said


def test_a_study_without_scores_has_five_lines_too():
    lines = findings({"experiments": {"a": CLIP}}, {})
    assert len(lines) == 5
    assert summary(lines).splitlines()[0] == "Best: no table scores a model"


def test_the_summary_is_five_short_lines_of_ascii():
    study = {"experiments": {"a": CLIP, "net": NET}}
    lines = summary(findings(study, of_clip() | of_net())).splitlines()
    assert lines == [
        "Best: B/32 uniform 20.0+-2.8 %, net negmerge 2.0+-0.9",
        "Within noise: B/32 1 of 2, net none of 2",
        "From Retrain: net negmerge 2.0, unchanged 10.2 points",
        "Consensus kept: not counted",
        "Not to conclude: the order (one seed), the lead (below its error: 1 of 2)",
    ]
    assert all(line.isascii() for line in lines)
