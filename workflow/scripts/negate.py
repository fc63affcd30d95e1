"""Write the unlearned model of a method as a file, for whoever wants to use it."""

from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.states import write_state
from negmerge.unlearned import read_choice, unlearned_network

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, _ = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    choice = read_choice(inputs.selected)
    network = unlearned_network(
        scenario,
        inputs.base,
        choice,
        inputs.get("candidates", []),
        params.batch_size,
        params.re_estimates,
    )
    write_state(snakemake.output.unlearned, network.state_dict(), choice)
