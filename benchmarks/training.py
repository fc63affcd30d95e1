"""Measure a fine-tuning step, loader included, against the plain loop of the released code.

    python benchmarks/training.py [--rounds 5]

Both train the same network on the same fabricated pictures with the same augmentation, in turns, on
two threads and without loader processes. The plain loop is written anew in the form of the released
code: torchvision's ImageFolder of files, torch's DataLoader, forward, loss, backward, clipping and
a step of AdamW. Writes benchmarks/training.json and, as Markdown, what stands between the
`training` marks of docs/dev/measurements.md.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from fabricated import CLASSES, pictures, prepared
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from negmerge.data.augmentation import training_transform
from negmerge.data.loading import TrainingBatches
from negmerge.evaluation.accuracy import predict
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import ImageEncoder, build_clip
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.training import fit, learning_rate

RECORD = ROOT / "benchmarks" / "training.json"
RANDAUGMENT = Augmentation(randaugment="rand-m5-n2-mstd0.5", crop_scale=[0.08, 1.0], flip=0.5)
SMALL = Augmentation(crop_scale=None, padding=4, flip=0.5)
CPU = torch.device("cpu")
# Row of config/models.yaml: pictures (width, height, encoding), augmentation, batch, steps a round.
CASES = {
    "ViT-B-32": ((400, 300, "JPEG"), RANDAUGMENT, 8, 20),
    "ResNet-18": ((32, 32, "PNG"), SMALL, 32, 20),
    "mini-clip": ((28, 28, "PNG"), RANDAUGMENT, 64, 30),
}


def build(row: dict) -> tuple[nn.Module, Tensor | None]:
    """Return a network with new weights, and its head if it is CLIP's."""
    if "kind" in row["architecture"]:
        return build_classifier(row, CLASSES), None
    encoder = ImageEncoder(build_clip(row).visual)
    size = encoder(torch.zeros(1, 3, row["size"], row["size"])).shape[1]
    return encoder, 100 * functional.normalize(torch.randn(CLASSES, size), dim=1)


def plain(network, head, folder: Path, transform: Callable, recipe: Recipe, steps: int) -> None:
    """Train as the released code does."""
    loader = DataLoader(ImageFolder(folder, transform), recipe.batch_size, shuffle=True)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.1)
    network.train()
    for step, (images, labels) in enumerate(loader):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe.learning_rate, recipe.warmup_steps, steps)
        optimizer.zero_grad()
        functional.cross_entropy(predict(network, head, images), labels).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def measure(name: str, row: dict, rounds: int, folder: Path) -> dict:
    """Time both loops in turns; the median of the rounds, in seconds a step."""
    (width, height, kind), augmentation, batch, steps = CASES[name]
    encoded = pictures(batch * steps, width, height, kind)
    for number, one in enumerate(encoded):
        place = folder / "files" / str(number % CLASSES) / f"{number}.{kind.lower()}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(one)
    items = prepared(encoded, folder)
    mean, std = (row["mean"], row["std"]) if head_of(row) else ((0.0,) * 3, (1.0,) * 3)
    transform = training_transform(augmentation, row["size"], mean, std)
    recipe = Recipe(epochs=1, batch_size=batch, augmentation=augmentation)
    network, head = build(row)

    def ours() -> None:
        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return functional.cross_entropy(predict(network, head, images), labels)

        batches = TrainingBatches(items, transform, recipe, 0)
        fit(network, batches, len(batches), loss, recipe, CPU, lambda line: None)

    loops = {
        "plain": lambda: plain(network, head, folder / "files", transform, recipe, steps),
        "negmerge": ours,
    }
    seconds: dict[str, list[float]] = {loop: [] for loop in loops}
    for number in range(rounds + 1):
        for loop, run in loops.items():
            start = time.perf_counter()
            run()
            if number:  # The first warms up.
                seconds[loop].append((time.perf_counter() - start) / steps)
    record = {loop: round(statistics.median(found), 4) for loop, found in seconds.items()}
    record["ratio"] = round(record["negmerge"] / record["plain"], 3)
    print(name, record, flush=True)
    return {"batch": batch, "steps": steps, "rounds": rounds} | record


def head_of(row: dict) -> bool:
    """Whether a row is one of CLIP, which leaves the normalisation to the transform."""
    return "kind" not in row["architecture"]


def markdown(record: dict) -> str:
    """Describe the record."""
    (rounds,) = {found["rounds"] for found in record["models"].values()}
    lines = [
        "A step of fine-tuning on two CPU threads, loading and augmenting the images included, by",
        "`benchmarks/training.py`; beside it the plain loop of the released code, written anew, on",
        f"the same pictures. The median of {rounds} rounds, in turns. {machine_of(record)}",
        "",
        "| model | images | here, s | plain loop, s | ratio |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, found in record["models"].items():
        lines.append(
            f"| {name} | {found['batch']} | {found['negmerge']:.3f} | {found['plain']:.3f} | "
            f"{found['ratio']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=5)
    options = words.parse_args()
    torch.set_num_threads(2)
    models = load_catalogue(ROOT / "config").models
    record: dict = {"machine": machine(), "models": {}}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            row = models[name].model_dump()
            record["models"][name] = measure(name, row, options.rounds, Path(folder))
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "training", markdown(record))


if __name__ == "__main__":
    main()
