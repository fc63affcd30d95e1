"""What the task vectors of a pool have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge.merging.agreement import signs_agree
from negmerge.merging.blocks import NUMBERS, Block
from negmerge.merging.pool import open_pool

# Products of pairs need a block of all vectors at once, in float64: 128 MiB.
STACKED = 2**24


@dataclass
class Layer:
    """Counts over the tensors of one layer.

    Attributes:
        products: the scalar product of each pair of vectors.
    """

    products: Tensor
    numbers: int = 0
    agreeing: int = 0
    zeros: int = 0

    def add(self, other: "Layer") -> None:
        """Add the counts of another part of the model."""
        self.products += other.products
        self.numbers += other.numbers
        self.agreeing += other.agreeing
        self.zeros += other.zeros

    def summary(self) -> dict[str, float | None]:
        """Return the shares and the mean cosine; None where they are of nothing."""
        count, numbers = len(self.products), self.numbers
        lengths = self.products.diagonal().sqrt()
        first, second = torch.triu_indices(count, count, offset=1)
        scales = lengths[first] * lengths[second]
        cosines = (self.products[first, second] / scales)[scales > 0]
        return {
            "numbers": numbers,
            "agree": self.agreeing / numbers if numbers else None,
            "zeros": self.zeros / (numbers * count) if numbers else None,
            "cosine": float(cosines.mean()) if len(cosines) else None,
        }


def inspect_files(
    paths: Sequence[str | Path],
    base: str | Path | None = None,
    *,
    key: str | None = None,
    progress: bool = False,
) -> dict:
    """Compare task vectors layer by layer, block by block.

    Args:
        paths: task vectors, or checkpoints where `base` is given; each as `open_state` reads
            them.
        base: the checkpoint before fine-tuning.
        key: as in `open_state`, for all of them.
        progress: show a bar on standard error.

    Returns:
        `inputs`, `base` (paths), `all` and, by name, `layers`. A layer is a tensor's name without
        its last part. Each has `numbers` (in one vector), `agree` (share of them on which all
        vectors have the same non-zero sign), `zeros` (share of the numbers of all vectors) and
        `cosine` (mean over the pairs of vectors that are not zero there; None without such a pair).

    Raises:
        UserError: as `merge_files`.
    """
    numbers = max(min(NUMBERS, STACKED // len(paths)), 1)
    pool = open_pool(base, paths, key=key, block_numbers=numbers).vectors
    names = sorted({_layer(name) for name in pool.shapes})
    layers = {name: Layer(_no_products(len(paths))) for name in names}
    with tqdm(
        total=pool.size, desc="inspect", unit=" numbers", unit_scale=True, disable=not progress
    ) as bar:
        for block in pool.blocks():
            layers[_layer(block.name)].add(_counts(block))
            bar.update(block.stop - block.start)
    whole = Layer(_no_products(len(paths)))
    for layer in layers.values():
        whole.add(layer)
    return {
        "inputs": [str(path) for path in paths],
        "base": None if base is None else str(base),
        "layers": {name: layer.summary() for name, layer in layers.items()},
        "all": whole.summary(),
    }


def describe(report: dict) -> Iterator[str]:
    """Yield a report of `inspect_files` as a table for people."""
    rows = [*report["layers"].items(), ("all", report["all"])]
    width = max(len("layer"), *(len(name) for name, _ in rows))
    yield f"{'layer':{width}}  {'numbers':>15}  {'agree':>8}  {'zeros':>8}  {'cosine':>7}"
    for name, row in rows:
        shares = [_show(row[key], ".2%", 8) for key in ("agree", "zeros")]
        cells = [f"{row['numbers']:>15,}", *shares, _show(row["cosine"], ".4f", 7)]
        yield "  ".join([f"{name:{width}}", *cells])


def _show(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def _layer(name: str) -> str:
    """Return the layer of a tensor; a tensor without one is its own."""
    return name.rpartition(".")[0] or name


def _no_products(count: int) -> Tensor:
    return torch.zeros(count, count, dtype=torch.float64)


def _counts(block: Block) -> Layer:
    vectors = block.stack().flatten(1)
    wide = vectors.double()
    zeros = vectors.numel() - int(vectors.count_nonzero())
    return Layer(
        wide @ wide.T,
        vectors.shape[1],
        int(signs_agree(vectors.amin(0), vectors.amax(0)).sum()),
        zeros,
    )
