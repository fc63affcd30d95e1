"""Grad-CAM against its formula at each architecture's last stage, and the choice of the images."""

import itertools

import open_clip
import pytest
import torch
from timm.models import SwinTransformer, VisionTransformer
from torch import nn

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import predict
from negmerge.evaluation.gradcam import choose, gradcam, last_stage
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import ImageEncoder

CPU = torch.device("cpu")


class Told(nn.Module):
    """Predicts the class that the first intensity of an image names."""

    def forward(self, images):
        return nn.functional.one_hot(images[:, 0, 0, 0].long(), 9).float()


def batches(*pairs, size=2):
    """Batches of images that are predicted as `predicted`, and truly are `label`."""
    images = torch.tensor([float(predicted) for predicted, _ in pairs]).expand(1, 3, 1, -1)
    images, labels = images.permute(3, 1, 2, 0), torch.tensor([label for _, label in pairs])
    return list(zip(images.split(size), labels.split(size), strict=True))


def test_the_first_right_image_of_each_of_the_first_classes_is_chosen():
    images = batches((1, 1), (2, 0), (0, 0), (1, 1), (0, 0), (8, 8), (3, 3), (2, 2))
    assert choose(Told(), None, images, CPU) == [2, 0, 7, 6]
    # Images behind the choice are not loaded.
    endless = itertools.chain(images[:2], itertools.repeat(None))
    assert choose(Told(), None, endless, CPU, classes=2) == [2, 0]
    # Classes that the base does not know come last.
    images = batches((1, 0), (5, 5), (3, 0), (4, 4), (0, 2))
    assert choose(Told(), None, images, CPU) == [3, 1, 0, 4]
    assert choose(Told(), None, batches((1, 0), (2, 0)), CPU) == [0]


CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 16, "layers": 2, "head_width": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1},
}
ROW = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": 32}


def clip(**changes):
    vision = CLIP["vision_cfg"] | changes
    return ImageEncoder(open_clip.CLIP(**CLIP | {"vision_cfg": vision}).visual)


def classifier(**architecture):
    return build_classifier(ROW | {"architecture": architecture}, 5)


NETWORKS = {
    "CLIP's vision transformer": (clip, "visual.transformer.resblocks.1.ln_1", (4, 4)),
    "CLIP's ResNet": (
        lambda: clip(layers=(1, 1, 1, 1), width=8, image_size=64, head_width=64),
        "visual.layer4",
        (2, 2),
    ),
    "ResNet": (lambda: classifier(kind="resnet18", width=2), "network.layer4", (4, 4)),
    "VGG": (lambda: classifier(kind="vgg16-bn"), "network.features", (2, 2)),
    "Swin": (
        lambda: SwinTransformer(
            img_size=32, patch_size=4, window_size=4, embed_dim=8, depths=(1, 1),
            num_heads=(1, 1), num_classes=5,
        ),
        "layers.1",
        (4, 4),
    ),
    "timm's vision transformer": (
        lambda: VisionTransformer(
            img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=5
        ),
        "blocks.1.norm1",
        (4, 4),
    ),
}  # fmt: skip


@pytest.fixture(params=NETWORKS, scope="module")
def known(request):
    """A network in eval mode, the name of its last stage, and the places of that."""
    build, *expected = NETWORKS[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().eval(), *expected


def images_for(network):
    side = 64 if hasattr(network, "visual") and hasattr(network.visual, "layer4") else 32
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def places_first(output, size):
    """See any output as (n, places, channels), without what is no place."""
    if output.ndim == 3:
        # Tokens, the class token first.
        assert output.shape[1] == size[0] * size[1] + 1
        return output[:, 1:]
    channels_last = output.shape[1:3] == size
    return (output if channels_last else output.permute(0, 2, 3, 1)).flatten(1, 2)


def test_the_map_is_that_of_activations_and_gradients_of_the_last_stage(known):
    network, name, size = known
    inputs, labels = images_for(network), torch.tensor([1, 3])
    head = 2 * torch.eye(8) if isinstance(network, ImageEncoder) else None
    mapped = gradcam(network, head, inputs, labels)
    kept = []
    handle = network.get_submodule(name).register_forward_hook(
        lambda _, __, output: kept.append(output)
    )
    logits = predict(network, head, inputs)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[[0, 1], labels].sum(), kept[0])
    slopes, values = (places_first(tensor, size) for tensor in (gradient, kept[0]))
    expected = (slopes.mean(dim=1, keepdim=True) * values).sum(dim=2).relu().view(2, *size)
    assert mapped.layer == name
    shares = logits.softmax(dim=1)[[0, 1], labels].detach()
    torch.testing.assert_close(mapped.probability, shares)
    torch.testing.assert_close(mapped.maps, expected.detach())
    assert mapped.maps.any()
    with torch.no_grad():
        before = network(inputs)
        with last_stage(network).as_grid():
            assert torch.equal(network(inputs), before)
    assert not any(module._forward_hooks for module in network.modules())


def test_another_network_is_refused():
    with pytest.raises(UserError, match=r"^gradcam: a network of type Linear has no known last"):
        last_stage(nn.Linear(2, 2))
