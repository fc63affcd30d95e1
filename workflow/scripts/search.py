"""Choose the coefficient of a method as full sweeps would, with a part of their forward passes."""

from dataclasses import asdict, replace
from pathlib import Path

from negmerge.checkpoints.divergence import sift
from negmerge.checkpoints.states import read_state
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.scenarios.validation import load_validation
from negmerge.selection.choice import nothing_left
from negmerge.selection.search import Searched, search

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(scenario, inputs.base, loaders, **params.validation)
    whole, diverged = sift(inputs.vectors)
    paths = {Path(path).stem: path for path in whole}
    count = validation.counting(lambda name: (read_state(paths[name]), paths[name]))
    how = validation.sizes, count, params.keep, params.halvings
    if paths:
        found = search(list(paths), params.coefficients, *how)
        found = replace(found, choice=replace(found.choice, diverged=diverged))
    else:
        base = validation.measure(diverged[0], 0.0)
        found = Searched(nothing_left(base, diverged, 0), 0, 0)
    print(found)
    write_json(snakemake.output.search, asdict(found))
