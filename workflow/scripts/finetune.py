"""Fine-tune the base on what it should forget, by the recipe of one point; subtract the base."""

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.checkpoints.states import read_state, write_state
from negmerge.errors import NotFinite
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.jobs.resuming import SavedState
from negmerge.scenarios import load_task
from negmerge.scenarios.finetuning import finetune
from negmerge.vectors import task_vector

with job(snakemake) as provenance:
    inputs, output, params = snakemake.input, snakemake.output, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task, base = load_task(params.scenario, inputs, device), read_state(inputs.base)
    saved = SavedState.of_job(snakemake, provenance.made_from())
    how = params.recipe, params.freeze, params.seed, params.adapter_seed, loaders, saved
    fused = params.scenario["compute"]["fused"]
    point, labels = snakemake.wildcards.point, {}
    try:
        finetuned = finetune(task, base, inputs.base, params.role, *how, fused)
        vector = task_vector(base, finetuned, output.finetuned)
    except NotFinite as error:
        print(f"diverged, so the pool is without this point: {error}")
        finetuned, vector, labels = {}, {}, {DIVERGED: [point]}
    write_state(output.finetuned, finetuned, {"recipe": params.recipe} | labels)
    write_state(output.vector, vector, {"point": point} | labels)
    saved.remove()
