"""The rates behind estimates, read from `config/costs.yaml`, which says what each means."""

from typing import Literal

from pydantic import model_validator

from negmerge.settings.catalogue import Cost
from negmerge.settings.load import Folders, find_file, read_yaml
from negmerge.settings.recipe import Positive, Settings


class Device(Settings):
    """A machine that computes one job: operations per second, and seconds until a job computes."""

    title: str
    flops: dict[Literal["fp32", "tf32", "bf16"], Positive]
    start: Positive


class Processes(Settings):
    """The bytes of a job's processes, beside what follows from its study."""

    process: Positive
    loader: Positive
    cuda: Positive
    gpu: Positive
    unknown: Positive


class Costs(Settings):
    devices: dict[str, Device]
    language: Positive
    training: Positive
    unlearning: Positive
    linear: Positive
    generation: Positive
    move: Positive
    pruned: Positive
    attack: dict[Literal["confidence", "all"], Positive]
    image: Positive
    pixel: Positive
    weights: Positive
    archives: Positive
    network: Positive
    margin: Positive
    minutes: Positive
    memory: Processes
    unknown_model: Cost
    unknown_file: Positive
    unknown_image: Positive
    image_bytes: dict[str, Positive]

    @model_validator(mode="after")
    def _complete(self):
        wanted = {"devices": ("cpu", "cuda"), "attack": ("confidence", "all")}
        for key, names in wanted.items():
            for name in names:
                if name not in getattr(self, key):
                    raise ValueError(f"the key {key}.{name} is missing")
        return self


def load_costs(config: Folders) -> Costs:
    """Read the rates from the first configuration folder that has them."""
    return read_yaml(find_file(config, "costs.yaml"), Costs)
