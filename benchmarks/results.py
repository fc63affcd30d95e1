"""Record what a finished study found, and write the pages that show the records.

    python benchmarks/results.py results/STUDY [--remark TEXT ...]   record a study, write the pages
    python benchmarks/results.py                                     write the pages alone

A study is recorded on the machine where it ran: its record, docs/results/STUDY.json, has the rows
of its tables of scores, whether NegMerge won against Uniform Merge and the best single model, what
the jobs took, the date, the machine and the versions. A remark says what a reader must know of this
run, such as that the images were a copy. docs/results.md shows a record between the marks with the
study's name, and README.md a row for each of its columns.
"""

import argparse
import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
from marks import ROOT, marks, write_between

from negmerge.jobs.provenance import FOLDER, read_record
from negmerge.reporting import runtime
from negmerge.reporting.findings import Column, columns, distinct, findings
from negmerge.reporting.layout import Bold, Heading, choice_text, heading_text, value_text
from negmerge.reporting.notes import number_of_trials
from negmerge.reporting.records import MEAN
from negmerge.reporting.report import read_tables
from negmerge.settings.study import load_study

PAGE, README = ROOT / "docs" / "results.md", ROOT / "README.md"
RECORDS = ROOT / "docs" / "results"
# The studies of the README's table, and the most rows that it has.
SHOWN, MOST_ROWS = ("real-lm", "real-classifier", "tofu-mini", "laptop", "demo-full"), 8
NEGMERGE = "negmerge"
# What NegMerge is compared with, and what the README calls it.
RIVALS = {"uniform": "Uniform Merge", "task-arithmetic": "best single model"}
# Jobs that start later than this after all others have ended belong to another piece of the run.
PAUSE = timedelta(minutes=1)
# Before the name of a study, that of a block which another script writes.
RUNS = "runs-"
NO_RECORD = "This study has no record yet, so nothing is said of its results."


def record(folder: Path, remarks: list[str]) -> dict:
    """Describe a finished study by its folder, `.../results/STUDY` beside `.../config`."""
    study = load_study(folder.parents[1] / "config", folder.name)
    settings = study.model_dump(mode="json")
    scenarios = {name: one.scenario for name, one in study.experiments.items()}
    for table in settings["tables"].values():
        for column in table["columns"]:
            column["scenario"] = scenarios[column["experiments"][0]]
    # In the study's order: of two tables that show the same, the first counts.
    files = [folder / "tables" / f"{name}.csv" for name in settings["tables"]]
    for file in files:
        if not file.is_file():
            sys.exit(f"error: {file} is not there; run the study to its report first")
    tables = read_tables(settings, files)
    scored = distinct([column for column in columns(tables) if column.is_scored and column.rows])
    notes = dict.fromkeys(t["note"] for t in settings["tables"].values() if t.get("note"))
    titles = {name: row.title for name, row in study.catalogue.models.items()}
    return {
        "study": folder.name,
        "title": study.title,
        **made(folder),
        # What the study itself says below its tables, such as what is smaller than in the paper.
        "remarks": [*remarks, *notes],
        "tables": [table_of(column, settings["experiments"], titles) for column in scored],
        "findings": {each.title: each.sentences for each in findings(settings, tables)},
    }


def made(folder: Path) -> dict:
    """Say when and where the jobs of a study ran, and what they took."""
    places = (path for path in (folder / FOLDER).rglob("*.json") if not path.is_symlink())
    jobs = sorted((read_record(path) for path in places), key=lambda job: job["started"])
    times = [runtime.read_benchmark(path) for path in folder.glob("benchmarks/**/*.tsv")]
    known = dict(runtime.machine())
    own = [job["machine"] for job in jobs]
    return {
        "date": jobs[-1]["started"][:10],
        "machine": {
            "processor": known["Processor"],
            "cores": int(known["Processors"]),
            "vectors": " and ".join(sorted({one["vectors"] for one in own if "vectors" in one})),
            "memory": known["Memory"],
            "gpu": ", ".join(sorted({one["gpu"] for one in own if "gpu" in one})) or None,
        },
        "took": {
            "jobs": len(times),
            "minutes": round(busy(jobs).total_seconds() / 60, 1),
            "processor_minutes": round(sum(one["cpu_time"].sum() for one in times) / 60, 1),
            "largest_job_mb": round(max(one["max_rss"].max() for one in times)),
        },
        "versions": jobs[-1]["versions"],
    }


