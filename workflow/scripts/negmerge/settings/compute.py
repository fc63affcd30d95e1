"""How exactly and how fast jobs compute models, as studies write it and `compute` reads it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from negmerge.settings.recipe import Settings, advanced

Preset = Literal["exact", "fast"]
# What each preset says of the keys below; what it leaves out has the key's default.
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "exact": {},
    "fast": {
        "precision": "bf16",
        "channels_last": True,
        "fused": True,
        "drafts": True,
        "deterministic": False,
    },
}


class Compute(Settings):
    """How models are computed; whatever differs from `exact` changes results a little."""

    preset: Preset = Field(
        "exact",
        description="Where the keys that are not given come from. exact: the defaults below, the "
        "same bytes each time on one kind of machine; fast: bf16, channels_last, fused, drafts, "
        "not deterministic. Its gain on a GPU was not measured: none was at hand.",
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="fp32: 32 bits throughout; tf32: products of matrices and convolutions on an "
        "NVIDIA GPU take 19 bits; bf16: the model's forward pass in bfloat16 as far as torch's "
        "autocast goes; weights, logits, losses and the optimizer stay at 32 bits.",
    )
    channels_last: bool = advanced(
        False,
        description="Keep filters with the channels last in memory; the convolutional classifiers "
        "do so in any case, but for those with strided layers of fewer than 8 channels.",
    )
    compile: bool = advanced(
        False,
        description="Compile the model with torch.compile; needs a C++ compiler or Triton. No "
        "preset sets it: each job compiles anew, and only a long one gains more time "
        "than that takes.",
    )
    fused: bool = advanced(
        False, description="Take each step of fine-tuning and training in one kernel."
    )
    drafts: bool = advanced(
        False,
        description="Decode a JPEG at the smallest of a half, a quarter and an eighth of its size "
        "that has all the pixels that the model's input needs, and resize crops of it as tensors.",
    )
    deterministic: bool = advanced(
        True,
        description="On a GPU, take only operations that give the same bits each time; a job that "
        "needs another ends with its name. false: take the fastest.",
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_from_the_preset(cls, given: Any) -> Any:
        chosen = given.get("preset", "exact") if isinstance(given, Mapping) else None
        known = isinstance(chosen, str) and chosen in get_args(Preset)
        return {**PRESETS[chosen], **given} if known else given


def _as_keys(given: Preset | Compute) -> Compute:
    return given if isinstance(given, Compute) else Compute(preset=given)


# In a study the name of a preset, or single keys; read as keys.
Chosen = Annotated[Preset | Compute, AfterValidator(_as_keys)]
