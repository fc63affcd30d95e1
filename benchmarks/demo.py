"""Measure the demo study from nothing to its report, over several seeds, and write the README.

    python benchmarks/demo.py [SEED ...]        (default: 0 1)
    python benchmarks/demo.py --write           write the README from the last measurement

Each seed runs in a fresh copy of the checkout. The numbers go to benchmarks/demo.json and, as
Markdown, between the `measured` marks of README.md.
"""

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import psutil
from marks import write_between

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".snakemake", "__pycache__")
STUDY = "config/studies/demo.yaml"


def copy_checkout(folder: Path, seed: int) -> None:
    """Copy the workflow without any result, and set the demo's seed."""

    def ignore(directory: str, names: list[str]) -> set[str]:
        top = {"data", "results"} if directory == str(ROOT) else set()
        return LEFT_OUT(directory, names) | top

    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignore)
    study = folder / STUDY
    study.write_text(f"{study.read_text()}\nseed: {seed}\n")


def memory_of(process: psutil.Process) -> int:
    """Add up the resident memory of a process and all below it, in bytes."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def run(folder: Path) -> dict:
    """Run the demo and give seconds, jobs and peak memory."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--", "results/demo/report.html"]
    log = folder / "run.log"
    start = time.monotonic()
    with open(log, "w") as stream:
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=stream)
        watched, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, memory_of(watched))
            time.sleep(0.5)
    seconds = time.monotonic() - start
    if process.returncode:
        sys.exit(f"error: the demo failed:\n{log.read_text()}")
    jobs = int(re.findall(r"of (\d+) steps", log.read_text())[-1])
    return {"seconds": round(seconds, 1), "jobs": jobs, "peak_mb": round(peak / 2**20)}


def steps(folder: Path) -> dict[str, dict]:
    """Count the jobs of each rule and add up their seconds."""
    rows = {}
    for file in folder.glob("*/**/benchmarks/**/*.tsv"):
        rule = file.parts[file.parts.index("benchmarks", len(folder.parts)) + 1]
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
    for file in sorted(folder.glob("results/demo/mini-clip/*/scores/*.json")):
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
    cells = pd.read_csv(folder / "results/demo/tables/table2.csv")
    cells = cells[(cells["task"] == "mean") & cells["row"].notna()]
    cells = cells[~cells["metric"].str.startswith("mia_")]
    found: dict = {}
    for cell in cells.itertuples():
        method = found.setdefault(cell.column, {}).setdefault(cell.method, {})
        method |= {"label": cell.row, cell.metric: None if pd.isna(cell.value) else cell.value}
        times = folder.glob(f"results/demo/benchmarks/*/mini-resnet/*/{cell.method}.tsv")
        made = [path for path in times if path.parts[-4] in ("unlearn", "merge", "greedy", "train")]
        method["seconds"] = sum(float(pd.read_csv(path, sep="\t")["s"].iloc[0]) for path in made)
    return found


