"""What became of each job of a study, as its files tell.

A job is done when it has left a record of how its output was made, or when a later job has used the
output. Its log tells the rest: jobs that fail end it with what was wrong.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from negmerge.jobs.provenance import find_record
from negmerge.jobs.snakemake_records import FOLDER, made_now, place_of
from negmerge.planning.jobs import Job
from negmerge.planning.plan import took

DONE, AT_WORK, FAILED, STOPPED, WAITING = "done", "at work", "failed", "stopped", "waiting"
TAIL = 4096
# What Python says before the line that tells what is wrong, and what our jobs say.
TRACEBACK, ERROR = "Traceback (most recent call last):", "error: "
# How Snakemake tells of a failed job, and of its log.
FAILURE = re.compile(r"^Error in rule \w+.*\n(?:    .*\n)*?    log: (.+?)(?: \(check.*)?$", re.M)
KILLED = "it ended without a word, as when it is killed"


@dataclass(frozen=True)
class State:
    """What became of a job.

    Attributes:
        is_now: one of the words above.
        line: the last line of its log.
        began: when it began, in seconds since 1970; None: not known.
        took: the seconds that it took, or has taken so far; None: not known.
    """

    is_now: str
    line: str = ""
    began: float | None = None
    took: float | None = None


@dataclass(frozen=True)
class Seen:
    """What the files of a study tell.

    Attributes:
        states: what became of each job.
        newest: when the newest log or record was written, in seconds since 1970; 0: there is none.
    """

    states: dict[Job, State]
    newest: float

    def of(self, is_now: str) -> list[Job]:
        """List the jobs in a state."""
        return [job for job, state in self.states.items() if state.is_now == is_now]


def look(jobs: Iterable[Job]) -> Seen:
    """Look at the files of jobs, each of which comes after those whose files it reads."""
    jobs = list(jobs)
    files = _Files(jobs)
    states: dict[Job, State] = {}
    used: set[Job] = set()
    for job in reversed(jobs):
        state = files.state(job)
        # Of a copy, what others are made from may be missing, such as data.
        states[job] = State(DONE) if job in used and state.is_now == WAITING else state
        if states[job].is_now == DONE:
            used.update(job.after)
    return Seen({job: states[job] for job in jobs}, files.newest)


class _Files:
    """The records and logs of jobs, and what Snakemake has noted.

    Args:
        jobs: the jobs.
    """

    def __init__(self, jobs: Iterable[Job]):
        records = {job: find_record(Path(job.outputs[0])) for job in jobs}
        self._records = {job: place for job, place in records.items() if place}
        logs = {job: _written(Path(job.log)) for job in jobs if job.log}
        self._written = {job: time for job, time in logs.items() if time is not None}
        self._recorded = {job: _written(place) or 0 for job, place in self._records.items()}
        self.newest = max([*self._written.values(), *self._recorded.values()], default=0.0)
        self._making, self._failures = made_now(), _failures()
        # Snakemake's notes tell what is being made, unless this is a copy without them.
        self._is_live = bool(self._making) or any(
            place_of(job.outputs[0]).is_file() for job in self._records
        )

    def state(self, job: Job) -> State:
        """Return what became of a job, as its own files tell."""
        began, written = self._making.get(job.outputs[0]), self._written.get(job)
        if job in self._records and self._recorded[job] >= (began or 0):
            return _done(job, self._records[job])
        is_old = written is None or (began is not None and written < began)
        if began is not None and is_old:
            # It has just begun, or waits for its turn on a cluster.
            return State(AT_WORK, began=began)
        lines = [] if is_old else _last_lines(Path(job.log))
        last = lines[-1] if lines else ""
        if last.startswith(ERROR) or TRACEBACK in lines:
            return State(FAILED, last.removeprefix(ERROR))
        if job.log in self._failures and began is None:
            return State(FAILED, f"{KILLED}: {last}" if last else KILLED)
        if is_old:
            return State(WAITING)
        # Snakemake takes its note of a job away when the job has ended, somehow.
        has_ended = self._is_live and began is None
        if has_ended or self.newest - written > 60 * job.minutes:
            return State(STOPPED, last)
        return State(AT_WORK, last, began, None if began is None else written - began)


def _done(job: Job, record: Path) -> State:
    """Return when a job that has left a record began, and what it took."""
    try:
        content = json.loads(record.read_text())
        began, own = datetime.fromisoformat(content["started"]).timestamp(), content["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return State(DONE, took=took(job))
    whole = took(job)
    return State(DONE, began=began, took=own if whole is None else whole)


def _written(path: Path) -> float | None:
    """Return when a file was last written, if there is one."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _last_lines(log: Path) -> list[str]:
    """Return the last lines of a log; a bar that is drawn anew counts as lines."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - TAIL))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def _failures() -> set[str]:
    """Return the logs of the jobs that failed in Snakemake's last run here."""
    runs = sorted((FOLDER / "log").glob("*.snakemake.log"))
    text = runs[-1].read_text(errors="replace") if runs else ""
    return {log for found in FAILURE.finditer(text) for log in found[1].split(", ")}
