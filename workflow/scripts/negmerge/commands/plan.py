"""Print what a study, or a part of it, will take."""

import argparse

from negmerge import arguments

SUMMARY = "estimate what a study will take: jobs, hours, downloads and disk"
EPILOG = (
    "Nothing is run. Snakemake lists the jobs with what their rules ask for; hours are\n"
    "estimates, from config/costs.yaml. Call it in the folder with the Snakefile.\n\n"
    "example:\n  negmerge plan paper table2"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the study and the target."""
    parser.add_argument("study", metavar="STUDY", help="the name of its file, without .yaml")
    parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        default="report",
        help="a table, a figure, a path, or report, the default",
    )
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Plan.

    Raises:
        UserError: something in the study is wrong, or Snakemake cannot plan it.
    """
    from negmerge.planning.describing import describe
    from negmerge.planning.plan import make_plan

    report = make_plan(options.study, options.target)
    arguments.print_report(options, report, describe(report))
