"""The tiny study's numbers against those that its files give by another path."""

import json
import shutil

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from recomputation import NUMBERS, recompute
from recomputation.vectors import COUNTS, VECTORS


def test_numbers_are_those_that_the_files_give(finished):
    masks = ("merges by random-mask", "merges by masked-single", "vectors that masked-single masks")
    report = recompute(finished.folder / "results" / "tiny", [*NUMBERS, VECTORS, COUNTS, *masks])
    print("", *report.lines(), sep="\n")
    assert not report.problems()


def change_a_bit(path):
    """Change one number of a checkpoint by as little as there is."""
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
    tensors = load_file(path)
    name = min(name for name, tensor in tensors.items() if tensor.any())
    numbers = tensors[name].reshape(-1)
    place = np.flatnonzero(numbers)[0]
    numbers[place] = np.nextafter(numbers[place], np.float32(9))
    save_file(tensors, path, metadata=header)


def test_numbers_that_were_changed_are_found(finished, tmp_path):
    study = shutil.copytree(finished.folder / "results" / "tiny", tmp_path / "tiny")
    vector, merged = "clip/digits/vectors/m1.safetensors", "clip/digits/merged/negmerge.safetensors"
    for place in (vector, merged):
        change_a_bit(study / place)
    score = "clip/digits/scores/uniform.json"
    records = json.loads((study / score).read_text())
    records[0]["forget"]["correct"] += 1
    (study / score).write_text(json.dumps(records))
    found = recompute(study).problems()
    for place, kind in (
        (vector, VECTORS),
        (merged, "merges by negmerge"),
        (score, "right answers"),
    ):
        assert any(one.startswith(place) and f": {kind}: " in one for one in found), found
    assert any(one.startswith("tables/accuracy.csv: ") for one in found)
