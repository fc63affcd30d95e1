"""IdkNLL: learn to say "I don't know" to the questions that are to be forgotten."""

from torch import Tensor, nn

from negmerge.unlearning.core import Balanced, Data, Method, fit_both


class Options(Balanced):
    refusals = True


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise gamma * loss(refusals of the forget batch) + alpha * loss(retain batch)."""
    loss = data.loss(model)

    def refuse(ids: Tensor, labels: Tensor) -> Tensor:
        return loss(ids[:, 1], labels[:, 1])

    fit_both(model, data, options, refuse, forget=data.refusals)


METHOD = Method(
    run,
    title="IdkNLL",
    reference="Maini et al., TOFU (COLM 2024), preference optimisation by refusals alone",
    options=Options,
)
