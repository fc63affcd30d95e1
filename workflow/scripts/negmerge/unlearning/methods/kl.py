"""KL: raise the loss of what is to be forgotten, and stay close to the original on the rest."""

from torch import Tensor, nn
from torch.nn import functional

from negmerge.data.answer_tokens import WITHOUT_LOSS, without_padding
from negmerge.unlearning.core import Balanced, Data, Method, fit_both, frozen_copy, minus


def divergence(logits: Tensor, reference: Tensor, labels: Tensor) -> Tensor:
    """Return KL(reference || model) of logits (n, width, vocabulary), the mean over all places.

    Up to the last token of each answer. open-unlearning averages over the padding, too, which makes
    a batch's loss depend on its longest answer.
    """
    is_text = (labels != WITHOUT_LOSS).flip(1).cumsum(dim=1).flip(1) > 0
    model, fixed = (part[is_text].log_softmax(dim=1) for part in (logits, reference))
    return functional.kl_div(model, fixed, reduction="batchmean", log_target=True)


def run(model: nn.Module, data: Data, options: Balanced) -> None:
    """Minimise alpha * KL(retain batch) - gamma * loss(forget batch).

    The reference is a frozen copy of the start.
    """
    original = frozen_copy(model)

    def stay(ids: Tensor, labels: Tensor) -> Tensor:
        ids, labels = without_padding(ids, labels)
        networks = (model, original)
        logits = (network(input_ids=ids, use_cache=False).logits.float() for network in networks)
        return divergence(*logits, labels)

    fit_both(model, data, options, minus(data.loss(model)), stay)


METHOD = Method(
    run, title="KL", reference="Maini et al., TOFU (COLM 2024), KL minimisation", options=Balanced
)
