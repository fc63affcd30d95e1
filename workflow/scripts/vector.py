"""Subtract the base from a fine-tuned model of others, or take the change of an adapter."""

import re

from negmerge.adapters.reading import is_adapter
from negmerge.checkpoints.states import read_state, write_state
from negmerge.errors import UserError
from negmerge.jobs.job import job
from negmerge.scenarios.given import read_model, reads_text, require_untouched, with_counters
from negmerge.standalone.pools import merge_files
from negmerge.vectors import task_vector

# What the commands may leave out or cut, a study may not.
ADVICE = re.compile(r"; [^;]*--(exclude|vocabulary)\b.*$")

with job(snakemake):
    inputs, vector, place = snakemake.input, snakemake.output.vector, snakemake.params.place
    if is_adapter(place) or reads_text(snakemake.params.model):
        try:
            changed = merge_files("uniform", [place], vector, base=inputs.base, threads=1)["kept"]
        except UserError as error:
            raise UserError(ADVICE.sub("", str(error))) from error
    else:
        finetuned, rest = read_model(place, snakemake.params.model)
        untouched_numbers = require_untouched(rest, inputs.untouched, place)
        base = read_state(inputs.base)
        changes = task_vector(base, with_counters(finetuned, base), place)
        changed = any(change.any() for change in changes.values())
        write_state(
            vector,
            changes,
            {"point": snakemake.wildcards.point, "untouched_numbers": untouched_numbers},
        )
    if not changed:
        raise UserError(f"{place}: equal to the base; expected a fine-tuned model")
