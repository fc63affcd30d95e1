"""Measure what it costs to save the state of a training run, and to go on from it.

    python benchmarks/resume.py [--rounds 3]

Trains a ResNet-18 and a ViT-B/32 with AdamW on fabricated pictures. In each round the run is ended
by SIGTERM after a few steps, so that it saves its state, and goes on from it. Writes
benchmarks/resume.json and, as Markdown, what stands between the `resume` marks of
docs/dev/measurements.md.
"""

import argparse
import json
import signal
import statistics
import tempfile
import time
from pathlib import Path

import torch
from fabricated import CLASSES, pictures, prepared
from marks import MEASUREMENTS, ROOT, machine, machine_of, write_between
from torch import Tensor, nn
from torch.nn import functional

from negmerge.data.augmentation import training_transform
from negmerge.data.loading import TrainingBatches
from negmerge.errors import UserError
from negmerge.jobs.resuming import RATIO, SECONDS, SavedState
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import build_clip
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.training import fit

RECORD = ROOT / "benchmarks" / "resume.json"
CPU = torch.device("cpu")
BATCH = 8
# Steps from one end of the run to the next.
STEPS = 3
MODELS = ("ResNet-18", "ViT-B-32")


class Timed(SavedState):
    """A saved state that notes the seconds of each step, and ends the run after a few."""

    def __init__(self, path: Path):
        super().__init__(path, "benchmark", report=lambda line: None)
        self.steps: list[float] = []
        self.restoring = self.saving = 0.0

    def restore(self, *run) -> int:
        """Time it."""
        start = time.perf_counter()
        done = super().restore(*run)
        self.restoring = time.perf_counter() - start
        self._last = time.perf_counter()
        return done

    def after_step(self, *run) -> None:
        """Time it, and end the run after `STEPS` steps."""
        start = time.perf_counter()
        self.steps.append(start - self._last)
        if len(self.steps) == STEPS:
            signal.raise_signal(signal.SIGTERM)
        try:
            super().after_step(*run)
        finally:
            self._last = time.perf_counter()
            self.saving = self._last - start


def build(row: dict) -> nn.Module:
    """Return a network with new weights that gives a few logits."""
    if "kind" in row["architecture"]:
        return build_classifier(row, CLASSES)
    return build_clip(row).visual


def measure(row: dict, rounds: int, folder: Path) -> dict:
    """Train in rounds; the medians, in seconds."""
    size = row["size"]
    encoded = pictures(BATCH * STEPS * (rounds + 2), size, size, "PNG")
    recipe = Recipe(epochs=1, batch_size=BATCH, augmentation=Augmentation(crop_scale=None))
    transform = training_transform(recipe.augmentation, size, row["mean"], row["std"])
    batches = TrainingBatches(prepared(encoded, folder), transform, recipe, 0)
    path = folder / ".state.pt"
    steps, saving, restoring = [], [], []
    for number in range(rounds + 1):
        network, saved = build(row), Timed(path)

        def loss(images: Tensor, labels: Tensor, network: nn.Module = network) -> Tensor:
            return functional.cross_entropy(network(images), labels)

        try:
            fit(network, batches, len(batches), loss, recipe, CPU, lambda line: None, saved=saved)
        except UserError as error:
            print(error, flush=True)
        # The first step of a process takes longer, and the first round restores nothing.
        steps += saved.steps[1:]
        saving.append(saved.saving)
        restoring += [saved.restoring] if number else []
    save = statistics.median(saving)
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "state_mb": round(path.stat().st_size / 1e6),
        "step_s": round(statistics.median(steps), 3),
        "save_s": round(save, 3),
        "restore_s": round(statistics.median(restoring), 3),
        "share_percent": round(100 * save / (save + max(SECONDS, RATIO * save)), 3),
    }


def markdown(record: dict) -> str:
    """Describe the record."""
    lines = [
        "Saving the state of a run with AdamW and going on from it, on two CPU threads, by",
        f"`benchmarks/resume.py`. A state is saved every {SECONDS / 60:.0f} minutes, or "
        f"{RATIO:.0f} times as rarely as it takes,",
        f"whichever is rarer, so never more than {100 / (RATIO + 1):.1f} % of the time goes to it.",
        "",
        "| model | parameters | state, MB | save, s | share of training, % | go on, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, found in record["models"].items():
        lines.append(
            f"| {name} | {found['parameters']:,} | {found['state_mb']} | {found['save_s']:.2f} | "
            f"{found['share_percent']:.2f} | {found['restore_s']:.2f} |"
        )
    lines += [
        "",
        "To go on is to read and put back the state; the start of the job comes on top.",
        f"Medians of the rounds of one run. {machine_of(record)}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the record and the page."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rounds", type=int, default=3)
    options = words.parse_args()
    torch.set_num_threads(2)
    models = load_catalogue(ROOT / "config").models
    record: dict = {"machine": machine(), "models": {}}
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            record["models"][name] = measure(
                models[name].model_dump(), options.rounds, Path(folder)
            )
        print(name, record["models"][name], flush=True)
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "resume", markdown(record))


if __name__ == "__main__":
    main()
