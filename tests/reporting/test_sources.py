"""What is behind the numbers of a table: files, and what they say."""

import pytest
from reporting_examples import benchmark, classifier_score, gap_table, table

from negmerge import plugins
from negmerge.paths import record_files
from negmerge.reporting.cells import cells
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.report import sources
from negmerge.settings.study import load_study

CONFIG = plugins.PACKAGE.parents[2] / "config"


def test_every_row_of_every_table_of_a_study_has_files():
    study = load_study(CONFIG, "demo")
    found = record_files(study)
    assert list(found) == list(study.tables)
    assert all(files for rows in found.values() for files in rows.values())
    assert found["table1"]["mini-clip/digits/negmerge"] == ["mini-clip/digits/scores/negmerge.json"]
    assert set(found["table2"]) == {
        f"mini-resnet/trial1/{method}" for method in study.tables["table2"].rows
    }
    assert not [
        file for rows in found.values() for files in rows.values() for file in files if "{" in file
    ]


def test_a_number_names_its_records_in_the_order_of_the_cells(scores):
    frame = cells(table(), scores, {})
    files = {"a/digits/negmerge": ["x.json", "y.json"]}
    found = sources("table1", table(), frame, files)
    assert list(found) == [(row, "B/32") for row in table()["rows"].values()]
    digits, letters = found["NegMerge", "B/32"].records
    assert (digits.files, letters.files) == (["x.json", "y.json"], [])
    assert digits.text == (
        "forget accuracy 20.00 ± 2.83 % of 200 images; control accuracy 75.00 ± 3.06 % of 200 "
        "images; chosen by rule `control`: 0.50"
    )
    # Nothing was chosen for the base.
    assert "chosen" not in found["Pre-trained", "B/32"].records[0].text


def test_anchors_are_unique_in_the_page(scores):
    frame = cells(table(), scores, {})
    anchors = [
        one.anchor
        for name in ("table1", "table1-1")
        for one in sources(name, table(), frame, {}).values()
    ]
    assert len(anchors) == len(set(anchors))


def test_what_is_not_printed_or_was_not_measured_is_not_said():
    scores = [
        classifier_score("net", "trial1", name, 80, 190, 150, 20.0) for name in gap_table()["rows"]
    ]
    text = sources("gap", gap_table(), cells(gap_table(), scores, {}), {})["NegMerge", "net"]
    (record,) = text.records
    assert "average gap 0.00 points" in record.text
    assert "relearn" not in record.text
    assert "entropy" not in record.text


@pytest.mark.parametrize(("memory", "said"), [(321.0, "; peak memory 321.00 MB"), ("-", "")])
def test_a_benchmark_says_seconds_and_memory(tmp_path, memory, said):
    path = benchmark(tmp_path, "merge/a/digits/negmerge.tsv", 61.5, "-", memory, 1, 50)
    definition = table(kind="cost", rows={"negmerge": "NegMerge"})
    frame = cells(definition, table_kind("cost").read([path]), {})
    (source,) = sources("times", definition, frame, {}).values()
    assert source.records[0].text == f"time 61.50 s{said}"
