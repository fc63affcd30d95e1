"""Fine-tune the base on what it should forget, by the recipe of one point; subtract the base."""

from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.jobs.resuming import SavedState
from negmerge.models.adapting import adapted, merged
from negmerge.models.freezing import freeze
from negmerge.scenarios import load_scenario
from negmerge.settings.recipe import Recipe
from negmerge.states import read_state, write_state
from negmerge.training import fit
from negmerge.vectors import task_vector

with job(snakemake) as provenance:
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    settings = dict(params.recipe)
    adapter = settings.pop("lora", None)
    recipe = Recipe.model_validate(settings)
    scenario, base = load_scenario(params.scenario, inputs, device), read_state(inputs.base)
    network = scenario.network(base, inputs.base)
    freeze(network, params.freeze)
    trained = adapted(network, adapter) if adapter else network
    forget = scenario.role("forget", "train")
    batches = forget.training_batches(recipe, params.seed, loaders)
    saved = SavedState.of_job(snakemake, provenance.made_from)
    fit(
        trained,
        batches,
        len(batches),
        forget.objective.loss(trained, recipe.label_smoothing),
        recipe,
        device,
        seed=params.seed,
        saved=saved,
        fused=params.scenario["compute"]["fused"],
    )
    if adapter:
        network = merged(trained)
    finetuned = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    write_state(snakemake.output.finetuned, finetuned, {"recipe": params.recipe})
    vector = task_vector(base, finetuned, snakemake.output.finetuned)
    write_state(snakemake.output.vector, vector, {"point": snakemake.wildcards.point})
    saved.remove()
