"""CLIP's three sizes in the paper, with random weights, and the miniature."""

import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU
from torch.nn import functional

from negmerge.errors import UserError
from negmerge.models.clip import (
    VisionTransformer,
    build_clip,
    combine_prompts,
    encode_prompts,
    image_encoder,
    image_tower,
    is_frozen,
    split_state,
    text_model,
    zero_shot_head,
)

PAPER = ("ViT-B-32", "ViT-B-16", "ViT-L-14")
# Numbers in the visual part, in its attention blocks, and in the text part outside of its blocks.
VISUAL = {"ViT-B-32": 87_849_216, "ViT-B-16": 86_192_640, "ViT-L-14": 303_966_208}
ATTENTION = {"ViT-B-32": 28_348_416, "ViT-B-16": 28_348_416, "ViT-L-14": 100_761_600}
TEXT_REST = {"ViT-B-32": 25_599_489, "ViT-B-16": 25_599_489, "ViT-L-14": 38_595_841}
VISION = {"image_size": 16, "patch_size": 4, "width": 24, "layers": 2, "head_width": 8}
TEXT = {"context_length": 4, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}


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
    assert count(t for n, t in text.items() if not n.startswith("transformer.")) == TEXT_REST[name]
    assert set(clip.state_dict()) == {name for name, _ in clip.named_parameters()}
    activations = [type(m) for m in clip.modules() if type(m).__name__.endswith("GELU")]
    assert set(activations) == {QuickGELU}, "that of the OpenAI weights"


def images(count, size):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("settings", [{}, {"image_size": 32, "patch_size": 8, "width": 64}])
@pytest.mark.parametrize("training", [True, False])
def test_the_tower_of_torch_s_layers_is_open_clip_s_in_every_bit(settings, training):
    row = {"architecture": {"embed_dim": 12, "vision_cfg": VISION | settings, "text_cfg": TEXT}}
    torch.manual_seed(0)
    own, other = image_tower(row), build_clip(row).visual
    assert isinstance(own, VisionTransformer)
    assert list(own.state_dict()) == list(other.state_dict())
    assert own.grid_size == other.grid_size
    # None of the weights has the value that it was made with.
    other.load_state_dict({n: torch.randn(t.shape) / 8 for n, t in own.state_dict().items()})
    own.load_state_dict(other.state_dict())
    batch, result = images(5, other.image_size[0]), []
    for tower in (own.train(training), other.train(training)):
        features = tower(batch)
        with torch.no_grad():
            alone = tower(batch)
        features.square().sum().backward()
        result.append([features, alone, *(one.grad for one in tower.parameters())])
    assert all(torch.equal(*pair) for pair in zip(*result, strict=True))


@pytest.mark.parametrize(
    "architecture",
    [
        "ViT-B-32-quickgelu",
        {"vision_cfg": VISION | {"mlp_ratio": 2.0}},
        {"vision_cfg": VISION | {"layers": [1, 1, 1, 1]}},
        {"vision_cfg": VISION, "quick_gelu": True},
    ],
)
def test_any_other_tower_comes_from_open_clip(architecture):
    if not isinstance(architecture, str):
        architecture = {"embed_dim": 12, "text_cfg": TEXT} | architecture
    with torch.device("meta"):
        tower = image_tower({"architecture": architecture})
    assert type(tower).__module__.startswith("open_clip.")


def test_an_encoder_comes_back_from_its_state_with_open_clip_s_features(mini):
    clip = build_clip(mini).eval()
    image, _ = split_state(clip)
    encoder = image_encoder(mini, image, "base.safetensors").eval()
    assert encoder.state_dict().keys() == image.keys()
    batch = images(3, mini["size"])
    with torch.no_grad():
        features = encoder(batch)
        assert torch.equal(features, clip.encode_image(batch, normalize=True))
        # An attention over the batch instead of the patches makes images depend on one another.
        torch.testing.assert_close(features[:1], encoder(batch[:1]), rtol=1e-4, atol=1e-5)
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_a_text_part_comes_back_from_its_state(mini):
    clip = build_clip(mini).eval()
    _, text = split_state(clip)
    model = text_model(mini, text, "text.safetensors")
    prompts = ["a photo of a zero.", "nine"]
    encoded = encode_prompts(model, prompts)
    tokens = open_clip.SimpleTokenizer(context_length=clip.context_length)(prompts)
    with torch.no_grad():
        assert torch.equal(encoded, functional.normalize(clip.encode_text(tokens), dim=-1))
    assert not torch.equal(encoded[0], encoded[1])


@pytest.mark.parametrize("build", [image_encoder, text_model])
def test_the_state_of_another_model_is_refused(mini, build):
    state = split_state(build_clip(mini))[build is text_model]
    first = min(state)
    with pytest.raises(UserError, match=rf"^x: tensor '{first}' has shape \[2, 9\], expected \["):
        build(mini, state | {first: torch.zeros(2, 9)}, "x")


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "coca_ViT-B-32", "roberta-ViT-B-32"])
def test_a_model_without_clip_s_own_text_part_is_refused(name):
    with pytest.raises(UserError, match=f"^architecture '{name}': its text part is not CLIP's own"):
        build_clip({"architecture": name})


def test_the_head_is_the_official_one(golden):
    file = golden("clip_head")
    embeddings, scale = torch.tensor(file["text_embeddings"]), torch.tensor(file["logit_scale"])
    head = combine_prompts(embeddings, scale)
    torch.testing.assert_close(head, torch.tensor(file["head_weight"]), rtol=1e-5, atol=1e-6)
    # Image features are normalised before the head, and it has no bias.
    features = functional.normalize(torch.tensor(file["features"]), dim=-1)
    torch.testing.assert_close(
        features @ head.T, torch.tensor(file["logits"]), rtol=1e-5, atol=1e-5
    )
    # The length of an embedding does not matter.
    longer = embeddings * torch.arange(1, embeddings.shape[1] + 1)[:, None]
    torch.testing.assert_close(combine_prompts(longer, scale), head)


def test_a_head_is_made_of_all_templates_of_a_class(mini):
    clip = build_clip(mini).eval()
    head = zero_shot_head(clip, ["cat", "dog"], ["a {}.", "the {}"])
    assert not head.requires_grad
    prompts = encode_prompts(clip, ["a cat.", "the cat", "a dog.", "the dog"]).reshape(2, 2, -1)
    torch.testing.assert_close(head, combine_prompts(prompts, clip.logit_scale.detach()))
