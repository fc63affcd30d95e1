"""Write what studies take into the pages that tell it.

    python benchmarks/paper_plan.py

docs/reproduce-a-table.md gets a row for each table and figure of the paper's study, and README.md
the GPU hours of those that it names; docs/smaller-studies.md gets a row for each smaller study. The
numbers are those of `negmerge plan`. Run it where no results of these studies lie, since they are
those of the jobs to do.
"""

import os
import re
from collections.abc import Sequence

from marks import ROOT, marks, read_between, write_between

from negmerge.planning.chains import behind
from negmerge.planning.exhibits import exhibit_row
from negmerge.planning.jobs import list_jobs
from negmerge.planning.plan import CORES, REPORT, exhibits, make_plan, targets
from negmerge.planning.prices import Prices
from negmerge.settings.costs import load_costs
from negmerge.settings.study import Study, load_study

CONFIG = ROOT / "config"
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "reproduce-a-table.md"
MARKS = marks("plan")
STUDY = "paper"
SMALLER_PAGE = ROOT / "docs" / "smaller-studies.md"
SMALLER = ("first-hour", "lite", "laptop")
# Names in config/costs.yaml.
MACHINES = ("gpu-12gb", "gpu-24gb", "cuda", "cpu")
HEAD = """\
| name | jobs | GPU hours | most on | `fast` | most on | longest chain, h | GB to fetch | to write |
| --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: |
"""
SMALLER_HEAD = """\
| study | GPU, 12 GB | GPU, 24 GB | A100 | a core | 2 cores | 8 cores | GB to fetch | to write |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def paper() -> Study:
    """Read the study."""
    return load_study(CONFIG, STUDY, options=False)


def names() -> list[str]:
    """List what can be planned: tables, figures, and the report, which has all of them."""
    return [*exhibits(paper()), REPORT]


def rows(chosen: Sequence[str]) -> list[str]:
    """Plan tables, figures or the report, from the folder of the workflow."""
    study = paper()
    files = {name: targets(study, STUDY, name) for name in chosen}
    jobs = list_jobs([file for wanted in files.values() for file in wanted])
    prices = Prices(study, load_costs(CONFIG))
    return [_row(exhibit_row(name, behind(jobs, files[name]), prices)) for name in chosen]


def _row(plan: dict) -> str:
    cells = [f"`{plan['name']}`", f"{plan['jobs']:,}", _rounded(plan["hours"]), plan["binds"]]
    cells += [_rounded(plan["fast_hours"]), plan["fast_binds"]]
    cells += [_rounded(plan[key]) for key in ("chain", "fetch", "write")]
    return f"| {' | '.join(cells)} |\n"


def smaller_rows() -> list[str]:
    """Plan the smaller studies, from the folder of the workflow."""
    return [_smaller_row(make_plan(name, config=CONFIG)) for name in SMALLER]


def _smaller_row(plan: dict) -> str:
    hours = {one["name"]: one["hours"] for one in plan["machines"]}
    numbers = [hours[name] for name in MACHINES] + [plan["cores"].get(cores) for cores in CORES]
    numbers += [sum(plan["fetch"].values()), plan["disk"]["gigabytes"]]
    cells = [f"`{plan['study']}`", *("-" if one is None else _rounded(one) for one in numbers)]
    return f"| {' | '.join(cells)} |\n"


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
    write_between(SMALLER_PAGE, "plan", SMALLER_HEAD + "".join(smaller_rows()).rstrip("\n"))


if __name__ == "__main__":
    main()
