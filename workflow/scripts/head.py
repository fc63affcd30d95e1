"""Make the zero-shot head of a data set from its class names and prompts."""

from negmerge.checkpoints.states import read_state, write_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.models.clip import text_model, zero_shot_head

with job(snakemake):
    params = snakemake.params
    device, _ = compute.prepare(snakemake)
    text = snakemake.input.text
    clip = text_model(params.model, read_state(text), text).to(device)
    head = zero_shot_head(clip, params.prompts["classes"], params.prompts["templates"])
    write_state(snakemake.output.head, {"head": head.cpu()}, {"prompts": params.prompts})