def busy(jobs: list[dict]) -> timedelta:
    """Add up the time in which at least one job ran, without the pauses between pieces."""
    total, end = timedelta(), None
    for job in jobs:
        start = datetime.fromisoformat(job["started"])
        after = start + timedelta(seconds=job["seconds"])
        if end is None or start > end + PAUSE:
            end = start
        total += max(after - end, timedelta())
        end = max(after, end)
    return total


def table_of(column: Column, experiments: dict, titles: dict) -> dict:
    """Take the rows of a column of a table: the numbers with their errors, and the choices."""
    experiment = experiments[min(column.places)[0]]
    if tasks := experiment.get("tasks"):
        shown = [task for task in tasks if task in {task for _, task in column.places}]
        shown = {task: tasks[task] for task in shown} if isinstance(tasks, dict) else shown
        experiment = experiment | {"tasks": shown}
    means = column.cells[column.cells["experiment"].eq(MEAN) & column.cells["row"].notna()]
    metrics = [
        metric
        for metric in column.scenario.metrics
        if metric.printed and not metric.optional and metric.name in set(means["metric"])
    ]
    rows = []
    for label in means["row"].drop_duplicates():
        own = means[means["row"] == label]
        cells = {cell["metric"]: cell for cell in own.to_dict("records")}
        scores = {
            metric.name: score(cells[metric.name], metric)
            for metric in metrics
            if metric.name in cells
        }
        first = cells[metrics[0].name]
        rows.append(
            {"row": label, "method": first["method"], "choice": choice_text(first)}
            | {"scores": scores}
        )
    better = {"lower": "lower", "higher": "higher"}
    headings = {
        metric.name: heading_text(
            Heading(column.name, metric.label, metric.unit, better.get(metric.better, ""))
        )
        for metric in metrics
    }
    to_forget = column.to_forget
    return {
        "column": column.name,
        "model": titles[experiment["model"]],
        "forgets": column.scenario.describe(experiment)[0],
        "seeds": number_of_trials(column.scenario, column.cells),
        "headline": column.scenario.headline,
        "to_forget": to_forget and round(to_forget["value"], 2),
        "headings": headings,
        "rows": rows,
        "against": {
            name: column.verdict(row) for name in RIVALS if (row := column.row(name)) is not None
        },
    }


def score(cell: dict, metric) -> dict:
    """Take a number, its error, and how tables print it."""
    shown = value_text(cell, metric)
    known = {"value": cell["value"], "error": cell["standard_error"]}
    return {key: None if pd.isna(value) else value for key, value in known.items()} | {
        "shown": str(shown),
        "best": isinstance(shown, Bold),
    }


def machine_text(machine: dict) -> str:
    """Describe a machine in a few words."""
    parts = [f"{machine['cores']} cores of {machine['processor']}"]
    parts += [machine[key] for key in ("vectors", "gpu") if machine.get(key)]
    return ", ".join(parts)


