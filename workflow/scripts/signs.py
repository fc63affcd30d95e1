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
    drawn = sample(list(vectors.values()))
    merged = {Path(path).stem: StateFile(path) for path in merges}
    values = {name: one[drawn.tensor].flatten()[drawn.places] for name, one in merged.items()}
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task")}
    write_json(
        snakemake.output.signs,
        labels
        | {"tensor": drawn.tensor, "size": drawn.size, "agreeing": drawn.agreeing}
        | {"places": drawn.places.tolist()}
        | {"points": dict(zip(vectors, drawn.values.tolist(), strict=True))}
        | {"merges": {name: numbers.tolist() for name, numbers in values.items()}},
    )
