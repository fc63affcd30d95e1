"""Write what each table and figure of the paper's study takes into docs/reproduce-a-table.md.

The GPU hours of those that README.md names are written there as well.

    python benchmarks/paper_plan.py

The numbers are those of `negmerge plan paper NAME`. Run it where no result of the study lies, since
they are those of the jobs to do.
"""

import os
import re
from collections.abc import Sequence

from marks import ROOT, marks, read_between, write_between

from negmerge.planning.jobs import Job, list_jobs
from negmerge.planning.plan import add_up, targets
from negmerge.settings.study import load_study

README = ROOT / "README.md"
PAGE = ROOT / "docs" / "reproduce-a-table.md"
MARKS = marks("plan")
STUDY = "paper"
HEAD = """\
| name | jobs | GPU hours | longest chain, hours | GB to fetch | GB to write |
| --- | ---: | ---: | ---: | ---: | ---: |
"""


def names() -> list[str]:
    """List what can be planned: tables, figures, and the report, which has all of them."""
    study = load_study(ROOT / "config", STUDY, options=False)
    return [*dict.fromkeys([*study.tables, *study.figures]), "report"]


def rows(chosen: Sequence[str]) -> list[str]:
    """Plan tables, figures or the report, from the folder of the workflow."""
    study = load_study(ROOT / "config", STUDY, options=False)
    files = {name: targets(study, STUDY, name) for name in chosen}
    jobs = list_jobs([file for wanted in files.values() for file in wanted])
    return [_row(name, _needed(jobs, wanted)) for name, wanted in files.items()]


def _needed(jobs: Sequence[Job], files: Sequence[str]) -> list[Job]:
    """Return the jobs behind some files."""
    waiting, found = [job for job in jobs if set(files) & set(job.outputs)], {}
    while waiting:
        job = waiting.pop()
        if job not in found:
            found[job] = None
            waiting += job.after
    return list(found)


def _row(name: str, jobs: Sequence[Job]) -> str:
    plan = add_up(jobs)
    numbers = [plan["hours"]["gpu"]["estimate"], plan["chain"]["hours"]["estimate"]]
    numbers += [sum(plan["fetch"].values()), plan["disk"]["gigabytes"]]
    return f"| `{name}` | {len(jobs):,} | {' | '.join(map(_rounded, numbers))} |\n"


def _rounded(number: float) -> str:
    """Show two figures: no estimate has more."""
    return f"{float(f'{number:.2g}'):,g}"


def with_hours(text: str) -> str:
    """Put the GPU hours of the page's table into the rows of the README that name a target."""
    table = read_between(PAGE, "plan")
    hours = dict(re.findall(r"^\| `([^`]+)` \| \S+ \| (\S+) \|", table, re.M))
    row = r"^(\| .* \| `(?:tables/|figures/)?([\w-]+)\.\w+` \| )[\d.,]+( \| not run \|)$"
    return re.sub(row, lambda found: f"{found[1]}{hours[found[2]]}{found[3]}", text, flags=re.M)


def main() -> None:
    """Write the table between the marks of the page, and the README's hours."""
    os.chdir(ROOT)
    write_between(PAGE, "plan", HEAD + "".join(rows(names())).rstrip("\n"))
    README.write_text(with_hours(README.read_text()))


if __name__ == "__main__":
    main()
