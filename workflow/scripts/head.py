"""Make the zero-shot head of a data set from its class names and prompts."""

from negmerge import compute
from negmerge.job import job
from negmerge.models.clip import text_model
from negmerge.models.heads import zero_shot_head
from negmerge.states import read_state, write_state

with job(snakemake):
    params = snakemake.params
    compute.prepare("cpu", params.torch_threads, seed=0)
    clip = text_model(params.model, read_state(snakemake.input.text), snakemake.input.text)
    head = zero_shot_head(clip, params.prompts["classes"], params.prompts["templates"])
    write_state(snakemake.output.head, {"head": head}, {"prompts": params.prompts})
