"""What the pages say of the measured demos: ranges over their runs."""

import math
from collections.abc import Iterable

import pandas as pd
from marks import FIGURES, MEASUREMENTS, ROOT, write_between

TUTORIAL = ROOT / "docs" / "tutorial.md"
RESULTS = ROOT / "docs" / "results.md"
# What docs/tutorial.md changes in the demo's study.
CHANGE = (
    "l1-sparse: {epochs: 1, learning_rate: 0.02,",
    "l1-sparse: {epochs: 1, learning_rate: 0.1,",
)
STUDIES = ("demo", "demo-full", "demo-lm")
RETAIN, GAP = "criterion `retain`", "criterion `gap`"
# Steps of a study that took fewer seconds in all are not listed.
LEAST = 30


def write(study: str, runs: list[dict]) -> None:
    """Write all that the pages say of a demo."""
    for page, name, text in texts(study, runs):
        write_between(page, name, text)


def texts(study: str, runs: list[dict]) -> list[tuple]:
    """List the page, the marks and the text of each place where a demo is described."""
    if study == "demo-lm":
        return [(RESULTS, "runs-demo-lm", language(runs))]
    if study == "demo-full":
        return [(MEASUREMENTS, "measured", markdown(runs))]
    return [
        (ROOT / "README.md", "takes", takes(runs)),
        (TUTORIAL, "change", change(runs)),
    ]


def takes(runs: list[dict]) -> str:
    """Tell in a line how long the demo takes, in whole minutes."""
    low, high = (math.ceil(end(run["seconds"] for run in runs) / 60) for end in (min, max))
    minutes = f"{low} to {high}" if low < high else f"{low}"
    return (
        f"On two cores the demo takes {minutes} minutes after installation, by the machine "
        "and what else it does."
    )


def change(runs: list[dict]) -> str:
    """Tell which jobs the change of docs/tutorial.md asks for."""
    counts = runs[0]["change"]
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


def runs_of(runs: list[dict]) -> str:
    """Name the runs: their seeds, and on which processors."""
    return "; ".join(f"seed {r['seed']}, {r['vectors']}, {r['machine']}" for r in runs)


def between(values: Iterable[float], form: str = ".1f") -> str:
    """Format the lowest and the highest of some values, or the only one."""
    ordered = sorted(values)
    lowest, highest = (format(end, form) for end in (ordered[0], ordered[-1]))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def markdown(runs: list[dict]) -> str:
    """Describe the measured runs of `demo-full`."""
    peak = max(run["peak_mb"] for run in runs)
    classifier = runs[0]["gap"][GAP]
    return "\n".join(
        [
            f"By `benchmarks/demo.py --study demo-full`; runs: {runs_of(runs)}.",
            "A number is that of all runs, or the lowest and the highest of them.",
            "",
            f"The study after installation: {between((r['seconds'] for r in runs), '.0f')} s, "
            f"at most {peak} MB of memory over all processes. The first run had {runs[0]['jobs']} "
            f"jobs, of which these steps took {LEAST} seconds or more:",
            "",
            "| step | jobs | seconds in all | largest job, MB |",
            "| --- | ---: | ---: | ---: |",
            *(
                f"| {rule} | {row['jobs']} | {row['seconds']:.0f} | {row['largest_mb']:.0f} |"
                for rule, row in runs[0]["steps"].items()
                if row["seconds"] >= LEAST
            ),
            "",
            "### Zero-shot forgetting",
            "",
            "Test accuracy in percent. The coefficient keeps 95 % of the control accuracy on the",
            "validation images; on the test images it can keep less.",
            "",
            "| forgotten | method | forget (lower) | control (higher) | coefficient |",
            "| --- | --- | ---: | ---: | ---: |",
            *(
                accuracy_row([run["accuracy"][task][method] for run in runs], task, method)
                for task, methods in runs[0]["accuracy"].items()
                for method in sorted(methods, key=lambda name: (name != "pretrained", name))
            ),
            "",
            *steady_order(
                {
                    method: [
                        run["accuracy"][task][method]["forget"]
                        for run in runs
                        for task in run["accuracy"]
                    ]
                    for method in everywhere(runs)
                },
                "forget accuracy of every task",
                "negmerge",
            ),
            "",
            "### Classifier",
            "",
            "Average gap to Retrain in points; forget accuracy and attack by the criterion `gap`.",
            "One forgotten image is half a point of forget accuracy.",
            "",
            "| method | gap, criterion `gap` | gap, criterion `retain` | forget | attack |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(gap_row(runs, method) for method in classifier),
            "",
            *steady_order(
                {
                    row["label"]: [run["gap"][GAP][method]["gap"] for run in runs]
                    for method, row in classifier.items()
                },
                "average gap by the criterion `gap`",
                classifier["negmerge"]["label"],
            ),
        ]
    )


def everywhere(runs: list[dict]) -> list[str]:
    """List the methods that forget every task, in the order of the first."""
    tasks = list(runs[0]["accuracy"].values())
    return [method for method in tasks[0] if all(method in methods for methods in tasks)]


def accuracy_row(rows: list[dict], task: str, method: str) -> str:
    """Format what one method reached on one task."""
    forget, control = (between(row[role] for row in rows) for role in ("forget", "control"))
    chosen = between((row["coefficient"] for row in rows), ".4g")
    return f"| {task} | {method} | {forget} | {control} | {chosen} |"


def gap_row(runs: list[dict], method: str) -> str:
    """Format what one method of the classifier reached."""
    rows, others = ([run["gap"][rule][method] for run in runs] for rule in (GAP, RETAIN))
    found = [(rows, "gap"), (others, "gap"), (rows, "forget"), (rows, "mia")]
    shown = [between(row[metric] for row in of) for of, metric in found]
    return f"| {' | '.join([rows[0]['label'], *shown])} |"


def language(runs: list[dict]) -> str:
    """Describe the measured runs of the language model's demo."""
    found = [run["answers"] for run in runs]
    return "\n".join(
        [
            f"By `benchmarks/demo.py --study demo-lm`; runs: {runs_of(runs)}.",
            "The lowest and the highest of them, in percent; ± is the largest standard error over",
            "the questions:",
            "",
            "| method | forget probability | ± | forget extraction | ± | retain probability | ± |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(language_row([run[method] for run in found], method) for method in found[0]),
            "",
            *steady_order(
                {method: [run[method]["forget"] for run in found] for method in found[0]},
                "forget probability",
                "NegMerge",
            ),
        ]
    )


def language_row(rows: list[dict], method: str) -> str:
    """Format what one method reached on the language model."""
    shown = [method]
    for metric in ("forget", "extraction", "retain"):
        error = max(row[f"{metric}_error"] for row in rows)
        shown += [between(row[metric] for row in rows), f"{error:.1f}"]
    return f"| {' | '.join(shown)} |"


def steady_order(found: dict[str, list[float]], what: str, ours: str) -> list[str]:
    """Tell which methods lie below and above ours in every run; the order of others changed.

    Args:
        found: values by method, of the same runs in the same order.
        what: they are.
        ours: the method that the others are compared with.
    """
    pairs = {m: list(zip(found[m], found[ours], strict=True)) for m in found if m != ours}
    below = [method for method, pair in pairs.items() if all(one < us for one, us in pair)]
    above = [method for method, pair in pairs.items() if all(one > us for one, us in pair)]
    sides = [(below, "Lower"), (above, "Higher")]
    return [
        f"{side} than {ours} in all runs ({what}): {', '.join(names) or 'none'}."
        for names, side in sides
    ] + ["The order of the others and it was not the same in all runs, or they were equal."]
