"""Training and measuring language models as examples of transformers do, for comparison.

Batches are padded to their longest text, with a mask of the padding; loss and `generate` are the
model's own.
"""

from collections.abc import Iterator, Sequence

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from negmerge.data.tokenising import WITHOUT_LOSS
from negmerge.settings.recipe import Recipe

# Tokens of a prompt and of an answer.
Text = tuple[list[int], list[int]]


def train(model: nn.Module, texts: Sequence[Text], recipe: Recipe) -> None:
    """Train for an epoch."""
    loader = DataLoader(texts, recipe.batch_size, shuffle=True, collate_fn=_padded)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = transformers.get_cosine_schedule_with_warmup(
        optimizer, recipe.warmup_steps, len(loader)
    )
    model.train()
    for ids, mask, labels in loader:
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()


@torch.no_grad()
def losses(model: nn.Module, texts: Sequence[Text], size: int) -> list[float]:
    """Return the mean loss of each answer."""
    found: list[float] = []
    model.eval()
    for batch in _batches(texts, size):
        ids, mask, labels = _padded(batch)
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        each = functional.cross_entropy(logits.mT, labels[:, 1:], reduction="none").sum(1)
        found += (each / (labels != WITHOUT_LOSS).sum(1)).tolist()
    return found


@torch.no_grad()
def generate(
    model: nn.Module, prompts: Sequence[list[int]], end: int, most: int, size: int
) -> list[list[int]]:
    """Continue prompts with the most probable tokens."""
    found: list[list[int]] = []
    model.eval()
    for batch in _batches(prompts, size):
        rows = [torch.tensor(prompt) for prompt in batch]
        ids, mask = (
            pad_sequence(part, True, padding_side="left")
            for part in (rows, [torch.ones_like(row) for row in rows])
        )
        whole = model.generate(
            ids, attention_mask=mask, do_sample=False, max_new_tokens=most, use_cache=True,
            pad_token_id=0, eos_token_id=end,
        )  # fmt: skip
        found += [_until(row, end) for row in whole[:, ids.shape[1] :].tolist()]
    return found


def _padded(texts: Sequence[Text]) -> tuple[Tensor, Tensor, Tensor]:
    """Pad texts on the right: token ids, their mask, and labels."""
    ids = [torch.tensor([*prompt, *answer]) for prompt, answer in texts]
    mask = pad_sequence([torch.ones_like(row) for row in ids], True)
    labels = [torch.tensor([WITHOUT_LOSS] * len(prompt) + answer) for prompt, answer in texts]
    return pad_sequence(ids, True), mask, pad_sequence(labels, True, WITHOUT_LOSS)


def _batches(items: Sequence, size: int) -> Iterator[Sequence]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _until(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens
