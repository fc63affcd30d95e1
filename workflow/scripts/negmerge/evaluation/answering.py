"""Questions and their answers: how probable a language model finds an answer, token by token."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.data.tokenising import WITHOUT_LOSS, alike, without_padding
from negmerge.evaluation.accuracy import Batch, Loss, Outputs
from negmerge.evaluation.language import extraction_strength
from negmerge.models.answers import last_logits
from negmerge.models.beginnings import packed_logits, shares_beginnings

# Scores are whole multiples of it, see `accuracy.Objective.scores`.
UNIT = 2.0**-30
Measure = Literal["probability", "extraction"]


@dataclass(frozen=True)
class Answering:
    """`accuracy.Objective` of token ids (n, width) and labels (n, width), padded on the right."""

    device: torch.device  # where the network is, a causal language model of transformers
    measure: Measure = "probability"  # what the scores are
    packed: bool = False  # whether texts with one beginning pass together

    def _tokens(
        self, network: nn.Module, ids: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        is_packed = self.packed and shares_beginnings(network)
        return (packed_tokens if is_packed else scored_tokens)(network, ids, labels)

    def loss(self, network: nn.Module, label_smoothing: float) -> Loss:
        def cross_entropy(ids: Tensor, labels: Tensor) -> Tensor:
            logits, truth, _ = self._tokens(network, ids, labels)
            return functional.cross_entropy(logits, truth, label_smoothing=label_smoothing)

        return cross_entropy

    def outputs(self, network: nn.Module, batch: Batch) -> Outputs:
        """Compute what a network says of each token, (n, width), where it carries loss."""
        ids, labels = batch
        moved = ids.to(self.device), labels.to(self.device)
        logits, truth, places = self._tokens(network, *moved)
        places = tuple(place.cpu() for place in places)
        of_truth = logits.float().log_softmax(dim=1).gather(1, truth[:, None])[:, 0]
        log_probs = torch.zeros(labels.shape, dtype=torch.float64)
        log_probs[places] = of_truth.double().cpu()
        predicted = torch.full_like(labels, WITHOUT_LOSS)
        predicted[places] = logits.argmax(dim=1).cpu()
        return log_probs, predicted, labels

    def scores(self, outputs: Outputs) -> Tensor:
        """Return the probability of each answer, or its extraction strength."""
        if self.measure == "probability":
            return self.confidence(outputs)
        _, predicted, labels = outputs
        # The end of an answer, its last token, is not what is remembered.
        pairs = [
            (p[t != WITHOUT_LOSS][:-1], t[t != WITHOUT_LOSS][:-1])
            for p, t in zip(predicted, labels, strict=True)
        ]
        strengths = [extraction_strength(*pair) for pair in pairs]
        return _whole(torch.tensor(strengths, dtype=torch.float64))

    def confidence(self, outputs: Outputs) -> Tensor:
        """Return the probability: exp of the mean over the tokens of an answer, end included."""
        log_probs, _, labels = outputs
        means = log_probs.sum(dim=1) / (labels != WITHOUT_LOSS).sum(dim=1)
        # What says nothing finite knows nothing.
        return _whole(means.exp().nan_to_num(0))

    def classes(self, outputs: Outputs) -> int:
        return 0


def _whole(scores: Tensor) -> Tensor:
    return (scores / UNIT).round() * UNIT


def scored_tokens(
    network: nn.Module, ids: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Compute what a network says of all tokens that carry loss, text by text."""
    parts = alike(labels)
    passed = [_scored_tokens(network, ids[rows], labels[rows]) for rows in parts]
    if len(parts) == 1:
        return passed[0]
    rows = torch.cat([part[rows] for part, (_, _, (rows, _)) in zip(parts, passed, strict=True)])
    columns = torch.cat([columns for _, _, (_, columns) in passed])
    order = rows.argsort(stable=True)
    logits, truth = (torch.cat(of_parts)[order] for of_parts in list(zip(*passed, strict=True))[:2])
    return logits, truth, (rows[order], columns[order])


def packed_tokens(
    network: nn.Module, ids: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Do the same with texts that pass as one, equal beginnings once."""
    rows, columns = (labels != WITHOUT_LOSS).nonzero(as_tuple=True)
    texts = []
    for text, carries in zip(ids.tolist(), (labels != WITHOUT_LOSS).tolist(), strict=True):
        first, last = carries.index(True), len(carries) - carries[::-1].index(True)
        texts.append((text[:first], text[first:last]))
    of_texts = dict(packed_logits(network, texts))
    logits = torch.cat([of_texts[number] for number in range(len(texts))])
    return logits, labels[rows, columns], (rows, columns)


def _scored_tokens(
    network: nn.Module, ids: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Do the same with texts that pass together."""
    ids, labels = without_padding(ids, labels)
    rows, columns = (labels != WITHOUT_LOSS).nonzero(as_tuple=True)
    # What is said in one place is said of the next, and what is said of questions is not needed.
    logits, skipped = last_logits(network, ids, int(columns.min()) - 1)
    return logits[rows, columns - 1 - skipped], labels[rows, columns], (rows, columns)
