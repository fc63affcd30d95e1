"""Train a classifier from scratch: the original on all its images, Retrain on the retain set."""

from negmerge.devices import tuned
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.jobs.resuming import SavedState
from negmerge.models.classifiers import build_classifier
from negmerge.models.weights import weights_file
from negmerge.scenarios import load_scenario
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Recipe
from negmerge.states import write_state
from negmerge.training import fit

with job(snakemake) as provenance:
    params = snakemake.params
    device, loaders = compute.prepare(snakemake)
    recipe = Recipe.model_validate(params.recipe)
    scenario = load_scenario(params.scenario, snakemake.input, device)
    settings = Compute.model_validate(params.scenario["compute"])
    record = snakemake.input.weights
    weights = weights_file(record) if record else None
    model = build_classifier(params.scenario["model"], params.scenario["classes"], weights)
    model = tuned(model.to(device), settings)
    role = scenario.role(params.role, "train")
    batches = role.training_batches(recipe, params.seed, loaders)
    saved = SavedState.of_job(snakemake, provenance.made_from)
    fit(
        model,
        batches,
        len(batches),
        role.objective.loss(model, recipe.label_smoothing),
        recipe,
        device,
        seed=params.seed,
        saved=saved,
        fused=settings.fused,
    )
    write_state(snakemake.output.trained, model.state_dict(), {"recipe": params.recipe})
    saved.remove()
