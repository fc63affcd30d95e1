"""What a causal language model says of the answers of questions, token by token."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from negmerge.errors import NotFinite, UserError
from negmerge.models.beginnings import Tokens, packed_logits
from negmerge.models.language import context_length

# A question and its answers, such as the true one, a paraphrase and five wrong ones. The tokens of
# an answer are those that carry loss, so they end with the token that ends an answer.
Question = tuple[Tokens, Sequence[Tokens]]

# The most numbers of logits at once, 512 MB: 8 answers of 130 tokens for a vocabulary of 128,000.
MOST_LOGITS = 2**27
# Positions whose distributions are made at once: 32 MB of float32 for that vocabulary.
CHUNK = 64


@dataclass(frozen=True)
class Answer:
    """What a model says of the n tokens of an answer: ids int64, other numbers float64."""

    tokens: np.ndarray  # with the end
    log_probs: np.ndarray  # in nats
    predicted: np.ndarray  # the most probable token in each place; of equal ones the first
    # Of log p over the vocabulary under the model's distribution, for first answers if asked for.
    means: np.ndarray | None = None
    variances: np.ndarray | None = None

    @property
    def loss(self) -> float:
        """The mean over the tokens, the end included, of minus the log-probability."""
        return float(-self.log_probs.mean())


def score_answers(
    model: nn.Module,
    questions: Sequence[Question],
    device: torch.device,
    batch_size: int = 32,
    moments: bool = False,
) -> list[list[Answer]]:
    """Score the answers of questions; a batch has all of a question, up to `batch_size` in all."""
    _check(model, questions)
    model.eval()
    scored: list[list[Answer]] = [[] for _ in questions]
    for places in _batches(model, questions, batch_size):
        batch = _score(model, [questions[place] for place in places], device, moments)
        for place, answers in zip(places, batch, strict=True):
            scored[place] = answers
    return _finite(scored)


def _finite(scored: list[list[Answer]]) -> list[list[Answer]]:
    for place, answers in enumerate(scored):
        for answer in answers:
            if not np.isfinite(answer.log_probs).all():
                raise NotFinite(f"question {place}: the loss of an answer is {answer.loss}")
    return scored


@torch.inference_mode()
def score_packed(model: nn.Module, questions: Sequence[Question]) -> list[list[Answer]]:
    """Score the answers of questions as `score_answers` does, equal beginnings once."""
    _check(model, questions)
    model.eval()
    pairs = [(prompt, answer) for prompt, answers in questions for answer in answers]
    scored: dict[int, Answer] = {}
    for number, logits in packed_logits(model, pairs):
        scored[number] = _answer(logits, torch.tensor([*pairs[number][1]]), False)
    numbers = iter(range(len(pairs)))
    return _finite([[scored[next(numbers)] for _ in answers] for _, answers in questions])


def last_logits(
    model: nn.Module, ids: Tensor, first: int, **options: Tensor | int
) -> tuple[Tensor, int]:
    """Compute logits (n, places, vocabulary), and the place of the first: `first`, or 0."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        options["logits_to_keep"] = ids.shape[1] - first
    logits = model(ids, use_cache=False, **options).logits
    return logits, ids.shape[1] - logits.shape[1]


def _check(model: nn.Module, questions: Sequence[Question]) -> None:
    most = context_length(model)
    for place, (prompt, answers) in enumerate(questions):
        if not len(prompt) or not len(answers) or not all(map(len, answers)):
            raise UserError(
                f"question {place}: {len(prompt)} tokens, and answers of "
                f"{[len(answer) for answer in answers]}; expected at least 1 in each"
            )
        length = len(prompt) + max(map(len, answers))
        if most is not None and length > most:
            raise UserError(
                f"question {place}: {length} tokens with its answer, but the model reads {most}"
            )


def _batches(
    model: nn.Module, questions: Sequence[Question], batch_size: int
) -> Iterator[list[int]]:
    """Yield the places of questions of about the same length, the longest first."""
    lengths = [len(prompt) + max(map(len, answers)) for prompt, answers in questions]
    vocabulary = model.get_output_embeddings().weight.shape[0]
    batch: list[int] = []
    count, rows = 0, 0
    for place in sorted(range(len(questions)), key=lambda number: -lengths[number]):
        more = len(questions[place][1])
        if batch and count + more > min(batch_size, rows):
            yield batch
            batch, count = [], 0
        if not batch:
            rows = MOST_LOGITS // (lengths[place] * vocabulary)
        batch.append(place)
        count += more
    if batch:
        yield batch


@torch.inference_mode()
def _score(
    model: nn.Module, questions: Sequence[Question], device: torch.device, moments: bool
) -> list[list[Answer]]:
    pairs = [(prompt, answer) for prompt, answers in questions for answer in answers]
    rows = [torch.tensor([*prompt, *answer]) for prompt, answer in pairs]
    # Padding follows the tokens, which do not look ahead: the mask is for models that count it.
    ids = pad_sequence(rows, batch_first=True)
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    # The first place whose next token is one of an answer.
    first = min(len(prompt) for prompt, _ in questions) - 1
    logits, skipped = last_logits(model, ids.to(device), first, attention_mask=mask.to(device))
    row, scored = iter(logits), []
    for prompt, answers in questions:
        start = len(prompt) - 1 - skipped
        scored.append([])
        for number, answer in enumerate(answers):
            places = next(row)[start : start + len(answer)]
            scored[-1].append(_answer(places, torch.tensor([*answer]), moments and number == 0))
    return scored


def _answer(logits: Tensor, tokens: Tensor, moments: bool) -> Answer:
    """Look up the tokens of an answer in the logits (n, vocabulary) of their places."""
    parts = [
        _chunk(part, chosen.to(logits.device), moments)
        for part, chosen in zip(logits.split(CHUNK), tokens.split(CHUNK), strict=True)
    ]
    log_probs, predicted, *further = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    floats = [part.double().numpy() for part in (log_probs, *further)]
    return Answer(tokens.numpy(), floats[0], predicted.numpy(), *floats[1:])


def _chunk(logits: Tensor, tokens: Tensor, moments: bool) -> list[Tensor]:
    log_probs = logits.float().log_softmax(dim=-1)
    numbers = [log_probs.gather(1, tokens[:, None])[:, 0], logits.argmax(dim=-1)]
    if moments:
        probs = log_probs.exp()
        mean = (probs * log_probs).sum(dim=-1)
        # Not as a difference of squares, which would lose digits where the model is sure.
        numbers += [mean, (probs * (log_probs - mean[:, None]).square()).sum(dim=-1)]
    return numbers
