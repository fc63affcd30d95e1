"""The recomputation finds what is wrong: each check, on files made up by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from recomputation.checks import NUMBERS, WEIGHTS, recompute
from recomputation.made_up import MERGED
from recomputation.result import Report, Result

TIES = MERGED["ties"][1]
OTHER_ORDER = [{"name": "a.1.safetensors"}, {"name": "a.safetensors"}]
CLIP, TRIAL = "clip/digits", "resnet/trial1"


def test_a_right_study_is_right_and_all_kinds_are_compared(made_up):
    report = recompute(made_up, [*NUMBERS, *WEIGHTS])
    assert report.problems() == []
    assert "merges by ties: compared 1" in report.lines()


def change_tensor(path: Path, name: str = "w", place: int = 0) -> None:
    """Change one number by as little as there is."""
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
    tensors = load_file(path)
    numbers = tensors[name]
    is_float = numbers.dtype.kind == "f"
    next_one = np.nextafter(numbers[place], np.float32(9)) if is_float else 1 - numbers[place]
    numbers[place] = next_one
    save_file(tensors, path, metadata=header)


def change_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_header(path: Path, **changes: object) -> None:
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["negmerge"])
    save_file(load_file(path), path, metadata={"negmerge": json.dumps(header | changes)})


def problems(study: Path, place: str) -> list[str]:
    """List the problems of one file."""
    return [one for one in recompute(study).problems() if one.startswith(place)]


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("clip/digits/vectors/a", "task vectors"),
        *((f"clip/digits/merged/{name}", f"merges by {name}") for name in (*MERGED, "greedy")),
    ],
)
def test_the_last_bit_of_a_checkpoint_counts(study, place, kind):
    change_tensor(study / f"{place}.safetensors")
    (found,) = problems(study, place)
    assert f": {kind}: " in found


def test_statistics_are_no_part_of_a_vector(study):
    place = "clip/digits/vectors/a.safetensors"
    save_file(load_file(study / place) | {"bn.running_var": np.ones(1, "f4")}, study / place)
    fault = "task vectors: tensors is ['bn.running_var', 'w'], recomputed ['w']"
    assert problems(study, place) == [f"{place}: {fault}"]


def test_a_random_mask_keeps_as_many_as_agree(study):
    place = "clip/digits/merged/random-mask.safetensors"
    change_tensor(study / place)  # a third number
    (found,) = problems(study, place)
    assert found.endswith("w: merges by random-mask: 3 numbers are kept, recomputed 2")


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [
        ("greedy", {"accepted": ["a.1", "a"]}, "trials of greedy merges"),
        ("greedy", {"options": {"strict": False}}, "trials of greedy merges"),
        ("masked-single", {"options": {"single": 1}}, "vectors that masked-single masks"),
        ("uniform", {"inputs": OTHER_ORDER}, "merges by uniform"),
        ("ties", {"options": TIES | {"density": 0.25}}, "merges by ties"),
        ("ties", {"options": TIES | {"reduce": "sum"}}, "merges by ties"),
    ],
)  # fmt: skip
def test_what_a_merge_says_of_itself_is_compared(study, name, changes, kind):
    place = f"clip/digits/merged/{name}.safetensors"
    change_header(study / place, **changes)
    assert any(f": {kind}: " in one for one in problems(study, place))


@pytest.mark.parametrize(
    ("place", "old", "new", "rule"),
    [
        (f"{CLIP}/selected/uniform.json", '"coefficient": 0.5', '"coefficient": 1.0', "control"),
        (f"{CLIP}/selected/task-arithmetic.json", '"a.1"', '"a"', "control"),
        (f"{CLIP}/selected/uniform.json", "40.0", "40.1", "control"),
        (f"{CLIP}/selected/uniform.json", '"tried": 3', '"tried": 4', "control"),
        (f"{CLIP}/selected/uniform.json", '"lower_end": true', '"lower_end": false', "control"),
        (f"{TRIAL}/selected/finetune.json", "rate0.1", "rate0.5", "gap"),
        (f"{TRIAL}/selected/finetune.json", "6.6666", "6.6667", "gap"),
        (f"{TRIAL}/selected/finetune.json", "rate0.5", "rate0.9", "retain"),
        # One more right answer, and another coefficient keeps enough.
        (f"{CLIP}/sweeps/uniform.csv", "1.0,2,10,17", "1.0,2,10,18", "control"),
        (f"{TRIAL}/sweeps/finetune.csv", "60.0,0.5,gap retain", "60.0,0.5,gap", "retain"),
        (f"{TRIAL}/sweeps/retrain.csv", "40.0", "60.0", "gap"),
    ],
)
def test_another_choice_is_found(study, place, old, new, rule):
    change_text(study / place, old, new)
    folder = Path(place).parents[1]
    found = problems(study, place if "selected" in place else f"{folder}/selected/")
    assert any(f": choices by rule {rule}: " in one for one in found)


@pytest.mark.parametrize(
    ("place", "old", "new", "kind"),
    [
        ("clip/digits/scores/uniform.json", '"correct": 3', '"correct": 4', "right answers"),
        ("clip/digits/scores/uniform.json", '"n": 20', '"n": 21', "right answers"),
        ("clip/digits/scores/uniform.json", '"coefficient": 0.5', '"coefficient": 1', "choices in"),
        ("resnet/trial1/scores/finetune.json", ": 30.0}", ": 40.0}", "membership attacks"),
        ("clip/digits/sparsity/zeros.json", '"agreeing": 2', '"agreeing": 3', "counts of kept"),
        ("clip/digits/sparsity/zeros.json", '"shrinking": 2', '"shrinking": 1', "counts of kept"),
    ],
)  # fmt: skip
def test_another_score_is_found(study, place, old, new, kind):
    change_text(study / place, old, new)
    (found,) = problems(study, place)
    assert f": {kind}" in found


def test_an_unchanged_model_has_the_scores_of_the_base(study):
    place = f"{TRIAL}/scores/finetune.json"
    for folder in ("selected", "scores"):
        path = study / TRIAL / folder / "finetune.json"
        change_text(path, '"unchanged": false', '"unchanged": true')
    found = problems(study, place)
    assert any(f"{place}: scores of unchanged models: membership is" in one for one in found)


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [("forget_right", "right answers"), ("forget_unseen", "membership attacks, image by image")],
)
def test_another_outcome_of_one_image_is_found(study, tensor, kind):
    change_tensor(study / "resnet/trial1/outcomes/finetune.safetensors", f"0/{tensor}")
    (found,) = problems(study, "resnet/trial1/scores/finetune.json")
    assert f": {kind}: " in found


def test_another_probability_may_look_unseen(study):
    path = study / "resnet/trial1/outcomes/finetune.safetensors"
    tensors = load_file(path)
    tensors["0/forget_confidence"][9] = 0.1
    save_file(tensors, path)
    found = recompute(study).problems()
    assert "confidence is 30.0, recomputed 40.0" in found[0]
    assert "1 of 10 numbers differ, the first is np.uint8(0), recomputed np.uint8(1)" in found[1]


@pytest.mark.parametrize(
    ("table", "column", "place", "kind"),
    [
        ("accuracy", "value", ("digits", "uniform", "forget"), "accuracies"),
        ("accuracy", "standard_error", ("digits", "uniform", "forget"), "accuracies"),
        ("accuracy", "images", ("digits", "uniform", "forget"), "accuracies"),
        ("accuracy", "averaged", ("digits", "uniform", "forget"), "accuracies"),
        ("accuracy", "p_value", ("digits", "pretrained", "forget"), "McNemar's tests"),
        ("accuracy", "value", ("digits", "uniform", "kept_trainable"), "shares of numbers"),
        ("accuracy", "value", ("digits", "pretrained", "to_forget"), "amounts to forget"),
        ("accuracy", "reference", ("digits", "pretrained", "to_forget"), "amounts to forget"),
        ("gap", "value", ("gap", "finetune", "gap"), "average gaps"),
        ("gap", "value", ("retain", "finetune", "gap"), "average gaps"),
        ("gap", "value", ("gap", "finetune", "mia"), "membership attacks"),
        ("gap", "reference", ("gap", "finetune", "forget"), "accuracies"),
        ("gap", "value", ("gap", "finetune", "relearn"), "relearn times"),
        ("sweep", "value", ("digits", "0.5", "forget"), "accuracies"),
        ("gap", "standard_error", ("gap", "original", "to_forget"), "amounts to forget"),
        ("gap", "p_value", ("gap", "original", "to_forget"), "amounts to forget"),
    ],
)
def test_another_number_of_a_table_is_found(study, table, column, place, kind):
    path = study / f"tables/{table}.csv"
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    names = ("column", "row", "metric")
    (mean,) = (
        row
        for row in rows
        if tuple(row[header.index(name)] for name in names) == place
        and row[header.index("experiment")] == "mean"
    )
    mean[header.index(column)] = str(float(mean[header.index(column)]) + 0.00001)
    if column in ("images", "averaged"):
        mean[header.index(column)] = "2"
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    (found,) = recompute(study).problems()
    assert found.startswith(f"tables/{table}.csv: ")
    assert f"{kind}" in found
    assert f"{column} is " in found


def test_a_row_that_is_called_best_is_compared(study):
    place = "tables/accuracy.csv"
    change_text(study / place, "0.015625,False", "0.015625,True")
    (found,) = problems(study, place)
    assert "with_best is 'True', recomputed 'False'" in found


def test_a_mean_of_nothing_is_a_problem(study):
    place = "tables/accuracy.csv"
    lines = (study / place).read_text().splitlines(keepends=True)
    kept = [line for line in lines if "clip,digits" not in line or "kept_trainable" not in line]
    assert len(lines) - len(kept) == 1
    (study / place).write_text("".join(kept))
    (found,) = problems(study, place)
    assert "kept_trainable, mean, mean: means in tables: there is no single cell" in found


def test_with_little_to_forget_no_row_is_best(study):
    path = study / "tables/accuracy.csv"
    change_text(path, "80,", "4,")
    found = recompute(study).problems()
    assert "value is 4.0, recomputed 80.0" in found[0]
    assert any("with_best is 'True', recomputed 'NA'" in one for one in found)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("finetuned", "task vectors"), ("sweeps", "choices by rule control")],
)
def test_what_cannot_be_compared_at_all_is_a_problem(study, folder, kind):
    shutil.rmtree(study / "clip/digits" / folder)
    (study / "tables/sweep.csv").unlink()
    assert recompute(study).problems() == [f"{kind}: none was compared"]


def test_what_must_be_there_and_is_not_is_a_problem(study):
    for folder in ("vectors", "merged"):
        shutil.rmtree(study / "clip/digits" / folder)
    assert recompute(study, NUMBERS).problems() == []
    expected = [f"{kind}: none was compared" for kind in WEIGHTS]
    assert recompute(study, WEIGHTS).problems() == expected


def test_a_report_counts_what_was_left_out():
    report = Report(
        [Result("a", "1"), Result("a", "2", left_out="lost"), Result("b", "3", left_out="lost")],
        optional=["b"],
    )
    assert report.lines() == ["a: compared 1; left out 1: lost", "b: compared 0; left out 1: lost"]
    assert report.problems() == []
