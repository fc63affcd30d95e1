"""The tiny study's numbers against those that its files give by another path."""

from recomputation.checks import NUMBERS, recompute
from recomputation.vectors import KIND


def test_numbers_are_those_that_the_files_give(finished):
    report = recompute(finished.folder / "results" / "tiny", [*NUMBERS, KIND])
    print("", *report.lines(), sep="\n")
    assert not report.problems()
