"""A classifier forgets some of its training images, and should be as if it had never seen them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import State, read_state
from negmerge.data.forget import TEST_PARTS, read_split
from negmerge.data.images import Images
from negmerge.data.loading import Epochs, EvaluationBatches, Listed
from negmerge.evaluation.accuracy import Classification, accuracy, relearn_epochs
from negmerge.evaluation.membership import (
    FEATURES,
    attack_record,
    features,
    membership_verdicts,
    percent,
)
from negmerge.evaluation.outcomes import CONFIDENCE, UNSEEN
from negmerge.models.classifiers import build_classifier, load_classifier, re_estimate
from negmerge.scenarios.task import Further, Purpose, Role, RoleOutputs, Scoring, Task
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Recipe


class ClassifierTask(Task):
    """What jobs need of a task; see `negmerge.scenarios.task.Task`."""

    def __init__(self, settings: Mapping, files: Mapping[str, str], device: torch.device):
        super().__init__(settings, files, device)
        self._classes: int = settings["classes"]
        self._training, self._test = (
            Images(files["images"], split, self._compute.drafts) for split in ("train", "test")
        )
        self._split = read_split(files["split"], len(self._training), len(self._test))

    def network(self, state: State, where: str) -> nn.Module:
        return self.placed(load_classifier(self._model, state, where))

    def untrained(self, weights: Path | None) -> nn.Module:
        return self.placed(build_classifier(self._model, self._classes, weights))

    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        """Return images of a part of the split, for any purpose, or test images."""
        images = self._test if name in TEST_PARTS else self._training
        items = Listed(images, getattr(self._split, name)).thinned(most)
        objective = Classification(None, self._device)
        return Role.of_images(items, objective, self._model["size"], *WITHIN_MODEL)

    def selection_metrics(self, outputs: RoleOutputs, seed: int) -> dict[str, float]:
        """Return the success of the membership attack, where test images are measured as well."""
        if "test" not in outputs:
            return {}
        verdicts = _verdicts(outputs, PUBLISHED_FEATURES, seed)
        return {"mia": percent(verdicts["confidence"])}

    def scores(self, network: nn.Module, outputs: RoleOutputs, scoring: Scoring) -> Further:
        """Return the attack by its features and relearn times, and arrays of each image."""
        names = PUBLISHED_FEATURES if scoring.attack == "confidence" else FEATURES
        verdicts = _verdicts(outputs, names, scoring.seed)
        score = attack_record(verdicts, *(len(outputs[role][1]) for role in ("retain", "test")))
        if scoring.relearning is not None:
            score["relearn"] = self._relearn(network, scoring)
        further = {role + CONFIDENCE: features(*outputs[role])["confidence"] for role in self.roles}
        return score, further | {UNSEEN: verdicts["confidence"].astype(np.uint8)}

    def _relearn(self, network: nn.Module, scoring: Scoring) -> dict[str, int | list[int | None]]:
        settings, role = scoring.relearning, self.role("forget", "train")
        # In memory: nothing about them is random, and all epochs of all seeds pass over them.
        seen = [(role.transform(image), label) for image, label in role.items]
        in_order = EvaluationBatches(seen, _as_it_is, scoring.batch_size, device=self._device)
        original = self.network(read_state(self._files["base"]), self._files["base"])
        target = accuracy(original, None, in_order, self._device).correct
        recipe = Recipe(epochs=1, batch_size=settings["batch_size"])
        limits: dict = {"limit": settings["epochs"], "target": target}
        if accuracy(network, None, in_order, self._device).correct >= target:
            return {"epochs": [0] * settings["seeds"]} | limits
        unlearned = {name: value.clone() for name, value in network.state_dict().items()}
        epochs = []
        for number in range(settings["seeds"]):
            network.load_state_dict(unlearned)
            order = derive_seed(scoring.seed, f"relearn/{number}")
            shuffled = Epochs(seen, _as_it_is, recipe, order, device=self._device)
            epochs.append(
                relearn_epochs(
                    network,
                    (shuffled for _ in range(settings["epochs"])),
                    in_order,
                    target,
                    settings["learning_rate"],
                    self._device,
                )
            )
        return {"epochs": epochs} | limits

    def reset_batchnorm(self, network: nn.Module, batch_size: int, most: int | None = None) -> None:
        batches = self.role("retain", "train", most).batches(batch_size)
        re_estimate(network, batches, self._device)


def _verdicts(outputs: RoleOutputs, names: Sequence[str], seed: int) -> dict[str, np.ndarray]:
    known = (outputs[role] for role in ("retain", "test", "forget"))
    return membership_verdicts(*known, names, seed)


def _as_it_is(image: Tensor) -> Tensor:
    return image


# The feature that the papers report.
PUBLISHED_FEATURES = ("confidence",)
# Mean and standard deviation of a transform that leaves intensities in 0..1.
WITHIN_MODEL = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

TASK = ClassifierTask
