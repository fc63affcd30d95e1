"""Choices, by the sweeps on disk; and scores, counted again from the outcomes of single images.

`control` and `retain`: of what keeps the share `keep` of the base's accuracy on the role of that
name, what forgets most; a forget accuracy of 1 is never taken. `gap`: the smallest mean distance to
Retrain over all metrics. Among equals the smaller coefficient, then the first name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.svm import SVC

from recomputation.study import Ledger, Study, Task, read_csv, read_records, read_tensors

SEARCHED = "choices by a pruned search"
COUNTS, ATTACK = "right answers", "membership attacks"
CHOICES, UNCHANGED = "choices in scores", "scores of unchanged models"
# What is said of a choice that only a whole sweep tells.
OF_A_GRID = ("tried", "lower_end", "upper_end")
LABELS = ("experiment", "task", "vector", "coefficient", "criteria")
ROLES = ("forget", "control", "retain", "test")
# Percent, in which two orders of the same sum may differ.
ROUNDING = 1e-9


def check(study: Study, ledger: Ledger) -> None:
    """Choose anew by each rule, for each method; compare each score with its outcomes."""
    for task in study.tasks():
        for name, path in task.files("selected", "json").items():
            records = read_records(path)
            # Beside further choices, each has a grid of its own, with ends of its own.
            has_own_grid = any("among" in stored for stored in records)
            for stored in records:
                # Where there was nothing to choose, there is no rule.
                if stored["criterion"]:
                    place = study.place(path)
                    _check_choice(task, name, place, stored, has_own_grid, ledger)
        for name, path in task.files("scores", "json").items():
            _check_scores(study, task, name, path, ledger)


@dataclass(frozen=True)
class Row:
    """A row of a sweep: percent by metric, and 0..1 of the accuracies among them."""

    vector: str
    coefficient: float
    shares: dict[str, float]
    percents: dict[str, float]
    options: dict[str, str]
    rules: list[str]
    half: dict[str, float]  # percent by metric on every other item
    agreement: float | None  # of the predictions of neighbours

    @property
    def kept(self) -> float:
        return self.shares["control" if "control" in self.shares else "retain"]

    def gap(self, reference: "Row", halves: bool) -> float:
        """Average the distances to Retrain, in points."""
        own, other = (row.half if halves else row.percents for row in (self, reference))
        distances = [abs(value - other[name]) for name, value in own.items()]
        return math.fsum(distances) / len(distances)


def read_rows(path: Path) -> list[Row]:
    """Read a sweep."""
    rows = []
    for row in read_csv(path):
        options = {key: text for key, text in row.items() if key.startswith("option_") and text}
        roles = [key[:-2] for key in row if key.endswith("_n") and row[key] and key not in options]
        shares = {role: int(row[f"{role}_correct"]) / int(row[f"{role}_n"]) for role in roles}
        used = {
            *LABELS,
            *options,
            *(f"{role}_{what}" for role in roles for what in ("correct", "n")),
        }
        percents = {role: 100 * share for role, share in shares.items()}
        percents |= {key: float(text) for key, text in row.items() if key not in used and text}
        half = {key[5:]: percents.pop(key) for key in list(percents) if key.startswith("half_")}
        agreement = percents.pop("agreement", None)
        labels = row["vector"], float(row["coefficient"])
        rows.append(
            Row(*labels, shares, percents, options, row["criteria"].split(), half, agreement)
        )
    return rows


def _check_choice(
    task: Task, name: str, place: str, stored: dict, has_own_grid: bool, ledger: Ledger
) -> None:
    # A further choice has a name of its own, and says by which criterion it is made.
    rule, by = stored["criterion"], stored.get("by") or stored["criterion"]
    kind, sweep = f"choices by rule {by}", task.files("sweeps", "csv").get(name)
    if sweep is None:
        return ledger.leave_out(kind, "its sweep is not there")
    retrain = read_rows(task.folder / "sweeps" / "retrain.csv")[0] if by == "gap" else None
    halves = "every other" in stored.get("among", "")
    expected = choose(read_rows(sweep), rule, stored["keep"], retrain, has_own_grid, halves)
    if stored.get("passes") != stored.get("passes_full"):
        # What a pruned search has counted whole: the base and the choice.
        kind = SEARCHED
        expected = {key: expected[key] for key in expected if key not in OF_A_GRID}
    return ledger.values(kind, f"{place}: {rule}", stored, expected, ROUNDING)


def choose(
    rows: Sequence[Row],
    rule: str,
    keep: float,
    retrain: Row | None,
    has_own_grid: bool,
    halves: bool = False,
) -> dict:
    """Choose among rows, and say what stands in the file of a choice."""
    gone = {row.vector for row in rows if not row.shares}
    bases = [row for row in rows if row.coefficient == 0]
    base = min(bases, key=lambda row: (row.vector in gone, row.vector))
    allowed = [row for row in rows if rule in row.rules]
    measured = [row for row in allowed if row.vector not in gone]
    if gone and not any(row.coefficient for row in measured):
        return {"vector": None, "coefficient": 0.0, "control_baseline": 100 * base.kept}
    if rule == "unlabelled":
        ranked = sorted(measured, key=lambda r: (-r.agreement, r.coefficient, r.vector))
    elif retrain is not None:
        ranked = sorted(measured, key=lambda r: (r.gap(retrain, halves), r.coefficient, r.vector))
    else:
        fit = [r for r in measured if r.kept >= keep * base.kept and r.shares["forget"] != 1]
        # Where nothing qualifies it is the base, or else the only model that was trained.
        ranked = sorted(fit, key=lambda r: (r.shares["forget"], r.coefficient, r.vector)) or sorted(
            measured, key=lambda r: (r.coefficient, r.vector)
        )
    best = ranked[0] if ranked else base
    lower, upper = _ends(best, allowed if has_own_grid else rows)
    forget, kept, baseline = 100 * best.shares["forget"], 100 * best.kept, 100 * base.kept
    if halves:
        forget, kept, baseline = best.half["forget"], best.half["retain"], base.half["retain"]
    return {
        "vector": best.vector,
        "coefficient": best.coefficient,
        "forget_accuracy": forget,
        "control_accuracy": kept,
        "control_baseline": baseline,
        "gap": None if retrain is None else best.gap(retrain, halves),
        "tried": sum(row.coefficient != 0 for row in allowed),
        "unchanged": best.coefficient == 0,
        "lower_end": lower,
        "upper_end": upper,
    }


def _ends(best: Row, rows: Sequence[Row]) -> tuple[bool, bool]:
    """Whether a coefficient of at least two, or an option of at least three, is an extreme one."""
    if best.coefficient == 0:
        return False, False
    tried = {row.coefficient for row in rows if row.vector == best.vector} - {0.0}
    lower, upper = (len(tried) > 1 and best.coefficient == end(tried) for end in (min, max))
    for name, text in best.options.items():
        try:
            tried = {float(row.options[name]) for row in rows if row.coefficient}
        except ValueError:
            continue
        if len(tried) > 2:
            lower, upper = lower or float(text) == min(tried), upper or float(text) == max(tried)
    return lower, upper


def _check_scores(study: Study, task: Task, name: str, path: Path, ledger: Ledger) -> None:
    scores, place = read_records(path), study.place(path)
    selected = task.folder / "selected" / f"{name}.json"
    if selected.exists():
        chosen = read_records(selected)
        if chosen[0]["criterion"] is None:
            # Without a choice, a record more for each that scores a half of the items.
            chosen += [
                {key: value for key, value in chosen[0].items() if key != "criterion"}
                for _ in scores[1:]
            ]
        ledger.values(CHOICES, place, {"records": len(scores)}, {"records": len(chosen)})
        for score, choice in zip(scores, chosen, strict=False):
            ledger.values(CHOICES, place, score, choice)
    tensors = read_tensors(task.folder / "outcomes" / f"{name}.safetensors")
    for number, score in enumerate(scores):
        start = f"{number}/"
        outcomes = {k.removeprefix(start): one for k, one in tensors.items() if k.startswith(start)}
        for key, images in outcomes.items():
            if "_right" in key:
                role = key.removesuffix("_right")
                counted = {"correct": int(images.sum()), "n": len(images)}
                ledger.values(COUNTS, f"{place}: {role}", score[role], counted)
        if "membership" in score:
            _check_attack(place, score, outcomes, ledger)
        for base in ("original", "pretrained") if score["unchanged"] else ():
            known = task.folder / "scores" / f"{base}.json"
            if known.exists():
                bases = {record["criterion"]: record for record in read_records(known)}
                base_record = bases.get(score["criterion"], bases[None])
                same = {k: v for k, v in base_record.items() if k in (*ROLES, "membership")}
                ledger.values(UNCHANGED, place, score, same)


def _check_attack(place: str, score: dict, outcomes: dict, ledger: Ledger) -> None:
    """Attack with the probability of the true class, as docs/deviations.md describes it.

    Members are the first retain images, non-members the test images, as many of each.
    """
    known, unseen, forget = (
        outcomes[f"{role}_confidence"][:, None] for role in ("retain", "test", "forget")
    )
    count = len(unseen)
    if len(known) < count:
        return ledger.leave_out(ATTACK, "test images are drawn, by lot")
    svc = SVC(C=3, kernel="rbf", gamma="auto")
    svc.fit(np.concatenate([known[:count], unseen]), [1] * count + [0] * count)
    looks_unseen = (svc.predict(forget) == 0).astype(np.uint8)
    percent = {"confidence": 100 * int(looks_unseen.sum()) / len(looks_unseen)}
    ledger.values(ATTACK, place, score["membership"], percent)
    return ledger.array(f"{ATTACK}, image by image", place, outcomes["forget_unseen"], looks_unseen)
