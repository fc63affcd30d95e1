"""The image tower that is built without open_clip, beside the one of open_clip."""

import open_clip
import pytest
import torch

from negmerge.models.image_encoder import ImageEncoder, image_tower
from negmerge.models.vision_transformer import VisionTransformer, is_plain

VISION = {"image_size": 16, "patch_size": 4, "width": 24, "layers": 2, "head_width": 8}
TEXT = {"context_length": 4, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}


def architecture(**vision):
    return {"embed_dim": 12, "vision_cfg": VISION | vision, "text_cfg": TEXT}


@pytest.fixture(params=[{}, {"image_size": 32, "patch_size": 8, "layers": 1, "width": 64}])
def towers(request):
    """Both with the same weights, none of which has the value that it was made with."""
    torch.manual_seed(0)
    settings = architecture(**request.param)
    own = VisionTransformer(settings["embed_dim"], **settings["vision_cfg"])
    other = open_clip.CLIP(**settings).visual
    other.load_state_dict({n: torch.randn(t.shape) / 8 for n, t in own.state_dict().items()})
    own.load_state_dict(other.state_dict())
    return own, other


def test_tensors_have_open_clip_s_names_in_its_order(towers):
    own, other = ([(n, p.shape) for n, p in one.named_parameters()] for one in towers)
    assert own == other
    assert list(towers[0].state_dict()) == list(towers[1].state_dict())
    assert towers[0].grid_size == towers[1].grid_size


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bf16", [True, False])
def test_features_and_gradients_are_open_clip_s_in_every_bit(towers, training, bf16):
    size = towers[1].image_size
    images = torch.randn(5, 3, *size)
    found = []
    for tower in towers:
        tower.train(training)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            features = tower(images)
            with torch.no_grad():
                alone = tower(images)
        features.float().square().sum().backward()
        found.append([features, alone, *(one.grad for one in tower.parameters())])
    for own, other in zip(*found, strict=True):
        assert own.dtype == other.dtype
        assert torch.equal(own, other)


def test_what_the_tower_has_not_comes_from_open_clip():
    assert is_plain(architecture())
    others = [
        "ViT-B-32-quickgelu",
        architecture(mlp_ratio=2.0),
        architecture(layers=[1, 1, 1, 1]),
        architecture(pool_type="avg"),
        architecture() | {"quick_gelu": True},
    ]
    assert not any(map(is_plain, others))
    row = {"architecture": architecture(mlp_ratio=2.0)}
    assert isinstance(image_tower(row), open_clip.transformer.VisionTransformer)
    row = {"architecture": architecture()}
    assert isinstance(ImageEncoder(image_tower(row)).visual, VisionTransformer)
