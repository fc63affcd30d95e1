"""Print what a study needs from elsewhere, or fetch it."""

import argparse
from collections.abc import Iterator, Mapping

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
    from negmerge.jobs.plan import fetch, overview

    report = overview(options.study)
    if options.fetch:
        if status := fetch(options.study):
            return status
        report = overview(options.study)
    arguments.print_report(options, report, _lines(report))
    return 0


def _lines(report: Mapping) -> Iterator[str]:
    """Print what a study needs: a row for each set and model, then what a person has to know."""
    yield f"{report['study']}: what it needs from elsewhere"
    yield ""
    yes_no = {True: "yes", False: "no"}
    rows = [["set", "source", "by hand", "GB", "files there", "prepared", "licence"]]
    for row in report["sets"]:
        present = f"{row['present']} of {row['files']}" if row["files"] else ""
        known = f"{row['bytes'] / 1e9:.3g}" if row["bytes"] else ""
        more = "?" if row["unknown"] and not known else "+ ?" if row["unknown"] else ""
        cells = [row["name"], row["source"], yes_no[row["by_hand"]], f"{known} {more}".strip()]
        rows.append([*cells, present, yes_no[row["prepared"]], row["licence"]])
    for row in report["weights"]:
        size = f"{row['bytes'] / 1e9:.3g}" if row["bytes"] else "?"
        present = f"{int(row['present'])} of 1"
        rows.append([row["model"], row["repository"] or "its package", "no", size, present, "", ""])
    yield from arguments.aligned(rows, left=len(rows[0]))
    yield ""
    total = sum(row["bytes"] or 0 for row in (*report["sets"], *report["weights"]))
    unknown = [f"{row['name']}/{file}" for row in report["sets"] for file in row["unknown"]]
    rest = f", and of unknown size: {', '.join(unknown)}" if unknown else ""
    yield f"In all {total / 1e9:.3g} GB{rest}"
    for row in report["sets"]:
        if row["missing_by_hand"]:
            yield f"by hand: {row['name']}: {', '.join(row['missing_by_hand'])}"
        if row["differs"]:
            yield f"mirror: {row['name']}: {row['differs']}"
