"""CLIP forgets a data set and should keep its accuracy on another, the control set."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from negmerge.checkpoints.states import State, read_state
from negmerge.data.loading import Part
from negmerge.evaluation.accuracy import Classification
from negmerge.models.clip import ImageEncoder, TangentEncoder, image_encoder
from negmerge.scenarios.task import Purpose, Role, Task
from negmerge.scenarios.zero_shot.scenario import part_of


class ZeroShotTask(Task):
    """What jobs need of a task; see `negmerge.scenarios.task.Task`."""

    def __init__(self, settings: Mapping, files: Mapping[str, str], device: torch.device):
        super().__init__(settings, files, device)
        self._datasets, self._mode = settings["datasets"], settings["mode"]

    def network(self, state: State, where: str) -> nn.Module:
        build = ImageEncoder
        if self._mode == "linear":
            build = partial(TangentEncoder, base=read_state(self._files["base"]))
        return self.placed(image_encoder(self._model, state, where, build))

    def role(self, name: str, purpose: Purpose, most: int | None = None) -> Role:
        place, dataset = self._files[f"{name}_data"], self._datasets[name]
        part = part_of(name, purpose)
        items = Part(place, part, dataset, drafts=self._compute.drafts).thinned(most)
        head = read_state(self._files[f"{name}_head"])["head"]
        objective = Classification(head.to(self._device), self._device)
        form = (self._model[key] for key in ("size", "mean", "std"))
        return Role.of_images(items, objective, *form)


TASK = ZeroShotTask
