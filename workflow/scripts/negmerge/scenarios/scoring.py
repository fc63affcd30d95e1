"""The scores of unlearned models on test items."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from torch import nn

from negmerge.evaluation.objective import all_outputs, total
from negmerge.evaluation.outcomes import Outcomes, outcomes_of, read_outcomes
from negmerge.files import read_json_records
from negmerge.scenarios.scenario import Scenario

# The metrics of a model, and what it made of single items.
Scored = tuple[Mapping, Outcomes]


def score(
    scenario: Scenario,
    network: nn.Module,
    choice: Mapping,
    loaders: int,
    *,
    batch_size: int,
    relearning: Mapping | None,
    attack: str | None,
    seed: int,
) -> Scored:
    """Score a model, which relearning uses up.

    Args:
        scenario: gives the items.
        network: the model.
        choice: the record of what the model is.
        loaders: processes that load the items.
        batch_size: items per forward pass.
        relearning: the settings of relearning; None if it is not measured.
        attack: the features of the membership attack, see the classifier's settings; None if the
            scenario has none.
        seed: of what is drawn; the models of a task share it.
    """
    found, scores, classes = {}, {}, {}
    for name in scenario.roles:
        role = scenario.role(name, "score")
        batches = role.batches(batch_size, loaders)
        outputs = found[name] = all_outputs(network, role.objective, batches)
        scores[name], classes[name] = (
            role.objective.scores(outputs),
            role.objective.classes(outputs),
        )
    metrics = {name: asdict(total(of_items)) for name, of_items in scores.items()}
    further, of_items = scenario.scores(network, found, batch_size, relearning, attack, seed)
    return metrics | further, outcomes_of(choice, scores, classes, of_items)


def score_choices(
    choices: Iterable[Mapping],
    score_one: Callable[[Mapping], Scored],
    unchanged: Sequence[str] = (),
) -> tuple[list[dict], list[Outcomes]]:
    """Score what was chosen for a method by each rule, and the same choice once.

    Args:
        choices: the records of what was chosen.
        score_one: scores one of them.
        unchanged: the files of scores and outcomes of the base as it is, which a choice that
            changes nothing takes over; nothing where the study does not score the base.

    Returns:
        The records with the metrics, and the outcomes, of each choice.

    Raises:
        UserError: the files cannot be read.
    """
    known: dict[object, Scored] = {}
    if unchanged:
        scores, outcomes = unchanged
        known[None] = read_json_records(scores)[0], read_outcomes(outcomes)[0]
    records, found = [], []
    for choice in choices:
        # At coefficient 0 all vectors are the same.
        model = (choice["vector"], choice["coefficient"]) if choice["coefficient"] else None
        if model not in known:
            known[model] = score_one(choice)
        metrics, outcomes = known[model]
        records.append({**metrics, **choice})
        place = choice["experiment"], choice["task"], choice["method"]
        found.append(replace(outcomes, place=place, rule=choice["rule"]))
    return records, found
