"""Score an unlearned model, whatever made it forget."""

from dataclasses import asdict

from negmerge.data.loading import evaluation_batches
from negmerge.evaluation.accuracy import all_logits, count_right
from negmerge.evaluation.outcomes import write_outcomes
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.states import read_metadata
from negmerge.unlearned import read_choice, unlearned_network

with job(snakemake) as provenance:
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    choice = read_choice(inputs.selected)
    candidates = inputs.get("candidates", [])
    network = unlearned_network(
        scenario, inputs.base, choice, candidates, params.batch_size, params.re_estimates
    )
    # What a method that trains reads depends on its options, which its job has noted.
    uses = {"uses": params.uses or read_metadata(candidates[0])["data_used"]}
    score, found = choice | uses, {}
    transform = scenario.evaluation_transform()
    for name in scenario.roles:
        role = scenario.role(name, "score")
        batches = evaluation_batches(role.items, transform, params.batch_size, loaders)
        logits, truth = found[name] = all_logits(network, role.head, batches, device)
        score[name] = asdict(count_right(logits, truth))
    further, of_images = scenario.scores(
        network, found, params.batch_size, params.relearning, params.seed
    )
    write_outcomes(snakemake.output.outcomes, choice, found, of_images)
    score |= further
    write_json(snakemake.output.score, score | {"made_from": provenance.made_from()})
