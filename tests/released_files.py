"""Files in the layout of those that the authors of NegMerge released, of any size.

The classes that were pickled no longer exist. Empty ones by their names, in modules that are there
only while a file is written, make the same pickles.
"""

import sys
from types import ModuleType
from unittest import mock

import torch
from torch import nn

TEXT = ("positional_embedding", "text_projection", "logit_scale")
TEXT_AFTER = ("token_embedding.weight", "ln_final.weight", "ln_final.bias")
CLASSES = {
    "": "src.modeling.ImageEncoder",
    "model": "open_clip.model.CLIP",
    "visual": "open_clip.transformer.VisionTransformer",
    "transformer": "open_clip.transformer.Transformer",
    "resblocks": "torch.nn.modules.container.ModuleList",
    "attn": "src.modeling.CustomMultiheadAttention",
    "mlp": "torch.nn.modules.container.Sequential",
    "conv1": "torch.nn.modules.conv.Conv2d",
    "token_embedding": "torch.nn.modules.sparse.Embedding",
    **{f"ln_{name}": "open_clip.transformer.LayerNorm" for name in (1, 2, "pre", "post", "final")},
}
BLOCK = "open_clip.transformer.ResidualAttentionBlock"
LINEAR = "torch.nn.modules.linear.Linear"


def with_released_names(image, text):
    """Name the tensors of an image encoder (`visual.*`) and a text part in the released order."""
    named = {name: text[name] for name in TEXT}
    for name, tensor in image.items():
        if name.endswith("attn.in_proj_weight"):
            stem = name.removesuffix("in_proj_weight")
            for part, letter in enumerate("QKV"):
                for kind in ("weight", "bias"):
                    joined = image[f"{stem}in_proj_{kind}"]
                    named[f"{stem}{letter}.{kind}"] = joined.chunk(3)[part].clone()
        elif not name.endswith("attn.in_proj_bias"):
            named[name.replace("attn.out_proj", "attn.O")] = tensor
    named |= {name: text[name] for name in TEXT_AFTER}
    return {f"model.{name}": tensor for name, tensor in named.items()}


def text_part(width, vocabulary, context, dimensions):
    """Make up what the authors leave of the text part."""
    shapes = ((context, width), (width, dimensions), (), (vocabulary, width), (width,), (width,))
    return {
        name: torch.randn(shape) for name, shape in zip((*TEXT, *TEXT_AFTER), shapes, strict=True)
    }


def save_whole(path, tensors, **attributes):
    """Write an encoder as `torch.save(encoder)` did, with its images' preparation."""
    encoder = _module("", tensors)
    encoder.model.register_buffer("attn_mask", torch.zeros(5, 5), persistent=False)
    operation = empty("timm.data.auto_augment.AugmentOp")
    operation.aug_fn = named_class("timm.data.auto_augment.rotate")
    encoder.train_preprocess = empty("torchvision.transforms.transforms.Compose")
    encoder.train_preprocess.transforms = [operation, empty("open_clip.transform.MaybeToTensor")]
    encoder.cache_dir = None
    for name, value in attributes.items():
        setattr(encoder, name, value)
    save(path, encoder)


def save_head(path, weight):
    """Write a head as the authors did."""
    head = _empty_module("src.modeling.ClassificationHead")
    head.weight, head.bias = nn.Parameter(weight), nn.Parameter(torch.zeros(len(weight)))
    head.normalize = True
    save(path, head)


def save_linear(path, trained, start):
    """Write a file of linear fine-tuning: the tensors are numbered."""
    state = {
        f"model.{role}.{number}": tensor
        for role, tensors in (("params", trained), ("params0", start))
        for number, tensor in enumerate(tensors.values())
    }
    torch.save(state | {"model_name": "ViT-B-32"}, path)


def save(path, saved):
    """Write an object whose classes, those of `named_class`, are in no module."""
    modules = {package: ModuleType(package) for package in ("src", "evil")}
    for place, named in _CLASSES.items():
        module, _, name = place.rpartition(".")
        parts = module.split(".")
        # Also the packages around it, which would be imported.
        for package in (".".join(parts[:depth]) for depth in range(1, len(parts) + 1)):
            modules.setdefault(package, ModuleType(package))
        setattr(modules[module], name, named)
    with mock.patch.dict(sys.modules, modules):
        torch.save(saved, path)


def named_class(place, parent=object):
    """Return torch's own class, or one that has the name and nothing else."""
    module, _, name = place.rpartition(".")
    if module.startswith("torch.nn.modules."):
        return getattr(sys.modules[module], name)
    return _CLASSES.setdefault(place, type(name, (parent,), {"__module__": module}))


def empty(place):
    """Return an object of a class that only has its name."""
    return named_class(place)()


_CLASSES = {}


def _empty_module(place):
    """Return a module of a class, without what its constructor would do."""
    module = nn.Module.__new__(named_class(place, nn.Module))
    nn.Module.__init__(module)
    return module


def _module(name, tensors):
    """Build a module of tensors with dotted names."""
    module = _empty_module(BLOCK if name.isdigit() else CLASSES.get(name, LINEAR))
    inner = {}
    for path, tensor in tensors.items():
        first, dot, rest = path.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = tensor
        else:
            module.register_parameter(first, nn.Parameter(tensor))
    for first, parts in inner.items():
        module.add_module(first, _module(first, parts))
    return module
