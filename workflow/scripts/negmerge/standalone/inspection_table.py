"""An inspection of a pool as tables for people, the summary last."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence

from negmerge.standalone.text_table import aligned


def describe(report: Mapping) -> Iterator[str]:
    """Yield a report of `inspect_files` as tables that fit the terminal, at 80 columns or more.

    Names that are too long for it lose their beginning.
    """
    for title in ("layer", "kind"):
        yield from _parts(title, report[f"{title}s"], report["chance"])
        yield ""
    yield from _members(report["members"])
    yield ""
    yield from _summary(report)


def _parts(title: str, rows: Mapping[str, Mapping], chance: float) -> Iterator[str]:
    yield from aligned(
        [
            [title, "numbers", "agree", "x chance", "zeros", "cosine"],
            *(
                [
                    name,
                    f"{row['numbers']:,}",
                    _show(row["agree"], ".2%"),
                    _show(row["agree"] and row["agree"] / chance, ".3g"),
                    _show(row["zeros"], ".1%"),
                    _show(row["cosine"], ".4f"),
                ]
                for name, row in rows.items()
            ),
        ],
        room=shutil.get_terminal_size().columns,
    )


def _members(members: Sequence[Mapping]) -> Iterator[str]:
    names = _without_what_all_have([member["name"] for member in members])
    yield from aligned(
        [
            ["member", "norm", "cosine", "lowest", ""],
            *(
                [
                    f"{number:>{len(str(len(members)))}}  {name}",
                    f"{member['norm']:.4g}",
                    _show(member["cosine"], ".4f"),
                    _show(member["lowest"], ".4f"),
                    "unlike" if member["outlier"] else "",
                ]
                for number, (name, member) in enumerate(zip(names, members, strict=True), start=1)
            ),
        ],
        room=shutil.get_terminal_size().columns,
    )


def _summary(report: Mapping) -> Iterator[str]:
    row, count, chance = report["all"], len(report["members"]), report["chance"]
    vectors = f"{count} vectors" if count > 1 else "1 vector"
    yield f"{vectors} of {row['numbers']:,} numbers, of which {_show(row['zeros'], '.2%')} are zero"
    if report["untouched"]:
        yield f"{report['untouched']:,} more numbers are in tensors that no model changes"
    if row["agree"] is not None and count > 1:
        yield (
            f"all agree in sign on {row['agree']:.2%}, {row['agree'] / chance:.3g} times the chance"
            f" of {100 * chance:.3g}%"
        )
    known = [c for place, r in enumerate(report["cosines"]) for c in r[:place] if c is not None]
    if known:
        yield f"cosines of pairs {min(known):.4f} to {max(known):.4f}, mean {row['cosine']:.4f}"
    for number, member in enumerate(report["members"], start=1):
        if member["outlier"]:
            yield (
                f"member {number} does not seem to be of this pool: its mean cosine to the others "
                f"is {member['cosine']:.4f}"
            )


def _without_what_all_have(names: Sequence[str]) -> list[str]:
    """Return paths without the folders that all lie in, and without the ending of all."""
    if len(set(names)) < 2:
        return list(names)
    folder = _common_start(names).rpartition("/")
    ending = _common_start([name[::-1] for name in names])[::-1]
    # From a mark on, so that no word is cut.
    ending = re.sub(r"^[^/._-]*", "", ending)
    start = len("".join(folder[:2]))
    return [name[start : len(name) - len(ending)] or name for name in names]


def _common_start(texts: Sequence[str]) -> str:
    """Return the characters with which all texts begin."""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((place for place, (a, b) in pairs if a != b), len(first))]


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
