"""Lines that show how far a download, or the preparation of images, is."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def counted(
    name: str,
    items: Iterable[T],
    total: int | None,
    *,
    unit: str,
    start: int = 0,
    size: Callable[[T], int] = lambda item: 1,
    every: float = 5,
) -> Iterator[T]:
    """Pass items on, and print every few seconds how many came, how fast, and how long it takes."""
    count, began = 0, time.monotonic()
    shown = began

    def line() -> str:
        return tqdm.format_meter(
            start + count,
            total,
            time.monotonic() - began,
            ncols=0,
            prefix=name,
            unit=unit,
            unit_scale=unit == "B",
            initial=start,
        )

    try:
        for item in items:
            yield item
            count += size(item)
            if time.monotonic() - shown >= every:
                shown = time.monotonic()
                print(line())
    finally:
        print(line())
