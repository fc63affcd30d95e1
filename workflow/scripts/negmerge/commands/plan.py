"""Print what a study, or a part of it, will take."""

import argparse

from negmerge.commands import arguments

SUMMARY = "estimate what a study will take: jobs, hours, downloads and disk"
EPILOG = (
    "Nothing is run. Snakemake lists the jobs with what their rules ask for; hours are\n"
    "estimates, from config/costs.yaml. With --measure, each of the study's networks trains and\n"
    "evaluates on images of noise for ten seconds first, and what it reached counts instead.\n"
    "Call it in the folder with the Snakefile.\n\n"
    "examples:\n  negmerge plan paper table2\n  negmerge plan demo --measure"
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
    parser.add_argument(
        "--measure",
        metavar="SECONDS",
        type=arguments.positive,
        nargs="?",
        const=10.0,
        help="measure each network here for so long, 10 s if no number follows",
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda"),
        help="where jobs compute, in place of what configuration and study say",
    )
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> None:
    """Plan.

    Raises:
        UserError: something in the study is wrong, or Snakemake cannot plan it.
    """
    from negmerge.planning.describing import describe
    from negmerge.planning.plan import make_plan

    how = {"device": options.device, "measured": options.measure}
    report = make_plan(options.study, options.target, **how)
    arguments.print_report(options, report, describe(report))
