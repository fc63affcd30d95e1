"""What is behind the numbers of a table: files, and what they say."""

from reporting_examples import table

from negmerge import plugins
from negmerge.paths import record_files
from negmerge.reporting.cells import cells
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
