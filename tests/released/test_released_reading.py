import open_clip
import pytest
import torch

from negmerge.errors import UserError
from negmerge.models.clip import VisionTransformer, image_encoder
from negmerge.released.reading import names_in_order, read
from released_files import (
    TEXT,
    TEXT_AFTER,
    save_head,
    save_linear,
    save_whole,
    text_part,
    with_released_names,
)

ROW = {
    "architecture": {
        "embed_dim": 4,
        "vision_cfg": {
            "image_size": 8,
            "patch_size": 4,
            "width": 8,
            "layers": 2,
            "head_width": 4,
        },
    }
}


def small_encoder(seed):
    """Make up an image encoder of this project, and what the authors leave of the text part."""
    torch.manual_seed(seed)
    settings = ROW["architecture"]
    tower = VisionTransformer(settings["embed_dim"], **settings["vision_cfg"])
    image = {f"visual.{name}": tensor for name, tensor in tower.state_dict().items()}
    return image, text_part(width=6, vocabulary=11, context=5, dimensions=4)


def assert_equal(found, expected):
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("save", [save_whole, lambda path, tensors: torch.save(tensors, path)])
def test_an_encoder_has_the_names_and_the_numbers_of_this_projects(tmp_path, save):
    image, text = small_encoder(0)
    save(tmp_path / "encoder.pt", with_released_names(image, text))
    found = read(tmp_path / "encoder.pt")
    assert (found.kind, found.tensors, found.start) == ("encoder", 14 + 2 * 16, None)
    assert_equal(found.state, image)
    assert_equal(found.leftovers, text)
    images = torch.randn(2, 3, 8, 8)
    network = image_encoder(ROW, found.state, "encoder.pt")
    assert torch.equal(network(images), image_encoder(ROW, image, "image")(images))


def test_a_linear_file_has_the_encoder_before_and_after_training(tmp_path):
    before, after = small_encoder(0), small_encoder(1)
    save_linear(tmp_path / "l.pt", with_released_names(*after), with_released_names(*before))
    found = read(tmp_path / "l.pt")
    assert (found.kind, found.notes) == ("linear", {"model_name": "ViT-B-32"})
    assert_equal(found.state, after[0])
    assert_equal(found.start.state, before[0])
    assert_equal(found.start.leftovers, before[1])


def test_a_head_is_a_layer_and_says_whether_features_are_normalised(tmp_path):
    weight = torch.randn(7, 4)
    save_head(tmp_path / "head.pt", weight)
    found = read(tmp_path / "head.pt")
    assert (found.kind, found.notes) == ("head", {"normalize": True})
    assert_equal(found.state, {"weight": weight, "bias": torch.zeros(7)})


def test_at_full_size_names_and_numbers_are_those_that_the_authors_count(tmp_path):
    with torch.device("meta"):
        clip = open_clip.CLIP(**open_clip.get_model_config("ViT-B-32-quickgelu"))
    state = {
        name: torch.zeros(tensor.shape, dtype=torch.float16)
        for name, tensor in clip.state_dict().items()
    }
    image = {name: tensor for name, tensor in state.items() if name.startswith("visual.")}
    text = {name: state[name] for name in (*TEXT, *TEXT_AFTER)}
    tensors = with_released_names(image, text)
    assert list(tensors) == names_in_order(206, "names")
    path = tmp_path / "zeroshot.pt"
    save_whole(path, tensors)
    found = read(path)
    path.unlink()
    assert found.tensors == 206
    assert {name: tensor.shape for name, tensor in found.state.items()} == {
        name: tensor.shape for name, tensor in image.items()
    }
    assert sum(tensor.numel() for tensor in found.state.values()) == 87_849_216
    assert sum(tensor.numel() for tensor in found.leftovers.values()) == 25_599_489


def change(tensors, name, tensor):
    return {other: tensor if other == name else old for other, old in tensors.items()}


BLOCK = "model.visual.transformer.resblocks.0."


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: {n: v for n, v in t.items() if n != f"{BLOCK}attn.Q.bias"}, "attn.Q.bias"),
        (lambda t: change(t, f"{BLOCK}attn.K.weight", torch.zeros(7, 8)), r"\[7, 8\], expected"),
        (lambda t: change(t, f"{BLOCK}ln_1.bias", torch.tensor([1, torch.nan])), "ln_1.bias.* NaN"),
        (lambda t: t | {f"{BLOCK}attn.X.bias": torch.zeros(8)}, "attn.X.bias' is not expected"),
        (lambda t: t | {"head": torch.zeros(8)}, "'head' is not expected, names begin 'model.'"),
        (lambda t: {n: v for n, v in t.items() if "visual" not in n}, "no tensor of an image enc"),
    ],
)
def test_another_state_is_refused_by_its_tensor(tmp_path, damage, message):
    torch.save(damage(with_released_names(*small_encoder(0))), tmp_path / "state.pt")
    with pytest.raises(UserError, match=rf"state.pt: .*{message}"):
        read(tmp_path / "state.pt")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s | {"model.params.46": torch.zeros(1)}, "'model.params.46' is not expected"),
        (lambda s: s | {"model.buffer": s.pop("model.params.7")}, "'model.buffer' is not expected"),
    ],
)
def test_another_linear_file_is_refused_by_its_tensor(tmp_path, damage, message):
    tensors = with_released_names(*small_encoder(0))
    save_linear(tmp_path / "whole.pt", tensors, tensors)
    torch.save(damage(torch.load(tmp_path / "whole.pt")), tmp_path / "linear.pt")
    with pytest.raises(UserError, match=rf"linear.pt: .*{message}"):
        read(tmp_path / "linear.pt")


def test_files_of_a_gpu_are_read_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    image, text = small_encoder(0)
    save_whole(tmp_path / "encoder.pt", with_released_names(image, text))
    assert b"cuda:0" in (tmp_path / "encoder.pt").read_bytes()
    assert_equal(read(tmp_path / "encoder.pt").state, image)
