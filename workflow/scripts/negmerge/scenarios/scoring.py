"""The scores of unlearned models on test items."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType

import numpy as np
from torch import nn

from negmerge.data.splits import evenly_spread
from negmerge.evaluation.accuracy import Ensemble, all_outputs, total
from negmerge.evaluation.membership import attack_record, svc_unseen, to_learn_from
from negmerge.evaluation.outcomes import (
    CONFIDENCE,
    ENSEMBLE,
    RIGHT,
    UNSEEN,
    Accuracy,
    Outcomes,
    outcomes_of,
    read_outcomes,
)
from negmerge.files import read_json_records
from negmerge.scenarios.task import Scoring, Task

# The roles of classifiers that choose; the test images of forgotten classes are only scored.
CHOOSING = ("forget", "retain", "test")
# The metrics of a model, and what it made of single items.
Scored = tuple[Mapping, Outcomes]


def score(
    task: Task,
    network: nn.Module,
    choice: Mapping,
    loaders: int,
    scoring: Scoring,
) -> Scored:
    """Score a model, which relearning uses up."""
    outputs_of, scores, classes = {}, {}, {}
    for name in task.roles:
        role = task.role(name, "score")
        batches = role.batches(scoring.batch_size, loaders)
        outputs = outputs_of[name] = all_outputs(network, role.objective, batches)
        scores[name], classes[name] = (
            role.objective.scores(outputs),
            role.objective.classes(outputs),
        )
    metrics = {name: asdict(total(of_items)) for name, of_items in scores.items()}
    if isinstance(network, Ensemble):
        metrics[ENSEMBLE] = _of_members(task, network, loaders, scoring.batch_size)
    further, of_items = task.scores(network, outputs_of, scoring)
    return metrics | further, outcomes_of(choice, scores, classes, of_items)


def _of_members(task: Task, network: Ensemble, loaders: int, batch_size: int) -> dict:
    """Count the models of an ensemble; give the forget accuracy of each half, in percent."""
    role = task.role("forget", "score")
    shares = []
    for half in (network.members[::2], network.members[1::2]):
        batches = role.batches(batch_size, loaders)
        outputs = all_outputs(Ensemble(half), role.objective, batches)
        shares.append(100 * total(role.objective.scores(outputs)).share)
    return {"models": len(network.members), "forget_by_halves": shares}


def score_choices(
    choices: Iterable[Mapping],
    score_one: Callable[[Mapping], Scored],
    unchanged: Sequence[str] = (),
    again: Mapping[str, Callable[[Scored], Scored]] = MappingProxyType({}),
) -> tuple[list[dict], list[Outcomes]]:
    """Score what was chosen for a method by each criterion, and the same choice once.

    `again` gives, for some criteria, the scores on a part of the items from those on all.
    """
    known: dict[object, Scored] = {}
    if unchanged:
        scores, outcomes = unchanged
        known[None] = read_json_records(scores)[0], read_outcomes(outcomes)[0]
    records, of_items = [], []
    for choice in choices:
        # At coefficient 0 all vectors are the same.
        model = (choice["vector"], choice["coefficient"]) if choice["coefficient"] else None
        if model not in known:
            known[model] = score_one(choice)
        metrics, outcomes = again.get(choice["criterion"], lambda scored: scored)(known[model])
        records.append({**metrics, **choice})
        place = choice["experiment"], choice["task"], choice["method"]
        of_items.append(replace(outcomes, place=place, criterion=choice["criterion"]))
    return records, of_items


def on_the_others(scored: Scored, most: int | None, seed: int) -> Scored:
    """Score a classifier on the images that a choice by every other image has not seen.

    Of each role at most so many images choose. The attack learns anew; relearn time stays.
    """
    metrics, outcomes = scored
    arrays, counts, confidence = {}, {}, {}
    for role in outcomes.classes:
        right = outcomes.right(role)
        left = np.ones(len(right), bool)
        if role in CHOOSING:
            left[evenly_spread(len(right), most)[::2]] = False
        arrays[role + RIGHT] = right[left]
        arrays[role + CONFIDENCE] = confidence[role] = outcomes.arrays[role + CONFIDENCE][left]
        counts[role] = asdict(Accuracy(int(right[left].sum()), int(left.sum())))
    retain, test = confidence["retain"], confidence["test"]
    (known,), (unseen,) = to_learn_from([retain], [test], seed)
    looks_unseen = svc_unseen(known, unseen, confidence["forget"])
    arrays[UNSEEN] = looks_unseen.astype(np.uint8)
    attack = attack_record({"confidence": looks_unseen}, len(retain), len(test))
    return {**metrics, **counts, **attack}, replace(outcomes, arrays=arrays)
