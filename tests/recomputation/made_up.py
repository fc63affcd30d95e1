"""A small finished study, made up by hand, with numbers that are right and easily checked."""

import csv
import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

BASE = [1, -1, -2, 0.5]
# Sorted by the names of their files they would stand the other way round.
POOL = {"a": [1, -2, 0.5, 0], "a.1": [3, 2, 0.5, -4]}
# With density 0.5, TIES keeps 1, -2 and 0.5 of a, and 3, 2 and -4 of a.1; of -2 + 2 the majority
# elects the sign +.
MERGED = {
    "uniform": ([2, 0, 0.5, -2], {}),
    "negmerge": ([2, 0, 0.5, 0], {"operation": "mean"}),
    "conflict": ([0, 0, 0, -2], {}),
    "magmax": ([3, 2, 0.5, -4], {}),
    "masked-single": ([3, 0, 0.5, 0], {"single": 2}),
    "random-mask": ([0, 0, 0.5, -2], {"seed": 0}),
    "ties": ([2, 2, 0.5, -4], {"density": 0.5, "reduce": "mean", "of": "state", "numbers": 0}),
}
NO_END = {"lower_end": False, "upper_end": False}


def write_study(folder: Path) -> None:
    """Write the study with an experiment of each scenario, and a table of each."""
    _write_weights(folder / "clip")
    _write_clip(folder / "clip" / "digits")
    _write_classifier(folder / "resnet" / "trial1")
    _write_tables(folder / "tables")


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_tensors(path: Path, header: object = None, **tensors: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
    save_file(arrays, path, metadata={"negmerge": json.dumps(header or {})})


def write_csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def _write_weights(folder: Path) -> None:
    base, task = np.array(BASE, np.float32), folder / "digits"
    running = {"bn.running_var": np.ones(1, np.float32), "bn.num_batches_tracked": np.array([3])}
    write_tensors(folder / "base.safetensors", w=base, **running)
    for name, numbers in POOL.items():
        vector = np.array(numbers, np.float32)
        changed = {key: value + 1 for key, value in running.items()}
        write_tensors(task / f"finetuned/{name}.safetensors", w=base + vector, **changed)
        write_tensors(task / f"vectors/{name}.safetensors", w=vector)
    inputs = [{"name": f"{name}.safetensors"} for name in POOL]
    for method, (numbers, options) in MERGED.items():
        header = {"method": method, "options": options, "inputs": inputs}
        write_tensors(
            task / f"merged/{method}.safetensors", header, w=np.array(numbers, np.float32)
        )
    trials = [{"name": n, "choice": {"forget_accuracy": f}} for n, f in (("a.1", 20), ("a", 20))]
    header = {
        "method": "greedy",
        "options": {"strict": True},
        "accepted": ["a.1"],
        "trials": trials,
    }
    write_tensors(task / "merged/greedy.safetensors", header, w=np.array(POOL["a.1"], np.float32))
    counts = {"kept": 3, "shrinking": 2, "voting": 3, "agreeing": 2, "trainable": 4, "state": 4}
    counts |= {"method": "uniform", "models": 2, "rule": None}
    write_json(task / "sparsity/zeros.json", [counts])


def _write_clip(task: Path) -> None:
    """Of 10 forget and 20 control images; keeping 90 % of 20 means at least 18."""

    def rows(vector: str, *counts: tuple[int, int]) -> list[dict]:
        return [
            {"vector": vector, "coefficient": 0.5 * step, "forget_correct": forget, "forget_n": 10}
            | {"control_correct": control, "control_n": 20, "rules": "control"}
            for step, (forget, control) in enumerate(counts)
        ]

    # The third forgets most, but not enough is kept.
    write_csv(task / "sweeps/uniform.csv", rows("uniform", (9, 20), (4, 18), (2, 17), (4, 19)))
    single = rows("a", (9, 20), (5, 20)) + rows("a.1", (9, 20), (3, 18))
    write_csv(task / "sweeps/task-arithmetic.csv", single)
    chosen = {
        "pretrained": (None, 0.0, (None, None, None), "base"),
        "uniform": ("uniform", 0.5, (40.0, 90.0, 100.0), "merge"),
        "task-arithmetic": ("a.1", 0.5, (30.0, 90.0, 100.0), "single"),
    }
    right = {"pretrained": (9, 20), "uniform": (3, 17), "task-arithmetic": (2, 18)}
    for name, (vector, coefficient, accuracies, kind) in chosen.items():
        keys = ("forget_accuracy", "control_accuracy", "control_baseline")
        choice = {"vector": vector, "coefficient": coefficient, "kind": kind}
        choice["rule"] = None if kind == "base" else "control"
        choice |= dict(zip(keys, accuracies, strict=True)) | {"gap": None, "keep": 0.9}
        choice |= {"tried": {"base": 0, "merge": 3, "single": 2}[kind], "models": 2} | NO_END
        choice |= {"lower_end": name == "uniform", "unchanged": False}
        counts = dict(zip(("forget", "control"), right[name], strict=True))
        _write_scores(task, name, [(choice, counts, {})])


def _write_scores(task: Path, name: str, models: list[tuple[dict, dict, dict]]) -> None:
    """Write what each rule chose, the score of it, and as many right answers first as it counts.

    A model is the choice, right answers by role, and what more there is: arrays are outcomes.
    """
    sizes = {"forget": 10, "control": 20, "retain": 30, "test": 20}
    scores, outcomes = [], {}
    for number, (choice, right, further) in enumerate(models):
        arrays = {key: value for key, value in further.items() if isinstance(value, np.ndarray)}
        for role, count in right.items():
            arrays[f"{role}_right"] = (np.arange(sizes[role]) < count).astype(np.uint8)
        outcomes |= {f"{number}/{key}": value for key, value in arrays.items()}
        score = choice | {key: value for key, value in further.items() if key not in arrays}
        score |= {role: {"correct": count, "n": sizes[role]} for role, count in right.items()}
        scores.append(score)
    if models[0][0]["rule"] is not None:
        write_json(task / f"selected/{name}.json", [choice for choice, _, _ in models])
    write_json(task / f"scores/{name}.json", scores)
    header = [{"classes": {"forget": 10}} for _ in models]
    write_tensors(task / f"outcomes/{name}.safetensors", header, **outcomes)


def _write_classifier(task: Path) -> None:
    def row(vector: str, forget: int, retain: int, mia: float, rules: str, rate: float | str = ""):
        counts = {"forget_correct": forget, "forget_n": 10, "retain_correct": retain}
        labels = {"vector": vector, "coefficient": 0.0 if vector == "original" else 1.0}
        return labels | counts | {"retain_n": 10, "mia": mia, "option_rate": rate, "rules": rules}

    write_csv(task / "sweeps/retrain.csv", [row("retrain", 6, 10, 40.0, "")])
    rows = [
        row("original", 10, 10, 0.0, "gap retain"),  # gap (40 + 0 + 40) / 3
        row("rate0.1", 7, 9, 40.0, "gap retain", 0.1),  # gap (10 + 10 + 0) / 3
        row("rate0.5", 3, 9, 60.0, "gap retain", 0.5),  # gap 20
        row("rate0.9", 1, 8, 80.0, "retain", 0.9),  # keeps too little
    ]
    write_csv(task / "sweeps/finetune.csv", rows)
    both = {"control_baseline": 100.0, "kind": "unlearn", "keep": 0.9, "coefficient": 1.0}
    both |= {"unchanged": False, "models": 0} | NO_END
    by_gap = {"vector": "rate0.1", "rule": "gap", "gap": 20 / 3, "tried": 2, "lower_end": True}
    by_gap |= {"forget_accuracy": 70.0, "control_accuracy": 90.0}
    by_retain = {"vector": "rate0.5", "rule": "retain", "gap": None, "tried": 3}
    by_retain |= {"forget_accuracy": 30.0, "control_accuracy": 90.0}
    fixed = {"vector": None, "coefficient": 0.0, "rule": None, "unchanged": False}
    # Of ten forget images so many look like test images.
    found = {
        "original": [(fixed | {"kind": "base"}, (10, 30, 16), 0)],
        "retrain": [(fixed | {"kind": "retrain"}, (5, 30, 16), 5)],
        "finetune": [(both | by_gap, (7, 27, 14), 3), (both | by_retain, (3, 27, 14), 6)],
    }
    for name, models in found.items():
        scored = []
        for choice, right, unseen in models:
            looks = np.arange(10) < unseen
            attack = {"membership": {"confidence": 10.0 * unseen}}
            attack |= {"forget_unseen": looks.astype("u1")}
            attack |= {"retain_confidence": np.linspace(0.9, 1, 30)}
            attack |= {"test_confidence": np.linspace(0, 0.4, 20)}
            attack |= {"forget_confidence": np.where(looks, 0.2, 0.95)}
            epochs = [None, None, 1] if name == "retrain" else [1, 2, None]
            attack |= {"relearn": {"epochs": epochs}}
            counts = dict(zip(("forget", "retain", "test"), right, strict=True))
            scored.append((choice, counts, attack))
        _write_scores(task, name, scored)


def _write_tables(folder: Path) -> None:
    digits = {"experiment": "clip", "task": "digits", "column": "digits"}
    trial = {"experiment": "resnet", "task": "trial1"}
    write_csv(
        folder / "accuracy.csv",
        [
            *_cells(digits, "pretrained", "to_forget", 80, standard_error=9.486833, reference=10,
                    p_value=0, images=10),
            *_cells(digits, "pretrained", "forget", 90, standard_error=9.486833, p_value=0.015625,
                    with_best=False, better="lower"),
            *_cells(digits, "uniform", "forget", 30, standard_error=14.491377, p_value=1,
                    with_best=True, better="lower", coefficient=0.5, rule="control"),
            *_cells(digits, "task-arithmetic", "forget", 20, standard_error=12.649111, p_value=1,
                    with_best=True, better="lower", coefficient=0.5, rule="control"),
            *_cells(digits, "uniform", "kept_trainable", 75),
        ],
    )  # fmt: skip
    columns = {"gap": {}, "retain": {"coefficient": 1.0, "rule": "retain"}}
    values = {"gap": (70, 30, 15), "retain": (30, 60, 12.5)}
    cells = []
    for column, chosen in columns.items():
        where = trial | {"column": column}
        forget, mia, gap = values[column]
        cells += _cells(where, "original", "to_forget", 50, standard_error=15.811388,
                        reference=50, p_value=0.0625, images=10)  # fmt: skip
        error = {70: 14.491377, 30: 14.491377, 60: 15.491933}
        cells += _cells(where, "finetune", "forget", forget, standard_error=error[forget],
                        reference=50, images=10, better="reference", **chosen)  # fmt: skip
        cells += _cells(where, "finetune", "mia", mia, standard_error=error[mia], reference=50,
                        better="reference", **chosen)  # fmt: skip
        cells += _cells(where, "finetune", "gap", gap, better="lower", p_value=0.3, **chosen)
        cells += _cells(where, "finetune", "relearn", 2, better="reference", **chosen)
    write_csv(folder / "gap.csv", cells)
    swept = digits | {"row": "0.5", "coefficient": 0.5, "standard_error": 15.491933}
    write_csv(folder / "sweep.csv", _cells(digits, "uniform", "forget", 40, **swept))


def _cells(where: dict, method: str, metric: str, value: float, **further: object) -> list[dict]:
    """Make a cell, and the mean that is of it alone."""
    names = ("std", "standard_error", "reference", "images", "difference", "p_value", "with_best")
    names += ("better", "coefficient", "kind", "rule", "paper", "comparable")
    cell = dict.fromkeys(names, "NA") | where | {"method": method, "row": method}
    cell |= {"metric": metric, "value": value, "averaged": 1} | further
    single = cell | ({} if metric == "to_forget" else {"p_value": "NA", "with_best": "NA"})
    if metric in ("forget", "control"):
        cell["images"] = single["images"] = 10
    return [cell | {"experiment": "mean", "task": "mean"}, single]
