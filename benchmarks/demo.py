"""Measure a demo from nothing to its report, several times, and write the pages.

    python benchmarks/demo.py [--study STUDY] [--add] [RUN ...]    (default: 0 1 0:avx2)
    python benchmarks/demo.py [--study STUDY] --write    write the pages from the record

The study is `demo`, whose time the README tells, `demo-full`, whose numbers
docs/dev/measurements.md shows, or `demo-lm`.

A run is a seed, or a seed and the kind of processor that `other_machines.py` makes of this one:
what differs between kinds comes of rounding alone. Each runs in a fresh copy of the checkout. With
the first run of `demo`, the change that docs/tutorial.md tells of is made afterwards, and the
study runs again. The numbers go to benchmarks/STUDY.json, to the marks of the pages, and into the
figures of docs/figures; `--add` keeps those of earlier runs, such as those of another machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import demo_page
import pandas as pd
import pictures
import psutil
import torch
from marks import ROOT, machine
from other_machines import CASES, copy_checkout

STUDY = "config/studies/{}.yaml"
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]
AS_IT_IS = "as-it-is"


def memory_of(process: psutil.Process) -> int:
    """Add up the resident memory of a process and all below it, in bytes."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def run(folder: Path, study: str, case: str) -> dict:
    """Run a demo and return seconds, jobs and peak memory."""
    log = folder / "run.log"
    start = time.monotonic()
    with open(log, "w") as stream:
        command = [*SNAKEMAKE, "--", f"results/{study}/report.html"]
        environment = os.environ | CASES[case][0]
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=stream, stderr=stream
        )
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, memory_of(watched))
            time.sleep(0.5)
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"error: the demo failed:\n{log.read_text()}")
    jobs = sum(jobs_since(folder, 0).values())
    return {"seconds": round(seconds, 1), "jobs": jobs, "peak_mb": round(peak / 2**20)}


def times(folder: Path) -> list[tuple[str, Path]]:
    """List what Snakemake has measured: the rule of each job, and the file."""
    files = sorted(folder.glob("*/**/benchmarks/**/*.tsv"))
    return [(f.parts[f.parts.index("benchmarks", len(folder.parts)) + 1], f) for f in files]


def jobs_since(folder: Path, start: float) -> dict[str, int]:
    """Count the jobs of each rule that have ended since a time, in seconds of the clock."""
    return dict(Counter(rule for rule, f in times(folder) if f.stat().st_mtime >= start))


def steps(folder: Path) -> dict[str, dict]:
    """Count the jobs of each rule and add up their seconds."""
    rows = {}
    for rule, file in times(folder):
        record = pd.read_csv(file, sep="\t").iloc[0]
        row = rows.setdefault(rule, {"jobs": 0, "seconds": 0.0, "largest_mb": 0.0})
        row["jobs"] += 1
        row["seconds"] = round(row["seconds"] + float(record["s"]), 1)
        memory = pd.to_numeric(record["max_rss"], errors="coerce")
        row["largest_mb"] = max(row["largest_mb"], 0.0 if pd.isna(memory) else float(memory))
    return dict(sorted(rows.items(), key=lambda item: -item[1]["seconds"]))


def accuracies(folder: Path) -> dict[str, dict[str, dict]]:
    """Read CLIP's test accuracies: task -> method -> forget, control and coefficient."""
    found: dict = {}
    for file in sorted(folder.glob("results/demo-full/mini-clip/*/scores/*.json")):
        # The first is what the main rule chose.
        score = json.loads(file.read_text())[0]
        row = {
            role: 100 * score[role]["correct"] / score[role]["n"] for role in ("forget", "control")
        }
        sizes = {f"{role}_n": score[role]["n"] for role in ("forget", "control")}
        found.setdefault(score["task"], {})[score["method"]] = (
            row | sizes | {"coefficient": score["coefficient"], "vector": score["vector"]}
        )
    return found


