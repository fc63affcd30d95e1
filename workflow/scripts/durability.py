"""Score what was chosen for a method once more: rounded to few bits, and taught what it forgot."""

from negmerge.checkpoints.states import read_state
from negmerge.evaluation.outcomes import write_outcomes
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.durability import treated_scores
from negmerge.scenarios.scoring import score_choices
from negmerge.scenarios.unlearned import Unlearned, choices
from negmerge.settings.durability import Durability

with job(snakemake) as provenance:
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task, base = load_task(params.scenario, inputs, device), read_state(inputs.base)
    settings = Durability.model_validate(params.durability)
    how = {"batch_size": params.batch_size, "seed": params.seed}
    how["fused"] = params.scenario["compute"]["fused"]
    unlearned = Unlearned.of_job(task, snakemake)

    def score_one(choice: dict) -> tuple:
        """Build the model that was chosen, and score it under all treatments."""
        network = unlearned.network(choice)
        return treated_scores(task, network, base, choice, settings, loaders, **how)

    selected = inputs.get("selected", [])
    chosen = choices(snakemake.wildcards, params.about, selected, unlearned.candidates)
    records, outcomes = score_choices(chosen, score_one)
    write_outcomes(snakemake.output.outcomes, outcomes)
    origin = {"made_from": provenance.made_from()}
    write_json(snakemake.output.durability, [record | origin for record in records])
