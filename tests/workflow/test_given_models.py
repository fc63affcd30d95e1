"""A pool and a base from files of others: the same numbers as from models trained here."""

import re

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

RESULTS = "results/given"
REPORT = f"{RESULTS}/report.html"
FOLDER = "others"
MODELS = {"m1": f"{FOLDER}/m1.safetensors", "m10": f"{FOLDER}/{{task}}/m10.safetensors"}
STUDY = {
    "extends": "tiny",
    "take": {
        "experiments": ["clip", "resnet"],
        "tables": ["accuracy", "sparsity", "cost", "gap"],
        "figures": ["tradeoff", "spread", "signs"],
    },
    "experiments": {
        "clip": {
            "base": {"file": f"{FOLDER}/base.safetensors"},
            "pretrain": None,
            "finetune": None,
            "pool": {"*": None, "files": MODELS},
        },
        "resnet": {
            "trials": 1,
            "base": {"file": f"{FOLDER}/original.safetensors"},
            "finetune": None,
            "pool": {
                "*": None,
                "files": {"ls0": f"{FOLDER}/ls0.safetensors", "ls1": f"{FOLDER}/ls1.safetensors"},
            },
        },
    },
}


@pytest.fixture
def others(editable):
    """The finished study's models as files of others, and a study that is given them."""
    folder = editable.folder
    clip, resnet = folder / "results/tiny/clip", folder / "results/tiny/resnet/trial1"
    text = load_file(clip / "text.safetensors")
    (folder / FOLDER / "digits").mkdir(parents=True)
    for name in ("m1", "m10"):
        # A whole CLIP, as open_clip saves it.
        state = load_file(clip / f"digits/finetuned/{name}.safetensors") | text
        save_file(state, folder / MODELS[name].format(task="digits"))
    save_file(load_file(clip / "base.safetensors") | text, folder / FOLDER / "base.safetensors")
    for place in ("trained/original", "finetuned/ls0", "finetuned/ls1"):
        state = load_file(resnet / f"{place}.safetensors")
        # As in SalUn's code, which has the normalisation in its models.
        state = {name.removeprefix("network."): value for name, value in state.items()}
        channels = np.full((1, 3, 1, 1), 0.3, np.float32)
        state |= {"normalize.mean": channels, "normalize.std": channels}
        save_file(state, folder / FOLDER / f"{place.partition('/')[2]}.safetensors")
    (folder / "config/studies/given.yaml").write_text(yaml.safe_dump(STUDY))
    return editable


def test_the_numbers_are_those_of_the_same_pool_trained_here(others):
    run = others.snakemake("--cores", "2", "--", REPORT)
    assert run.returncode == 0, run.stderr
    ran = set(re.findall(r"^Job \d+: (\w+):", run.stdout + run.stderr, flags=re.M))
    assert {"base", "vector", "original", "merge", "report"} <= ran
    assert not {"finetune", "prepare"} & ran
    folder = others.folder / "results"
    for task in ("clip/digits", "resnet/trial1"):
        trained = sorted((folder / "tiny" / task / "vectors").iterdir())
        for path in trained:
            state = load_file(folder / "given" / task / "given" / path.name)
            for name, tensor in load_file(path).items():
                np.testing.assert_array_equal(state[name], tensor)
    for place in ("merged/negmerge.safetensors", "scores/negmerge.json"):
        for task in ("clip/digits", "resnet/trial1"):
            ours, theirs = (folder / study / task / place for study in ("given", "tiny"))
            assert ours.read_bytes() == theirs.read_bytes()
