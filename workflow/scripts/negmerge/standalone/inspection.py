"""What the vectors of a pool have in common, and which is unlike the others; also as a figure."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge.errors import UserError
from negmerge.merging.blocks import NUMBERS, Block, Workers
from negmerge.merging.signs import signs_agree
from negmerge.reporting import style
from negmerge.standalone.pools import open_pool

# The first that is found in a name, in lower case, is the tensor's kind. The names are those of
# transformers, open_clip, timm, torchvision and diffusers.
KINDS = {
    "norm": r"norm|(^|\.)(ln|bn)[_\d]",
    "bias": r"bias$",
    "embedding": r"emb|(^|\.)(wte|wpe|cls_token|shared)(\.|$)",
    "head": r"(^|\.)(lm_head|heads?|classifier|score|\w+_projection|visual\.proj)(\.|$)|^fc\.",
    "attention": r"att|(^|\.)(q|k|v|o|qkv|query|key|value|[qkvo]_proj|in_proj_weight)(\.|$)",
    "convolution": r"conv",
    "mlp": r"mlp|ffn|feed_?forward|intermediate|dense|expert"
    r"|(^|\.)(c_fc|c_proj|w[123io]|wi_[01]|fc\d|lin(ear)?_?\d|(gate|up|down)_proj)(\.|$)",
}
# A member is unlike the others where its mean cosine to them is below this share of the median of
# all, which stays where it is while most members are of the pool. It is a share, since members of
# one pool may be alike to any degree: long and short trainings of one grid come to half of it.
SHARE = 1 / 3
# Below this median the pool has nothing in common that a member could lack.
LEAST = 0.05
# Products of pairs need a block of all vectors at once, in float64: 16 MiB for each thread.
STACKED = 2**21


def inspect_files(
    paths: Sequence[str | Path],
    base: str | Path | None = None,
    *,
    threads: int | None = None,
    progress: bool = False,
    **choice: Sequence[str] | str | None,
) -> dict:
    """Compare task vectors, or models with their base, layer by layer, block by block.

    `choice` is what `open_pool` takes: `include`, `exclude`, `vocabulary` and `key`.

    `all`, each of `layers` and each of `kinds` have the `numbers` of one vector, the share on which
    all vectors `agree` in a non-zero sign (of random ones, `chance` do), the share of `zeros` and
    the mean `cosine` over pairs that are not zero there. Tensors that no vector changes are in none
    of these: `untouched` counts their numbers.
    """
    count = len(paths)
    workers = Workers(threads)
    numbers = max(min(NUMBERS, STACKED // count), 1)
    pool = open_pool(
        base, paths, block_numbers=numbers, workers=workers, progress=progress, **choice
    )
    size = pool.vectors.size
    bar = tqdm(total=size, desc="inspect", unit=" numbers", unit_scale=True, disable=not progress)
    with workers, bar:
        pool.vectors.passed = bar.update
        tensors = _add_up(pool.vectors.map(_count), lambda name: name)
    changed = {name: counts for name, counts in tensors.items() if counts[2] < counts[0] * count}
    kinds = {name: kind(name, shape) for name, shape in pool.vectors.shapes.items()}
    # A tensor without a module is a layer of its own.
    layer_of = {name: name.rpartition(".")[0] or name for name in changed}
    layers = _summaries(_add_up(changed.items(), layer_of.__getitem__), count)
    for name in sorted(changed, key=lambda name: changed[name][0]):
        layers[layer_of[name]]["kind"] = kinds[name]  # in the end, that of the largest tensor
    whole = sum(changed.values(), torch.zeros(3 + count**2, dtype=torch.float64))
    products = whole[3:].view(count, count)
    return {
        "inputs": [str(path) for path in paths],
        "base": None if base is None else str(base),
        "notes": pool.notes,
        "chance": 2.0 ** (1 - count),
        "layers": layers,
        "kinds": _summaries(_add_up(changed.items(), kinds.__getitem__), count),
        "members": _members([str(path) for path in paths], products),
        "cosines": [[_known(c) for c in row] for row in cosines(products).tolist()],
        "all": _summary(whole, count),
        "untouched": size - int(whole[0]),
    }


def kind(name: str, shape: Sequence[int]) -> str:
    """Return the kind of a tensor by its name, else by its axes, else the last part of its name."""
    for kind, pattern in KINDS.items():
        if re.search(pattern, name.lower()):
            return kind
    # Filters have a height, a width or a length beside the channels.
    return "convolution" if len(shape) >= 3 else name.rpartition(".")[2]


def cosines(products: Tensor) -> Tensor:
    """Compute the cosines of pairs of vectors from their scalar products; NaN where one is zero."""
    lengths = products.diagonal().sqrt()
    matrix = (products / torch.outer(lengths, lengths)).clamp(-1, 1)
    return matrix.masked_fill(torch.outer(lengths, lengths) == 0, math.nan)


def mean_to_others(matrix: Tensor) -> Tensor:
    """Compute each vector's mean cosine to the others; one that is zero has 0 to all."""
    others = matrix.nan_to_num(0).fill_diagonal_(0)
    return others.sum(1) / max(len(matrix) - 1, 1)


def outliers(matrix: Tensor) -> list[int]:
    """Return the places of vectors that do not seem to be of the pool."""
    means = mean_to_others(matrix)
    middle = means.quantile(0.5)
    # Of two members neither can be told to be the odd one.
    if len(means) < 3 or middle < LEAST:
        return []
    return (means < SHARE * middle).nonzero().flatten().tolist()


