"""Score what was chosen for a method once more: rounded to few bits, and taught what it forgot."""

from negmerge.checkpoints.states import read_state
from negmerge.evaluation.outcomes import write_outcomes
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.durability import treated_scores
from negmerge.scenarios.scoring import score_choices
from negmerge.scenarios.unlearned import choices, unlearned_network
from negmerge.settings.durability import Durability

with job(snakemake) as provenance:
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task, base = load_task(params.scenario, inputs, device), read_state(inputs.base)
    settings = Durability.model_validate(params.durability)
    how = {"batch_size": params.batch_size, "seed": params.seed}
    how["fused"] = params.scenario["compute"]["fused"]
    candidates = inputs.get("candidates", [])

    def score_one(choice: dict) -> tuple:
        """Build the model that was chosen, and score it under all treatments."""
        built = inputs.base, choice, candidates, params.batch_size, params.re_estimates
        network = unlearned_network(task, *built)
        return treated_scores(task, network, base, choice, settings, device, loaders, **how)

    chosen = choices(snakemake.wildcards, params.about, inputs.get("selected", []), candidates)
    records, outcomes = score_choices(chosen, score_one)
    write_outcomes(snakemake.output.outcomes, outcomes)
    origin = {"made_from": provenance.made_from()}
    write_json(snakemake.output.durability, [record | origin for record in records])
