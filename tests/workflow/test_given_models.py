"""A pool and a base from files of others: the same numbers as from models trained here."""

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from negmerge.files import read_json_records
from released_files import save_whole, with_released_names
from tiny_study import MODEL

POOL = {"m1": "others/clip_{task}_rand-m1_finetuned.pt", "m10": "others/{task}/m10/finetuned.pt"}
CLIP = {
    "model": "tiny-clip-of-others",
    "base": {"file": "others/zeroshot.pt", "manual": "Ask the authors."},
    "pretrain": None,
    "finetune": None,
    "pool": {"*": None, "files": POOL, "manual": "Ask the authors."},
    "methods": {"*": None, "negmerge": {}},
}
RESNET = {
    "trials": 1,
    "base": {"file": "others/original.th"},
    "finetune": None,
    "pool": {
        "*": None,
        "files": {"ls0": "others/ls0.safetensors", "ls1": "others/ls1.safetensors"},
    },
}
STUDY = {
    "extends": "tiny",
    "take": {"experiments": ["clip", "resnet"], "tables": ["sparsity"], "figures": []},
    "experiments": {"clip": CLIP, "resnet": RESNET},
    "tables": {"sparsity": {"rows": {"uniform": None, "conflict": None}}},
}
TARGETS = [
    "results/given/tables/sparsity.md",
    "results/given/clip/digits/scores/negmerge.json",
    "results/given/resnet/trial1/merged/negmerge.safetensors",
]


def give(checkout):
    """Add a study that is given models, which are not there."""
    with open(checkout.folder / "config/models.yaml", "a") as stream:
        yaml.safe_dump({CLIP["model"]: MODEL | {"weights": "others/whole.pt"}}, stream)
    (checkout.folder / "config/studies/given.yaml").write_text(yaml.safe_dump(STUDY))
    return checkout


@pytest.fixture(scope="module")
def others(finished, tmp_path_factory):
    """The finished study's models as files of others, and a study that is given them."""
    copy = finished.copy(tmp_path_factory.mktemp("given") / "workflow")
    folder = copy.folder
    clip, resnet = folder / "results/tiny/clip", folder / "results/tiny/resnet/trial1"
    (folder / "others/digits/m10").mkdir(parents=True)
    text, base = load_file(clip / "text.safetensors"), load_file(clip / "base.safetensors")
    torch.save(base | text, folder / "others/whole.pt")
    # Those of the authors: whole objects, and a state.
    m1, m10 = (load_file(clip / f"digits/finetuned/{name}.safetensors") for name in POOL)
    save_whole(folder / CLIP["base"]["file"], with_released_names(base, text))
    torch.save(with_released_names(m1, text), folder / POOL["m1"].format(task="digits"))
    save_whole(folder / POOL["m10"].format(task="digits"), with_released_names(m10, text))
    # As in SalUn's code, which has the normalisation in its models, and torchvision's names.
    channels = torch.full((1, 3, 1, 1), 0.3)
    original = load_file(resnet / "trained/original.safetensors")
    named = {name.removeprefix("network."): tensor for name, tensor in original.items()}
    named |= {"normalize.mean": channels, "normalize.std": channels}
    torch.save({"state_dict": named, "epoch": 3}, folder / RESNET["base"]["file"])
    for name, place in RESNET["pool"]["files"].items():
        save_file(load_file(resnet / f"finetuned/{name}.safetensors"), folder / place)
    return give(copy)


def same(path, other):
    """Whether two files hold the same numbers by the same names; their headers may differ."""
    found, expected = load_file(path), load_file(other)
    return found.keys() == expected.keys() and all(
        torch.equal(tensor, expected[name]) for name, tensor in found.items()
    )


def test_the_numbers_are_those_of_the_same_pool_trained_here(others):
    ran = set(others.make(*TARGETS))
    assert {"base", "vector", "original", "merge", "score"} <= ran
    assert not {"finetune", "train"} & ran
    results = others.folder / "results"
    assert same(results / "given/clip/base.safetensors", results / "tiny/clip/base.safetensors")
    for task, points in (("clip/digits", POOL), ("resnet/trial1", RESNET["pool"]["files"])):
        given, tiny = results / "given" / task, results / "tiny" / task
        for point in points:
            assert same(given / f"given/{point}.safetensors", tiny / f"vectors/{point}.safetensors")
        place = "merged/negmerge.safetensors"
        assert same(given / place, tiny / place)
    for place in ("sweeps/negmerge.csv", "selected/negmerge.json"):
        found = results / "given/clip/digits" / place
        assert found.read_bytes() == (results / "tiny/clip/digits" / place).read_bytes()
    ours, theirs = (
        read_json_records(results / study / "clip/digits/scores/negmerge.json")[0]
        for study in ("given", "tiny")
    )
    assert all(ours[key] == theirs[key] for key in ("forget", "control", "coefficient", "models"))
    # The authors count the text part as well, where all vectors are zero.
    counted = "clip/digits/sparsity/sparsity.json"
    [counts], theirs = (read_json_records(results / study / counted) for study in ("given", "tiny"))
    text = load_file(results / "tiny/clip/text.safetensors")
    leftovers = sum(t.numel() for name, t in text.items() if not name.startswith("transformer."))
    assert counts == {**theirs[1], "untouched_numbers": leftovers}
    shown = (results / "given/tables/sparsity.md").read_text()
    assert f"{100 * (1 - counts['kept'] / (counts['state'] + leftovers)):.2f}" in shown
    assert not others.planned(*TARGETS)


def test_a_missing_model_ends_the_run_before_its_first_job_but_not_a_plan(checkout, tmp_path):
    given = give(checkout.copy(tmp_path / "workflow"))
    assert "vector: clip, digits, m1" in given.planned(TARGETS[0])
    run = given.snakemake("--cores", "1", "--", TARGETS[0])
    assert run.returncode == 1
    assert "Finished job" not in run.stderr
    line = (
        "error: others/zeroshot.pt and 2 more: no such file or folder, but the study is given this "
        "model. Ask the authors\n"
    )
    assert line in run.stderr.replace(
        "others/clip_digits_rand-m1_finetuned.pt", "others/zeroshot.pt"
    )
