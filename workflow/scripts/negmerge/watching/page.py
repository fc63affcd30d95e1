"""The status of a study as a page that needs nothing else, and that a browser loads again."""

from importlib.resources import files

import jinja2
from tqdm import tqdm

from negmerge.watching.describing import LISTS, age, clock, headline, pace_lines, step_rows
from negmerge.watching.states import AT_WORK, DONE, FAILED, STOPPED

TEMPLATE = files("negmerge.watching") / "page.html.j2"
# The parts of the bar.
BARS = ((DONE, "done"), (AT_WORK, "work"), (FAILED, "bad"), (STOPPED, "bad"))


def page(found: dict, now: float, refresh: float) -> str:
    """Write a status as HTML.

    Args:
        found: from `status.status`.
        now: the time, in seconds since 1970.
        refresh: after how many seconds a browser loads it again.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["interval"] = tqdm.format_interval
    columns, *rows = step_rows(found)
    return environment.from_string(TEMPLATE.read_text()).render(
        found=found,
        percent=int(100 * found["states"][DONE] / found["jobs"]),
        headline=headline(found),
        bars=BARS,
        newest=f"{clock(found['newest'])}{age(found, now)}" if found["newest"] else "",
        written=clock(now),
        refresh=max(1, round(refresh)),
        pace=list(pace_lines(found)),
        titles=LISTS,
        columns=columns,
        rows=rows,
    )
