"""The five findings of a report, on made-up records."""

import pytest
from reporting_examples import (
    PAPER,
    ROLES,
    ROWS,
    clip,
    compared,
    gap_table,
    net,
    outcomes,
    published,
    table,
)

from negmerge.reporting.cells import cells
from negmerge.reporting.findings import NOT_RANKED, findings, summary

METHODS = {"negmerge": {}, "uniform": {}}
STUDY = {"experiments": {"a": {"methods": METHODS}}}
BEST, NEAR, DISTANCE, KEPT, LIMITS = range(5)


def sentences(tables):
    return [finding.sentences for finding in findings(STUDY, tables)]


def of_clip(scores=None, **changes):
    return {"clip": compared(table(**changes), scores or clip())}


def of_net(*trials, scores=None):
    scores = scores or [one for trial in trials or ["trial1"] for one in net(trial)]
    return {"net": compared(gap_table(rows=ROWS), scores, ROLES)}


def changed(scores, method, **changes):
    return [one | (changes if one["method"] == method else {}) for one in scores]


def test_the_best_the_near_and_the_distance_of_each_column():
    found = sentences(of_clip() | of_net())
    assert found[BEST] == [
        "B/32: Uniform Merge, with forget accuracy 20.00 ± 2.83 %.",
        "net: NegMerge, with average gap 2.00 ± 0.91 points.",
    ]
    assert found[NEAR] == ["B/32: 1 of 2 other rows, NegMerge.", "net: 0 of 2 other rows."]
    clip_distance, net_distance = found[DISTANCE]
    assert clip_distance == (
        "B/32: the forget accuracy is 80.00 ± 2.83 % for the base, 22.00 ± 2.93 % for NegMerge and "
        "10.00 % for guessing."
    )
    assert net_distance.endswith("2.00 ± 0.91 points for NegMerge and 0 for Retrain.")


def test_negmerge_that_loses_is_named_and_so_is_an_unchanged_model_that_is_best():
    scores = changed(clip(), "negmerge", forget={"correct": 100, "n": 200})
    (near,) = sentences(of_clip(scores))[NEAR]
    assert near == "B/32: 0 of 2 other rows. NegMerge loses, with 50.00 ± 3.54 % (p < 0.001)."
    scores = changed(clip(), "pretrained", forget={"correct": 30, "n": 200})
    (best,) = sentences(of_clip(scores))[BEST]
    assert best == "B/32: no method beats the unchanged model, with forget accuracy 15.00 ± 2.52 %."


def test_where_there_is_too_little_to_forget_no_row_ranks():
    found = sentences(of_net(scores=net("trial1", retrain=97)))
    assert found[BEST] == found[NEAR] == ["net: no row ranks, since there is too little to forget."]
    assert found[LIMITS][0] == "The order of the rows, since there is too little to forget."


def test_without_retrain_or_scores_nothing_ranks():
    rows = {"original": "Original", "negmerge": "NegMerge"}
    definition = gap_table(kind="forgetting", rows=rows)
    shown = {"net": (definition, cells(definition, net("trial1")[1:3], {}))}
    for tables in (shown, {}):
        found = sentences(tables)
        assert found[BEST] == found[NEAR] == found[DISTANCE] == found[LIMITS] == [NOT_RANKED]


def test_the_share_that_the_consensus_kept():
    records = [
        {"experiment": "a", "task": task, "method": "negmerge", "models": 4}
        | {"kept": kept, "trainable": 100, "state": 250}
        for task, kept in (("digits", 25), ("letters", 35))
    ]
    definition = table(kind="sparsity", rows={"negmerge": "a merge"})
    assert sentences({"zeros": (definition, cells(definition, records, {}))})[KEPT] == [
        "B/32: 30.00 % of the trainable numbers; random signs would keep 12.5 % with 4 models."
    ]


FOOTNOTE = "What rows with"


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"upper_end": True}, FOOTNOTE),
        ({"lower_end": True}, FOOTNOTE),
        ({"searched": False}, FOOTNOTE),
        ({"unchanged": True, "coefficient": 0.0}, FOOTNOTE),
        ({"criterion": "gap"}, "What a user without Retrain reaches"),
    ],
)
def test_what_a_choice_leaves_open(changes, start):
    def is_said(scores):
        return any(text.startswith(start) for text in sentences(of_clip(scores))[LIMITS])

    assert is_said(changed(clip(), "negmerge", **changes))
    assert not is_said(clip())


def test_one_seed_gives_no_order():
    text = "The order after another training, since there is one seed"
    assert f"{text} (B/32)." in sentences(of_net("trial1", "trial2") | of_clip())[LIMITS]
    assert not any(text in said for said in sentences(of_net("trial1", "trial2"))[LIMITS])


@pytest.mark.parametrize(("comparable", "is_said"), [(False, True), (True, False), (None, False)])
def test_the_papers_numbers_are_of_other_models(comparable, is_said):
    column = {} if comparable is None else {"published": published(comparable=comparable)}
    definition, scores = table(column=column), clip()
    frame = cells(definition, scores, PAPER, [outcomes(one) for one in scores])
    limits = sentences({"clip": (definition, frame)})[LIMITS]
    assert any(text.startswith("The paper's numbers") for text in limits) == is_said


def test_the_summary_holds_the_first_sentences_in_ascii():
    found = findings(STUDY, of_clip() | of_net())
    text = summary(found)
    assert text.isascii()
    for finding in found:
        assert finding.title in text
        assert finding.sentences[0].replace("±", "+-") in text
    many = [found[0]._replace(sentences=["x.", "y.", "z.", "left out."])]
    assert summary(many).splitlines()[-1] == "  1 more in the report."
