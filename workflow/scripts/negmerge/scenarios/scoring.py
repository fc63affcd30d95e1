"""The scores of unlearned models on test items."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from torch import nn

from negmerge.evaluation.accuracy import all_outputs, total
from negmerge.evaluation.outcomes import Outcomes, outcomes_of, read_outcomes
from negmerge.files import read_json_records
from negmerge.scenarios.task import Scoring, Task

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
    further, of_items = task.scores(network, outputs_of, scoring)
    return metrics | further, outcomes_of(choice, scores, classes, of_items)


def score_choices(
    choices: Iterable[Mapping],
    score_one: Callable[[Mapping], Scored],
    unchanged: Sequence[str] = (),
) -> tuple[list[dict], list[Outcomes]]:
    """Score what was chosen for a method by each criterion, and the same choice once."""
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
        metrics, outcomes = known[model]
        records.append({**metrics, **choice})
        place = choice["experiment"], choice["task"], choice["method"]
        of_items.append(replace(outcomes, place=place, criterion=choice["criterion"]))
    return records, of_items
