"""Score an unlearned model on the test images, whatever made it forget."""

from dataclasses import asdict

from negmerge import compute
from negmerge.data.augmentation import evaluation_transform
from negmerge.data.loading import Part, evaluation_batches
from negmerge.evaluation.accuracy import accuracy
from negmerge.files import sha256, write_json
from negmerge.job import job
from negmerge.models.clip import image_encoder
from negmerge.states import read_metadata, read_state

with job(snakemake):
    inputs, params, model = snakemake.input, snakemake.params, snakemake.params.model
    device = compute.prepare(params.device, params.torch_threads, seed=0)
    encoder = image_encoder(model, read_state(inputs.unlearned), inputs.unlearned).to(device)
    transform = evaluation_transform(model["size"], model["mean"], model["std"])
    score = read_metadata(inputs.unlearned) | {"unlearned_sha256": sha256(inputs.unlearned)}
    for role, name in params.datasets.items():
        head = read_state(inputs[f"{role}_head"])["head"].to(device)
        items = Part(inputs[f"{role}_data"], "test", name)
        batches = evaluation_batches(items, transform, params.batch_size)
        score[role] = asdict(accuracy(encoder, head, batches, device))
    write_json(snakemake.output.score, score)
