"""Measure forget and control accuracy on validation data at each coefficient of one vector."""

from negmerge import compute
from negmerge.data.augmentation import evaluation_transform
from negmerge.data.loading import Part, evaluation_batches
from negmerge.evaluation.accuracy import accuracy
from negmerge.job import job
from negmerge.models.clip import image_encoder
from negmerge.selection import write_sweep
from negmerge.states import read_state
from negmerge.vectors import apply

with job(snakemake):
    inputs, params, model = snakemake.input, snakemake.params, snakemake.params.model
    device = compute.prepare(params.device, params.torch_threads, seed=0)
    base = read_state(inputs.base)
    vector = read_state(inputs.vector[0])
    encoder = image_encoder(model, base, inputs.base).to(device)
    transform = evaluation_transform(model["size"], model["mean"], model["std"])
    sets = {}
    for role, name in params.datasets.items():
        head = read_state(inputs[f"{role}_head"])["head"].to(device)
        items = Part(inputs[f"{role}_data"], "val", name)
        # Kept in memory: each coefficient passes over the same images.
        sets[role] = head, list(evaluation_batches(items, transform, params.batch_size))
    rows = []
    for coefficient in params.coefficients:
        encoder.load_state_dict(apply(base, vector, -coefficient, inputs.vector[0]))
        counts = {role: accuracy(encoder, *pair, device) for role, pair in sets.items()}
        rows.append((coefficient, counts["forget"], counts["control"]))
        print(f"coefficient {coefficient}: {counts}")
    write_sweep(snakemake.output.sweep, dict(snakemake.wildcards), rows)
