"""The numbers behind estimates, read from `config/costs.yaml`, each with where it comes from."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from negmerge.settings.recipe import Positive, Settings
from negmerge.settings.yaml12 import read_yaml


class Assumption(Settings):
    """A number, and its source or the word `estimate`."""

    value: Positive = Field(description="The number.")
    source: str = Field(min_length=8, description="Who measured it, or `estimate` and why.")


class Device(Settings):
    """A machine that computes one job."""

    title: str = Field(description="What it is.")
    flops: Assumption = Field(description="Floating point operations per second, sustained.")
    start: Assumption = Field(description="Seconds that every job takes before it computes.")


class Devices(Settings):
    """Where jobs compute."""

    cuda: Device = Field(description="One GPU.")
    cpu: Device = Field(description="One core.")


class Loading(Settings):
    """Seconds that one process takes to read, decode and transform an image."""

    per_image: Assumption = Field(description="Seconds for any image.")
    per_pixel: Assumption = Field(description="Seconds for each pixel of the model's input.")


class Limit(Settings):
    """How many minutes a job may take: minutes to start, and the estimate times a margin."""

    margin: Assumption = Field(description="What the estimate is multiplied by.")
    start: Assumption = Field(description="Minutes beside it.")


class Unknown(Settings):
    """What is assumed for an unknown size: generous, and a plan says where."""

    gflop: Assumption = Field(description="Of a model, and its text part.")
    megabytes: Assumption = Field(description="Of a model, and its text part.")
    file_bytes: Assumption = Field(description="Of a file to fetch.")
    image_bytes: Assumption = Field(description="Of an image as it is kept.")


class Rates(Settings):
    """What a network was measured to do in a second; see `planning.measuring`."""

    training: Positive = Field(description="Images in training steps.")
    evaluation: Positive = Field(description="Images in passes.")
    megabytes: Positive | None = Field(None, description="Of a GPU's memory; null: on the CPU.")


class Costs(Settings):
    """All of `config/costs.yaml`."""

    devices: Devices = Field(description="By the names that studies use.")
    training: Assumption = Field(description="A training step, in forward passes.")
    linear: Assumption = Field(description="A linearised network, in networks.")
    pruned: Assumption = Field(description="A pruned search, as a share of whole sweeps.")
    loading: Loading = Field(description="How long images take.")
    weights: Assumption = Field(description="Bytes per second of weights read or written.")
    archives: Assumption = Field(description="Bytes per second of archives read.")
    network: Assumption = Field(description="Bytes per second from the internet.")
    limit: Limit = Field(description="What a job may take.")
    unknown: Unknown = Field(description="Where a size is not known.")
    image_bytes: dict[str, Assumption] = Field({}, description="Bytes of a kept image by data set.")
    rates: dict[str, Rates] = Field(
        {}, description="Of the networks of experiments, where they were measured."
    )


def load_costs(config: str | Path, rates: Mapping[str, Mapping] | None = None) -> Costs:
    """Read the numbers from a configuration folder.

    Args:
        config: the folder.
        rates: what was measured by experiment, in place of assumptions.

    Raises:
        UserError: no such file, or what is wrong in it, in one line.
    """
    costs = read_yaml(Path(config) / "costs.yaml", Costs)
    measured = {name: Rates.model_validate(dict(one)) for name, one in (rates or {}).items()}
    return costs.model_copy(update={"rates": costs.rates | measured})
