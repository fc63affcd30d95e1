"""CLIP's three sizes in the paper, with random weights, and the miniature."""

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from torch.nn import functional

from negmerge.errors import UserError
from negmerge.models.clip import build_clip, encode_prompts, split_state, text_model
from negmerge.models.freezing import freeze, is_frozen
from negmerge.models.image_encoder import ImageEncoder, image_encoder

PAPER = ("ViT-B-32", "ViT-B-16", "ViT-L-14")
# Numbers in the visual part, in its attention blocks, and in the text part outside of its blocks.
VISUAL = {"ViT-B-32": 87_849_216, "ViT-B-16": 86_192_640, "ViT-L-14": 303_966_208}
ATTENTION = {"ViT-B-32": 28_348_416, "ViT-B-16": 28_348_416, "ViT-L-14": 100_761_600}
TEXT_REST = {"ViT-B-32": 25_599_489, "ViT-B-16": 25_599_489, "ViT-L-14": 38_595_841}
TEXT_REST_NAMES = {
    "token_embedding.weight",
    "positional_embedding",
    "ln_final.weight",
    "ln_final.bias",
    "text_projection",
    "logit_scale",
}


def count(tensors):
    return sum(tensor.numel() for tensor in tensors)


@pytest.fixture(scope="module", params=PAPER)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def clip(name, catalogue):
    """A model without numbers: shapes are all that counting needs."""
    with torch.device("meta"):
        return build_clip(catalogue.models[name].model_dump())


@pytest.fixture(scope="module")
def mini(catalogue):
    torch.manual_seed(0)
    return catalogue.models["mini-clip"].model_dump()


def test_the_paper_s_models_have_the_paper_s_sizes(name, clip):
    image, text = split_state(clip)
    assert count(image.values()) == VISUAL[name]
    assert count(t for n, t in image.items() if is_frozen(n, "attention")) == ATTENTION[name]
    rest = {n: t for n, t in text.items() if not n.startswith("transformer.")}
    assert rest.keys() == TEXT_REST_NAMES
    assert count(rest.values()) == TEXT_REST[name]
    assert all(n.startswith("visual.") for n in image)


@pytest.mark.parametrize("frozen", ["attention", "nothing"])
def test_freezing_leaves_the_rest_to_train(name, clip, frozen):
    encoder = ImageEncoder(clip.visual)
    freeze(encoder, frozen)
    trainable = count(p for p in encoder.parameters() if p.requires_grad)
    assert trainable == VISUAL[name] - (ATTENTION[name] if frozen == "attention" else 0)
    for parameter, tensor in encoder.named_parameters():
        assert tensor.requires_grad != is_frozen(parameter, frozen)
    freeze(encoder, "nothing")
    assert all(p.requires_grad for p in encoder.parameters())


def test_frozen_attention_is_the_projections_and_no_norm(clip):
    frozen = {
        n.partition(".resblocks.")[2] for n in split_state(clip)[0] if is_frozen(n, "attention")
    }
    layers = {n.partition(".")[0] for n in frozen}
    projections = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    assert frozen == {f"{layer}.attn.{name}" for layer in layers for name in projections}


def test_openai_weights_meet_quickgelu(name, clip):
    activations = [type(m) for m in clip.modules() if type(m).__name__.endswith("GELU")]
    assert set(activations) == {QuickGELU}
    assert len(activations) == {"ViT-L-14": 24}.get(name, 12) + 12


def test_no_buffer_is_part_of_a_state(clip):
    assert set(clip.state_dict()) == {name for name, _ in clip.named_parameters()}


def images(count, size):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def assert_sees_images(encoder, size):
    encoder.eval()
    batch = images(2, size)
    with torch.no_grad():
        both, alone = encoder(batch), encoder(batch[:1])
    torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
    assert (both[0] - both[1]).abs().max() > 1e-3
    # An attention over the batch instead of the patches makes images depend on one another.
    torch.testing.assert_close(both[:1], alone, rtol=1e-4, atol=1e-5)


def test_two_images_have_two_embeddings(catalogue, mini):
    assert_sees_images(ImageEncoder(build_clip(mini).visual), mini["size"])
    row = catalogue.models["ViT-B-32"].model_dump()
    assert_sees_images(ImageEncoder(build_clip(row).visual), row["size"])


def test_features_are_those_of_open_clip(mini):
    clip = build_clip(mini).eval()
    batch = images(3, mini["size"])
    with torch.no_grad():
        expected = clip.encode_image(batch, normalize=True)
        assert torch.equal(ImageEncoder(clip.visual)(batch), expected)


def test_an_encoder_comes_back_from_its_state(mini):
    clip = build_clip(mini).eval()
    image, _ = split_state(clip)
    encoder = image_encoder(mini, image, "base.safetensors").eval()
    assert encoder.state_dict().keys() == image.keys()
    with torch.no_grad():
        batch = images(2, mini["size"])
        assert torch.equal(encoder(batch), ImageEncoder(clip.visual)(batch))


def test_a_text_part_comes_back_from_its_state(mini):
    clip = build_clip(mini).eval()
    _, text = split_state(clip)
    model = text_model(mini, text, "text.safetensors")
    assert not model.training
    prompts = ["a photo of a zero.", "nine"]
    found = encode_prompts(model, prompts)
    assert torch.equal(found, encode_prompts(clip, prompts))
    tokens = open_clip.SimpleTokenizer(context_length=clip.context_length)(prompts)
    with torch.no_grad():
        assert torch.equal(found, functional.normalize(clip.encode_text(tokens), dim=-1))
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("build", [image_encoder, text_model])
def test_the_state_of_another_model_is_refused(mini, build):
    state = split_state(build_clip(mini))[build is text_model]
    names = sorted(state)
    with pytest.raises(UserError) as caught:
        build(mini, {n: state[n] for n in names[1:]}, "x.safetensors")
    assert str(caught.value) == f"x.safetensors: tensor {names[0]!r} is missing (1 in all)"
    with pytest.raises(UserError) as caught:
        build(mini, state | {"more": torch.zeros(1)}, "x.safetensors")
    assert str(caught.value) == "x.safetensors: tensor 'more' is not expected (1 in all)"
    with pytest.raises(UserError) as caught:
        build(mini, state | {names[0]: torch.zeros(2, 9)}, "x.safetensors")
    assert str(caught.value) == (
        f"x.safetensors: tensor {names[0]!r} has shape [2, 9], expected "
        f"{list(state[names[0]].shape)}"
    )


def test_a_model_without_clip_s_own_text_part_is_refused():
    for name in ("ViT-B-16-SigLIP", "coca_ViT-B-32", "roberta-ViT-B-32"):
        with pytest.raises(UserError) as caught:
            build_clip({"architecture": name})
        assert str(caught.value) == f"architecture {name!r}: its text part is not CLIP's own"
