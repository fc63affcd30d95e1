"""What is told of an output: with it, for programs, and on its model card."""

from collections.abc import Mapping
from pathlib import Path

import torch

from negmerge import __version__
from negmerge.merging.pool import Pool, identity
from negmerge.standalone.pools import short_name
from negmerge.standalone.subtracting import Counts


def make_report(
    pool: Pool,
    facts: Mapping[str, object],
    base: str | Path,
    dtype: torch.dtype | None,
    known: Mapping[Path, str],
    counts: Counts,
    findings: list[str],
) -> dict:
    """Return the report of an output; see `unlearning.unlearn`.

    Args:
        pool: what it was made from.
        facts: how the vector was made and subtracted.
        base: the base as it was given.
        dtype: what was asked for; None for the base's.
        known: the checksum of each file.
        counts: what was found in the numbers.
        findings: the same, as lines for the user.
    """
    members = zip(pool.names, pool.members, strict=True)
    return {
        **facts,
        "dtype": "auto" if dtype is None else str(dtype).removeprefix("torch."),
        "base": {"name": short_name(base), "files": identity(pool.base, known)},
        "pool": [{"name": name, "files": identity(one, known)} for name, one in members],
        "version": __version__,
        "numbers": pool.vectors.size,
        "kept": counts.kept,
        "swallowed": counts.kept - counts.moved,
        "matched": pool.chosen,
        "notes": [*pool.notes, *findings],
    }


def find_in(counts: Counts, where: Path) -> list[str]:
    """Return what the user ought to know of the numbers, a line each.

    Args:
        counts: of all tensors that were merged.
        where: the output.
    """
    if not counts.kept:
        return [f"{where}: the merged vector is zero, so nothing changes"]
    swallowed = counts.kept - counts.moved
    if not swallowed:
        return []
    share = f"{swallowed:,} of {counts.kept:,} changes ({100 * swallowed / counts.kept:.2f} %)"
    return [
        f"{where}: rounding swallowed {share}, where it gives the base's number; --dtype float32 "
        "keeps more of them"
    ]
