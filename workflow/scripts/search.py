"""Choose the coefficient of a method as full sweeps would, with a part of their forward passes."""

from dataclasses import asdict
from pathlib import Path

from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.scenarios.validation import load_validation
from negmerge.selection.search import search
from negmerge.states import read_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(scenario, inputs.base, loaders, **params.validation)
    paths = {Path(path).stem: path for path in inputs.vectors}
    count = validation.counting(lambda name: (read_state(paths[name]), paths[name]))
    found = search(
        list(paths), params.coefficients, validation.sizes, count, params.keep, params.halvings
    )
    print(found)
    write_json(snakemake.output.search, asdict(found))