def section(found: dict) -> str:
    """Show the record of a study: its machine and date, its tables, and what is not concluded."""
    took, versions = found["took"], found["versions"]
    memory = found["machine"].get("memory")
    numbers = {
        "{:,} jobs": took.get("jobs"),
        "{:g} minutes": took.get("minutes"),
        "{:g} minutes of processor": took.get("processor_minutes"),
        "{:,} MB in the largest job": took.get("largest_job_mb"),
    }
    facts = [text.format(value) for text, value in numbers.items() if value is not None]
    packages = [f"{name} {versions[name]}" for name in ("python", "torch") if name in versions]
    machine = machine_text(found["machine"]) + (f", {memory} of memory" if memory else "")
    lines = ["| date | machine | took | versions |", "| --- | --- | --- | --- |"]
    cells = [found["date"], machine, ", ".join(facts), ", ".join(packages) or "not noted"]
    lines += [f"| {' | '.join(cells)} |", "", *(f"- {text}" for text in found["remarks"])]
    for table in found["tables"]:
        lines += ["", *table_lines(table)]
    limits = found["findings"].get("Not to be concluded", [])
    if limits:
        lines += ["", "What is not to be concluded:", "", *(f"- {text}" for text in limits)]
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def table_lines(table: dict) -> list[str]:
    """Show a column of a study's table, and what NegMerge did against others."""
    names = list(table["headings"])
    lines = [
        f"**{table['column']}**: {table['model']}, which forgets {table['forgets']}; "
        + (f"{table['seeds']} seeds." if table["seeds"] > 1 else "one seed."),
        "",
        f"| method | {' | '.join(table['headings'].values())} | choice |",
        f"| --- |{' ---: |' * (len(names) + 1)}",
    ]
    for row in table["rows"]:
        scores = [row["scores"].get(name) for name in names]
        shown = [
            "" if one is None else f"**{one['shown']}**" if one["best"] else one["shown"]
            for one in scores
        ]
        lines.append(f"| {' | '.join([row['row'], *shown, row['choice']])} |")
    against = [f"against {RIVALS[name]}: {text}" for name, text in table["against"].items()]
    return [*lines, "", f"NegMerge {'; '.join(against)}."] if against else lines


def brief(records: dict[str, dict]) -> str:
    """Show a row for each column that has NegMerge, for the README."""
    lines = [
        "| study | what is forgotten | model | machine, seeds | NegMerge | "
        f"{' | '.join(f'against {name}' for name in RIVALS.values())} |",
        "| --- | --- | --- | --- | --- |" + " --- |" * len(RIVALS),
    ]
    for name in (name for name in SHOWN if name in records):
        for table in records[name]["tables"]:
            own = next((row for row in table["rows"] if row["method"] == NEGMERGE), None)
            if own is None:
                continue
            label = table["headings"][table["headline"]].partition(" (")[0]
            reached = f"{label} {own['scores'][table['headline']]['shown']}"
            machine = records[name]["machine"]
            seeds = f"{table['seeds']} seed{'s' * (table['seeds'] > 1)}"
            where = f"{machine.get('gpu') or str(machine['cores']) + ' cores'}, {seeds}"
            against = [table["against"].get(rival, "not there") for rival in RIVALS]
            # The page of results has the model's size.
            model = table["model"].partition(" (")[0]
            cells = [f"`{name}`", table["forgets"], model, where, reached, *against]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines[: 2 + MOST_ROWS])


def read_records() -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(RECORDS.glob("*.json"))}


def texts(records: dict[str, dict]) -> list[tuple[Path, str, str]]:
    """List the page, the marks and the text of each place that shows records."""
    studies = re.findall(r"^<!-- (\S+):begin -->$", PAGE.read_text(), re.M)
    without = {name: "" if RUNS + name in studies else NO_RECORD for name in studies}
    shown = {name: text for name, text in without.items() if not name.startswith(RUNS)}
    shown |= {name: section(found) for name, found in records.items()}
    return [(PAGE, name, text) for name, text in shown.items()] + [
        (README, "results", brief(records))
    ]


def write() -> None:
    """Write the pages from the records; a study without marks gets a heading at the end."""
    records = read_records()
    for name in records:
        begin, end = marks(name)
        if begin not in PAGE.read_text():
            PAGE.write_text(f"{PAGE.read_text()}\n## `{name}`\n\n{begin}\n{end}\n")
    for page, name, text in texts(records):
        write_between(page, name, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, metavar="results/STUDY")
    parser.add_argument("--remark", action="append", default=[], help="what to know of this run")
    chosen = parser.parse_args()
    if chosen.folder:
        found = record(chosen.folder.absolute(), chosen.remark)
        RECORDS.mkdir(exist_ok=True)
        text = json.dumps(found, indent=1, ensure_ascii=False)
        (RECORDS / f"{found['study']}.json").write_text(f"{text}\n")
    write()


if __name__ == "__main__":
    main()
