"""Tables of text for a terminal."""

from collections.abc import Iterator, Sequence

GAP = "  "
# However little room there is, names keep so many characters.
NARROWEST = 20


def aligned(rows: Sequence[Sequence[str]], left: int = 1, room: int | None = None) -> Iterator[str]:
    """Yield rows of cells as lines with aligned columns, the first `left` of them to the left.

    Names in the first column lose their beginning where they are too long for a line of `room`.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if room is not None:
        rest = sum(len(GAP) + width for width in widths[1:])
        widths[0] = min(widths[0], max(room - rest, NARROWEST))
    for first, *cells in rows:
        shown = [_shortened(first, widths[0]), *cells]
        yield GAP.join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(shown, widths, strict=True))
        ).rstrip()


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"