def gaps(folder: Path) -> dict[str, dict[str, dict]]:
    """Read the table of the classifier: rule -> method -> metric -> value, and seconds."""
    cells = pd.read_csv(folder / "results/demo-full/tables/table2.csv")
    cells = cells[(cells["task"] == "mean") & cells["row"].notna()]
    cells = cells[~cells["metric"].str.startswith("mia_")]
    found: dict = {}
    for cell in cells.itertuples():
        method = found.setdefault(cell.column, {}).setdefault(cell.method, {})
        method |= {"label": cell.row, cell.metric: None if pd.isna(cell.value) else cell.value}
        files = folder.glob(f"results/demo-full/benchmarks/*/mini-resnet/*/{cell.method}.tsv")
        made = [path for path in files if path.parts[-4] in ("unlearn", "merge", "greedy", "train")]
        method["seconds"] = sum(float(pd.read_csv(path, sep="\t")["s"].iloc[0]) for path in made)
    return found


def answers(folder: Path) -> dict[str, dict]:
    """Read the table of the language model: row -> metric -> value, and what was chosen."""
    cells = pd.read_csv(folder / "results/demo-lm/tables/language.csv", keep_default_na=False)
    cells = cells[(cells["experiment"] == "mean") & (cells["row"] != "NA")]
    found: dict = {}
    for cell in cells.itertuples():
        if cell.metric in ("forget", "extraction", "retain"):
            row = found.setdefault(cell.row, {"choice": cell.choice})
            row |= {
                cell.metric: float(cell.value),
                f"{cell.metric}_error": float(cell.standard_error),
            }
    return found


def first_change(folder: Path) -> dict[str, int]:
    """Make the change of docs/tutorial.md in a finished demo, and count the jobs of each rule.

    The figures of docs/figures are taken from before and after it.
    """
    figures = folder / "results/demo/figures"
    pictures.take(figures, pictures.BEFORE)
    study, (old, new) = folder / STUDY.format("demo"), demo_page.CHANGE
    text = study.read_text()
    if text.count(old) != 1:
        sys.exit(f"error: {study.name}: {old!r} must stand there once")
    study.write_text(text.replace(old, new))
    start = time.time()
    run(folder, "demo", AS_IT_IS)
    pictures.take(figures, pictures.AFTER)
    return jobs_since(folder, start)


def measure(study: str, seed: int, case: str, with_change: bool) -> dict:
    """Run a demo in a temporary folder, and once more with the change of the page."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "workflow"
        copy_checkout(folder)
        path = folder / STUDY.format(study)
        path.write_text(f"{path.read_text()}\nseed: {seed}\n")
        result = {"machine": machine(), "seed": seed, "vectors": vectors(case)}
        result |= run(folder, study, case)
        print(f"{study}: {result}", flush=True)
        result["steps"] = steps(folder)
        if study == "demo-lm":
            result["answers"] = answers(folder)
        elif study == "demo-full":
            result |= {"accuracy": accuracies(folder), "gap": gaps(folder)}
        elif with_change:
            result["change"] = first_change(folder)
        return result


def vectors(case: str) -> str:
    """Name the vector instructions that torch takes."""
    asked = CASES[case][0].get("ATEN_CPU_CAPABILITY")
    return asked.upper() if asked else torch.backends.cpu.get_cpu_capability()


def main() -> None:
    """Measure the runs that are asked for, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", metavar="RUN", default=["0", "1", "0:avx2"])
    parser.add_argument("--study", choices=demo_page.STUDIES, default="demo")
    parser.add_argument("--add", action="store_true", help="keep the runs of the record")
    parser.add_argument("--write", action="store_true", help="write the pages alone")
    chosen = parser.parse_args()
    record = ROOT / "benchmarks" / f"{chosen.study}.json"
    runs = json.loads(record.read_text())["runs"] if chosen.add or chosen.write else []
    for name in [] if chosen.write else chosen.runs:
        seed, _, case = name.partition(":")
        runs.append(measure(chosen.study, int(seed), case or AS_IT_IS, with_change=not runs))
        record.write_text(json.dumps({"runs": runs}, indent=2) + "\n")
    demo_page.write(chosen.study, runs)
    if chosen.study == "demo":
        pictures.draw_all()


if __name__ == "__main__":
    main()
