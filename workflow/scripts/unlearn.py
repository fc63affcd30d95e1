"""Make the original model forget with one unlearning method, with each of the options to try."""

from torch import nn

from negmerge.checkpoints.divergence import chosen_vectors, split_diverged
from negmerge.checkpoints.states import read_state, write_state
from negmerge.files import write_json
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.models.clip import freeze
from negmerge.scenarios import load_task
from negmerge.scenarios.unlearned import choices
from negmerge.scenarios.unlearning import unlearn
from negmerge.scenarios.validation import load_validation
from negmerge.selection.choice import load_criteria
from negmerge.selection.points import write_points
from negmerge.settings.recipe import Recipe
from negmerge.unlearning import METHODS
from negmerge.unlearning.tuning import stacked, tune
from negmerge.vectors import task_vector

with job(snakemake):
    inputs, params, labels = snakemake.input, snakemake.params, snakemake.wildcards
    device, loaders = compute.prepare(snakemake)
    method, recipe = METHODS[params.method], Recipe.model_validate(params.recipe)
    task = load_task(params.scenario, inputs, device)
    validation = load_validation(
        task, inputs.base, loaders, roles=params.roles, **params.validation
    )
    base, classes = read_state(inputs.base), params.scenario["classes"]
    taken, _ = split_diverged(inputs.get("vectors", []))
    for choice in inputs.get("choice", []) if taken else []:
        by_main_rule, *_ = chosen_vectors(choice, taken).values()
        taken = [taken[by_main_rule]]
    whole, _ = split_diverged(inputs.get("retained", []))
    vectors = [read_state(path) for path in (*taken, *whole)]
    # What earlier requests have subtracted, all together.
    vectors += [task_vector(base, read_state(path), path) for path in inputs.get("first", [])]

    def train(searched: dict) -> nn.Module:
        """Train the base with the options that are searched."""
        model = task.network(base, inputs.base)
        freeze(model, params.freeze)
        options = params.options | searched
        how = recipe, params.seed, loaders, vectors
        return unlearn(model, method, options, task, classes, *how)

    criteria = load_criteria(params.criteria, params.keep, inputs.get("reference", []))
    tuned = tune(
        labels.method, params.grid, train, validation, criteria, params.halvings, params.unchanged
    )
    report = {"method": params.method, "options": params.options, "grid": params.grid}
    report["data_used"] = method.check(labels.method, params.options).data_used
    write_state(snakemake.output.candidates, stacked(tuned.states), report)
    write_points(snakemake.output.sweep, labels, tuned.points)
    records = [
        criterion.choose(tuned.points).record(labels, criterion.name, params.about | choice["view"])
        for criterion, choice in zip(criteria, params.criteria, strict=True)
        if params.grid
    ]
    # Without a grid there is nothing to choose.
    write_json(snakemake.output.selected, records or choices(labels, params.about, []))
