"""Measure augmenting photographs as uint8 tensors beside Pillow's images.

    python benchmarks/tensor_crops.py [--rounds 5] [--note TEXT]

The pictures and the way of measuring are those of loader.py; in each round what is compared runs in
turns. Writes benchmarks/tensor_crops.json and, as Markdown, what stands between the `tensor_crops`
marks of docs/dev/measurements.md.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from loader import LARGE, MEAN, PASSES, PHOTOGRAPHS, SIZE, STD, from_disk, in_turns, pictures
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.functional import resized_crop

from negmerge.data import augmentation, images
from negmerge.data.augmentation import training_transform
from negmerge.data.images import Opened, decode
from negmerge.data.loading import Listed, TrainingBatches
from negmerge.settings.recipe import Recipe

RECORD = ROOT / "benchmarks" / "tensor_crops.json"
# What is compared, and how the page calls it.
STEPS = {
    "crop, Pillow": "crop of an opened JPEG, Pillow, ms an image",
    "crop, tensor": "crop of an opened JPEG, tensor, ms an image",
    "all, Pillow": "crop to normalise, Pillow, ms an image",
    "all, v2": "crop to normalise, torchvision's v2, ms an image",
}
LOADERS = {
    "exact": "`exact`, images a second and core",
    "fast, Pillow": "`fast` with Pillow's crops, images a second and core",
    "fast": "`fast`, images a second and core",
}


def by_pillow(work: Callable[[], Iterable]) -> Callable[[], Iterator]:
    """Return the work with crops of drafts by Pillow."""

    def run() -> Iterator:
        with mock.patch.object(augmentation, "resized_crop", resized_crop):
            yield from work()

    return run


def measured(encoded: list[bytes], batch: int, rounds: int) -> dict[str, float]:
    """Measure pictures of one size."""
    opened = PASSES * [Opened(one, "picture") for one in encoded]
    whole = PASSES * [decode(one) for one in encoded]
    transform, by_v2 = training_transform(LARGE, SIZE, MEAN, STD), _transform_of_v2()
    crop = transform.steps[0]
    steps = {
        "crop, tensor": lambda: map(crop, opened),
        "crop, Pillow": by_pillow(lambda: map(crop, opened)),
        "all, Pillow": lambda: map(transform, whole),
        "all, v2": lambda: map(by_v2, whole),
    }
    return in_turns(steps, len(whole), rounds) | loaded(encoded, batch, rounds)


def loaded(encoded: list[bytes], batch: int, rounds: int) -> dict[str, float]:
    """Measure how many images a second one process loads, in the ways of `LOADERS`."""
    transform = training_transform(LARGE, SIZE, MEAN, STD)
    with tempfile.TemporaryDirectory() as folder:
        items = from_disk(encoded, Path(folder))
        listed = Listed(images.Images(items.images.path, "train", drafts=True), range(len(encoded)))
        recipe = Recipe(epochs=PASSES, batch_size=batch)
        exact, fast = (TrainingBatches(one, transform, recipe, 0) for one in (items, listed))
        loaders = {
            "exact": lambda: exact,
            "fast": lambda: fast,
            "fast, Pillow": by_pillow(lambda: fast),
        }
        taken = in_turns(loaders, PASSES * len(encoded), rounds)
    return {name: 1000 / each for name, each in taken.items()}


def _transform_of_v2() -> Callable[[Image.Image], torch.Tensor]:
    crops = [
        v2.RandomResizedCrop(SIZE, LARGE.crop_scale, LARGE.crop_ratio, mode, antialias=True)
        for mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    ]
    changes = v2.Compose(
        [
            v2.RandomHorizontalFlip(LARGE.flip),
            v2.RandAugment(num_ops=2, magnitude=5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def change(image: Image.Image) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return changes(random.choice(crops)(pixels))

    return change


def differences() -> dict[str, float]:
    """Compare crops as tensors with those of Pillow."""
    box = 30, 40, 300, 250, [SIZE, SIZE], InterpolationMode.BICUBIC
    whole = [decode(one) for one in pictures(500, 375, 24, "JPEG")]
    ours, theirs = (
        np.stack([np.asarray(cut(image, *box)).astype(int) for image in whole])
        for cut in (augmentation.resized_crop, resized_crop)
    )
    found = abs(ours - theirs)
    return {"most": int(found.max()), "different": float((found > 0).mean())}


def markdown(record: dict) -> str:
    """Describe the record."""
    sizes = record["sizes"]
    lines = [f"| what | {' | '.join(sizes)} |", f"| --- |{' ---: |' * len(sizes)}"]
    for heads, digits in ((STEPS, 2), (LOADERS, 0)):
        for name, head in heads.items():
            cells = " | ".join(f"{one[name]:.{digits}f}" for one in sizes.values())
            lines.append(f"| {head} | {cells} |")
    table = "\n".join(lines)
    longer = _between(one["all, v2"] / one["all, Pillow"] for one in sizes.values())
    more = _between(one["fast"] / one["fast, Pillow"] for one in sizes.values())
    return f"""\
The same photographs with uint8 tensors in place of Pillow's images, by
`benchmarks/tensor_crops.py`: the fastest of {record["rounds"]} rounds, in turns.
{machine_of(record)} {record["note"]}

{table}

All steps by torchvision's v2 take {longer} times as long as by Pillow, and its
operations are not timm's: no preset takes them. `fast` resizes crops as tensors, as v2 does,
which loads {more} times as many images as with Pillow's crops. They differ from
Pillow's in {100 * record["different"]:.1f} % of the values, by up to {record["most"]} of 255."""


def _between(ratios: Iterable[float]) -> str:
    """Spell the least and the largest ratio."""
    found = sorted(ratios)
    return f"{found[0]:.2f} to {found[-1]:.2f}"


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--note", default="", help="what else the page should say")
    options = words.parse_args()
    torch.set_num_threads(1)
    record = {"machine": machine(), "note": options.note, "rounds": options.rounds, "sizes": {}}
    for name, (width, height, count, batch) in PHOTOGRAPHS.items():
        record["sizes"][name] = measured(
            pictures(width, height, count, "JPEG"), batch, options.rounds
        )
        print(name, record["sizes"][name], flush=True)
    record |= differences()
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "tensor_crops", markdown(record))


if __name__ == "__main__":
    main()
