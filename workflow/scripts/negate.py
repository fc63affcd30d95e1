"""Subtract the chosen vector from the base, or take over the chosen trained model."""

from pathlib import Path

from negmerge.files import read_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.states import read_metadata, read_state, write_state
from negmerge.vectors import apply

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    choice = read_json(inputs.selected, keys=("vector", "coefficient"))
    state = read_state(inputs.base)
    paths = {Path(path).stem: path for path in inputs.get("candidates", [])}
    path = paths.get(choice["vector"])
    if choice["coefficient"] and params.trained:
        state = read_state(path)
        choice["uses"] = read_metadata(path)["uses"]
    elif choice["coefficient"]:
        state = apply(state, read_state(path), -choice["coefficient"], path)
        if params.scenario is not None:
            device = compute.prepare("cpu", params.torch_threads, seed=0)
            scenario = load_scenario(params.scenario, inputs, device)
            network = scenario.network(state, path)
            scenario.settle(network, params.batch_size)
            state = network.state_dict()
    write_state(snakemake.output.unlearned, state, choice)
