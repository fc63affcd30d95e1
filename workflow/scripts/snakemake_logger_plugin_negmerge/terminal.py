"""A terminal that shows one bar: nothing else may print into it, and Ctrl-C ends quietly."""

import os
import signal
import sys
import tempfile
from threading import Thread
from types import FrameType
from typing import TextIO


class Terminal:
    """Take standard error over, for this process and for the jobs that it starts.

    Attributes:
        interrupted: whether the user has pressed Ctrl-C.
    """

    def __init__(self) -> None:
        self.interrupted = False
        self._stray: TextIO | None = None
        signal.signal(signal.SIGINT, self._interrupt)

    def take(self) -> TextIO:
        """Return a stream to the terminal; what others print goes to a file from here on."""
        self._screen = os.fdopen(os.dup(sys.stderr.fileno()), "w")
        self._stray = tempfile.TemporaryFile("a+", errors="replace")  # noqa: SIM115
        os.dup2(self._stray.fileno(), sys.stderr.fileno())
        return self._screen

    def give_back(self) -> None:
        """Let others print to the terminal again."""
        if self._stray is not None:
            os.dup2(self._screen.fileno(), sys.stderr.fileno())

    def stray_lines(self) -> list[str]:
        """Return what others have printed, e.g. jobs that fail before they open their log."""
        self._stray.seek(0)
        return self._stray.read().splitlines()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Let Snakemake end as it does on SIGTERM: with the jobs, which get Ctrl-C as well.

        What it does on SIGINT ends in tracebacks at some moments. A second Ctrl-C, or one before
        there is a scheduler, ends it at once.
        """
        end = signal.getsignal(signal.SIGTERM)
        if self.interrupted or not callable(end):
            raise SystemExit(128 + number)
        self.interrupted = True
        # In a thread, since it takes a lock that the interrupted code may hold.
        Thread(target=end, args=(signal.SIGTERM, None)).start()
