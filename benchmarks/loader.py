"""Measure the stages of the image loader, and how many images a second one core loads.

    python benchmarks/loader.py [--rounds 9] [--note TEXT]

The pictures are parts of the two photographs that scikit-learn brings along, as JPEG of quality 90
or, of 32 pixels, as PNG. One thread loads them in processor time, which other programs on the
machine change little; of each number the fastest round counts. `before` is the loader without what
`exact` does for speed, written anew: each image by itself, timm's own transform. Writes
benchmarks/loader.json and, as Markdown, what stands between the `loader` marks of
docs/dev/measurements.md.
"""

import argparse
import io
import json
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from fabricated import prepared
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from PIL import Image
from safetensors import safe_open
from sklearn.datasets import load_sample_images
from timm.data import create_transform

from negmerge.data import images
from negmerge.data.augmentation import training_transform
from negmerge.data.images import decode
from negmerge.data.loading import Listed, TrainingBatches
from negmerge.settings.recipe import Augmentation, Recipe

RECORD = ROOT / "benchmarks" / "loader.json"
# The middle of the paper's pool, and its recipe for CIFAR-10.
RANDAUGMENT = "rand-m5-n2-mstd0.5"
LARGE = Augmentation(
    randaugment=RANDAUGMENT, crop_scale=[0.08, 1.0], flip=0.5, interpolation="random"
)
SMALL = Augmentation(crop_scale=None, padding=4, flip=0.5)
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
PLAIN = (0.0,) * 3, (1.0,) * 3
# What is loaded: width and height of the pictures, how many, batch.
PHOTOGRAPHS = {"500 x 375": (500, 375, 24, 8), "1024 x 768": (1024, 768, 12, 4)}
CIFAR = 32, 32, 512, 256
SIZE = 224
# Passes over the pictures in a round, with other crops and operations in each.
PASSES = 4
# Asked of eight cores: images a second for ViT-B/32, and for ResNet-18 on CIFAR-10.
ASKED = {"500 x 375": 2500, "CIFAR-10": 15_000}


def pictures(width: int, height: int, count: int, kind: str) -> list[bytes]:
    """Cut parts of the photographs' shape out of them, and encode them in a size."""
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    found, generator = [], random.Random(0)
    for number in range(count):
        source = sources[number % len(sources)]
        share = min(source.width / width, source.height / height) * generator.uniform(0.6, 1)
        across, down = int(share * width), int(share * height)
        left = generator.randint(0, source.width - across)
        top = generator.randint(0, source.height - down)
        part = source.crop((left, top, left + across, top + down))
        stream = io.BytesIO()
        part.resize((width, height), Image.Resampling.BICUBIC).save(stream, kind, quality=90)
        found.append(stream.getvalue())
    return found


def fastest(work: Callable[[], Iterable], count: int, rounds: int) -> float:
    """Return the milliseconds of processor time for each of `count` images, all rounds alike."""
    return in_turns({"it": work}, count, rounds)["it"]


def in_turns(
    works: Mapping[str, Callable[[], Iterable]], count: int, rounds: int
) -> dict[str, float]:
    """Return as `fastest` for each work, one after the other in each round.

    Of what a work yields, nothing is kept.
    """
    taken = {name: [] for name in works}
    for _ in range(rounds + 1):  # The first warms up.
        for name, work in works.items():
            random.seed(0)
            np.random.seed(0)
            torch.manual_seed(0)
            start = time.process_time()
            deque(work(), maxlen=0)
            taken[name].append(time.process_time() - start)
    return {name: 1000 * min(times[1:]) / count for name, times in taken.items()}


class OneByOne:
    """Items that give no whole batches."""

    def __init__(self, items: Sequence):
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> tuple:
        return self._items[number]


class Files(OneByOne):
    """Encoded pictures, decoded as before: with a copy."""

    def __getitem__(self, number: int) -> tuple:
        return Image.open(io.BytesIO(self._items[number])).convert("RGB"), 0


def loading(items: Sequence, transform: Callable, batch: int, rounds: int) -> float:
    """Return how many images a second one core loads."""
    batches = TrainingBatches(items, transform, Recipe(epochs=PASSES, batch_size=batch), 0)
    return 1000 / fastest(lambda: batches, PASSES * len(items), rounds)


