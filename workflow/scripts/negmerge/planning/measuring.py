"""Images per second of a study's networks on this machine, on images of noise.

A network trains by the loop and the recipe of fine-tuning, and passes images as evaluation does. No
data set is needed: the images lie in memory, so loading them comes on top, see `estimates`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.devices import deterministic, tuned
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import accuracy, predict
from negmerge.models.classifiers import build_classifier
from negmerge.models.freezing import freeze
from negmerge.models.image_encoder import ImageEncoder, image_tower
from negmerge.models.tangent import TangentEncoder
from negmerge.settings.compute import Compute
from negmerge.settings.costs import Rates
from negmerge.settings.experiment import Experiment
from negmerge.settings.recipe import Recipe
from negmerge.settings.study import Study
from negmerge.training import fit

# What is measured does not depend on how many classes there are.
CLASSES = 100
# Steps before the clock starts: on a GPU, kernels are chosen there.
WARM_UP = {"cpu": 1, "cuda": 3}
# On the CPU, where a batch of a large network may take minutes, a step should take at most this
# share of the seconds; an image takes about as long in a smaller batch.
STEP_SHARE = 0.2
# More steps than are ever taken.
STEPS = 10**9


@dataclass(frozen=True)
class Network:
    """A network as an experiment fine-tunes and evaluates it.

    Attributes:
        row: of `config/models.yaml`.
        title: what errors and pages call it.
        recipe: how it is trained.
        passed: images in a pass of evaluation.
        mode: `linear` in the tangent space of CLIP's image encoder, else `standard`.
        frozen: as for `models.freezing.freeze`.
    """

    row: Mapping
    title: str
    recipe: Recipe
    passed: int = 500
    mode: str = "standard"
    frozen: str = "nothing"

    def build(self) -> tuple[nn.Module, Tensor | None]:
        """Return the network with random weights, and a head if it is CLIP's image encoder."""
        if "kind" in self.row["architecture"]:
            return build_classifier(self.row, CLASSES), None
        network = ImageEncoder(image_tower(self.row))
        if self.mode == "linear":
            network = TangentEncoder(network.visual, network.state_dict())
        size = self.row["size"]
        features = network(torch.zeros(1, 3, size, size)).shape[1]
        return network, functional.normalize(torch.randn(CLASSES, features), dim=1)


def measure_study(
    study: Study, device: torch.device, seconds: float, report: Callable[[str], None]
) -> dict[str, Rates]:
    """Measure the networks of a study's experiments, equal ones once.

    Args:
        study: the study.
        device: where to measure; on the CPU one thread computes, as in most jobs.
        seconds: for training, and for evaluation.
        report: takes a line for each network.

    Returns:
        The rates by experiment.

    Raises:
        UserError: as `measure`.
    """
    found: dict[str, Rates] = {}
    known: list[tuple[Network, Rates]] = []
    for name, experiment in study.experiments.items():
        network = network_of(experiment, study)
        rates = next((rates for other, rates in known if _alike(other, network)), None)
        if rates is None:
            rates = measure(network, study.compute, device, seconds)
            known.append((network, rates))
            report(f"measured {name}: {rates.training:.3g} images/s in training")
        found[name] = rates
    return found


def network_of(experiment: Experiment, study: Study) -> Network:
    """Return the network of an experiment."""
    recipe = experiment.finetune and experiment.finetune.model_dump(exclude={"epochs"})
    return Network(
        study.catalogue.models[experiment.model].model_dump(),
        experiment.model,
        Recipe.model_validate({**(recipe or {}), "epochs": 1}),
        experiment.eval_batch_size,
        getattr(experiment, "mode", "standard"),
        experiment.freeze,
    )


def _alike(one: Network, other: Network) -> bool:
    """Whether two networks take the same time: the images' augmentation is not measured."""
    plain = {"augmentation": None}
    one, other = (replace(n, recipe=n.recipe.model_copy(update=plain)) for n in (one, other))
    return one == other


def measure(network: Network, compute: Compute, device: torch.device, seconds: float) -> Rates:
    """Measure how many images a second a network trains on and passes.

    Args:
        network: what to measure.
        compute: how it is computed.
        device: where.
        seconds: for training, and again for evaluation, beside a few steps before the clock starts.

    Raises:
        UserError: a batch does not fit into the memory of a GPU.
    """
    deterministic(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        built, head = network.build()
        built = tuned(built.to(device), compute)
        head = head if head is None else head.to(device)
        freeze(built, network.frozen)
        recipe, size = network.recipe, network.row["size"]
        most = _most(built, size, device, seconds)
        training = _Again(min(recipe.batch_size, most), size, device, seconds)

        def loss(images: Tensor, labels: Tensor) -> Tensor:
            return functional.cross_entropy(predict(built, head, images), labels)

        fit(built, training, STEPS, loss, recipe, device, _silent, fused=compute.fused)
        rate = training.rate()
        evaluation = _Again(min(network.passed, most), size, device, seconds)
        accuracy(built, head, evaluation, device)
        return Rates(training=rate, evaluation=evaluation.rate(), megabytes=_peak(device))
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{network.title}: batches of {network.recipe.batch_size} to train and "
            f"{network.passed} to evaluate do not fit into the memory of {device}"
        ) from error


@torch.no_grad()
def _most(network: nn.Module, size: int, device: torch.device, seconds: float) -> int:
    """Return how many images a batch should have at most, by the time that one takes."""
    if device.type == "cuda":
        return STEPS
    image = torch.rand(1, 3, size, size)
    network.eval()(image)
    start = time.perf_counter()
    network(image)
    # A training step takes about three times as long as a pass; batch statistics need two images.
    return max(2, int(STEP_SHARE * seconds / 3 / (time.perf_counter() - start)))


class _Again:
    """A batch of noise again and again, for some seconds after the first few times."""

    def __init__(self, images: int, size: int, device: torch.device, seconds: float):
        self._batch = torch.rand(images, 3, size, size), torch.randint(CLASSES, (images,))
        if device.type == "cuda":
            self._batch = tuple(part.pin_memory() for part in self._batch)
        self._device, self._seconds, self._count = device, seconds, 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(WARM_UP[self._device.type]):
            yield self._batch
        self._wait()
        self._start = time.perf_counter()
        while not self._count or time.perf_counter() < self._start + self._seconds:
            self._count += len(self._batch[0])
            yield self._batch

    def rate(self) -> float:
        """Return the images per second, once all work on them is done."""
        self._wait()
        return self._count / (time.perf_counter() - self._start)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _peak(device: torch.device) -> float | None:
    """Return the most memory of a GPU that was in use, in megabytes."""
    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None


def _silent(line: str) -> None:
    """Report nothing of the training."""
