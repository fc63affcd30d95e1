"""The numbers behind estimates, read from `config/costs.yaml`, each with where it comes from."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from negmerge.settings.load import Folders, find_file, read_yaml
from negmerge.settings.recipe import Positive, Settings


class Assumption(Settings):
    """A number, and its source or the word `estimate`."""

    value: Positive = Field(description="The number.")
    source: str = Field(min_length=8, description="Who measured it, or `estimate` and why.")


class Rate(Settings):
    """Images of a network per second."""

    train: Positive = Field(description="In training steps.")
    evaluate: Positive = Field(description="In passes without gradients.")
    source: str = Field(min_length=8, description="Who measured it.")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="The `precision` of `compute` for which it holds."
    )


# By device and model, the keys of `Rate`.
Measured = Mapping[str, Mapping[str, Mapping]]


class Flops(Settings):
    """Floating point operations per second, sustained, by the `precision` of `compute`."""

    fp32: Assumption = Field(description="In float32.")
    tf32: Assumption | None = Field(None, description="null: as fp32.")
    bf16: Assumption | None = Field(None, description="null: as fp32.")


class Device(Settings):
    """A machine that computes one job."""

    title: str = Field(description="What it is.")
    flops: Flops = Field(description="Of networks whose rate is not known.")
    rates: dict[str, Rate] = Field({}, description="By model, where measured: instead of `flops`.")
    start: Assumption = Field(description="Seconds that every job takes before it computes.")


class Attack(Settings):
    """Seconds of a core for each pair of images that the membership attack learns from."""

    confidence: Assumption = Field(description="By the feature that papers report.")
    all: Assumption = Field(description="By all six features.")


class Loading(Settings):
    """Seconds that one process takes to read, decode and transform an image."""

    per_image: Assumption = Field(description="Seconds for any image.")
    per_pixel: Assumption = Field(description="Seconds for each pixel of the model's input.")


class Limit(Settings):
    """How many minutes a job may take: minutes to start, and the estimate times a margin."""

    margin: Assumption = Field(description="What the estimate is multiplied by.")
    start: Assumption = Field(description="Minutes beside it.")


class Memory(Settings):
    """Bytes of a job's processes, beside what follows from its study."""

    process: Assumption = Field(description="A job with torch, and the images that it keeps.")
    loader: Assumption = Field(description="A process that loads images for it.")
    cuda: Assumption = Field(description="CUDA's own, in the memory of the machine.")
    unknown: Assumption = Field(description="All of a job whose model has no `cost`.")
    gpu: Assumption = Field(description="CUDA's own, on the GPU.")


class Unknown(Settings):
    """What is assumed for an unknown size: generous, and a plan says where."""

    gflop: Assumption = Field(description="Of a model, and its text part.")
    megabytes: Assumption = Field(description="Of a model, and its text part.")
    train_megabytes: Assumption = Field(
        description="Kept of an image in training, for each of a model's billion operations."
    )
    pass_megabytes: Assumption = Field(description="Likewise in a pass without gradients.")
    file_bytes: Assumption = Field(description="Of a file to fetch.")
    image_bytes: Assumption = Field(description="Of an image as it is kept.")


class Costs(Settings):
    """All of `config/costs.yaml`."""

    devices: dict[str, Device] = Field(
        description="`cpu`, one core, and `cuda`, one GPU, are those of the jobs' limits; a plan "
        "gives its hours for all."
    )
    training: Assumption = Field(description="A training step, in forward passes.")
    linear: Assumption = Field(description="A linearised network, in networks.")
    generation: Assumption = Field(
        description="What a language model says by itself to a question, in forward passes."
    )
    pruned: Assumption = Field(description="A pruned search, as a share of whole sweeps.")
    attack: Attack = Field(description="How long the membership attack takes.")
    loading: Loading = Field(description="How long images take.")
    weights: Assumption = Field(description="Bytes per second of weights read or written.")
    archives: Assumption = Field(description="Bytes per second of archives read.")
    network: Assumption = Field(description="Bytes per second from the internet.")
    limit: Limit = Field(description="What a job may take.")
    memory: Memory = Field(description="What the processes of a job hold.")
    unknown: Unknown = Field(description="Where a size is not known.")
    image_bytes: dict[str, Assumption] = Field({}, description="Bytes of a kept image by data set.")

    @model_validator(mode="after")
    def _has_both_devices(self):
        for name in ("cpu", "cuda"):
            if name not in self.devices:
                raise ValueError(f"the key devices.{name} is missing")
        return self


def load_costs(config: Folders, measured: Measured | None = None) -> Costs:
    """Read the numbers from a configuration folder.

    Args:
        config: the folder, or several, of which the first that has them goes before the others.
        measured: the rates of models by device, where they were measured anew.

    Raises:
        UserError: no such file, or what is wrong in it, in one line.
    """
    costs = read_yaml(find_file(config, "costs.yaml"), Costs)
    devices = dict(costs.devices)
    for name, rates in (measured or {}).items():
        known = devices[name].rates | {m: Rate.model_validate(dict(r)) for m, r in rates.items()}
        devices[name] = devices[name].model_copy(update={"rates": known})
    return costs.model_copy(update={"devices": devices})
