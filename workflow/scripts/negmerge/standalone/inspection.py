"""What the task vectors of a pool have in common, and which of them is unlike the others."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge.merging.blocks import NUMBERS, Block, Workers
from negmerge.merging.signs import signs_agree
from negmerge.standalone.pools import open_pool

CONVOLUTION = "convolution"
# The first that is found in a name, in lower case, is the tensor's kind. The names are those of
# transformers, open_clip, timm, torchvision and diffusers.
PATTERNS = {
    "norm": r"norm|(^|\.)(ln|bn)[_\d]",
    "bias": r"bias$",
    "embedding": r"emb|(^|\.)(wte|wpe|cls_token|shared)(\.|$)",
    "head": r"(^|\.)(lm_head|heads?|classifier|score|\w+_projection|visual\.proj)(\.|$)|^fc\.",
    "attention": r"att|(^|\.)(q|k|v|o|qkv|query|key|value|[qkvo]_proj|in_proj_weight)(\.|$)",
    CONVOLUTION: r"conv",
    "mlp": r"mlp|ffn|feed_?forward|intermediate|dense|expert"
    r"|(^|\.)(c_fc|c_proj|w[123io]|wi_[01]|fc\d|lin(ear)?_?\d|(gate|up|down)_proj)(\.|$)",
}
# Filters have a height, a width or a length beside the channels.
FILTER_AXES = 3


def kind(name: str, shape: Sequence[int]) -> str:
    """Return the kind of a tensor by its name, else by its axes, else the last part of its name."""
    for kind, pattern in PATTERNS.items():
        if re.search(pattern, name.lower()):
            return kind
    return CONVOLUTION if len(shape) >= FILTER_AXES else name.rpartition(".")[2]


# A member is unlike the others where its mean cosine to them is below this share of the median of
# all, which stays where it is while most members are of the pool. It is a share, since members of
# one pool may be alike to any degree: long and short trainings of one grid come to half of it.
SHARE = 1 / 3
# Below this median the pool has nothing in common that a member could lack.
LEAST = 0.05
# Of two members none can be told to be the odd one.
FEWEST = 3


def cosines(products: Tensor) -> Tensor:
    """Compute the cosines of pairs of vectors from their scalar products; NaN where one is zero."""
    lengths = products.diagonal().sqrt()
    matrix = (products / torch.outer(lengths, lengths)).clamp(-1, 1)
    return matrix.masked_fill(torch.outer(lengths, lengths) == 0, math.nan)


def pairs(matrix: Tensor) -> Tensor:
    """Return the numbers of a symmetric matrix above its diagonal that are not NaN."""
    first, second = torch.triu_indices(len(matrix), len(matrix), offset=1)
    numbers = matrix[first, second]
    return numbers[~numbers.isnan()]


def mean_to_others(matrix: Tensor) -> Tensor:
    """Compute each vector's mean cosine to the others; one that is zero has 0 to all."""
    others = matrix.nan_to_num(0).fill_diagonal_(0)
    return others.sum(1) / max(len(matrix) - 1, 1)


def outliers(matrix: Tensor) -> list[int]:
    """Return the places of vectors that do not seem to be of the pool."""
    means = mean_to_others(matrix)
    if len(means) < FEWEST:
        return []
    middle = means.quantile(0.5)
    return (means < SHARE * middle).nonzero().flatten().tolist() if middle >= LEAST else []


# Products of pairs need a block of all vectors at once, in float64: 16 MiB for each thread.
STACKED = 2**21


@dataclass(frozen=True)
class Counts:
    """Counts over a part of the model; `products` are the scalar products of all pairs."""

    products: Tensor
    numbers: int = 0
    agreeing: int = 0
    zeros: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.products + other.products,
            self.numbers + other.numbers,
            self.agreeing + other.agreeing,
            self.zeros + other.zeros,
        )

    def summary(self) -> dict[str, float | None]:
        """Return the shares and the mean cosine; None where they are of nothing."""
        count, numbers = len(self.products), self.numbers
        known = pairs(cosines(self.products))
        return {
            "numbers": numbers,
            "agree": self.agreeing / numbers if numbers else None,
            "zeros": self.zeros / (numbers * count) if numbers else None,
            "cosine": float(known.mean()) if len(known) else None,
        }


