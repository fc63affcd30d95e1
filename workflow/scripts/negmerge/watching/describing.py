"""The status of a study as people read it at a terminal."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tqdm import tqdm

from negmerge.planning.describing import UNITS, number
from negmerge.standalone.text_table import aligned
from negmerge.watching.states import AT_WORK, DONE, FAILED, STOPPED

# Lists of jobs that are not done.
LISTS = {"failed": "failed", "stopped": "stopped, without having ended", "at_work": "at work"}
MOST = 8  # of each list, the rest is counted
BAR = 24
OLD = 900  # seconds without a new line in any log


def describe(found: dict, now: float, width: int) -> Iterator[str]:
    """Print a status, in lines that are no longer than a terminal is wide.

    Args:
        found: from `status.status`.
        now: the time, in seconds since 1970.
        width: of the terminal.
    """
    for line in _lines(found, now):
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        yield from textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]


def _lines(found: dict, now: float) -> Iterator[str]:
    yield f"{found['study']}: {found['title']}"
    full = int(BAR * found["states"][DONE] / found["jobs"])
    yield f"[{'#' * full}{'-' * (BAR - full)}] {headline(found)}"
    if found["newest"]:
        yield f"newest file: {clock(found['newest'])}{age(found, now)}"
    yield ""
    yield from aligned(step_rows(found))
    yield ""
    yield from pace_lines(found)
    for key, title in LISTS.items():
        yield from _jobs(title, found[key])
    for one in found["warnings"]:
        yield ""
        yield f"{one['about']}: {one['means']}"
        yield from _most([f"  {cell}" for cell in one["cells"]])
    if found["report"]:
        yield ""
        yield f"report: {found['report']}"


def headline(found: dict) -> str:
    """Spell how many jobs are in each state."""
    states, jobs = found["states"], found["jobs"]
    counts = [f"{states[DONE]:,} of {jobs:,} jobs done"]
    counts += [f"{states[word]:,} {word}" for word in (AT_WORK, FAILED, STOPPED) if states[word]]
    return f"{int(100 * states[DONE] / jobs)} %: {', '.join(counts)}"


def step_rows(found: dict) -> list[list[str]]:
    """Return a heading, and a row for each step with its jobs in each state, and hours."""
    words = [word for word, count in found["states"].items() if count or word == DONE]
    rows = [["step", "jobs", *words, "h used", "h planned"]]
    for step in found["steps"]:
        counts = (step[word] for word in words)
        shown = [f"{count:,}" if count else "" for count in counts]
        hours = [number(step["used"]), number(step["planned"])]
        rows.append([step["rule"], f"{step['jobs']:,}", *shown, *hours])
    return rows


def pace_lines(found: dict) -> Iterator[str]:
    """Spell the hours used and planned, and when the study may end."""
    pace = found["pace"]
    for unit, name in UNITS.items():
        hours = pace["hours"][unit]
        if hours["planned"]:
            used = (
                f"{name}: {number(hours['used'])} used, {number(hours['planned'])} planned in all"
            )
            if hours["planned_for_done"]:
                used += f"; what is done took {number(hours['used_by_done'])}, "
                used += f"planned were {number(hours['planned_for_done'])}"
            yield used
    if not found["states"][DONE] or found["states"][DONE] == found["jobs"]:
        return
    left = f"left: {number(pace['left'])} h of jobs"
    if pace["hours_to_end"] is None:
        yield left
        return
    left += f", {number(pace['side_by_side'])} side by side: {number(pace['hours_to_end'])} h"
    yield left
    if pace["ends"]:
        yield f"expected end: {clock(pace['ends'])}"
    else:
        yield "expected end: none, since nothing is at work"


def clock(seconds: float) -> str:
    """Spell a time, given in seconds since 1970, to the minute."""
    return datetime.fromtimestamp(seconds).strftime("%a %d %b %Y, %H:%M")


def age(found: dict, now: float) -> str:
    """Say so where nothing has been written for a while though something seems to be at work."""
    seconds = now - found["newest"]
    if seconds < OLD or not found["at_work"]:
        return ""
    return f", {timedelta(seconds=int(seconds))} ago: this is a copy, or the run was killed"


def _jobs(title: str, jobs: Sequence[dict]) -> Iterator[str]:
    if jobs:
        yield ""
        yield f"{title}:"
    lines = []
    for one in jobs:
        since = f" ({tqdm.format_interval(one['seconds'])})" if one["seconds"] else ""
        line = " ".join(one["line"].split()) or "nothing written yet"
        lines.append(f"  {one['job']}{since}: {line}")
    yield from _most(lines)
    if jobs:
        yield f"  the first one's log: {jobs[0]['log']}"


def _most(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:MOST]
    if len(lines) > MOST:
        yield f"  and {len(lines) - MOST:,} more; --json lists all"