def stages(path: Path, encoded: list[bytes], batch: int, rounds: int) -> dict[str, float]:
    """Measure the stages of loading photographs, in milliseconds an image."""
    file = safe_open(str(path), framework="numpy")
    stored, ends = file.get_slice("bytes"), file.get_tensor("offsets").tolist()
    spans = PASSES * list(pairwise(ends))
    whole = PASSES * [decode(one) for one in encoded]
    transform = training_transform(LARGE, SIZE, MEAN, STD)
    crop, *changes = transform.steps
    crops = [crop(image) for image in whole]
    batches = [crops[start : start + batch] for start in range(0, len(crops), batch)]

    def augment(image: Image.Image) -> None:
        for change in changes:
            image = change(image)

    work = {
        "read": lambda: (stored[start:end].tobytes() for start, end in spans),
        "decode": lambda: map(decode, PASSES * encoded),
        "crop": lambda: map(crop, whole),
        "flip, RandAugment": lambda: map(augment, crops),
        "normalise": lambda: map(transform.normalise.images, batches),
    }
    return {stage: fastest(run, len(whole), rounds) for stage, run in work.items()}


def from_disk(encoded: list[bytes], folder: Path) -> Listed:
    """Prepare pictures, none of which stays decoded in memory: real sets do not fit there."""
    with mock.patch.object(images, "KEPT_BYTES", 0):
        return prepared(encoded, folder)


def photographs(width: int, height: int, count: int, batch: int, rounds: int) -> dict:
    """Measure the loader of ViT-B/32 on photographs."""
    encoded = pictures(width, height, count, "JPEG")
    transform = training_transform(LARGE, SIZE, MEAN, STD)
    before = create_transform(
        SIZE, True, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), hflip=0.5, color_jitter=None,
        auto_augment=RANDAUGMENT, interpolation="random", mean=MEAN, std=STD,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        items = from_disk(encoded, Path(folder))
        return {
            "kilobytes": round(sum(map(len, encoded)) / count / 1000),
            "stages": stages(items.images.path, encoded, batch, rounds),
            "before": loading(Files(encoded), before, batch, rounds),
            "exact": loading(items, transform, batch, rounds),
        }


def cifar(rounds: int) -> dict:
    """Measure the loader of ResNet-18 on images of 32 pixels, which all are in memory."""
    width, height, count, batch = CIFAR
    with tempfile.TemporaryDirectory() as folder:
        items = prepared(pictures(width, height, count, "PNG"), Path(folder))
        transform = training_transform(SMALL, width, *PLAIN)
        return {
            "before": loading(OneByOne(items), transform, batch, rounds),
            "exact": loading(items, transform, batch, rounds),
        }


def markdown(record: dict) -> str:
    """Describe the record."""
    shown = record["photographs"]
    return f"""\
Loading training images on one core, by `benchmarks/loader.py`, in processor time; the
fastest of {record["rounds"]} rounds. {machine_of(record)} {record["note"]}
Photographs are cropped to {SIZE} pixels for ViT-B/32 (`{RANDAUGMENT}`, random
interpolation).

{_stages(shown)}

Images a second and core; `before` takes each image by itself through timm's own
transform, and gives the bits of `exact`. Eight cores are eight times one.

{_rates({**shown, "CIFAR-10": record["cifar"]})}"""


def _stages(shown: dict) -> str:
    """Tabulate the stages of loading photographs."""
    heads = [f"{name}, {one['kilobytes']} kB" for name, one in shown.items()]
    lines = [f"| ms an image | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    for stage in next(iter(shown.values()))["stages"]:
        cells = [f"{one['stages'][stage]:.2f}" for one in shown.values()]
        lines.append(f"| {stage} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _rates(loaders: dict) -> str:
    """Tabulate the images a second."""
    lines = [
        "| images | before | `exact` | eight cores, `exact` | asked of eight |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, one in loaders.items():
        cells = [one["before"], one["exact"], 8 * one["exact"]]
        asked = f"{ASKED[name]:,}" if name in ASKED else ""
        lines.append(f"| {name} | {' | '.join(f'{cell:,.0f}' for cell in cells)} | {asked} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=9)
    words.add_argument("--note", default="", help="what else the page should say")
    options = words.parse_args()
    rounds = options.rounds
    torch.set_num_threads(1)
    record = {"machine": machine(), "note": options.note, "rounds": rounds, "photographs": {}}
    for name, case in PHOTOGRAPHS.items():
        record["photographs"][name] = photographs(*case, rounds)
        print(name, record["photographs"][name], flush=True)
    record["cifar"] = cifar(rounds)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "loader", markdown(record))


if __name__ == "__main__":
    main()
