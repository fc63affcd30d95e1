"""What `make` shows of a run: one bar at a terminal, elsewhere a line for each finished job.

Snakemake finds this package by its name and uses it with `--logger negmerge`. Its log file in
.snakemake/log keeps all that is not shown here.
"""

import os
import re
import sys
import time
from dataclasses import dataclass, field
from logging import WARNING, LogRecord
from pathlib import Path
from threading import Event, Thread

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from tqdm import tqdm

from snakemake_logger_plugin_negmerge.remaining import Remaining
from snakemake_logger_plugin_negmerge.terminal import Terminal

BAR = "{percentage:3.0f}% |{bar:12}| {n} of {total} jobs | {elapsed}, {desc}"
# The one remark of Snakemake's that is shown, in the words of its source.
NOTHING = "Nothing to be done"
# A failed job is told by its own log; these say only that something failed.
SAID = re.compile(r"CalledProcessError in |a job execution failed|At least one job did not")
KILLED = re.compile(r"died with <Signals\.(\w+)")
KILLERS = {"SIGKILL": ", as systems do when memory runs out"}
LOG_LINES = 15


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options on the command line, e.g. `--logger-negmerge-again make`."""

    again: str = field(
        default="the same command", metadata={"help": "the command that goes on after a stop"}
    )


@dataclass
class Job:
    """A job at work: its rule, its message and the time it began, in seconds."""

    rule: str
    title: str
    began: float


class LogHandler(LogHandlerBase):
    """Show how far a run is, and the end of a failed job's log."""

    writes_to_stream = has_filter = has_formatter = True
    writes_to_file = needs_rulegraph = False

    def __post_init__(self) -> None:
        self.stream = sys.stderr
        at_terminal = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.terminal = Terminal() if at_terminal else None
        self.running: dict[int, Job] = {}
        self.total = self.done = self.failed = 0
        self.interrupted = False
        self.bar: tqdm | None = None
        self.ended = Event()
        self.events = {
            LogEvent.RUN_INFO: self._begin,
            LogEvent.JOB_INFO: self._job_began,
            LogEvent.JOB_FINISHED: self._job_finished,
            LogEvent.JOB_ERROR: self._job_failed,
        }

    def emit(self, record: LogRecord) -> None:
        """Show a message of Snakemake, or what it says of the run."""
        try:
            text = record.getMessage()
            if show := self.events.get(getattr(record, "event", None)):
                show(record)
            elif killed := KILLED.search(text):
                self._job_killed(killed[1])
            elif text.startswith(NOTHING) or (record.levelno >= WARNING and not SAID.search(text)):
                self._print(text)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Take the bar away and say how the run ended; Snakemake closes a handler twice."""
        with self.lock:
            if not self.ended.is_set():
                self.ended.set()
                self._end()
        super().close()

    def _end(self) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.total:
            self._print(self._summary())
        if self.terminal:
            self.terminal.give_back()
            if self.done < self.total and not (self.failed or self._stopping()):
                self._print_indented(self.terminal.stray_lines())

    def _begin(self, record: LogRecord) -> None:
        if self.common_settings.dryrun:
            self._print(record.getMessage())
            return
        jobs = dict(record.stats)
        self.total, self.began = jobs.pop("total"), record.created
        self.remaining = Remaining(jobs)
        if self.terminal:
            self.stream = self.terminal.take()
            self.bar = tqdm(
                total=self.total, file=self.stream, bar_format=BAR, leave=False, dynamic_ncols=True
            )
            Thread(target=self._keep_time, daemon=True).start()
        else:
            self._print(f"jobs to do: {self.total}")

    def _job_began(self, record: LogRecord) -> None:
        title = record.rule_msg or record.rule_name
        self.running[record.jobid] = Job(record.rule_name, title, record.created)
        self._draw()

    def _job_finished(self, record: LogRecord) -> None:
        job = self.running.pop(record.job_id)
        self.done += 1
        self.remaining.finish(job.rule, record.created - job.began)
        self.end = record.created + self.remaining.seconds(record.created - self.began)
        if not self.terminal:
            self._print(f"{self.done:{len(str(self.total))}} of {self.total}  {job.title}")
        self._draw()

    def _job_killed(self, name: str) -> None:
        if name == "SIGINT":
            self.interrupted = True
        else:
            self._print(f"a job was ended by {name}{KILLERS.get(name, '')}")

    def _job_failed(self, record: LogRecord) -> None:
        job = self.running.pop(record.jobid)
        if self._stopping():
            return
        self.failed += 1
        self._print(f"FAILED {job.title}")
        logs = [(path, _lines(path, job.began)) for path in record.log]
        for path, lines in logs:
            self._print(
                f"  the end of its log, {path}:" if lines else f"  nothing written to {path}"
            )
            self._print_indented(lines)
        if self.terminal and not any(lines for _, lines in logs):
            self._print_indented(self.terminal.stray_lines())

    def _stopping(self) -> bool:
        """Whether Ctrl-C was pressed at the terminal; jobs may die of it before this process."""
        return self.terminal is not None and (self.terminal.interrupted or self.interrupted)

    def _summary(self) -> str:
        took = tqdm.format_interval(time.time() - self.began)
        done = f"{self.done} of {self.total} jobs in {took}"
        if self.done == self.total:
            return f"done: {done}"
        failed = f", {self.failed} failed" if self.failed else ""
        return f"stopped: {done}{failed}\nto go on from there: {self.settings.again}"

    def _print(self, text: str) -> None:
        """Print a line, above the bar if there is one."""
        tqdm.write(text, file=self.stream)
        self.stream.flush()

    def _print_indented(self, lines: list[str]) -> None:
        for line in lines[-LOG_LINES:]:
            self._print(f"    {line}")

    def _keep_time(self) -> None:
        """Let the clock of the bar go on while no job ends."""
        while not self.ended.wait(1):
            with self.lock:
                self._draw()

    def _draw(self) -> None:
        if self.bar is None or self.ended.is_set():
            return
        left = tqdm.format_interval(max(0, self.end - time.time())) if self.done else "?"
        words = f"{self.failed} failed" if self.failed else f"{left} left"
        if self._stopping():
            words = "stopping"
        titles = "; ".join(job.title for job in self.running.values())
        self.bar.n = self.done
        self.bar.set_description_str(f"{words} | {titles}")


def _lines(path: str, since: float) -> list[str]:
    """Return the lines of a log; none where a job has ended before it opened its log anew."""
    log = Path(path)
    if not log.exists() or log.stat().st_mtime < since:
        return []
    return log.read_text(errors="replace").splitlines()