def measure(seed: int) -> dict:
    """Run the demo with one seed in a temporary folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "workflow"
        copy_checkout(folder, seed)
        result = run(folder)
        print(f"seed {seed}: {result}", flush=True)
        scores = {"accuracy": accuracies(folder), "gap": gaps(folder)}
        return {"seed": seed, **result, "steps": steps(folder), **scores}


def markdown(runs: list[dict]) -> str:
    """Describe the measured runs for the README."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    seeds = ", ".join(str(run["seed"]) for run in runs)
    seconds = " and ".join(f"{run['seconds']:.0f} s" for run in runs)
    peak = max(run["peak_mb"] for run in runs)
    return "\n".join(
        [
            f"By `make bench` on {machine}; seeds {seeds}.",
            "",
            f"The demo after installation: {seconds}, {runs[0]['jobs']} jobs, at most {peak} MB of "
            "memory over all processes.",
            "",
            "| step | jobs | seconds in all | largest job, MB |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {rule} | {row['jobs']} | {row['seconds']:.0f} | {row['largest_mb']:.0f} |"
                for rule, row in runs[0]["steps"].items()
                if row["seconds"] >= 1
            ),
            "",
            "Zero-shot forgetting.",
            "Test accuracy in percent, mean over the seeds; ± is the binomial standard error of",
            "one seed's figure, [ ] the single seeds. The coefficient keeps 95 % of the control",
            "accuracy on the validation images; on the test images it can keep less.",
            "",
            "| forgotten | method | forget (lower) | control (higher) | control kept, % |",
            "| --- | --- | --- | --- | ---: |",
            *(
                row_of(runs, task, method)
                for task, methods in runs[0]["accuracy"].items()
                for method in sorted(methods, key=lambda m: (m != "pretrained", m))
            ),
            "",
            f"Forget accuracy, mean over tasks and seeds, lowest first: {ranking(runs)}.",
            "Differences of a few points are noise, see the standard errors and the single seeds.",
            "",
            "Classifier: average gap to Retrain in points, mean over the seeds, [ ] the single",
            "seeds; forget accuracy and attack by the rule `gap`. One forgotten image is half a",
            "point of forget accuracy. Seconds: the job that trains and measures all models of the",
            "method's grid, or merges the pool (which takes fine-tuning of its own).",
            "",
            "| method | gap, rule `gap` | gap, rule `retain` | forget | attack | s |",
            "| --- | --- | --- | ---: | ---: | ---: |",
            *(gap_row(runs, method) for method in by_gap(runs)),
        ]
    )


RETAIN, GAP = "rule `retain`", "rule `gap`"


def by_gap(runs: list[dict]) -> list[str]:
    """Order the classifier's methods by their mean gap."""
    methods = runs[0]["gap"][GAP]
    return sorted(methods, key=lambda m: statistics.mean(r["gap"][GAP][m]["gap"] for r in runs))


def gap_row(runs: list[dict], method: str) -> str:
    """Format what one method of the classifier reached."""
    rows, others = ([run["gap"][rule][method] for run in runs] for rule in (GAP, RETAIN))
    gaps = [", ".join(f"{row['gap']:.1f}" for row in found) for found in (rows, others)]
    means = [statistics.mean(row["gap"] for row in found) for found in (rows, others)]
    forget, attack, seconds = (
        statistics.mean(row[key] for row in rows) for key in ("forget", "mia", "seconds")
    )
    return (
        f"| {rows[0]['label']} | {means[0]:.1f} [{gaps[0]}] | {means[1]:.1f} [{gaps[1]}] | "
        f"{forget:.1f} | {attack:.1f} | {seconds:.0f} |"
    )


def ranking(runs: list[dict]) -> str:
    """Name the methods that forget every task, by their mean forget accuracy, the lowest first."""
    tasks = [methods for run in runs for methods in run["accuracy"].values()]
    everywhere = set.intersection(*(set(methods) for methods in tasks))
    means = sorted(
        (statistics.mean(methods[method]["forget"] for methods in tasks), method)
        for method in everywhere
    )
    return ", ".join(f"{method} {mean:.1f}" for mean, method in means)


def row_of(runs: list[dict], task: str, method: str) -> str:
    """Format what one method reached on one task."""
    ours = [run["accuracy"][task][method] for run in runs]
    base = [run["accuracy"][task]["pretrained"] for run in runs]
    kept = statistics.mean(
        100 * after["control"] / before["control"] for after, before in zip(ours, base, strict=True)
    )
    return f"| {task} | {method} | {cell(ours, 'forget')} | {cell(ours, 'control')} | {kept:.1f} |"


def cell(rows: list[dict], role: str) -> str:
    """Format mean, standard error and the single seeds."""
    values = [row[role] for row in rows]
    share = statistics.mean(values) / 100
    error = 100 * (share * (1 - share) / rows[0][f"{role}_n"]) ** 0.5
    single = ", ".join(f"{value:.1f}" for value in values)
    return f"{statistics.mean(values):.1f} ± {error:.1f} [{single}]"


if __name__ == "__main__":
    record = ROOT / "benchmarks" / "demo.json"
    if sys.argv[1:] != ["--write"]:
        measured = [measure(int(seed)) for seed in sys.argv[1:] or ["0", "1"]]
        record.write_text(json.dumps(measured, indent=2) + "\n")
    write_between(ROOT / "README.md", "measured", markdown(json.loads(record.read_text())))
