"""Write the unlearned model of a method as a file, for use elsewhere."""

from negmerge.checkpoints.states import write_state
from negmerge.errors import UserError, find
from negmerge.evaluation.accuracy import Ensemble
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.unlearned import Unlearned, choices, require_any_left

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, _ = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    unlearned, selected = Unlearned.of_job(task, snakemake), inputs.get("selected", [])
    chosen = choices(snakemake.wildcards, params.about, selected, unlearned.candidates)
    criterion = snakemake.wildcards.criterion.removeprefix(".")
    by_criterion = {one["criterion"]: one for one in chosen if one["criterion"]}
    choice = find("criterion", criterion, by_criterion) if criterion else chosen[0]
    require_any_left(choice)
    network = unlearned.network(choice)
    if isinstance(network, Ensemble):
        raise UserError(
            f"{choice['method']}: the outputs of {len(network.members)} models are averaged, so "
            "there is no unlearned model to write"
        )
    write_state(snakemake.output.unlearned, network.state_dict(), choice)
