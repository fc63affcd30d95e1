"""Choose among a method's candidates, where its own job has not, and score what was chosen."""

from functools import partial
from pathlib import Path

from negmerge.checkpoints.divergence import TIMES, split_diverged
from negmerge.checkpoints.states import read_metadata
from negmerge.evaluation.outcomes import write_outcomes
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.scoring import on_the_others, score, score_choices
from negmerge.scenarios.task import Scoring
from negmerge.scenarios.unlearned import Unlearned, choices
from negmerge.scenarios.validation import choose_candidate
from negmerge.selection.points import write_points

with job(snakemake) as provenance:
    inputs, params, output = snakemake.input, snakemake.params, snakemake.output
    labels = snakemake.wildcards
    device, loaders = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    unlearned, selected = Unlearned.of_job(task, snakemake), inputs.get("selected", [])
    candidates = unlearned.candidates

    if choosing := params.choosing:
        chosen = choose_candidate(task, inputs, loaders, params.validation, **choosing)
        # The points that a merge lacks; a single vector that diverged has a row of its own.
        is_merge = len(candidates) == 1 or params.about["kind"] == "merge"
        missing = split_diverged(candidates)[1] if is_merge else []
        write_points(output.sweep, labels, chosen.points, missing)
        selected = [output.selected]
        write_json(output.selected, chosen.records(labels, choosing["criteria"], params.about))

    def score_one(choice: dict) -> tuple:
        """Build the model that was chosen, and score it."""
        scoring = Scoring(params.batch_size, params.relearning, params.attack, params.seed)
        return score(task, unlearned.network(choice), choice, loaders, scoring)

    all_choices = choices(labels, params.about, selected, candidates)
    # What no criterion chose has other numbers on the half that a choice leaves.
    for name, view in params.halved.items():
        whole = [choice for choice in all_choices if choice["criterion"] is None]
        all_choices += [choice | {"criterion": name} | view for choice in whole]
    others = partial(on_the_others, most=params.validation["most"], seed=params.seed)
    records, outcomes = score_choices(
        all_choices, score_one, inputs.get("unchanged", []), dict.fromkeys(params.halved, others)
    )
    # What a method that trains reads depends on its options, which its job has noted.
    used = params.data_used or read_metadata(candidates[0])["data_used"]
    origin = {"data_used": used, "made_from": provenance.made_from()}
    write_outcomes(output.outcomes, outcomes)
    paths = {Path(path).stem: path for path in candidates}
    for record in records:
        path = paths.get(record["vector"])
        times = read_metadata(path).get(TIMES) if path else None
        record |= origin | ({TIMES: times} if times else {})
    write_json(output.score, records)
