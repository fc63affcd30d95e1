"""What a report begins with: the rows of its first table, and the points of its trade-off."""

import pytest
from reporting_examples import METHODS, ROLES, choice, clip, compared, gap_table, net, score, table

from negmerge.reporting.figures.tradeoff import limits
from negmerge.reporting.headline import MOST_COLUMNS, MOST_TICKS, headline, panels


def of_clip():
    kinds = {"pretrained": "base", "negmerge": "merge", "uniform": "merge"}
    # TIES forgets less than MagMax, and a further NegMerge has no row of its own.
    others = [score("a", "digits", "ties", 100, 170), score("a", "digits", "magmax", 70, 170)]
    rows = METHODS | {"ties": "TIES-Merging", "magmax": "MagMax"}
    records = [one | {"kind": kinds.get(one["method"], "merge")} for one in [*clip(), *others]]
    definition = table(rows=rows)
    return definition, compared(definition, records)


def of_net():
    rows = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge"}
    definition = gap_table(rows=rows | {"conflict": "Trained"})
    kinds = {"retrain": "retrain", "original": "base", "negmerge": "merge", "conflict": "unlearn"}
    records = [one | {"kind": kinds[one["method"]]} for one in net("trial1")]
    return definition, compared(definition, records, ROLES)


def test_the_rows_are_those_that_the_study_has_and_the_best_others_by_name():
    shown = headline({"clip": of_clip(), "again": of_clip(), "net": of_net()})
    assert [name for name, _ in shown.groups] == ["B/32", "net"]
    of_both = {row.label: row.cells for row in shown.rows}
    assert list(of_both) == [
        "Unchanged model", "Retrain", "Uniform Merge", "NegMerge", "Best other merge",
        "Best method that trains",
    ]  # fmt: skip
    assert of_both["Best other merge"] == [
        ("MagMax", ["35.00 ± 3.37", "85.00 ± 2.52"], "won"), None,
    ]  # fmt: skip
    assert of_both["Retrain"][0] is None
    assert of_both["Uniform Merge"][0][2] == "not told apart"
    assert of_both["Best method that trains"][1][0] == "Trained"
    # The gap first, then what was to be forgotten and what was to be kept.
    assert [heading.text for heading in shown.groups[1][1]] == [
        "average gap", "forget accuracy", "retain accuracy",
    ]  # fmt: skip
    many = {f"{n}": of_clip() for n in range(9)}
    for number, (_, cells) in enumerate(many.values()):
        cells.loc[cells["experiment"] == "a", "experiment"] = f"a{number}"
    assert len(headline(many).groups) == MOST_COLUMNS
    assert headline({}) is None


def test_a_point_stands_where_its_numbers_are(sweep_files, draw):
    figure = {"kind": "tradeoff", "title": "", "experiments": ["a"], "methods": METHODS}
    chosen = choice("a", "digits", "negmerge", 1.0, 30.0, 76.0)
    _, data = draw(figure, sweeps=sweep_files, selected=[chosen])
    (panel,) = panels(figure["methods"], data)
    across, up = limits(data)
    (line,) = [line for line in panel.lines if line.points]
    expected = {0.5: (78, 42), 1.0: (76, 30)}  # at 1.5 the control accuracy is out of sight
    for (coefficient, (control, forget)), point in zip(expected.items(), line.points, strict=True):
        assert across[0] + point.left / 100 * (across[1] - across[0]) == pytest.approx(
            control, 0.01
        )
        assert up[1] - point.top / 100 * (up[1] - up[0]) == pytest.approx(forget, abs=0.1)
        text = f"coefficient {coefficient:g}: control {control:.2f} %, forget {forget:.2f} %"
        assert point.text == f"NegMerge, {text}"
        assert point.is_chosen == (coefficient == 1.0)
    assert all(float(text) == pytest.approx(across[0] + at / 100 * (across[1] - across[0]), 0.01)
               for at, text in panel.across)  # fmt: skip
    assert 2 <= len(panel.up) <= MOST_TICKS + 1
    # Where nothing changes the control accuracy there is a panel all the same.
    (panel,) = panels(figure["methods"], data.assign(control=80.0))
    assert 0 < panel.base.left < 100
