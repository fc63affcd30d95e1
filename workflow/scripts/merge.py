"""Merge the task vectors of the pool into one."""

import time

from negmerge.checkpoints.divergence import DIVERGED, chosen_vectors, split_diverged
from negmerge.checkpoints.states import StateFile, write_state
from negmerge.jobs.compute import take_device
from negmerge.jobs.job import job
from negmerge.jobs.provenance import device_name
from negmerge.log_lines import MERGED
from negmerge.merging.blocks import Workers
from negmerge.merging.engine import merge_pool
from negmerge.merging.pool import pool_of

with job(snakemake):
    params, merged = snakemake.params, snakemake.output.merged
    vectors, missing = split_diverged(snakemake.input.vectors)
    options = dict(params.options)
    for choice in snakemake.input.get("choice", []) if vectors else []:
        by_main_rule, *_ = chosen_vectors(choice, vectors).values()
        options["single"] = 1 + by_main_rule
    if vectors:
        workers = Workers(device=take_device(device_name(snakemake)))
        pool = pool_of([StateFile(path) for path in vectors], workers=workers)
        start = time.perf_counter()
        merge_pool(params.method, options, pool, merged, missing=missing)
        print(MERGED.format(f"{time.perf_counter() - start:.3f}", f"{workers.computing:.3f}"))
    else:
        write_state(merged, {}, {"method": params.method, DIVERGED: missing})
