"""Note some coordinates of a pool's vectors, and what merges make of them."""

from pathlib import Path

from negmerge.checkpoints.divergence import split_diverged
from negmerge.checkpoints.states import StateFile
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.merging.signs import sample

with job(snakemake):
    points, _ = split_diverged(snakemake.input.vectors)
    merges, _ = split_diverged(snakemake.input.merged)
    vectors = {Path(path).stem: StateFile(path) for path in points}
    found = sample(list(vectors.values()))
    merged = {Path(path).stem: StateFile(path) for path in merges}
    values = {name: one[found.tensor].flatten()[found.places] for name, one in merged.items()}
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task")}
    write_json(
        snakemake.output.signs,
        labels
        | {"tensor": found.tensor, "size": found.size, "agreeing": found.agreeing}
        | {"places": found.places.tolist()}
        | {"points": dict(zip(vectors, found.values.tolist(), strict=True))}
        | {"merges": {name: numbers.tolist() for name, numbers in values.items()}},
    )
