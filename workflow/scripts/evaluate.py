"""Score what was chosen for a method, whatever made it forget."""

from negmerge.checkpoints.states import read_metadata
from negmerge.evaluation.outcomes import write_outcomes
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.scenarios.scoring import score, score_choices
from negmerge.scenarios.unlearned import choices, unlearned_network

with job(snakemake) as provenance:
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    candidates, size = inputs.get("candidates", []), params.batch_size

    def score_one(choice: dict) -> tuple:
        """Build the model that was chosen, and score it."""
        network = unlearned_network(
            scenario, inputs.base, choice, candidates, size, params.re_estimates
        )
        how = {name: params[name] for name in ("relearning", "attack", "seed")}
        return score(scenario, network, choice, loaders, batch_size=size, **how)

    records, outcomes = score_choices(
        choices(snakemake.wildcards, params.about, inputs.get("selected", []), candidates),
        score_one,
        inputs.get("unchanged", []),
    )
    # What a method that trains reads depends on its options, which its job has noted.
    used = params.data_used or read_metadata(candidates[0])["data_used"]
    origin = {"data_used": used, "made_from": provenance.made_from()}
    write_outcomes(snakemake.output.outcomes, outcomes)
    write_json(snakemake.output.score, [record | origin for record in records])
