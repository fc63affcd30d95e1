"""Get the base: a model of others, trained weights of others, or a small CLIP trained here."""

from negmerge.checkpoints.states import write_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.jobs.resuming import SavedState
from negmerge.models.clip import complete_clip, load_clip, split_state
from negmerge.models.weights import weights_file
from negmerge.scenarios.given import read_model
from negmerge.scenarios.zero_shot.pretraining import Source, pretrain
from negmerge.settings.recipe import Recipe

with job(snakemake) as provenance:
    params = snakemake.params
    device, loaders = compute.prepare(snakemake)
    saved = SavedState.of_job(snakemake, provenance.made_from())
    record = snakemake.input.weights
    weights = weights_file(record) if record else None
    if params.place is not None:
        given, rest = read_model(params.place, params.model, params.key)
        clip = complete_clip(params.model, given | rest, weights, params.place)
    elif params.pretrain is None:
        clip = load_clip(params.model, weights)
    else:
        sources = [
            Source(path, **source)
            for path, source in zip(snakemake.input.data, params.pretrain["sources"], strict=True)
        ]
        recipe = Recipe.model_validate(params.pretrain["recipe"])
        clip = pretrain(params.model, sources, recipe, params.seed, device, saved, loaders)
    image, text = split_state(clip)
    write_state(snakemake.output.base, image, {"model": params.model})
    write_state(snakemake.output.text, text, {"model": params.model})
    saved.remove()
