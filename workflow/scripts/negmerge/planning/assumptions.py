"""The numbers that a plan assumes, read from `config/costs.yaml`, each with where it comes from."""

from pathlib import Path

from pydantic import Field

from negmerge.settings.recipe import Positive, Settings
from negmerge.settings.yaml_files import read_yaml


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


class Assumptions(Settings):
    """All of `config/costs.yaml`."""

    devices: Devices = Field(description="By the names that studies use.")
    training: Assumption = Field(description="A training step, in forward passes.")
    linear: Assumption = Field(description="A linearised network, in networks.")
    pruned: Assumption = Field(description="A pruned search, as a share of whole sweeps.")
    loading: Loading = Field(description="How long images take.")
    weights: Assumption = Field(description="Bytes per second of weights read or written.")
    archives: Assumption = Field(description="Bytes per second of archives read.")
    network: Assumption = Field(description="Bytes per second from the internet.")
    image_bytes: dict[str, Assumption] = Field({}, description="Bytes of a kept image by data set.")

    def load_seconds(self, size: int) -> float:
        """Give the seconds that an image of `size` x `size` pixels takes one loader process."""
        return self.loading.per_image.value + size * size * self.loading.per_pixel.value


def load_assumptions(config: str | Path) -> Assumptions:
    """Read the assumptions from a configuration folder.

    Raises:
        UserError: no such file, or what is wrong in it, in one line.
    """
    return read_yaml(Path(config) / "costs.yaml", Assumptions)
