"""The scores of unlearned models on test images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

import torch
from torch import nn

from negmerge.data.loading import evaluation_batches
from negmerge.evaluation.accuracy import all_logits, count_right
from negmerge.evaluation.outcomes import Outcomes, outcomes_of, read_outcomes
from negmerge.files import read_json_records
from negmerge.scenarios.scenario import Scenario

# The metrics of a model, and what it made of single images.
Scored = tuple[Mapping, Outcomes]


def score(
    scenario: Scenario,
    network: nn.Module,
    choice: Mapping,
    device: torch.device,
    loaders: int,
    *,
    batch_size: int,
    relearning: Mapping | None,
    attack: str | None,
    seed: int,
) -> Scored:
    """Score a model, which relearning uses up.

    Args:
        scenario: gives the images.
        network: the model, on `device`.
        choice: the record of what the model is.
        device: where to compute.
        loaders: processes that load the images.
        batch_size: images per forward pass.
        relearning: the settings of relearning; None if it is not measured.
        attack: the features of the membership attack, see the classifier's settings; None if the
            scenario has none.
        seed: of what is drawn; the models of a task share it.
    """
    found, metrics = {}, {}
    transform = scenario.evaluation_transform()
    for name in scenario.roles:
        role = scenario.role(name, "score")
        batches = evaluation_batches(role.items, transform, batch_size, loaders)
        logits, truth = found[name] = all_logits(network, role.head, batches, device)
        metrics[name] = asdict(count_right(logits, truth))
    further, of_images = scenario.scores(network, found, batch_size, relearning, attack, seed)
    return metrics | further, outcomes_of(choice, found, of_images)


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
