"""Texts that begin alike pass through a causal language model as one row, their beginnings once."""

import inspect
from collections.abc import Iterator, Sequence
from itertools import takewhile

import torch
from torch import Tensor, nn

Tokens = Sequence[int]

# Tokens of texts that pass as one row: of more, attention takes longer than equal beginnings save.
MOST_PACKED = 384


def shares_beginnings(model: nn.Module) -> bool:
    """Whether `packed_logits` is for a model: its attention takes a mask of its own."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    takes = {"logits_to_keep", "position_ids"} <= inspect.signature(inner.forward).parameters.keys()
    return takes and inner.config._attn_implementation in ("sdpa", "eager")


def packed_logits(
    model: nn.Module, texts: Sequence[tuple[Tokens, Tokens]]
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of a text, and the logits (n, vocabulary) of the n tokens of its answer.

    A text is what is read before an answer, and the answer. What several texts begin with passes
    once: all pass as one row, in which each token sees those before it in its own texts, at the
    places that they have there. Differs from single passes by rounding.
    """
    device = next(model.parameters()).device
    for part in _packs(texts):
        # The last token of a text says nothing of another one.
        ids, depths, paths = _laid_out([[*before, *answer][:-1] for _, before, answer in part])
        sees = torch.zeros(len(ids), len(ids), dtype=torch.bool)
        for path in map(torch.tensor, paths):
            sees[path[:, None], path] = torch.ones(len(path), len(path), dtype=torch.bool).tril()
        if model.config._attn_implementation == "eager":
            lowest = torch.finfo(torch.float32).min
            sees = torch.zeros(sees.shape).masked_fill(~sees, lowest)
        asked = [path[len(before) - 1 :] for path, (_, before, _) in zip(paths, part, strict=True)]
        kept = sorted({node for nodes in asked for node in nodes})
        place = {node: number for number, node in enumerate(kept)}
        logits = model(
            input_ids=torch.tensor([ids], device=device),
            attention_mask=sees[None, None].to(device),
            position_ids=torch.tensor([depths], device=device),
            logits_to_keep=torch.tensor(kept, device=device),
            use_cache=False,
        ).logits[0]
        for (number, _, _), nodes in zip(part, asked, strict=True):
            yield number, logits[torch.tensor([place[node] for node in nodes], device=device)]


def _packs(texts: Sequence[tuple[Tokens, Tokens]]) -> Iterator[list[tuple[int, Tokens, Tokens]]]:
    """Part texts so that none has many tokens, and those with one beginning are together."""
    whole = [(number, before, answer) for number, (before, answer) in enumerate(texts)]
    part, last, count = [], [], 0
    for number, before, answer in sorted(whole, key=lambda one: [*one[1], *one[2]]):
        text = [*before, *answer]
        pairs = zip(text, last, strict=False)
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if part and count + len(text) - alike > MOST_PACKED:
            yield part
            part, alike, count = [], 0, 0
        part.append((number, before, answer))
        last, count = text, count + len(text) - alike
    if part:
        yield part


def _laid_out(texts: Sequence[Tokens]) -> tuple[list[int], list[int], list[list[int]]]:
    """Number the tokens of texts, those of equal beginnings once: ids, depths, paths."""
    ids, depths, paths = [], [], []
    known: dict[tuple[int | None, int], int] = {}
    for text in texts:
        path: list[int] = []
        for token in text:
            node = known.setdefault((path[-1] if path else None, token), len(ids))
            if node == len(ids):
                ids.append(token)
                depths.append(len(path))
            path.append(node)
        paths.append(path)
    return ids, depths, paths
