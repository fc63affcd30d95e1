"""What a causal language model says by itself, the most probable token each time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from negmerge.errors import UserError
from negmerge.models.beginnings import Tokens
from negmerge.models.language import context_length

PADDING = 0
# The longest answer that open-unlearning lets a model give.
MOST_TOKENS = 200
# Texts that have not ended after so many tokens go on together, so that no batch waits for its
# longest text. Most answers of TOFU end in the first round.
ROUND = 64


def generate_greedily(
    model: nn.Module,
    prompts: Sequence[Tokens],
    ends: Tokens,
    device: torch.device,
    most: int = MOST_TOKENS,
    batch_size: int = 32,
) -> list[list[int]]:
    """Continue prompts with the most probable token each time, until an end, which is left out.

    An answer has at most `most` tokens, fewer where the longest prompt leaves less room. The
    model's own settings of generation are not used.
    """
    room = context_length(model)
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise UserError(f"prompt {place} has no token, expected at least 1")
        if room is not None and len(prompt) >= room:
            raise UserError(f"prompt {place}: {len(prompt)} tokens, but the model reads {room}")
    if room is not None and prompts:
        most = min(most, room - max(map(len, prompts)))
    model.eval()
    answers: list[list[int]] = [[] for _ in prompts]
    unended = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    for done in range(0, most, ROUND):
        going, unended = unended, []
        texts = [[*prompts[place], *answers[place]] for place in going]
        with _greedy(model, ends, min(ROUND, most - done)):
            added = [
                text
                for start in range(0, len(texts), batch_size)
                for text in _continued(model, texts[start : start + batch_size], device)
            ]
        for place, text in zip(going, added, strict=True):
            end = next((k for k, token in enumerate(text) if token in ends), None)
            answers[place] += text[:end]
            if end is None:
                unended.append(place)
    return answers


@contextmanager
def _greedy(model: nn.Module, ends: Tokens, most: int) -> Iterator[None]:
    """Let a model generate greedily, whatever its own settings are, and give them back."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=most, eos_token_id=[*ends], pad_token_id=PADDING
    )
    try:
        yield
    finally:
        model.generation_config = own


@torch.inference_mode()
def _continued(
    model: nn.Module, prompts: Sequence[Tokens], device: torch.device
) -> list[list[int]]:
    """Return what a model adds to each prompt, with the end and what is padded after it."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), PADDING)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor([*prompt])
        mask[row, width - len(prompt) :] = 1
    whole = model.generate(ids.to(device), attention_mask=mask.to(device), use_cache=True)
    return whole[:, width:].tolist()
