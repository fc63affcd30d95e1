"""Write what studies take into the pages that tell it.

    python benchmarks/paper_plan.py

docs/reproduce-a-table.md gets a row for each table and figure of the paper's study, README.md the
GPU hours of all of it, and config/README.md a row for each smaller study. The numbers are those of
`negmerge plan`. Run it where no results of these studies lie, since they are those of the jobs to
do.
"""

import os
import re

from marks import ROOT, marks, read_between, write_between

from negmerge.jobs.plan import REPORT, make_plan

README = ROOT / "README.md"
PAGE = ROOT / "docs" / "reproduce-a-table.md"
MARKS = marks("plan")
STUDY = "paper"
SMALLER_PAGE = ROOT / "config" / "README.md"
SMALLER = ("first-hour", "lite", "laptop")
# Names in config/costs.yaml.
MACHINES = ("gpu-24gb", "cpu")
HEAD = """\
| name | jobs | GPU hours | CPU hours | GB to fetch | to write | GB of the GPU |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
SMALLER_HEAD = """\
| study | jobs | hours on a GPU of 24 GB | on a core | GB to fetch | to write |
| --- | ---: | ---: | ---: | ---: | ---: |
"""


def rows() -> list[str]:
    """Plan each table and figure of the paper, from the folder of the workflow."""
    return [_row(name, row.values()) for name, row in make_plan(STUDY)["rows"].items()]


def smaller_row(study: str) -> str:
    """Plan a smaller study, from the folder of the workflow."""
    found = [make_plan(study, machine)["rows"][REPORT] for machine in MACHINES]
    hours = [one["gpu_hours"] + one["cpu_hours"] for one in found]
    sizes = [found[0]["fetch_gigabytes"], found[0]["write_gigabytes"]]
    return _row(study, [found[0]["jobs"], *hours, *sizes])


def _row(name, numbers) -> str:
    """Show two figures: no estimate has more."""
    shown = [f"{n:,}" if isinstance(n, int) else f"{float(f'{n:.2g}'):,g}" for n in numbers]
    return f"| {' | '.join([f'`{name}`', *shown])} |\n"


def with_hours(text: str) -> str:
    """Put the GPU hours of the page's report into the README."""
    hours = re.search(r"^\| `report` \| \S+ \| (\S+) \|", read_between(PAGE, "plan"), re.M)[1]
    return re.sub(r"[\d,]+(?= GPU hours\])", hours, text)


def main() -> None:
    """Write the tables between the marks of the pages, and the README's hours."""
    os.chdir(ROOT)
    write_between(PAGE, "plan", HEAD + "".join(rows()).rstrip("\n"))
    README.write_text(with_hours(README.read_text()))
    smaller = "".join(map(smaller_row, SMALLER))
    write_between(SMALLER_PAGE, "plan", SMALLER_HEAD + smaller.rstrip("\n"))


if __name__ == "__main__":
    main()
