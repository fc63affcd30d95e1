"""The findings of a report, on made-up records."""

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

STUDY = {"experiments": {"a": {"methods": {"negmerge": {}, "uniform": {}}}}}
BEST, NEAR, CLAIM, DISTANCE, KEPT, LIMITS = range(6)


def sentences(tables):
    return [finding.sentences for finding in findings(STUDY, tables)]


def of_clip(**changes):
    """The table of a data set that CLIP forgets, with changes to the records of some methods."""
    scores = [one | changes.get(one["method"], {}) for one in clip()]
    return {"clip": (table(), compared(table(), scores))}


def of_net(*trials, **changes):
    scores = [one for trial in trials or ["trial1"] for one in net(trial, **changes)]
    definition = gap_table(rows=ROWS)
    return {"net": (definition, compared(definition, scores, ROLES))}


def test_negmerge_wins_loses_or_is_not_told_apart_from_what_it_claims_to_beat():
    near, lost, won = (
        sentences(of_clip(negmerge={"forget": {"correct": right, "n": 200}}))[CLAIM]
        for right in (40, 80, 2)
    )
    assert near == [
        "B/32: NegMerge has 20.00 ± 2.83 % over one training; it is not told apart from Uniform "
        "Merge, with 22.00 ± 2.93 % (p = 0.125)."
    ]
    assert "it loses against Uniform Merge, with 22.00 ± 2.93 % (p < 0.001)." in lost[0]
    assert "it wins against Uniform Merge" in won[0]


def test_the_best_the_near_and_the_distance_of_each_column():
    found = sentences(of_clip() | of_net())
    assert found[BEST] == [
        "B/32: NegMerge, with forget accuracy 20.00 ± 2.83 %.",
        "net: NegMerge, with average gap 2.00 ± 0.91 points.",
    ]
    assert found[NEAR] == ["B/32: 1 of 2 other rows, Uniform Merge.", "net: 0 of 2 other rows."]
    assert found[DISTANCE][0] == (
        "B/32: the forget accuracy is 80.00 ± 2.83 % for the base, 20.00 ± 2.83 % for NegMerge and "
        "10.00 % for guessing."
    )
    assert found[DISTANCE][1].endswith("2.00 ± 0.91 points for NegMerge and 0 for Retrain.")


def test_negmerge_that_loses_is_named_and_so_is_an_unchanged_model_that_is_best():
    (near,) = sentences(of_clip(negmerge={"forget": {"correct": 100, "n": 200}}))[NEAR]
    assert near == "B/32: 0 of 2 other rows. NegMerge loses, with 50.00 ± 3.54 % (p < 0.001)."
    (best,) = sentences(of_clip(pretrained={"forget": {"correct": 30, "n": 200}}))[BEST]
    assert best == "B/32: no method beats the unchanged model, with forget accuracy 15.00 ± 2.52 %."


def test_where_there_is_too_little_to_forget_no_row_ranks():
    found = sentences(of_net(retrain=96))
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


@pytest.mark.parametrize(
    ("change", "start"),
    [
        ({"upper_end": True}, "What rows with"),
        ({"unchanged": True, "coefficient": 0.0}, "What rows with"),
        ({"criterion": "gap"}, "What a user without Retrain reaches"),
    ],
)
def test_what_a_choice_leaves_open(change, start):
    for tables, is_open in ((of_clip(negmerge=change), True), (of_clip(), False)):
        assert any(text.startswith(start) for text in sentences(tables)[LIMITS]) == is_open


def test_one_seed_gives_no_order():
    text = "The order after another training, since there is one seed"
    assert f"{text} (B/32)." in sentences(of_net("trial1", "trial2") | of_clip())[LIMITS]
    assert not any(text in limit for limit in sentences(of_net("trial1", "trial2"))[LIMITS])


@pytest.mark.parametrize(("comparable", "is_open"), [(False, True), (True, False), (None, False)])
def test_the_papers_numbers_are_of_other_models(comparable, is_open):
    column = {} if comparable is None else {"published": published(comparable=comparable)}
    definition = table(column=column)
    frame = cells(definition, clip(), PAPER, [outcomes(one) for one in clip()])
    limits = sentences({"clip": (definition, frame)})[LIMITS]
    assert any(text.startswith("The paper's numbers") for text in limits) == is_open


def test_the_summary_holds_the_first_sentences_in_ascii():
    found = findings(STUDY, of_clip() | of_net())
    text = summary(found)
    assert text.isascii()
    for finding in found:
        assert finding.title in text
        assert finding.sentences[0].replace("±", "+-") in text
    many = [found[0]._replace(sentences=["x.", "y.", "z.", "left out."])]
    assert summary(many).splitlines()[-1] == "  1 more in the report."
