"""Training a small CLIP from scratch on images and prompts, for studies without a download."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import ConcatDataset

from negmerge.data.augmentation import training_transform
from negmerge.data.loading import Part, TrainingBatches
from negmerge.models.clip import build_clip, fill
from negmerge.settings.recipe import Recipe
from negmerge.training import Resumable, fit


@dataclass(frozen=True)
class Source:
    """What one data set gives to pre-training."""

    path: Path  # the prepared data set
    name: str  # its name
    part: str  # the part of it that is used
    repeat: int  # how often each image is shown in an epoch
    classes: Sequence[str]  # its class names
    templates: Sequence[str]  # its prompt templates


def pretrain(
    row: dict,
    sources: Sequence[Source],
    recipe: Recipe,
    seed: int,
    device: torch.device,
    saved: Resumable | None = None,
    loaders: int = 0,
) -> open_clip.CLIP:
    """Train a CLIP model from random weights; the embedding of the tokens stays random."""
    clip = build_clip(row).to(device)
    clip.token_embedding.weight.requires_grad_(False)
    items, tokens = _gather(sources, clip.context_length)
    prompts = torch.Generator().manual_seed(seed)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        templates = torch.randint(2**31, (len(labels),), generator=prompts).tolist()
        captions = torch.stack(
            [
                tokens[label][number % len(tokens[label])]
                for label, number in zip(labels.tolist(), templates, strict=True)
            ]
        )
        image_features, text_features, scale = clip(images, captions.to(device))
        return multi_positive_loss(image_features, text_features, scale, labels)

    batches = TrainingBatches(
        items,
        training_transform(recipe.augmentation, row["size"], row["mean"], row["std"]),
        recipe,
        seed,
        loaders=loaders,
        device=device,
    )
    fit(
        clip,
        batches,
        len(batches),
        loss,
        recipe,
        device,
        seed=seed,
        generators=[prompts],
        saved=saved,
    )
    return clip.eval()


def multi_positive_loss(
    image_features: Tensor, text_features: Tensor, scale: Tensor, labels: Tensor
) -> Tensor:
    """Compute CLIP's symmetric contrastive loss where several pairs of a batch share a class.

    The target is uniform over the captions of an image's class (Khosla et al., 2020).
    """
    same = (labels[:, None] == labels[None, :]).float()
    target = same / same.sum(dim=1, keepdim=True)
    logits = scale * image_features @ text_features.T
    by_image = functional.cross_entropy(logits, target)
    return (by_image + functional.cross_entropy(logits.T, target)) / 2


def _gather(sources: Sequence[Source], context_length: int) -> tuple[ConcatDataset, list[Tensor]]:
    """Join the sources under one numbering of classes, and tokenise the prompts of each class."""
    tokenizer = open_clip.SimpleTokenizer(context_length=context_length)
    parts, tokens = [], []
    for source in sources:
        part = Part(source.path, source.part, source.name, first_label=len(tokens))
        parts += [part] * source.repeat
        tokens += [tokenizer(fill(source.templates, name)) for name in source.classes]
    return ConcatDataset(parts), tokens
