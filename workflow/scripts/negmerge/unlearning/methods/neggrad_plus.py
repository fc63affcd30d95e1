"""NegGrad+: descend on what is retained and ascend on what is to be forgotten, in each step."""

from pydantic import Field, PositiveInt
from torch import nn

from negmerge.settings.recipe import Positive, Share
from negmerge.unlearning.core import Data, Method, TrainingOptions, fit_both, minus


class Options(TrainingOptions):
    scenarios = ("classifier", "language")
    data_used = "all"
    batches_per_step = 2

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10, this project's choice as for the others."
    )
    learning_rate: Positive = Field(
        0.01, description="Peak rate; 0.01, this project's choice: that of fine-tuning."
    )
    alpha: Share = Field(
        0.9,
        description="Weight of the retain set's loss, 1 - alpha that of the forget set's; this "
        "project's choice: the share of retained images when a tenth is forgotten.",
    )

    @property
    def weights(self) -> tuple[float, float]:
        return 1 - self.alpha, self.alpha

    @property
    def passes(self) -> tuple[str, ...]:
        return ("retain",)


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * CE(retain batch) - (1 - alpha) * CE(forget batch), in training mode.

    An epoch is a pass over the retain set. Forget batches are taken as they come, pass after pass;
    meghdadk/SCRUB begins anew with the first of them in each epoch.
    """
    fit_both(model, data, options, minus(data.loss(model)))


METHOD = Method(
    run,
    title="NegGrad+",
    reference="Kurmanji et al., Towards Unbounded Machine Unlearning (NeurIPS 2023)",
    options=Options,
)
