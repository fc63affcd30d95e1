"""What `snakemake --logger negmerge` shows: a bar at a terminal, elsewhere a line for each job."""

import os
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from logging import WARNING, LogRecord
from pathlib import Path
from statistics import fmean
from threading import Event, Thread

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

BAR = "{percentage:3.0f}% |{bar:12}| {n} of {total} jobs | {elapsed}, {desc}"
AGAIN = "NEGMERGE_AGAIN"  # names the command that goes on after a stop
REMARKS = ("Nothing to be done", "Job stats:")  # which are shown, the second in a dry run
# A failed job is told by its own log; these messages say only that something failed.
SAID = re.compile(r"CalledProcessError in |a job execution failed|At least one job did not")


class LogHandler(LogHandlerBase):
    """Show how far a run is, and the end of a failed job's log."""

    writes_to_stream = has_filter = has_formatter = True
    writes_to_file = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream = sys.stderr
        self.running: dict[int, tuple[str, str, float]] = {}  # title, rule, when it began
        self.times: dict[str, list[float]] = defaultdict(list)  # by rule, in seconds
        self.total = self.done = self.failed = 0
        self.interrupted = False
        self.bar = tqdm(disable=True)
        self.ended = Event()
        self.stray = None
        if self.stream.isatty():
            # What jobs print before they open their logs, or when Ctrl-C ends them there.
            self.stray = tempfile.TemporaryFile("a+", errors="replace")  # noqa: SIM115
            signal.signal(signal.SIGINT, self._interrupt)

    def emit(self, record: LogRecord) -> None:
        """Show a message of Snakemake, or what it says of the run."""
        try:
            event, text = getattr(record, "event", None), record.getMessage()
            if event == LogEvent.RUN_INFO and not self.common_settings.dryrun:
                self._begin(record)
            elif event == LogEvent.JOB_INFO:
                title, rule = record.rule_msg or record.rule_name, record.rule_name
                self.running[record.jobid] = (title, rule, record.created)
            elif event == LogEvent.JOB_FINISHED:
                self._job_finished(record, *self.running.pop(record.job_id))
            elif event == LogEvent.JOB_ERROR:
                self._job_failed(record, *self.running.pop(record.jobid))
            elif killed := re.search(r"died with <Signals\.(\w+)", text):
                self.interrupted |= self.stray is not None and killed[1] == "SIGINT"
                if not self.interrupted:
                    why = ", as systems do when memory runs out" if killed[1] == "SIGKILL" else ""
                    self._print(f"a job was ended by {killed[1]}{why}")
            elif text.startswith(REMARKS) or (record.levelno >= WARNING and not SAID.search(text)):
                self._print(text)
            self._draw()
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the bar away and say how the run ended; Snakemake closes a handler twice."""
        with self.lock:
            if self.total and not self.ended.is_set():
                self.ended.set()
                self.bar.close()
                if self.stray is not None:
                    os.dup2(self.stream.fileno(), 2)
                how = "done" if self.done == self.total else "stopped"
                failed = f", {self.failed} failed" if self.failed else ""
                took = tqdm.format_interval(time.time() - self.began)
                self._print(f"{how}: {self.done} of {self.total} jobs in {took}{failed}")
                if self.done < self.total:
                    self._print(f"to go on from there: {os.environ.get(AGAIN, 'the same command')}")
        super().close()

    def seconds_left(self, elapsed: float) -> float:
        """Take each job for the mean of its rule, or of all, and as many at once as so far."""
        done = [seconds for times in self.times.values() for seconds in times]
        work = sum(left * fmean(self.times.get(rule, done)) for rule, left in self.left.items())
        return work / max(1.0, sum(done) / elapsed)

    def _begin(self, record: LogRecord) -> None:
        self.left = dict(record.stats)  # the jobs of each rule that are not done
        self.total, self.began = self.left.pop("total"), record.created
        if self.stray is not None:
            self.stream = os.fdopen(os.dup(2), "w")
            os.dup2(self.stray.fileno(), 2)
            self.bar = tqdm(
                total=self.total, file=self.stream, bar_format=BAR, leave=False, dynamic_ncols=True
            )
            Thread(target=self._keep_time, daemon=True).start()
        else:
            self._print(f"jobs to do: {self.total}")

    def _job_finished(self, record: LogRecord, title: str, rule: str, began: float) -> None:
        self.done += 1
        self.left[rule] -= 1
        self.times[rule].append(record.created - began)
        self.end = record.created + self.seconds_left(record.created - self.began)
        if self.stray is None:
            self._print(f"{self.done:{len(str(self.total))}} of {self.total}  {title}")

    def _job_failed(self, record: LogRecord, title: str, _: str, began: float) -> None:
        if self.interrupted:
            return
        self.failed += 1
        self._print(f"FAILED {title}")
        for log in map(Path, record.log):
            is_new = log.exists() and log.stat().st_mtime >= began  # not of an earlier try
            text = log.read_text(errors="replace") if is_new else ""
            said = f"the end of its log, {log}:" if text else f"nothing written to {log}"
            if not text and self.stray is not None:
                self.stray.seek(0)
                text = self.stray.read()
            self._print("\n    ".join([f"  {said}", *text.splitlines()[-15:]]))

    def _print(self, text: str) -> None:
        tqdm.write(text, file=self.stream)  # above the bar if there is one

    def _keep_time(self) -> None:
        while not self.ended.wait(1):
            with self.lock:
                self._draw()

    def _draw(self) -> None:
        if not self.ended.is_set():
            left = tqdm.format_interval(max(0, self.end - time.time())) if self.done else "?"
            words = f"{self.failed} failed" if self.failed else f"{left} left"
            titles = "; ".join(title for title, _, _ in self.running.values())
            self.bar.n = self.done
            self.bar.set_description_str(f"{'stopping' if self.interrupted else words} | {titles}")

    def _interrupt(self, number: int, _: object) -> None:
        """End as on SIGTERM, since Snakemake's own SIGINT ends in tracebacks at some moments."""
        end = signal.getsignal(signal.SIGTERM)
        if self.interrupted or not callable(end):  # Ctrl-C again, or before there is a scheduler
            raise SystemExit(128 + number)
        self.interrupted = True
        # In a thread, since it takes a lock that the interrupted code may hold.
        Thread(target=end, args=(number, None)).start()
