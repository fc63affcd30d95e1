"""What tables and figures say of points that diverged, and of rows without a model."""

import pandas as pd
from reporting_examples import (
    ROLES,
    ROWS,
    classifier_score,
    compared,
    gap_table,
    lay_out,
    means,
    table,
)

from negmerge.reporting.cells import cells
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.layout import NOT_KNOWN
from negmerge.reporting.records import MEAN

SOME = {"diverged": ["m3", "m5"], "models": 2, "kind": "merge"}
ALL = {"diverged": ["m3", "m5"], "models": 0, "kind": "merge", "vector": None, "coefficient": 0.0}


def test_the_note_names_the_points_and_how_many_remained(scores):
    scores[1] |= SOME
    scores[2] |= SOME
    scores[4] |= {"diverged": ["rate9.0"], "kind": "unlearn", "tried": 4, "models": 4}
    notes = lay_out(table(), cells(table(), scores, {})).notes
    assert (
        "a/digits: left out, since their training diverged: m3, m5; 2 of 4 models remain for "
        "NegMerge and Uniform Merge."
    ) in notes
    assert (
        "a/letters: left out, since their training diverged: rate9.0; 3 of 4 models remain for "
        "NegMerge."
    ) in notes


def test_where_no_point_remains_the_row_is_missing_and_ranks_nowhere(scores):
    scores[1] |= ALL
    frame = compared(table(), scores)
    row = frame[(frame["method"] == "negmerge") & (frame["experiment"] == MEAN)]
    assert row[["value", "p_value"]].isna().all(axis=None)
    assert (row["diverged"] == "m3 m5").all()
    (printed,) = [texts for texts in lay_out(table(), frame).rows if texts[0] == "NegMerge"]
    assert printed[1] == f"{NOT_KNOWN} ∅"
    others = frame[(frame["method"] == "uniform") & (frame["experiment"] == MEAN)]
    assert others[["value", "p_value"]].notna().all(axis=None)


def test_a_gap_is_missing_where_a_trial_has_no_model():
    forget = {"retrain": 60, "original": 99, "negmerge": 70, "conflict": 80}
    scores = []
    for trial in ("trial1", "trial2"):
        for method, right in forget.items():
            own = {"vector": method, "coefficient": 0.5, "criterion": None, "relearn": [1, 2]}
            own |= ALL if (method, trial) == ("negmerge", "trial2") else {}
            scores.append(classifier_score("net", trial, method, right, 180, 150, 30.0, **own))
    definition = gap_table(rows=ROWS)
    frame = compared(definition, scores, ROLES)
    for task, is_missing in {MEAN: True, "trial1": False, "trial2": True}.items():
        assert pd.isna(means(frame, "gap", task=task)["negmerge"]) == is_missing
    (row,) = [texts for texts in lay_out(definition, frame).rows if texts[0] == "NegMerge"]
    # The relearn time too, of which NA otherwise means that it took longer than the limit.
    assert {text for text in row if "∅" in text} == {f"{NOT_KNOWN} ∅"}
    assert "longer" not in " ".join(row)


def test_a_sweep_of_a_diverged_vector_is_missing_at_each_coefficient(sweep_files, tmp_path):
    # The base is all that there is of a vector that diverged, as rule `sweep` writes it.
    header, base, *_ = sweep_files[0].read_text().splitlines()
    rest = [f"a,digits,m9,{coefficient},,,," for coefficient in (0.5, 1.0, 1.5)]
    lines = [f"{header},diverged", *(f"{line},m9" for line in (base.replace("m1", "m9"), *rest))]
    path = tmp_path / "m9.csv"
    path.write_text("\n".join(lines) + "\n")
    merged = sweep_files[-1]
    lines = [f"{line},m9" for line in merged.read_text().splitlines()]
    merged.write_text("\n".join(lines).replace(",m9", ",diverged", 1) + "\n")
    kind = table_kind("sweep")
    records = kind.read([*sweep_files, path])
    assert {record["method"] for record in records if record["diverged"]} == {"m9", "negmerge"}
    diverged = [one for one in records if one["vector"] is None]
    assert [(one["diverged"], one["coefficient"]) for one in diverged] == [
        (["m9"], 0.5), (["m9"], 1.0), (["m9"], 1.5),
    ]  # fmt: skip
    definition = table(kind="sweep", rows={"negmerge": "NegMerge", "m9": "Other"})
    frame = kind.cells(definition, records, {})
    shown = frame[(frame["method"] == "m9") & (frame["experiment"] == MEAN)]
    values = shown[shown["metric"] == "forget"].set_index("row")["value"]
    assert values["0, Other"] == 60
    assert pd.isna(values["0.5, Other"])
    # Of single vectors nobody makes such a table; merges lack the point.
    note = "a/digits: left out, since their training diverged: m9; missing from NegMerge and Other."
    assert note in lay_out(definition, frame).notes
