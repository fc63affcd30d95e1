"""Write what each table and figure of the paper's study takes into docs/reproduce-a-table.md.

    python benchmarks/paper_plan.py

The numbers are those of `negmerge plan paper NAME`. Run it where no result of the study lies, since
files that are there count with the size that they have. It takes some minutes.
"""

import os
from pathlib import Path

from marks import marks, write_between

from negmerge.planning.plan import make_plan
from negmerge.settings.study import load_study

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reproduce-a-table.md"
MARKS = marks("plan")
STUDY = "paper"
HEAD = """\
| name | jobs | GPU hours | longest chain, hours | GB to fetch | GB on disk at peak |
| --- | ---: | ---: | ---: | ---: | ---: |
"""


def names() -> list[str]:
    """List what can be planned: tables, figures, and the report, which has all of them."""
    study = load_study(ROOT / "config", STUDY)
    return [*dict.fromkeys([*study.tables, *study.figures]), "report"]


def row(name: str) -> str:
    """Plan one table, figure or the report, from the folder of the workflow."""
    plan = make_plan(STUDY, name)
    fetched = plan["downloads"]
    size = sum(each["bytes"] for each in fetched) + sum(plan["weights"].values())
    peak = plan["peak"]["end"] + (plan["peak"]["spool"] or 0)
    cells = [
        f"{sum(step['jobs'] for step in plan['steps']):,}",
        _at_least(plan["hours"]["gpu"]["all"], plan["steps"]),
        _rounded(plan["chain"]["seconds"] / 3600),
        _at_least(size / 1e9, fetched),
        _at_least(peak / 1e9, plan["disk"]),
    ]
    return f"| `{name}` | {' | '.join(cells)} |\n"


def _at_least(number: float, parts: list[dict]) -> str:
    """Show a sum, with a sign where parts of it are not known."""
    return ("> " if any(part["unknown"] for part in parts) else "") + _rounded(number)


def _rounded(number: float) -> str:
    """Show two figures: no estimate has more."""
    return f"{float(f'{number:.2g}'):,g}"


def main() -> None:
    """Write the table between the marks of the page."""
    os.chdir(ROOT)
    write_between(PAGE, "plan", HEAD + "".join(map(row, names())).rstrip("\n"))


if __name__ == "__main__":
    main()
