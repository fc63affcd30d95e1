"""Train a model: the original on all that it is taught, Retrain on what is to be retained.

A language model first learns the language from other authors, and both start from there.
"""

from negmerge.checkpoints.states import read_state, write_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.jobs.resuming import SavedState
from negmerge.models.weights import weights_file
from negmerge.scenarios import load_task
from negmerge.scenarios.teaching import teach
from negmerge.settings.recipe import Recipe

with job(snakemake) as provenance:
    params = snakemake.params
    device, loaders = compute.prepare(snakemake)
    recipe = Recipe.model_validate(params.recipe)
    task = load_task(params.scenario, snakemake.input, device)
    record, start = snakemake.input.weights, snakemake.input.start
    if start:
        model = task.network(read_state(start), start)
    else:
        model = task.untrained(weights_file(record) if record else None)
    role, fused = task.role(params.role, "train"), params.scenario["compute"]["fused"]
    saved = SavedState.of_job(snakemake, provenance.made_from())
    teach(model, role, recipe, params.seed, loaders, saved=saved, fused=fused)
    write_state(snakemake.output.trained, model.state_dict(), {"recipe": params.recipe})
    saved.remove()
