"""Questions and answers as tokens; the answer and its end carry loss, as in open-unlearning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from negmerge.errors import UserError, find

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.trainers import Trainer

PAD, END, UNKNOWN = "<pad>", "<end>", "<unknown>"
# The label of tokens that carry no loss; torch's cross-entropy leaves it out by default.
WITHOUT_LOSS = -100
# Texts pass in parts of so many where each further pass saves more padding than that, in tokens.
PART, WORTH_A_PASS = 8, 256

# Token ids of a text with its answer, (width,) int64, and labels, likewise.
Item = tuple[Tensor, Tensor]


def train_tokenizer(
    texts: Iterable[str], kind: str, size: int, special: Sequence[str]
) -> Tokenizer:
    """Make a tokenizer from texts."""
    tokenizer, trainer = find("kind of tokenizer", kind, KINDS)(size, [PAD, END, *special])
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _words(size: int, special: list[str]) -> tuple[Tokenizer, Trainer]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer, trainers.WordLevelTrainer(
        vocab_size=size, special_tokens=[*special, UNKNOWN], show_progress=False
    )


def _byte_pairs(size: int, special: list[str]) -> tuple[Tokenizer, Trainer]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return tokenizer, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )


KINDS = {"words": _words, "byte-pairs": _byte_pairs}


def read_tokenizer(path: str, end: str = END) -> Tokenizer:
    """Read a tokenizer."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(path)
    # The library has no exception of its own.
    except Exception as error:
        raise UserError(f"{path}: not a tokenizer ({error}); delete it and run again") from error
    if tokenizer.token_to_id(end) is None:
        raise UserError(
            f"{path}: the tokenizer has no token {end!r}; the key `end` of the model's row names "
            "the one that ends an answer"
        )
    return tokenizer


@dataclass(frozen=True)
class Encoder:
    """Turns questions and answers into tokens."""

    tokenizer: Tokenizer  # with the token `end`
    prompt: str  # what the model is given before it answers; `{question}` stands for the question
    most: int  # how many tokens the model reads at most
    end: str = END  # the token that ends an answer; it also pads where there is no token `PAD`
    prompts: Mapping[str, str] = field(default_factory=dict)  # of other forms of questions

    @property
    def end_id(self) -> int:
        return self.tokenizer.token_to_id(self.end)

    def encode(
        self, question: str, answer: str, fact: str | None = None, form: str = ""
    ) -> tuple[list[int], list[int]]:
        """Return the tokens of the prompt, and those of the answer with the one that ends it.

        With a fact, a part of the answer: what is read before it, and the tokens in which it lies.
        A text without a prompt is read from its second token on, and nothing ends it.
        """
        prompts = {"": self.prompt, **self.prompts}
        prompt = find("prompt of the model's row for form", form, prompts)
        prompt = prompt.replace("{question}", question)
        if fact is not None or not prompt:
            return self._part(prompt, answer, answer if fact is None else fact)
        before, whole = (
            self.tokenizer.encode(text, add_special_tokens=False).ids
            for text in (prompt, prompt + answer)
        )
        if whole[-1:] != [self.end_id]:
            whole.append(self.end_id)
        if whole[: len(before)] != before:
            raise UserError(
                f"question {question!r}: the tokens of the prompt change when the answer follows; "
                "expected a prompt that ends with a token of its own"
            )
        if len(whole) <= len(before) + 1:
            raise UserError(f"question {question!r}: the answer {answer!r} has no tokens")
        self._check_length(question, whole)
        return before, whole[len(before) :]

    def _part(self, prompt: str, answer: str, fact: str) -> tuple[list[int], list[int]]:
        text, start = prompt + answer, len(prompt) + answer.rfind(fact)
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        places = [
            place
            for place, (first, last) in enumerate(encoding.offsets)
            if first < start + len(fact) and last > start and place > 0
        ]
        if fact not in answer or not places:
            raise UserError(f"question {prompt!r}: the answer {answer!r} has no tokens of {fact!r}")
        self._check_length(prompt, encoding.ids)
        return encoding.ids[: places[0]], encoding.ids[places[0] : places[-1] + 1]

    def _check_length(self, question: str, whole: Sequence[int]) -> None:
        if len(whole) > self.most:
            raise UserError(
                f"question {question!r}: {len(whole)} tokens with its answer, the model reads at "
                f"most {self.most}"
            )

    def items(self, texts: Iterable[tuple]) -> list[Item]:
        """Return questions and answers as items of one width, padded on the right."""
        encoded = [self.encode(*pair) for pair in texts]
        width = max((len(before) + len(answer) for before, answer in encoded), default=0)
        padding, items = self.tokenizer.token_to_id(PAD), []
        for before, answer in encoded:
            length = len(before) + len(answer)
            ids = torch.full((width,), self.end_id if padding is None else padding)
            ids[:length] = torch.tensor([*before, *answer])
            labels = torch.full((width,), WITHOUT_LOSS)
            labels[len(before) : length] = torch.tensor(answer)
            items.append((ids, labels))
        return items

    def pairs(
        self, texts: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]
    ) -> list[Item]:
        """Return two texts as one item each: (2, width) of both, padded on the right."""
        first, second = list(texts), list(others)
        items = self.items([*first, *second])
        return [
            tuple(torch.stack(parts) for parts in zip(*both, strict=True))
            for both in zip(items[: len(first)], items[len(first) :], strict=True)
        ]


def without_padding(ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cut off what follows the longest answer of a batch."""
    counts = (labels != WITHOUT_LOSS).flatten(0, -2).any(dim=0)
    width = int(counts.nonzero().max()) + 1
    return ids[..., :width], labels[..., :width]


def alike(labels: Tensor) -> list[Tensor]:
    """Part the texts of a batch by length where that saves padding; a GPU takes them whole."""
    whole = torch.arange(len(labels), device=labels.device)
    if labels.is_cuda:
        return [whole]
    places = torch.arange(1, labels.shape[1] + 1)
    lengths = ((labels != WITHOUT_LOSS) * places).amax(dim=1)
    parts = [part.sort().values for part in lengths.argsort(stable=True).split(PART)]
    needed = sum(len(part) * int(lengths[part].max()) for part in parts)
    saved = len(labels) * int(lengths.max()) - needed
    return parts if saved > WORTH_A_PASS * (len(parts) - 1) else [whole]
