"""The authors' files: read without running them, and written with open_clip's names."""

import json
import os

import open_clip
import pytest
import torch

from negmerge.checkpoints.released import names_in_order, output_name, read
from negmerge.checkpoints.states import read_metadata, read_state
from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.merging import merge_files
from negmerge.models.clip import VisionTransformer, image_encoder
from released_files import (
    TEXT,
    TEXT_AFTER,
    empty,
    named_class,
    save_head,
    save_linear,
    save_whole,
    text_part,
    with_released_names,
)

VISION = {"image_size": 8, "patch_size": 4, "width": 8, "layers": 2, "head_width": 4}
ROW = {"architecture": {"embed_dim": 4, "vision_cfg": VISION}}


def small_encoder(seed):
    """Make up an image encoder of this project, and what the authors leave of the text part."""
    torch.manual_seed(seed)
    tower = VisionTransformer(4, **VISION)
    image = {f"visual.{name}": tensor for name, tensor in tower.state_dict().items()}
    return image, text_part(width=6, vocabulary=11, context=5, dimensions=4)


def assert_equal(found, expected):
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("whole", [True, False])
def test_an_encoder_has_the_names_and_the_numbers_of_this_projects(tmp_path, monkeypatch, whole):
    # A file of a GPU is read without one.
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    image, text = small_encoder(0)
    save = save_whole if whole else lambda path, tensors: torch.save(tensors, path)
    save(tmp_path / "encoder.pt", with_released_names(image, text))
    found = read(tmp_path / "encoder.pt")
    assert (found.kind, found.tensors, found.start) == ("encoder", 14 + 2 * 16, None)
    assert_equal(found.state, image)
    assert_equal(found.leftovers, text)
    images = torch.randn(2, 3, 8, 8)
    network = image_encoder(ROW, found.state, "encoder.pt")
    assert torch.equal(network(images), image_encoder(ROW, image, "image")(images))


def test_at_full_size_names_and_numbers_are_those_that_the_authors_count(tmp_path):
    with torch.device("meta"):
        clip = open_clip.CLIP(**open_clip.get_model_config("ViT-B-32-quickgelu"))
    state = {
        name: torch.zeros(tensor.shape, dtype=torch.float16)
        for name, tensor in clip.state_dict().items()
    }
    image = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
    tensors = with_released_names(image, {name: state[name] for name in (*TEXT, *TEXT_AFTER)})
    assert list(tensors) == names_in_order(206, "names")
    path = tmp_path / "zeroshot.pt"
    save_whole(path, tensors)
    found = read(path)
    path.unlink()
    assert found.tensors == 206
    assert {name: t.shape for name, t in found.state.items()} == {
        name: t.shape for name, t in image.items()
    }
    assert sum(tensor.numel() for tensor in found.state.values()) == 87_849_216
    assert sum(tensor.numel() for tensor in found.leftovers.values()) == 25_599_489


