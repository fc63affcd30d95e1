"""Print what a study will take, by table and figure."""

import argparse
from collections.abc import Iterator

from negmerge.commands import arguments

SUMMARY = "estimate what a study will take: jobs, hours, memory of a GPU, downloads and disk"
EPILOG = (
    "Nothing is run. Snakemake lists the jobs that are still to do; what they take are estimates,\n"
    "by the rates in config/costs.yaml. Call it in the folder with the Snakefile.\n\n"
    "examples:\n  negmerge plan demo\n  negmerge plan paper --device gpu-24gb"
)
HEAD = ["", "jobs", "GPU h", "CPU h", "GB to fetch", "GB to write", "GPU GB"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    arguments.add(parser, "study", "--json")
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="the machine to plan for, a name in config/costs.yaml, in place of the study's device",
    )


def run(options: argparse.Namespace) -> None:
    from negmerge.jobs.plan import make_plan

    report = make_plan(options.study, options.device)
    arguments.print_report(options, report, _lines(report))


def _lines(report: dict) -> Iterator[str]:
    rows = [[name, *map(_number, row.values())] for name, row in report["rows"].items()]
    yield f"{report['study']}: what is still to do, on {report['device']}"
    yield from arguments.aligned([HEAD, *rows])
    yield "Hours are rough estimates, one job after the other. Tables and figures share jobs."
    if report["unknown"]:
        yield f"Of unknown size, assumed large: {', '.join(report['unknown'])}"
    yield from (f"caution: {line}" for line in report["cautions"])


def _number(value: float) -> str:
    """Show two digits: no estimate has more."""
    return f"{float(f'{value:.2g}'):,g}" if isinstance(value, float) else f"{value:,}"
