from pathlib import Path

import pytest
from reporting_examples import published

from negmerge.errors import UserError
from negmerge.reporting.cells import is_second_hand, paper_cell, read_published

SHIPPED = Path(__file__).parents[2] / "config" / "published"


def test_shipped_files_are_readable():
    assert set(read_published(SHIPPED.glob("*.csv"))) >= {"table1", "table3", "table4"}


def test_a_shipped_cell_and_one_that_is_not_known():
    frames = read_published([SHIPPED / "table1.csv"])
    where = published(where={"mode": "standard", "backbone": "ViT-B-32"})
    assert paper_cell(frames, where, "NegMerge", "forget") == (20.76, "NOTE+SEED")
    assert paper_cell(frames, where, "Greedy Merge", "forget") == (None, None)


def test_measurements_of_third_parties_are_never_the_papers():
    frames = read_published([SHIPPED / "table3.csv"])
    where = published(table="table3", row="part", where={"dataset": "Cars"})
    assert paper_cell(frames, where, "conflicting", "forget") == (None, None)


@pytest.mark.parametrize(("table", "known"), [("table1", 26), ("table2", 62), ("merge_times", 3)])
def test_what_is_known_of_the_papers_tables_is_second_hand(table, known):
    frame = read_published([SHIPPED / f"{table}.csv"])[table]
    sources = frame[frame["value"] != "NA"]["source"]
    assert len(sources) == known
    assert sources.map(is_second_hand).all()


def test_what_the_authors_files_say_is_first_hand():
    sources = read_published([SHIPPED / "cars_b32_test.csv"])["cars_b32_test"]["source"]
    assert not sources.map(is_second_hand).any()
    assert not is_second_hand(None)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.csv: cannot be read"):
        read_published([tmp_path / "nowhere.csv"])


def test_a_file_without_values_is_an_error(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("method,metric,valeu\nNegMerge,forget,1\n")
    with pytest.raises(UserError, match=r"table.csv: unknown column 'value'; did you mean 'valeu'"):
        read_published([path])


def test_a_value_that_is_no_number_is_an_error(tmp_path):
    path = tmp_path / "table1.csv"
    path.write_text("mode,method,metric,value\nstandard,NegMerge,forget,about 5\n")
    with pytest.raises(UserError, match="'about 5' is not a number"):
        paper_cell(read_published([path]), published(), "NegMerge", "forget")
