"""Scores: counted again from the outcomes of single images, and the attack made again."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.svm import SVC

from recomputation.result import Result, same_array, same_values
from recomputation.study import Study, Task, read_records, read_tensors

COUNTS, ATTACK, DRAWN = "right answers", "membership attacks", "membership attacks on drawn images"
CHOICES = "choices in scores"
UNCHANGED = "scores of unchanged models"
ROLES = ("forget", "control", "retain", "test")


def check(study: Study) -> Iterator[Result]:
    """Compare each score with the outcomes beside it, and with the choice that it is of."""
    for task in study.tasks():
        for name, path in task.files("scores", "json").items():
            yield from _compare(study, task, name, path)


def _compare(study: Study, task: Task, name: str, path: Path) -> Iterator[Result]:
    scores, place = read_records(path), study.place(path)
    selected = task.folder / "selected" / f"{name}.json"
    if selected.exists():
        chosen = read_records(selected)
        yield same_values(CHOICES, place, {"records": len(scores)}, {"records": len(chosen)})
        for score, choice in zip(scores, chosen, strict=False):
            yield same_values(CHOICES, place, score, choice)
    tensors = read_tensors(task.folder / "outcomes" / f"{name}.safetensors")
    for number, score in enumerate(scores):
        start = f"{number}/"
        outcomes = {k.removeprefix(start): one for k, one in tensors.items() if k.startswith(start)}
        right = {k.removesuffix("_right"): one for k, one in outcomes.items() if "_right" in k}
        for role, images in right.items():
            counted = {"correct": int(images.sum()), "n": len(images)}
            yield same_values(COUNTS, f"{place}: {role}", score[role], counted)
        if "membership" in score:
            yield from _attack(study, place, score, outcomes)
        if score["unchanged"]:
            yield from _compare_unchanged(task, place, score)


def _compare_unchanged(task: Task, place: str, score: dict) -> Iterator[Result]:
    """A choice that changes nothing has the scores of the base."""
    for base in ("original", "pretrained"):
        path = task.folder / "scores" / f"{base}.json"
        if path.exists():
            (known,) = read_records(path)
            found = {key: value for key, value in known.items() if key in (*ROLES, "membership")}
            yield same_values(UNCHANGED, place, score, found)


def _attack(study: Study, place: str, score: dict, outcomes: dict) -> Iterator[Result]:
    """Attack with the probability of the true class, as docs/deviations.md describes it.

    Members are the first retain images, non-members the test images, as many of each; where there
    are fewer retain images, test images are drawn.
    """
    known, unseen, forget = (
        outcomes[f"{role}_confidence"][:, None] for role in ("retain", "test", "forget")
    )
    count, kind = min(len(known), len(unseen)), ATTACK
    if count < len(unseen):
        path = study.folder / "provenance" / f"{place}.json"
        kind, unseen = (
            DRAWN,
            unseen[drawn(len(unseen), count, json.loads(path.read_text())["seed"])],
        )
    svc = SVC(C=3, kernel="rbf", gamma="auto")
    svc.fit(np.concatenate([known[:count], unseen]), [1] * count + [0] * count)
    looks_unseen = (svc.predict(forget) == 0).astype(np.uint8)
    percent = {"confidence": 100 * int(looks_unseen.sum()) / len(looks_unseen)}
    yield same_values(kind, place, score["membership"], percent)
    yield same_array(f"{kind}, image by image", place, outcomes["forget_unseen"], looks_unseen)


def drawn(test: int, count: int, seed: int) -> np.ndarray:
    """Draw test images, ascending, by the seed of the job."""
    digest = hashlib.sha256(f"{seed}/membership".encode()).digest()
    random = np.random.RandomState(int.from_bytes(digest[:4], "big") // 2)
    return np.sort(random.choice(test, count, replace=False))
