"""The paper's cells, as far as they are known."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError, unknown

NOT_KNOWN = "NA"
# The sources in config/published/README.md that are copies or measurements of others.
SECOND_HAND = {"NOTE", "COMP", "ABDU", "SEED", "PERTA", "UDS"}


def read_published(paths: Iterable[str | Path]) -> dict[str, pd.DataFrame]:
    """Read files of published cells as text; `NA` stays `NA`."""
    frames = {}
    for path in map(Path, paths):
        try:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read as CSV: {error}".replace("\n", " ")) from error
        for column in ("metric", "value"):
            if column not in frame:
                raise UserError(f"{path}: {unknown('column', column, frame.columns)}")
        frames[path.stem] = frame
    return frames


def paper_cell(
    frames: Mapping[str, pd.DataFrame], published: Mapping, row: str, metric: str
) -> tuple[float | None, str | None]:
    """Look up one cell of the paper, and who says so."""
    table = published["table"]
    file = f"{table}.csv"
    if table not in frames:
        raise UserError(f"published cells: {unknown('file', file, [f'{f}.csv' for f in frames])}")
    frame = frames[table]
    wanted = {**published["where"], published["row"]: row, "metric": metric}
    for column, value in wanted.items():
        if column not in frame:
            raise UserError(f"{file}: {unknown('column', column, frame.columns)}")
        frame = frame[frame[column] == value]
    if len(frame) > 1:
        raise UserError(f"{file}: {len(frame)} rows fit {wanted}, expected one; add to `where`")
    if frame.empty or frame["value"].iloc[0] == NOT_KNOWN:
        return None, None
    value = frame["value"].iloc[0]
    try:
        return float(value), frame["source"].iloc[0] if "source" in frame else None
    except ValueError:
        raise UserError(f"{file}: {wanted}: value {value!r} is not a number") from None


def is_second_hand(source: str | float | None) -> bool:
    """Whether one of the sources of a cell, `NOTE+ZSJSON`, copied it or measured it anew."""
    return isinstance(source, str) and not SECOND_HAND.isdisjoint(source.split("+"))
