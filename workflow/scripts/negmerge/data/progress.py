"""Lines that tell how far a download is."""

import time
from collections.abc import Callable
from threading import Event, Thread

MEGABYTE = 1e6


class Progress:
    """Prints a line every few seconds, also while nothing arrives.

    Args:
        name: what is being downloaded.
        start: bytes that were there before.
        total: bytes in all, or None.
        seconds: between two lines.
        write: prints a line.
    """

    def __init__(
        self,
        name: str,
        start: int,
        total: int | None,
        seconds: float = 5,
        write: Callable[[str], object] = print,
    ):
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
        """Count bytes that have arrived."""
        self._done += count

    def line(self) -> str:
        """Say how much is there, how fast it comes and how long the rest takes."""
        rate = (self._done - self._start) / max(time.monotonic() - self._began, 1e-9)
        done, speed = self._done / MEGABYTE, rate / MEGABYTE
        if not self._total:
            return f"{self._name}: {done:.1f} MB, {speed:.2f} MB/s"
        share = 100 * self._done / self._total
        left = duration((self._total - self._done) / rate) if rate else "unknown time"
        return (
            f"{self._name}: {done:.1f} of {self._total / MEGABYTE:.1f} MB ({share:.0f} %), "
            f"{speed:.2f} MB/s, {left} left"
        )

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self._write(self.line())


def duration(seconds: float) -> str:
    """Give a time as hours, minutes and seconds: 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"
