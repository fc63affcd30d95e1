"""Fine-tune the base on what it shall forget, with the hyper-parameters of one point."""

from torch.nn import functional

from negmerge import compute
from negmerge.data.augmentation import training_transform
from negmerge.data.loading import Part, batches_per_epoch, training_batches
from negmerge.job import job
from negmerge.models.clip import image_encoder
from negmerge.models.freezing import freeze
from negmerge.recipe import Recipe
from negmerge.states import read_state, write_state
from negmerge.training import fit

with job(snakemake):
    params, model = snakemake.params, snakemake.params.model
    device = compute.prepare(params.device, params.torch_threads, params.seed)
    recipe = Recipe.model_validate(params.recipe)
    encoder = image_encoder(model, read_state(snakemake.input.base), snakemake.input.base)
    freeze(encoder, params.frozen)
    encoder.to(device)
    head = read_state(snakemake.input.forget_head)["head"].to(device)
    items = Part(snakemake.input.forget_data, "train", snakemake.wildcards.task)
    batches = training_batches(
        items,
        training_transform(recipe.augmentation, model["size"], model["mean"], model["std"]),
        recipe,
        seed=params.seed,
    )
    fit(
        encoder,
        batches,
        recipe.epochs * batches_per_epoch(len(items), recipe.batch_size),
        lambda images, labels: functional.cross_entropy(
            encoder(images) @ head.T, labels, label_smoothing=recipe.label_smoothing
        ),
        recipe,
        device,
    )
    write_state(snakemake.output.finetuned, encoder.state_dict(), {"recipe": params.recipe})
