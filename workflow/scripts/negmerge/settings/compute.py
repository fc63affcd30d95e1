"""How exactly and how fast jobs compute models, as studies write it and `compute` reads it."""

from typing import Literal

from pydantic import Field

from negmerge.settings.recipe import Settings


class Compute(Settings):
    """How models are computed; whatever differs from the defaults changes results a little."""

    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="fp32: 32 bits throughout; tf32: products of matrices and convolutions on an "
        "NVIDIA GPU take 19 bits; bf16: the model's forward pass in bfloat16 as far as torch's "
        "autocast goes; weights, logits, losses and the optimizer stay at 32 bits. Not measured: "
        "no GPU was at hand. The same holds for the other settings here.",
    )
    channels_last: bool = Field(
        False,
        description="Keep filters with the channels last in memory; the convolutional classifiers "
        "do so in any case.",
    )
    compile: bool = Field(
        False, description="Compile the model with torch.compile; needs a C++ compiler or Triton."
    )
    fused: bool = Field(
        False, description="Take each step of fine-tuning and training in one kernel."
    )