def inspect_files(
    paths: Sequence[str | Path],
    base: str | Path | None = None,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    vocabulary: str | None = None,
    key: str | None = None,
    threads: int = 1,
    progress: bool = False,
) -> dict:
    """Compare task vectors, or models with their base, layer by layer, block by block.

    `all`, each of `layers` and each of `kinds` have the `numbers` of one vector, the share on which
    all vectors `agree` in a non-zero sign (of random ones, `chance` do), the share of `zeros` and
    the mean `cosine` over pairs that are not zero there. Tensors that no vector changes are in none
    of these: `untouched` counts their numbers.
    """
    workers = Workers(threads)
    pool = open_pool(
        base,
        paths,
        include=include,
        exclude=exclude,
        vocabulary=vocabulary,
        key=key,
        block_numbers=max(min(NUMBERS, STACKED // len(paths)), 1),
        workers=workers,
    )
    with (
        workers,
        tqdm(
            total=pool.vectors.size,
            desc="inspect",
            unit=" numbers",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        pool.vectors.passed = bar.update
        tensors = _gathered(pool.vectors.map(_counts), lambda name: name)
    changed = {
        name: counts
        for name, counts in tensors.items()
        if counts.zeros < counts.numbers * len(paths)
    }
    kinds = {name: kind(name, shape) for name, shape in pool.vectors.shapes.items()}
    nothing = Counts(torch.zeros(len(paths), len(paths), dtype=torch.float64))
    whole = sum(changed.values(), nothing)
    # A tensor without a module is a layer of its own.
    layer_of = {name: name.rpartition(".")[0] or name for name in changed}
    layers = _summaries(_gathered(changed.items(), layer_of.__getitem__))
    for name in sorted(changed, key=lambda name: changed[name].numbers):
        layers[layer_of[name]]["kind"] = kinds[name]  # in the end, that of the largest tensor
    return {
        "inputs": [str(path) for path in paths],
        "base": None if base is None else str(base),
        "notes": pool.notes,
        "chance": 2.0 ** (1 - len(paths)),
        "layers": layers,
        "kinds": _summaries(_gathered(changed.items(), kinds.__getitem__)),
        "members": _members([str(path) for path in paths], whole.products),
        "cosines": [[_known(c) for c in row] for row in cosines(whole.products).tolist()],
        "all": whole.summary(),
        "untouched": sum(c.numbers for name, c in tensors.items() if name not in changed),
    }


def _counts(block: Block) -> tuple[str, Counts]:
    vectors = block.stack().flatten(1)
    wide = vectors.double()
    zeros = vectors.numel() - int(vectors.count_nonzero())
    agreeing = int(signs_agree(vectors.amin(0), vectors.amax(0)).sum())
    return block.name, Counts(wide @ wide.T, vectors.shape[1], agreeing, zeros)


def _gathered(
    counted: Iterable[tuple[str, Counts]], group_of: Callable[[str], str]
) -> dict[str, Counts]:
    """Add up counts of tensors, or parts of them, by the group that they belong to."""
    groups: dict[str, Counts] = {}
    for name, counts in counted:
        group = group_of(name)
        groups[group] = groups[group] + counts if group in groups else counts
    return groups


def _summaries(counts: Mapping[str, Counts]) -> dict[str, dict]:
    """Return the summaries in the order of the names, in which 2 comes before 10."""

    def order(name: str) -> list[str]:
        return [p.zfill(12) if p.isdecimal() else p for p in re.split(r"(\d+)", name)]

    return {name: counts[name].summary() for name in sorted(counts, key=order)}


def _members(names: Sequence[str], products: Tensor) -> list[dict]:
    matrix = cosines(products)
    norms, means, apart = products.diagonal().sqrt(), mean_to_others(matrix), outliers(matrix)
    members = []
    for place, name in enumerate(names):
        others = [c for other, c in enumerate(matrix[place].tolist()) if other != place]
        known = [c for c in others if _known(c) is not None]
        members.append(
            {
                "name": name,
                "norm": float(norms[place]),
                "cosine": float(means[place]) if others else None,
                "lowest": min(known, default=None),
                "outlier": place in apart,
            }
        )
    return members


def _known(number: float) -> float | None:
    """Return a number, or None for NaN, which JSON does not have."""
    return None if number != number else number