def _count(block: Block) -> tuple[str, Tensor]:
    """Return the block's numbers, those that agree, the zeros, and the products of all pairs."""
    vectors = block.stack().flatten(1)
    wide = vectors.double()
    zeros = vectors.numel() - int(vectors.count_nonzero())
    agreeing = int(signs_agree(vectors.amin(0), vectors.amax(0)).sum())
    counts = torch.tensor([vectors.shape[1], agreeing, zeros], dtype=torch.float64)
    return block.name, torch.cat([counts, (wide @ wide.T).flatten()])


def _add_up(
    counted: Iterable[tuple[str, Tensor]], group_of: Callable[[str], str]
) -> dict[str, Tensor]:
    """Add up counts of tensors, or parts of them, by the group that they belong to."""
    groups: dict[str, Tensor] = {}
    for name, counts in counted:
        group = group_of(name)
        groups[group] = groups[group] + counts if group in groups else counts
    return groups


def _summaries(groups: Mapping[str, Tensor], count: int) -> dict[str, dict]:
    """Return the summaries in the order of the names, in which 2 comes before 10."""

    def order(name: str) -> list[str]:
        return [p.zfill(12) if p.isdecimal() else p for p in re.split(r"(\d+)", name)]

    return {name: _summary(groups[name], count) for name in sorted(groups, key=order)}


def _summary(counts: Tensor, count: int) -> dict[str, float | None]:
    """Return the shares and the mean cosine of some counts; None where they are of nothing."""
    numbers, agreeing, zeros = map(int, counts[:3])
    matrix = cosines(counts[3:].view(count, count))
    pairs = matrix[tuple(torch.triu_indices(count, count, offset=1))]
    known = pairs[~pairs.isnan()]
    return {
        "numbers": numbers,
        "agree": agreeing / numbers if numbers else None,
        "zeros": zeros / (numbers * count) if numbers else None,
        "cosine": float(known.mean()) if len(known) else None,
    }


def _members(names: Sequence[str], products: Tensor) -> list[dict]:
    matrix = cosines(products)
    norms, means, apart = products.diagonal().sqrt(), mean_to_others(matrix), outliers(matrix)
    members = []
    for place, name in enumerate(names):
        others = [c for other, c in enumerate(matrix[place].tolist()) if other != place]
        members.append(
            {
                "name": name,
                "norm": float(norms[place]),
                "cosine": float(means[place]) if others else None,
                "lowest": min((c for c in others if not math.isnan(c)), default=None),
                "outlier": place in apart,
            }
        )
    return members


def _known(number: float) -> float | None:
    """Return a number, or None for NaN, which JSON does not have."""
    return None if math.isnan(number) else number


# More labels of layers than this would lie over one another.
LAYERS = 40


def ending(name: str, room: int) -> str:
    """Cut off the beginning of a name that is longer than the room for it."""
    return name if len(name) <= room else f"…{name[len(name) - room + 1 :]}"


def require_plot(path: Path) -> None:
    """Check that a figure can be drawn, before anything is computed for it."""
    if path.suffix not in (".png", ".pdf"):
        raise UserError(f"{path}: a figure's name ends in .png or .pdf")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            f"{path}: a figure needs matplotlib: pip install 'negmerge[plot]'"
        ) from None


def draw(report: Mapping, path: Path) -> None:
    """Draw a report of `inspect_files` into a file that ends in `.png` or `.pdf`."""
    with style.settings():
        figure = style.canvas(11, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
        _draw_agreement(left, report)
        figure.colorbar(_draw_cosines(right, report), ax=right, label="cosine", shrink=0.85)
        style.save(figure, path)


def _draw_agreement(axes, report: Mapping) -> None:
    layers = {n: row for n, row in report["layers"].items() if row["agree"] is not None}
    places = list(enumerate(layers.values()))
    for kind, look in style.styles(sorted({row["kind"] for row in layers.values()})).items():
        points = [(place, 100 * row["agree"]) for place, row in places if row["kind"] == kind]
        axes.plot(*zip(*points, strict=True), ls="", ms=4.5, label=kind, **look)
    chance = 100 * report["chance"]
    axes.axhline(chance, color=style.BLACK, ls="--", lw=1, label=f"chance: {chance:.3g} %")
    axes.set(
        title="Share on which all members agree",
        xlabel="layer, in the order of the names",
        ylabel="agreement in sign (% of the numbers)",
        ylim=(0, None),
    )
    if len(layers) <= LAYERS:
        labels = [ending(name, 28) for name in layers]
        axes.set_xticks(range(len(layers)), labels, rotation=90, fontsize=7)
    axes.legend(ncols=2, fontsize=8)


def _draw_cosines(axes, report: Mapping):
    matrix = [[math.nan if c is None else c for c in row] for row in report["cosines"]]
    pairs = [c for place, row in enumerate(matrix) for c in row[:place] if not math.isnan(c)]
    shown = axes.imshow(matrix, cmap="viridis", vmin=min([0, *pairs]), vmax=max(pairs, default=1))
    numbers = [str(number) for number in range(1, len(matrix) + 1)]
    axes.set_xticks(range(len(matrix)), numbers)
    axes.set_yticks(range(len(matrix)), numbers)
    axes.grid(False)
    members = zip(numbers, report["members"], strict=True)
    apart = ", ".join(number for number, member in members if member["outlier"])
    note = f"; unlike the others: {apart}" if apart else ""
    axes.set(title=f"Cosines of the members{note}", xlabel="member", ylabel="member")
    return shown
