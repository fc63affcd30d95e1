"""Subtract the base from a fine-tuned model of others."""

from negmerge.errors import UserError
from negmerge.jobs.job import job
from negmerge.models.given import read_model, require_untouched
from negmerge.states import read_state, write_state
from negmerge.vectors import task_vector

with job(snakemake):
    inputs, place = snakemake.input, snakemake.params.place
    finetuned, rest = read_model(place, snakemake.params.model)
    beside = require_untouched(rest, inputs.untouched, place)
    vector = task_vector(read_state(inputs.base), finetuned, place)
    if not any(change.any() for change in vector.values()):
        raise UserError(
            f"{place}: all its numbers are those of the base; expected a fine-tuned model"
        )
    point = {"point": snakemake.wildcards.point, "beside": beside}
    write_state(snakemake.output.vector, vector, point)
