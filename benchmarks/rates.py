"""Images per second of networks on this machine, on images of noise.

A network trains by the loop and the recipe of fine-tuning, and passes images as evaluation does. No
data set is needed: the images lie in memory, so loading them comes on top, see `estimates`.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import accuracy, predict
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import ImageEncoder, freeze, image_tower
from negmerge.models.devices import deterministic, tuned
from negmerge.settings.compute import Compute
from negmerge.settings.experiment import Experiment
from negmerge.settings.recipe import Recipe
from negmerge.settings.study import Study
from negmerge.training import fit

# What is measured hardly depends on how many classes there are.
CLASSES = 100
# Steps before the clock starts: on a GPU, kernels are chosen there.
WARM_UP = {"cpu": 1, "cuda": 3}
# On the CPU processor time, which other programs on the machine change little.
CLOCKS = {"cpu": time.process_time, "cuda": time.perf_counter}
# On the CPU, where a batch of a large network may take minutes, a step should take at most this
# share of the seconds; an image takes about as long in a smaller batch.
STEP_SHARE = 0.2
# More steps than are ever taken.
STEPS = 10**9


@dataclass(frozen=True)
class Network:
    """A network as an experiment fine-tunes and evaluates it."""

    title: str
    row: Mapping  # of `config/models.yaml`
    recipe: Recipe
    passed: int  # images in a pass of evaluation
    frozen: str  # as for `models.clip.freeze`

    def build(self) -> tuple[nn.Module, Tensor | None]:
        """Return the network with random weights, and a head if it is CLIP's image encoder."""
        if "kind" in self.row["architecture"]:
            return build_classifier(self.row, CLASSES), None
        network, size = ImageEncoder(image_tower(self.row)), self.row["size"]
        features = network(torch.zeros(1, 3, size, size)).shape[1]
        return network, functional.normalize(torch.randn(CLASSES, features), dim=1)


def networks_of(study: Study) -> dict[str, Network]:
    """Return the networks of a study by model, each as the first of its experiments has it."""
    found: dict[str, Network] = {}
    for experiment in study.experiments.values():
        if study.catalogue.models[experiment.model].reads_text:
            continue  # Texts differ in length, so no number of them a second says much.
        found.setdefault(experiment.model, _network(experiment, study))
    return found


def _network(experiment: Experiment, study: Study) -> Network:
    given = experiment.finetune.model_dump() if experiment.finetune else {}
    recipe = Recipe.model_validate(given | {"epochs": 1})
    row = study.catalogue.models[experiment.model].model_dump()
    return Network(experiment.model, row, recipe, experiment.eval_batch_size, experiment.freeze)


def measure(
    network: Network, compute: Compute, device: torch.device, seconds: float
) -> tuple[float, float, float | None]:
    """Measure the images that a network trains on and passes in a second; the CPU uses one thread.

    Half of the seconds go to training and half to evaluation, beside the steps before the clock
    starts. The third number is the megabytes of a GPU that were in use at most; None on the CPU.

    Raises:
        UserError: a batch does not fit into the memory of a GPU.
    """
    deterministic(device)
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        train, evaluate = _rates(network, compute, device, seconds / 2)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{network.title}: batches of {network.recipe.batch_size} to train and "
            f"{network.passed} to evaluate do not fit into the memory of {device}"
        ) from error
    peak = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
    return train, evaluate, peak


def _rates(
    network: Network, compute: Compute, device: torch.device, seconds: float
) -> tuple[float, float]:
    built, head = network.build()
    built = tuned(built.to(device), compute)
    head = head if head is None else head.to(device)
    freeze(built, network.frozen)
    recipe, size = network.recipe, network.row["size"]
    most = _most(built, size, device, seconds)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(predict(built, head, images), labels)

    training = _Again(min(recipe.batch_size, most), size, device, seconds)
    fit(built, training, STEPS, loss, recipe, device, _silent, fused=compute.fused)
    train = training.rate()
    passing = _Again(min(network.passed, most), size, device, seconds)
    accuracy(built, head, passing, device)
    return train, passing.rate()


@torch.no_grad()
def _most(network: nn.Module, size: int, device: torch.device, seconds: float) -> int:
    """Return how many images a batch should have at most, by the time that one takes."""
    if device.type == "cuda":
        return STEPS
    image = torch.rand(1, 3, size, size)
    network.eval()(image)
    start = time.process_time()
    network(image)
    # A training step takes about three times as long as a pass; batch statistics need two images.
    return max(2, int(STEP_SHARE * seconds / 3 / (time.process_time() - start)))


class _Again:
    """A batch of noise again and again, for some seconds after the first few times."""

    def __init__(self, images: int, size: int, device: torch.device, seconds: float):
        self._batch = torch.rand(images, 3, size, size), torch.randint(CLASSES, (images,))
        if device.type == "cuda":
            self._batch = tuple(part.pin_memory() for part in self._batch)
        self._device, self._seconds, self._count = device, seconds, 0
        self._clock = CLOCKS[device.type]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(WARM_UP[self._device.type]):
            yield self._batch
        self._wait()
        self._start = self._clock()
        while not self._count or self._clock() < self._start + self._seconds:
            self._count += len(self._batch[0])
            yield self._batch

    def rate(self) -> float:
        """Return the images per second, once all work on them is done."""
        self._wait()
        return self._count / (self._clock() - self._start)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _silent(line: str) -> None:
    """Report nothing of the training."""
