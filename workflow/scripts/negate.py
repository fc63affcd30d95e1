"""Subtract the chosen vector from the base, scaled by the chosen coefficient."""

from pathlib import Path

from negmerge.files import read_json
from negmerge.job import job
from negmerge.states import read_state, write_state
from negmerge.vectors import apply

with job(snakemake):
    choice = read_json(snakemake.input.selected)
    state = read_state(snakemake.input.base)
    if choice["vector"] is not None:
        paths = {Path(path).stem: path for path in snakemake.input.vectors}
        path = paths[choice["vector"]]
        state = apply(state, read_state(path), -choice["coefficient"], path)
    write_state(snakemake.output.unlearned, state, choice)
