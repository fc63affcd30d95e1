"""Make the original model forget by training it, or by one step, with one unlearning method."""

from negmerge.data.loading import Epochs, evaluation_batches
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.settings.recipe import Recipe
from negmerge.states import read_state, write_state
from negmerge.unlearning import METHODS
from negmerge.unlearning.registry import Data, recipe_for

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device = compute.prepare(params.device, params.torch_threads, params.seed)
    method = METHODS[params.method]
    options = method.check(snakemake.wildcards.method, params.options)
    recipe = recipe_for(Recipe.model_validate(params.recipe), options)
    scenario = load_scenario(params.scenario, inputs, device)
    model = scenario.network(read_state(inputs.base), inputs.base)
    forget, retain = (scenario.role(name, "train").items for name in ("forget", "retain"))
    transform = scenario.training_transform(recipe.augmentation)
    plain = scenario.evaluation_transform()
    data = Data(
        forget=Epochs(forget, transform, recipe, params.seed),
        retain=Epochs(retain, transform, recipe, params.seed),
        forget_in_order=evaluation_batches(forget, plain, recipe.batch_size),
        retain_in_order=evaluation_batches(retain, plain, recipe.batch_size),
        retain_augmented=Epochs(retain, transform, recipe, params.seed, in_order=True),
        classes=params.scenario["classes"],
        seed=params.seed,
    )
    method.run(model, data, options, recipe, device)
    report = {
        "method": params.method,
        "options": options.model_dump(),
        "uses": method.uses(options),
    }
    write_state(snakemake.output.trained, model.state_dict(), report)
