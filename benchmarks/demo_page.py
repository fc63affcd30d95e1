"""What the pages say of the measured demo."""

import statistics

import pandas as pd
from marks import FIGURES, MEASUREMENTS, ROOT, write_between

FIRST_CHANGE = ROOT / "docs" / "first-change.md"
# What docs/first-change.md changes in the demo's study.
CHANGE = (
    "l1-sparse: {epochs: 1, learning_rate: 0.02,",
    "l1-sparse: {epochs: 1, learning_rate: 0.1,",
)
RETAIN, GAP = "rule `retain`", "rule `gap`"


def write(record: dict) -> None:
    """Write all that the pages say."""
    for page, name, text in texts(record):
        write_between(page, name, text)


def texts(record: dict) -> list[tuple]:
    """List the page, the marks and the text of each place where the demo is described."""
    return [
        (MEASUREMENTS, "measured", markdown(record)),
        (ROOT / "README.md", "takes", takes(record)),
        (FIRST_CHANGE, "change", change(record)),
    ]


def takes(record: dict) -> str:
    """Tell in a line how long the demo takes."""
    cores = record["machine"].partition(" (")[0]
    minutes = statistics.mean(run["seconds"] for run in record["runs"]) / 60
    return f"On {cores} the demo takes about {minutes:.0f} minutes after installation."


def change(record: dict) -> str:
    """Tell which jobs the change of docs/first-change.md asks for."""
    counts = record["runs"][0]["change"]
    named = ", ".join(f"{count} `{rule}`" for rule, count in sorted(counts.items()))
    before, after = (length(name) for name in ("gap-before", "gap-after"))
    return (
        f"{sum(counts.values())} jobs run: {named}. The bar of l1-sparse goes "
        f"from {before:.1f} to {after:.1f} points."
    )


def length(picture: str) -> float:
    """Add up the bar of l1-sparse in the numbers of a picture."""
    cells = pd.read_csv(FIGURES / f"{picture}.csv")
    return cells[(cells["method"] == "l1-sparse") & (cells["task"] == "mean")]["part"].sum()


def markdown(record: dict) -> str:
    """Describe the measured runs."""
    runs = record["runs"]
    seeds = ", ".join(str(run["seed"]) for run in runs)
    seconds = " and ".join(f"{run['seconds']:.0f} s" for run in runs)
    peak = max(run["peak_mb"] for run in runs)
    return "\n".join(
        [
            f"By `make bench` on {record['machine']}; one run for each of the seeds {seeds}.",
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
            "### Zero-shot forgetting",
            "",
            "Test accuracy in percent, mean over the seeds. ± is the binomial standard error of",
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
            "### Classifier",
            "",
            "Average gap to Retrain in points, mean over the seeds, [ ] the single",
            "seeds; forget accuracy and attack by the rule `gap`. One forgotten image is half a",
            "point of forget accuracy. Seconds: the job that trains and measures all models of the",
            "method's grid, or merges the pool (which takes fine-tuning of its own).",
            "",
            "| method | gap, rule `gap` | gap, rule `retain` | forget | attack | s |",
            "| --- | --- | --- | ---: | ---: | ---: |",
            *(gap_row(runs, method) for method in by_gap(runs)),
        ]
    )


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
