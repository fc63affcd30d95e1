"""What pages say that was measured is what the records in benchmarks/ say."""

import importlib
import json

import demo_page
import pictures
import pytest
from marks import FIGURES, MEASUREMENTS, read_between
from matplotlib.testing.compare import compare_images
from workflow_text import ROOT

from negmerge.reporting.style import save


@pytest.mark.parametrize(
    "name",
    [
        "merge",
        "unlearn",
        "search",
        "training",
        "language",
        "loader",
        "tensor_crops",
        "resume",
        "membership",
    ],
)
def test_a_block_is_what_its_record_says(name):
    record = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text())
    assert read_between(MEASUREMENTS, name) == importlib.import_module(name).markdown(record)


def test_the_pages_say_of_the_demos_what_their_records_say():
    records = {study: ROOT / "benchmarks" / f"{study}.json" for study in demo_page.STUDIES}
    measured = {study: path for study, path in records.items() if path.is_file()}
    assert {"demo-full", "demo-lm"} <= measured.keys()
    for study, path in measured.items():
        for page, name, text in demo_page.texts(study, json.loads(path.read_text())["runs"]):
            advice = f"{page}: run `python benchmarks/demo.py --study {study} --write`"
            assert read_between(page, name) == text, advice


def test_the_change_of_the_page_is_one_of_the_study_as_it_is():
    old, new = demo_page.CHANGE
    assert (ROOT / "config" / "studies" / "demo.yaml").read_text().count(old) == 1
    page = demo_page.TUTORIAL.read_text()
    assert f"-      {old}" in page
    assert f"+      {new}" in page


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_drawn_from_the_numbers_beside_it(name, tmp_path):
    save(pictures.draw(name), tmp_path / "drawn.png")
    # Fonts of other versions of matplotlib differ by less than a bar or a marker that moves.
    found = compare_images(FIGURES / f"{name}.png", tmp_path / "drawn.png", tol=1)
    assert found is None, f"{found}: run `python benchmarks/pictures.py`"
