"""Print what a study needs from elsewhere, or fetch it."""

import argparse

from negmerge.commands import arguments

SUMMARY = "show the data sets and weights that a study needs, where they are from and what is there"
EPILOG = (
    "Sizes are those of the files to fetch. Put files that you have to fetch by hand into\n"
    "data/downloads/SET/, under their names. Call it in the folder with the Snakefile.\n\n"
    "example:\n  negmerge data paper\n  negmerge data cars --fetch"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="fetch them first, as `snakemake downloads` does; afterwards no job needs the "
        "internet",
    )
    arguments.add(parser, "study", "--json")


def run(options: argparse.Namespace) -> int:
    from negmerge.jobs.plan import describe, fetch, overview

    report = overview(options.study)
    if options.fetch:
        if status := fetch(options.study):
            return status
        report = overview(options.study)
    arguments.print_report(options, report, describe(report))
    return 0
