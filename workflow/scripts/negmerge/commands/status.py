"""Show how far a study is."""

import argparse
import shutil
import time
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "show how far a study is: what is done, at work and failed, and when it may end"
EPILOG = (
    "It reads files only: records, logs and times. So it works while the study runs, and for a\n"
    "copy of results/STUDY in another clone. Call it in the folder with the Snakefile.\n\n"
    "examples:\n  negmerge status paper\n  negmerge status paper --html status.html --every 60"
)
# How often a page asks for its newer self, if nobody says how often it is written.
REFRESH = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the study, and how its status is shown."""
    parser.add_argument("study", metavar="STUDY", help="the name of its file, without .yaml")
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write a page, which a browser loads again"
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        type=arguments.positive,
        help="look again after so long, until all is done or you press Ctrl-C",
    )
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> None:
    """Look, once or again and again.

    Raises:
        UserError: something in the study is wrong, or Snakemake cannot list its jobs.
    """
    from negmerge.watching.status import status

    while True:
        found = status(options.study)
        _show(found, options)
        if options.every is None or found["states"]["done"] == found["jobs"]:
            return
        time.sleep(options.every)


def _show(found: dict, options: argparse.Namespace) -> None:
    from negmerge.watching.describing import describe, headline

    now = time.time()
    if options.html:
        from negmerge.files import write_text
        from negmerge.watching.page import page

        write_text(options.html, page(found, now, options.every or REFRESH))
    lines = describe(found, now, shutil.get_terminal_size().columns)
    if options.html and not options.json:
        lines = [f"{options.html}: {headline(found)}"]
    arguments.print_report(options, found, lines)
