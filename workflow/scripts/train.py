"""Train a classifier from scratch: the original on all its images, Retrain on the retain set."""

from torch.nn import functional

from negmerge import compute
from negmerge.data.loading import batches_per_epoch, training_batches
from negmerge.job import job
from negmerge.models.classifiers import build_classifier
from negmerge.recipe import Recipe
from negmerge.scenarios import load_scenario
from negmerge.states import write_state
from negmerge.training import fit

with job(snakemake):
    params = snakemake.params
    device = compute.prepare(params.device, params.torch_threads, params.seed)
    recipe = Recipe.model_validate(params.recipe)
    scenario = load_scenario(params.scenario, snakemake.input, device)
    model = build_classifier(params.scenario["model"], params.scenario["classes"]).to(device)
    items = scenario.role(params.role, "train").items
    fit(
        model,
        training_batches(
            items, scenario.training_transform(recipe.augmentation), recipe, params.seed
        ),
        recipe.epochs * batches_per_epoch(len(items), recipe.batch_size),
        lambda images, labels: functional.cross_entropy(
            model(images), labels, label_smoothing=recipe.label_smoothing
        ),
        recipe,
        device,
    )
    write_state(snakemake.output.trained, model.state_dict(), {"recipe": params.recipe})
