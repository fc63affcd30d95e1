from pathlib import Path

import pytest
from reporting_examples import published

from negmerge.errors import UserError
from negmerge.reporting.cells import paper_cell, read_published

SHIPPED = Path(__file__).parents[2] / "config" / "published"


def test_a_shipped_cell_and_one_that_is_not_known():
    frames = read_published([SHIPPED / "table1.csv"])
    where = published(where={"mode": "standard", "backbone": "ViT-B-32"})
    assert paper_cell(frames, where, "NegMerge", "forget") == (20.76, "NOTE+SEED")
    assert paper_cell(frames, where, "Greedy Merge", "forget") == (None, None)


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
