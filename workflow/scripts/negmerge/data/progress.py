"""Lines that show how far a download, or the preparation of images, is."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Unit:
    """The unit of progress: its name, how many are counted as one, and with which decimals."""

    name: str
    size: float
    amount: str
    rate: str


MEGABYTES = Unit("MB", 1e6, ".1f", ".2f")
IMAGES = Unit("images", 1, ".0f", ".0f")


class Progress:
    """Prints a line every few seconds, also while nothing arrives."""

    def __init__(
        self,
        name: str,
        start: int,
        total: int | None,
        seconds: float = 5,
        write: Callable[[str], object] = print,
        unit: Unit = MEGABYTES,
    ):
        self._unit = unit
        self._name, self._start, self._total = name, start, total
        self._seconds, self._write = seconds, write
        self._done = start
        self._began = time.monotonic()
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._write(self.line())

    def add(self, count: int) -> None:
        """Count bytes or images that have arrived."""
        self._done += count

    def line(self) -> str:
        """Describe how much is there, how fast it comes and how long the rest takes."""
        rate = (self._done - self._start) / max(time.monotonic() - self._began, 1e-9)
        unit = self._unit
        done, speed = f"{self._done / unit.size:{unit.amount}}", f"{rate / unit.size:{unit.rate}}"
        if not self._total:
            return f"{self._name}: {done} {unit.name}, {speed} {unit.name}/s"
        share = 100 * self._done / self._total
        rest = (self._total - self._done) / rate if rate else None
        left = "unknown time" if rest is None else timedelta(seconds=round(rest))
        return (
            f"{self._name}: {done} of {self._total / unit.size:{unit.amount}} {unit.name} "
            f"({share:.0f} %), {speed} {unit.name}/s, {left} left"
        )

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._write(self.line())


def counted(name: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Pass images on, and print every few seconds how many have passed."""
    with Progress(name, 0, total, unit=IMAGES) as progress:
        for item in items:
            yield item
            progress.add(1)