class Call:
    """What pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_file_that_names_anything_else_is_refused_by_name_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A class of a package of the model is none of that: its stub has no code.
    named_class("src.modeling.Evil").__setstate__ = lambda *_: open("ran", "w").close()
    inner, foreign = empty("src.modeling.Evil"), empty("evil.Evil")
    inner.x = foreign.x = 1
    tensors = with_released_names(*small_encoder(0))
    save_whole("encoder.pt", tensors, preparation=[inner])
    assert read("encoder.pt").kind == "encoder"
    hostile = {
        "posix.system": Call(os.system, "touch ran"),
        "eval": Call(eval, "open('ran', 'w')"),
        "evil.Evil": foreign,
    }
    for named, thing in hostile.items():
        save_whole("encoder.pt", tensors, preparation=[inner, thing])
        with pytest.raises(UserError, match=rf"^encoder.pt: holds the object {named}, expected"):
            read("encoder.pt")
    assert os.listdir() == ["encoder.pt"]


BLOCK = "model.visual.transformer.resblocks.0."
WRONG = {
    "Q is missing": (f"{BLOCK}attn.Q.bias", None, "attn.Q.bias' is missing"),
    "NaN": (f"{BLOCK}ln_1.bias", torch.tensor([1, torch.nan]), "ln_1.bias' holds 1 NaN"),
    "unknown layer": (f"{BLOCK}attn.X.bias", torch.zeros(8), "attn.X.bias' is not expected"),
    "no prefix": ("head", torch.zeros(8), "'head' is not expected, names begin 'model.'"),
    "one too many": ("model.params.46", torch.zeros(1), "'model.params.46' is not expected"),
    "one too few": ("model.params.7", None, "45 tensors, expected 14 and 16 for each block"),
}


@pytest.mark.parametrize(("name", "tensor", "message"), WRONG.values(), ids=WRONG)
def test_another_state_is_refused_by_its_tensor(tmp_path, name, tensor, message):
    path, tensors = tmp_path / "state.pt", with_released_names(*small_encoder(0))
    if "params" in name:
        save_linear(path, tensors, tensors)
        tensors = torch.load(path)
    torch.save({n: t for n, t in tensors.items() if n != name}, path)
    if tensor is not None:
        torch.save(tensors | {name: tensor}, path)
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_file_with_a_wrong_bit_is_refused(tmp_path):
    path, (image, text) = tmp_path / "state.pt", small_encoder(0)
    torch.save(with_released_names(image, text), path)
    content, number = bytearray(path.read_bytes()), image["visual.proj"].numpy().tobytes()
    content[content.index(number)] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: the checksum of 'state/data/\d+' is wrong"):
        read(path)


POINTS = ["m1-n1", "m10-n3", "m2-n1"]


@pytest.fixture
def released(tmp_path, monkeypatch):
    """A folder with files as published: a base, a pool of three, a head and a linear encoder."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("released")
    tensors = with_released_names(*small_encoder(0))
    save_whole("released/zeroshot.pt", tensors)
    save_head("released/head_CarsVal.pt", torch.arange(12.0).view(3, 4))
    save_linear("released/linear_finetuned.pt", with_released_names(*small_encoder(4)), tensors)
    for seed, point in enumerate(POINTS, 1):
        path = f"released/clip-vit-b-32_cars_rand-{point}_finetuned.pt"
        torch.save(with_released_names(*small_encoder(seed)), path)
    return small_encoder(0)


def test_a_folder_becomes_a_base_and_a_pool_that_merge(released, tmp_path, capsys):
    image, text = released
    assert main(["convert", "released", "-o", "out", "--json"]) == 0
    records = {r["written"][0]: r for r in json.loads(capsys.readouterr().out)["files"]}
    left = sum(tensor.numel() for tensor in text.values())
    numbers = left + sum(tensor.numel() for tensor in image.values())
    encoder, head = (records[f"out/{name}.safetensors"] for name in ("m10-n3", "head_CarsVal"))
    assert (encoder["tensors"], encoder["numbers"], encoder["text_numbers"]) == (46, numbers, left)
    assert (head["kind"], head["notes"]) == ("head", {"normalize": True})
    header = read_metadata("out/head_CarsVal.safetensors")
    assert (header["file"], header["sha256"]) == ("head_CarsVal.pt", head["sha256"])
    assert output_name("checkpoints_rand-m10-n3/CarsVal/linear_finetuned.pt") == "m10-n3"
    names = [*POINTS, "linear_finetuned", "zeroshot"]
    files = {
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.safetensors")
    }
    assert files == {
        *(f"{name}.safetensors" for name in (*names, "head_CarsVal")),
        *(f"text/{name}.safetensors" for name in names),
        *(f"start/{part}linear_finetuned.safetensors" for part in ("", "text/")),
    }
    for place in ("zeroshot", "start/linear_finetuned"):
        assert_equal(read_state(f"out/{place}.safetensors"), dict(sorted(image.items())))
    pool = [f"out/{point}.safetensors" for point in POINTS]
    report = merge_files("negmerge", pool, "merged", base="out/zeroshot.safetensors")
    assert report["numbers"] == numbers - left


def test_what_cannot_be_converted_is_refused_and_nothing_is_overwritten(released, capsys):
    os.mkdir("more")
    os.rename("released/zeroshot.pt", "more/zeroshot.pt")
    torch.save({"weight": torch.ones(2)}, "more/other.pt")
    assert main(["convert", "more/zeroshot.pt", "-o", "out"]) == 0
    refused = {
        ("more", "more/zeroshot.pt"): "more/zeroshot.pt: would be written to the same ",
        ("more/zeroshot.pt",): "out/zeroshot.safetensors: exists already; --force overwrites it",
        ("more/other.pt",): "more/other.pt: not a file of NegMerge's authors",
        ("out",): "out: no .pt file in it",
        ("lost.pt",): "lost.pt: no such file or folder",
    }
    for places, message in refused.items():
        folder = "second" if "more" in places else "out"
        assert main(["convert", *places, "-o", folder]) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith(f"error: {message}")
    assert not os.path.exists("second")
    assert main(["convert", "more/zeroshot.pt", "-o", "out", "--force"]) == 0
