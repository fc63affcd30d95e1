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
from negmerge.reporting.findings import WIDTH, Finding, Said, findings, summary

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


def test_methods_that_are_equally_good_share_the_first_place():
    scores = changed(clip(), "uniform", forget={"correct": 44, "n": 200})
    best, noise, *_ = said(of_clip(scores))
    assert best == ["B/32: NegMerge and Uniform Merge, 22.00 ± 2.93 %"]
    assert noise == ["B/32: none of the others"]


def test_where_nothing_is_better_than_the_unchanged_model_it_says_so():
    scores = changed(clip(), "pretrained", forget={"correct": 30, "n": 200})
    assert said(of_clip(scores))[0] == [
        "B/32: no method, the unchanged model leads (Pre-trained, 15.00 ± 2.52 %)"
    ]


def test_the_spread_over_the_trials_of_a_classifier_is_beside_the_error():
    second = changed(net("trial2"), "negmerge", forget={"correct": 88, "n": 100})
    (best,) = said(of_net(scores=[*net("trial1"), *second]))[0]
    assert best.startswith("net: NegMerge, 2.50 ± ")
    assert best.endswith(" points (std over 2 trials 0.71)")


def test_what_is_within_noise_is_named_and_negmerge_among_it():
    assert said(of_clip() | of_net())[1] == [
        "B/32: NegMerge",
        "net: none of the others",
    ]


def test_a_negmerge_that_is_told_apart_from_the_best_loses():
    scores = changed(clip(), "negmerge", forget={"correct": 100, "n": 200})
    assert said(of_clip(scores))[1] == [
        "B/32: none of the others, but NegMerge with 50.00 % loses (p < 0.001)"
    ]


def test_many_rows_within_noise_are_counted():
    names = [f"uniform-{number}" for number in range(4)]
    scores = [*clip(), *(one | {"method": name} for name in names for one in clip()[2:])]
    for place, one in enumerate(scores[3:]):
        one["forget"] = {"correct": 41 + place, "n": 200}
    rows = {one["method"]: one["method"] for one in scores}
    assert said(of_clip(scores, rows=rows))[1] == [
        "B/32: 5 of 6 others, negmerge with 22.00 % among them"
    ]


def test_without_outcomes_nothing_is_known_of_noise():
    tables = {"clip": (table(), cells(table(), clip(), {}))}
    assert said(tables)[1] == ["B/32: not known, since nothing was compared image by image"]


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


def test_the_best_stands_before_negmerge_where_that_is_another():
    scores = changed(net("trial1"), "negmerge", retain={"correct": 100, "n": 200})
    (line,) = said(of_net(scores=scores))[2]
    assert [part.partition(" points")[0] for part in line.split("; ")] == [
        "net: Original 10.25",
        "NegMerge 14.25",
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


@pytest.mark.parametrize(("models", "share"), [(2, "50 %"), (30, "< 0.01 %")])
def test_more_models_agree_less_often_by_lot(models, share):
    tables = of_sparsity([counts("digits", 25, models=models)])
    assert said(tables)[3][-1] == f"random signs would keep {share} with {models} models"


def test_a_place_that_two_tables_count_is_told_once():
    tables = of_sparsity([counts("digits", 25)])
    tables["again"] = tables["zeros"]
    assert len(said(tables)[3]) == 2


@pytest.mark.parametrize(
    ("methods", "tables", "expected"),
    [
        ({"uniform": {}}, {}, "NegMerge is not among the methods"),
        (METHODS, {}, "it was not counted, since no table of kind sparsity or mask shows it"),
        (
            METHODS,
            of_sparsity([counts("digits", 25, method="uniform")]),
            "it was not counted, since no table of kind sparsity or mask shows it",
        ),
    ],
)
def test_a_consensus_that_was_not_counted(methods, tables, expected):
    assert said(tables, a={"scenario": "zero-shot", "methods": methods})[3] == [expected]


def test_one_seed_gives_no_order():
    lines = said(of_net("trial1", "trial2") | of_clip())
    assert "that another training gives the same order (one seed: B/32)" in lines[4]
    lines = said(of_net("trial1", "trial2"))
    assert not [text for text in lines[4] if "one seed" in text]


def test_a_lead_below_the_standard_error_is_none():
    lines = said(of_clip() | of_net())
    assert "that the best beats the next (its lead is below its standard error: B/32)" in lines[4]


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


def test_what_is_open_in_several_columns_is_said_once():
    second = [one | {"experiment": "b"} for one in clip()]
    columns = [
        {"label": name, "experiments": [name], "tasks": [], "published": None} for name in "ab"
    ]
    scores = changed([*clip(), *second], "negmerge", upper_end=True)
    tables = {"clip": judged(table() | {"columns": columns}, scores)}
    assert said(tables, a=CLIP, b=CLIP)[4][-1] == (
        "that NegMerge can do no better (chosen at the upper end of the grid: a, b)"
    )


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


def test_tasks_are_told_one_by_one_rather_than_in_their_mean():
    scores = [*clip(), *(one | {"task": "letters"} for one in clip())]
    columns = [
        {"label": label, "experiments": ["a"], "tasks": tasks, "published": None}
        for label, tasks in (("mean", []), ("digits", ["digits"]), ("letters", ["letters"]))
    ]
    tables = {"clip": judged(table() | {"columns": columns}, scores)}
    assert [text.partition(":")[0] for text in said(tables)[0]] == ["digits", "letters"]


def test_a_column_without_a_choice_of_methods_is_left_out_if_another_has_one():
    rows = {"pretrained": "Pre-trained", "negmerge": "NegMerge"}
    alone = judged(table(rows=rows, column={"label": "b", "experiments": ["b"]}), clip("b"))
    tables = {"alone": alone, **of_clip()}
    names = [text.partition(":")[0] for text in said(tables, a=CLIP, b=CLIP)[0]]
    assert names == ["B/32"]
    assert len(said({"alone": alone}, b=CLIP)[0]) == 1


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


def test_the_summary_leaves_out_what_has_no_room():
    many = [Said("a sentence", f"experiment-{number} negmerge 1.0+-0.5") for number in range(30)]
    (line,) = summary([Finding("Best method", "Best", many)]).splitlines()
    assert len(line) <= WIDTH
    assert line.startswith("Best: experiment-0 negmerge")
    assert line.endswith("28 more in the report")
